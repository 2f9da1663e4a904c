"""Unpacks a package: regular files and folders, below the target, each once, on the disk when it returns.

Python before 3.12 does not refuse what a tar can do (absolute names, "..", links out, devices); this refuses all links,
as the service does when it packages.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from edge_manager.agent.errors import UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 1 << 20
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER_EXECUTES = 0o100
HEADERS = 1 << 20  # bytes of headers, for one file
GLOBALS = 1000  # headers that are for all files
PADDING = 64 << 20  # bytes after the end of the archive
DEEPEST = 100  # folders in each other: Python deletes them by recursion
UNNAMEABLE = frozenset({errno.ENAMETOOLONG, errno.EILSEQ})


def unpack(package: IO[bytes], target: Path, make_room: Callable[[int], None]) -> None:
    """Unpack a gzipped tar into a new folder; `make_room` is asked before each file whether it may have its size."""
    target.mkdir()
    try:
        with gzip.GzipFile(fileobj=package) as unzipped:
            stream = _Stream(unzipped)
            with contextlib.ExitStack() as stack:
                with _parsing():  # this reads the first header
                    archive = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))
                while (member := _next(archive, stream)) is not None:
                    _unpack(archive, member, target, make_room)
            stream.finish()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UnfitError(f"The package is not a whole gzipped tar: {error}") from None
    except OSError as error:
        if error.errno is None:  # what gzip has to say is an OSError too
            raise UnfitError(f"The package is not a whole gzipped tar: {error}") from None
        raise
    sync_tree(target)


class _Stream(io.RawIOBase):
    """What tarfile reads. It takes what a header says of its own length on trust, into memory: that has a bound here."""

    def __init__(self, source: gzip.GzipFile) -> None:
        super().__init__()
        self._source = source
        self.left: int | None = HEADERS  # bytes that may be read; None: of the contents of a file, which has its own

    def read(self, size: int = -1) -> bytes:
        """So many bytes."""
        if self.left is not None:
            if not 0 <= size <= self.left:
                raise UnfitError(f"The package has headers of more than {HEADERS} bytes for one file.")
            self.left -= size
        return self._source.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go on elsewhere."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._source.tell()

    def finish(self) -> None:
        """Read what follows the archive, and with that the checksum at the end of gzip's stream."""
        rest = 0
        while chunk := self._source.read(CHUNK):
            rest += len(chunk)
            if rest > PADDING:
                raise UnfitError(f"The package goes on for more than {PADDING} bytes after its end.")


@contextlib.contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except (ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:  # tarfile trusts numbers
        raise UnfitError(f"The package is not a whole gzipped tar: {error}") from None


def _next(archive: tarfile.TarFile, stream: _Stream) -> tarfile.TarInfo | None:
    """The next member, with bounds for what it and all before it take of the memory."""
    stream.left = HEADERS
    with _parsing():
        member = archive.next()
    stream.left = None
    if len(archive.pax_headers) > GLOBALS:
        raise UnfitError(f"The package has more than {GLOBALS} headers for all files.")
    vars(archive)["members"].clear()  # tarfile keeps every member that it met
    return member


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
    if len(name.parts) > DEEPEST:
        raise UnfitError(f"The package has folders more than {DEEPEST} deep: {member.name[:80]!r}...")
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
    except UnicodeEncodeError:
        raise UnfitError(f"The package holds a name that no file can have here: {member.name!r}") from None
    except OSError as error:
        if error.errno in UNNAMEABLE:
            raise UnfitError(f"The package holds a name that no file can have here: {member.name[:300]!r}") from None
        raise


def _write(source: IO[bytes], path: Path, mode: int) -> None:
    with os.fdopen(os.open(path, NEW, mode), "wb") as file:
        while chunk := source.read(CHUNK):
            file.write(chunk)
        file.flush()
        os.fchmod(file.fileno(), mode)  # whatever the umask
        os.fsync(file.fileno())
