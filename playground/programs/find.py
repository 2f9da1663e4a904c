"""Where programs are looked for, in order: KUBEBUILDER_ASSETS, the user's cache, PATH for clients; else they are built."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playground.programs.build import build
from playground.programs.progress import Progress, progress_for
from playground.programs.table import KUBERNETES, PROGRAMS, Program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ASSETS_VARIABLE: Final = "KUBEBUILDER_ASSETS"
_GO_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def find_or_build(names: Sequence[str], *, progress: Progress | None = None) -> Mapping[str, Path]:
    """Return the path of each named program, building once what is not on this machine.

    Raises `GoMissingError` if something has to be built and there is no Go, `BuildFailedError` if Go fails.
    """
    found = find(names)
    missing = [PROGRAMS[name] for name in names if name not in found]
    if missing:
        built = build(missing, into=cache_folder(), progress=progress or progress_for())
        found = {**found, **built}
    return {name: found[name] for name in names}


def find(names: Sequence[str]) -> dict[str, Path]:
    """Return those of the named programs that are on this machine already."""
    return {name: path for name in names if (path := _look_for(PROGRAMS[name])) is not None}


def cache_folder() -> Path:
    """The user's cache of built programs; one folder per version, so an upgrade never meets an old server."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    machine = platform.machine().lower()
    architecture = _GO_ARCHITECTURES.get(machine, machine)
    return caches / "edgeplan" / "kubernetes" / f"{KUBERNETES}-{platform.system().lower()}-{architecture}"


def _look_for(program: Program) -> Path | None:
    folders = [os.environ.get(ASSETS_VARIABLE), cache_folder()]
    for folder in folders:
        if folder and os.access(path := Path(folder) / program.name, os.X_OK) and path.is_file():
            return path.absolute()
    if program.on_path and (on_path := shutil.which(program.name)):
        return Path(on_path)
    return None
