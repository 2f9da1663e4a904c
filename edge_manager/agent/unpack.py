"""Unpacks a package: regular files and folders, below the target, each once, on the disk when it returns.

Python before 3.12 does not refuse what a tar can do (absolute names, "..", links out, devices); this refuses all links,
as the service does when it packages.
"""

from __future__ import annotations

import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from edge_manager.agent.errors import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 20
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER_EXECUTES = 0o100


def unpack(package: IO[bytes], target: Path, make_room: Callable[[int], None]) -> None:
    """Unpack a gzipped tar into a new folder; `make_room` is asked before each file whether it may have its size."""
    target.mkdir()
    try:
        with tarfile.open(fileobj=package, mode="r:gz") as archive:
            for member in archive:
                _unpack(archive, member, target, make_room)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UnfitError(f"The package is not a whole gzipped tar: {error}") from None
    except OSError as error:
        if error.errno is None:  # what gzip has to say is an OSError too
            raise UnfitError(f"The package is not a whole gzipped tar: {error}") from None
        raise
    sync_tree(target)


def sync_tree(folder: Path) -> None:
    """Have the entries of a folder and of all below it on the disk. The contents of files are written by `_write`."""
    for path, _, _ in os.walk(folder, topdown=False):
        sync(Path(path))


def sync(folder: Path) -> None:
    """Have a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, make_room: Callable[[int], None]) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\0" in member.name:
        raise UnfitError(f"The package would write outside of its folder: {member.name!r}")
    if not (member.isfile() or member.isdir()):
        raise UnfitError(f"The package holds something other than files and folders: {member.name!r}")
    path = target.joinpath(*name.parts)
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        source = archive.extractfile(member)
        if source is None:
            raise UnfitError(f"The package holds something other than files and folders: {member.name!r}")
        make_room(member.size)
        with source:
            _write(source, path, 0o755 if member.mode & OWNER_EXECUTES else 0o644)
    except (FileExistsError, NotADirectoryError):
        raise UnfitError(f"The package holds one name twice: {member.name!r}") from None


def _write(source: IO[bytes], path: Path, mode: int) -> None:
    with os.fdopen(os.open(path, NEW, mode), "wb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
        file.flush()
        os.fchmod(file.fileno(), mode)  # whatever the umask
        os.fsync(file.fileno())
