"""The state folder. What has its final name is whole: everything is made under another name, on the disk, then renamed.

    state.json                          what the agent must not forget
    models/<SHA-1>/                     an unpacked model
    releases/<deployment>-<digest>/     links to models that run together, by handle, and release.json
    current -> releases/<...>           what runs
    partial/<SHA-1>, <SHA-1>.json       a download that is not whole, and of which object it is

Names that begin with a dot are leftovers of a power cut. Nothing is deleted under its final name either.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import json
import os
import shutil
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edge_manager.agent.errors import FolderError, HinderedError, UnfitError
from edge_manager.agent.unpack import CHUNK, sync, unpack
from edge_manager.agent.values import Installed, Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_manager.agent.values import Model, Offer

RELEASE = "release.json"
LOCK_TRIES, LOCK_PAUSE = 20, 0.1
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what reading a file can end in
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk:
    """The state folder of one agent."""

    def __init__(self, folder: Path, keep_free: int) -> None:
        self.folder, self._keep_free = folder, keep_free
        self.models, self.releases, self.partial = folder / "models", folder / "releases", folder / "partial"
        self.current = folder / "current"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder for oneself, with what has to be in it; the lock goes with the process, however it ends."""
        try:
            for each in (self.folder, self.models, self.releases, self.partial):
                each.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise FolderError(f"The state folder {self.folder} cannot be used: {error.strerror}") from None
        try:
            if not _lock(descriptor):
                raise FolderError(f"The state folder {self.folder} is in use by another agent.")
            sync(self.folder)
            yield
        finally:
            os.close(descriptor)

    def release(self) -> Release | None:
        """What `current` points to."""
        try:
            name = self.current.readlink().name
            found = json.loads((self.releases / name / RELEASE).read_text(encoding="utf-8"))
            models = tuple(Installed(*fields) for fields in found["models"])
            is_text = all(isinstance(each, str) for each in (found["deployment"], *itertools.chain(*models)))
            return Release(name, found["deployment"], models) if is_text else None
        except DAMAGED:
            return None

    def present(self) -> frozenset[str]:
        """The checksums of the models that are there."""
        return _names(self.models)

    def kept(self) -> frozenset[str]:
        """The releases that are there."""
        return _names(self.releases)

    def need(self, size: int) -> None:
        """See that there is room for so many bytes, and for what is to be kept free."""
        free = shutil.disk_usage(self.folder).free
        if free - size < self._keep_free:
            kept = f", and {self._keep_free} are to be kept free" if self._keep_free else ""
            raise HinderedError(f"No space on the device: {size} bytes are needed, {free} are free{kept}.")

    def install(self, model: Model, package: IO[bytes]) -> None:
        """Unpack a package that was verified."""
        made = self.models / f".{model.sha1}"
        remove(made)
        try:
            unpack(package, made, self.need)
        except UnfitError as error:
            remove(made)
            raise UnfitError(str(error), model.handle) from None
        except (OSError, HinderedError):
            remove(made)
            raise
        made.rename(self.models / model.sha1)
        sync(self.models)

    def build(self, offer: Offer) -> Release:
        """The release of an offer, whose models are all there."""
        release = release_of(offer)
        final = self.releases / release.id
        if final.is_dir():
            return release
        made = self.releases / f".{release.id}"
        remove(made)
        made.mkdir()
        for model in release.models:
            (made / model.handle).symlink_to(f"../../models/{model.sha1}")
        write(made / RELEASE, _content(release))
        sync(made)
        made.rename(final)
        sync(self.releases)
        return release

    def switch(self, release: str | None) -> None:
        """Point `current` to a release in one step; None: to nothing."""
        if release is None:
            with contextlib.suppress(FileNotFoundError):
                self.current.unlink()
        else:
            made = self.folder / ".current"
            with contextlib.suppress(FileNotFoundError):
                made.unlink()
            made.symlink_to(f"releases/{release}")
            made.replace(self.current)
        sync(self.folder)

    def tidy(self, releases: Iterable[str | None], models: Iterable[str]) -> None:
        """Delete all but what runs, the releases and models named, and the parts of these models."""
        kept, wanted = {name for name in releases if name is not None}, set(models)
        running = self.release()
        if running is None and self.current.is_symlink():
            return  # `current` cannot be read: nothing is known to be of no use
        kept |= {running.id} if running is not None else set()
        links = {link for name in kept for link in _links(self.releases / name)}
        for folder, names in ((self.releases, kept), (self.models, wanted | links)):
            _sweep(folder, names)
        _sweep(self.partial, {name for sha1 in wanted for name in (sha1, f"{sha1}.json")})


def release_of(offer: Offer) -> Release:
    """The release of an offer. Its name says all that is in it, so one that exists needs no comparing."""
    models = tuple(model.installed for model in offer.models)
    nameless = Release("", offer.deployment, models)
    digest = hashlib.sha256(_content(nameless)).hexdigest()[:12]
    return Release(f"{offer.deployment}-{digest}", offer.deployment, models)


def write(path: Path, content: bytes) -> None:
    """Write a file such that after a power cut there is the old one or the new one, whole."""
    made = path.with_name(f".{path.name}")
    try:
        with made.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            made.unlink()
        raise
    sync(path.parent)


def sha1(file: IO[bytes]) -> str:
    """The checksum of a file, from its beginning; the file is at its beginning afterwards."""
    digest = hashlib.sha1()  # noqa: S324  the API has no other; it is no protection from people who write packages
    file.seek(0)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _lock(descriptor: int) -> bool:
    """Lock a file. A child that a killed agent had just made holds its lock for a moment, until it is a program."""
    for _ in range(LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(LOCK_PAUSE)
    return False


def _content(release: Release) -> bytes:
    return json.dumps({"deployment": release.deployment, "models": release.models}, sort_keys=True).encode()


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _links(release: Path) -> list[str]:
    try:
        return [path.readlink().name for path in release.iterdir() if path.is_symlink()]
    except FileNotFoundError:
        return []


def _sweep(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in kept:
            continue
        trash = path if path.name.startswith(".") else path.with_name(f".{path.name}")
        if trash != path:
            remove(trash)
            path.rename(trash)
            sync(folder)
        remove(trash)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
