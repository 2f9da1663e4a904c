"""What can be told of the images without building them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICE = ROOT / "packaging" / "edge-manager"


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def stages() -> dict[str, str]:
    """The text of each stage."""
    parts = re.split(r"(?m)^FROM \S+ AS (\S+)\n", DOCKERFILE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def copied(*names: str) -> set[str]:
    """What these stages, or all, take from the checkout."""
    text = "".join(stages()[name] for name in names or stages())
    lines = re.findall(r"(?m)^COPY (?!--from)(.*)$", text)
    return {source for line in lines for source in line.split()[:-1]}


def test_operators_wheel_is_built_from_what_is_copied() -> None:
    declared = project(ROOT)
    wheel = declared["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel.get("force-include", {}), declared["project"]["readme"], "pyproject.toml"}
    assert needed <= copied("edgeplan-build")


def test_services_wheel_is_built_from_what_is_copied() -> None:
    declared = project(SERVICE)
    assert list(declared["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]) == ["../../edge_manager"]
    assert (SERVICE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()  # a link to it
    needed = {"LICENSE", "edge_manager", "packaging/edge-manager", "requirements-service.lock"}
    assert copied("edge-manager-build") == needed


def test_each_image_has_its_own_half_and_the_operators_is_built_by_default() -> None:
    assert not copied("edgeplan-build") & {"edge_manager", "requirements-service.lock"}
    assert not copied("edge-manager-build") & {"controller", "requirements.lock"}
    for name in ("edgeplan", "edge-manager"):
        assert re.findall(r"(?m)^COPY .*$", stages()[name]) == [f"COPY --from={name}-build /opt/{name} /opt/{name}"]
    assert list(stages())[-1] == "edgeplan"


def test_only_what_is_copied_reaches_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied()
    assert "*" in lines


def test_build_lock_pins_the_build_backend_of_both() -> None:
    locked = re.findall(r"(?m)^(\S+==\S+) \\$", (ROOT / "requirements-build.lock").read_text())
    assert set(project(ROOT)["build-system"]["requires"]) <= set(locked)
    assert project(SERVICE)["build-system"] == project(ROOT)["build-system"]


def test_service_is_tested_with_what_its_image_installs() -> None:
    ours, root = project(SERVICE)["project"], project(ROOT)["project"]
    bounds = {*root["dependencies"], *root["optional-dependencies"]["service"]}
    assert set(ours["dependencies"]) <= bounds
    assert set(root["optional-dependencies"]["service"]) <= set(ours["dependencies"])
    tested, installed = (
        set(re.findall(r"(?m)^\S+==.*$|--hash=\S+", (ROOT / f"requirements-{name}.lock").read_text()))
        for name in ("dev", "service")
    )
    assert installed <= tested


def test_service_has_the_version_of_the_project() -> None:
    ours, root = project(SERVICE)["project"], project(ROOT)["project"]
    for name in ("version", "license", "requires-python"):
        assert ours[name] == root[name]
    assert ours["scripts"] == {"edge-manager": "edge_manager.__main__:main"}


@pytest.mark.parametrize("name", ["edgeplan", "edge-manager"])
def test_user_is_a_number(name: str) -> None:
    assert re.findall(r"(?m)^USER (.*)$", stages()[name]) == ["65532:65532"]
    assert re.findall(r"(?m)^ENTRYPOINT (.*)$", stages()[name]) == [f'["{name}"]']
