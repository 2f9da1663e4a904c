"""What passes between the parts: what the service offers, what is on the disk, what the service is told."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
PACKAGE = re.compile(r"(?P<name>[a-zA-Z0-9](-*[a-zA-Z0-9])*)-(?P<version>[a-zA-Z0-9 _.]+)\.tar\.gz")
CONTROLS = frozenset({"Cc", "Cf", "Zl", "Zp"})  # what steers a terminal or ends a line, too
SHORTEST_NAME = 4  # of a model, botocore's bound; a handle may be shorter
MAX_MESSAGE = 1000
MAX_NAME = 63
SHA1_DIGITS = 40


def is_name(text: str) -> bool:
    """Whether a text is a name as the API has them."""
    return len(text) <= MAX_NAME and NAME.fullmatch(text) is not None


def is_sha1(text: str) -> bool:
    """Whether a text is a SHA-1, in small hexadecimal digits."""
    return len(text) == SHA1_DIGITS and all(digit in "0123456789abcdef" for digit in text)


def clean(text: str) -> str:
    """A text that every JSON and every database can carry: what others printed may hold anything, NUL above all."""
    kept = (" " if unicodedata.category(each) in CONTROLS else each for each in text.encode(errors="replace").decode())
    return "".join(kept)[:MAX_MESSAGE]


class Installed(NamedTuple):
    """A model as the owner's program and the service know it."""

    handle: str
    name: str
    version: str
    sha1: str


class Model(NamedTuple):
    """A model that is to run here."""

    handle: str
    url: str
    sha1: str

    @property
    def installed(self) -> Installed:
        """With its name and version, which only its package's name tells: `<model>-<version>.tar.gz`."""
        found = PACKAGE.fullmatch(self.url.rsplit("/", 1)[-1])
        if found is None or len(found["name"]) < SHORTEST_NAME:
            return Installed(self.handle, self.handle, self.sha1[:12], self.sha1)
        return Installed(self.handle, found["name"], found["version"], self.sha1)


@dataclass(frozen=True)
class Offer:
    """A deployment: the models that the device has to run, and those that it has to run no longer."""

    deployment: str
    models: tuple[Model, ...]
    removed: tuple[str, ...] = ()
    rolls_back: bool = True
    fault: str | None = None  # why it cannot be carried out at all


class Release(NamedTuple):
    """Models that run together: what `current` points to."""

    id: str
    deployment: str
    models: tuple[Installed, ...]


class Failure(NamedTuple):
    """Why a deployment failed, and the handle of the model whose fault it is, if it is one's."""

    reason: str
    handle: str | None = None


@dataclass(frozen=True)
class Result:
    """The end of a deployment, as the service is told."""

    offer: Offer
    started: float
    ended: float
    failure: Failure | None = None
    is_running: bool = True  # whether its models are what runs now
    rollback_failure: str | None = None

    @property
    def status(self) -> str:
        """AWS's word for it."""
        return "SUCCESS" if self.failure is None else "FAIL"

    @property
    def message(self) -> str | None:
        """The reason, and what became of the models."""
        if self.failure is None:
            return None
        parts = [self.failure.reason, self.rollback_failure and f"Rollback: {self.rollback_failure}"]
        return clean(" ".join(part for part in parts if part))
