"""Packaging and compilation jobs: a job is under way until it ended one way or another, once."""

from __future__ import annotations

from typing import NamedTuple

ENDED = frozenset({"COMPLETED", "FAILED", "STOPPED"})


class Packaged(NamedTuple):
    """A packaging job, as far as plans need it."""

    status: str
    artifact: str | None
    sha1: str | None
    model: str
    version: str


def package_url(output: str, job: str, model: str, version: str) -> str:
    """Where a packaging job writes: below its own name, so that no two jobs write to one place."""
    return f"{output.rstrip('/')}/{job}/{model}-{version}.tar.gz"
