"""Prometheus' promtool: from PATH, or from Debian's package, unpacked into the user's cache and not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from playground.programs import cache_folder

_PACKAGE = "prometheus"
_PATIENCE = 240


def find_promtool() -> Path:
    """The program; where it cannot be had, the test is skipped and says why, or fails where CI runs it."""
    cached = cache_folder().parents[1] / "prometheus" / "promtool"
    if on_path := shutil.which("promtool"):
        return Path(on_path)
    if cached.exists():
        return cached
    try:
        _unpack(cached)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or ""
        why = f"no promtool on PATH, and Debian's package {_PACKAGE} is not to be had: {error} {said}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return cached


def _unpack(target: Path) -> None:
    """Download the package as any user may, and take the one program out of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        state = Path(scratch)
        try:
            _run("apt-get", "download", _PACKAGE, cwd=state)
        except subprocess.CalledProcessError:  # no lists of packages: fetch them for ourselves
            (state / "lists" / "partial").mkdir(parents=True)
            (state / "cache" / "archives" / "partial").mkdir(parents=True)
            own = ("-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache")
            _run("apt-get", *own, "update", cwd=state)
            _run("apt-get", *own, "download", _PACKAGE, cwd=state)
        (package,) = state.glob("*.deb")
        _run("dpkg-deb", "--extract", str(package), "tree", cwd=state)
        (state / "tree" / "usr" / "bin" / "promtool").replace(target)  # last of all, and at once


def _run(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, timeout=_PATIENCE)
