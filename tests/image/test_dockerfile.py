"""What can be told of the image without building it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def copied() -> set[str]:
    """What the Dockerfile takes from the checkout."""
    lines = re.findall(r"(?m)^COPY (?!--from)(.*)$", DOCKERFILE)
    return {source for line in lines for source in line.split()[:-1]}


def test_wheel_is_built_from_what_is_copied() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel.get("force-include", {}), PROJECT["project"]["readme"], "pyproject.toml"}
    assert needed <= copied()


def test_only_what_is_copied_reaches_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied()
    assert "*" in lines


def test_build_lock_pins_the_build_backend() -> None:
    locked = re.findall(r"(?m)^(\S+==\S+) \\$", (ROOT / "requirements-build.lock").read_text())
    assert set(PROJECT["build-system"]["requires"]) <= set(locked)


def test_user_is_a_number() -> None:
    assert re.findall(r"(?m)^USER (.*)$", DOCKERFILE) == ["65532:65532"]
