"""Manifests on disk: read with their line numbers and checked by the rules that the API server applies."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from controller.domain.api import API_VERSION, GROUP, KIND
from controller.domain.resource import NAME_NEEDED, problem
from controller.domain.spec import ENTITY_NAME_PATTERN, EdgeDeploymentPlanSpec

_SUFFIXES = {".yaml", ".yml", ".json"}
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_OBJECT_NAME = 253


@dataclass(frozen=True)
class Problem:
    """What is wrong with a manifest, and where."""

    file: str
    line: int
    field: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.field}: {self.text}"
            if self.field
            else f"{self.file}:{self.line}: {self.text}"
        )


@dataclass(frozen=True)
class Manifest:
    """One EdgeDeploymentPlan in a file."""

    file: str
    node: yaml.Node
    body: dict[str, Any]

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the field, or of the closest thing around it that is there."""
        node, line = self.node, self.node.start_mark.line
        for part in path:
            step = _child(node, part)
            if step is None:
                break
            node, line = step
        return line + 1


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((value, key.start_mark.line) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    return None


def check(paths: Sequence[Path]) -> tuple[list[Problem], int]:
    """All problems of all EdgeDeploymentPlans in these files and folders, and how many there were."""
    problems: list[Problem] = []
    checked = 0
    for path in paths:
        for found in read(path):
            if isinstance(found, Problem):
                problems.append(found)
            else:
                checked += 1
                problems += check_one(found)
    return problems, checked


def read(path: Path) -> Iterator[Manifest | Problem]:
    """The EdgeDeploymentPlans of a file, of all files below a folder, or of standard input (`-`), and no other kinds."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in _SUFFIXES:
                yield from read(file)
        return
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if node is not None:
                yield from _manifests(str(path), node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        yield Problem(str(path), line, "", f"not YAML: {error.problem}")
    except (OSError, UnicodeDecodeError) as error:
        yield Problem(str(path), 1, "", f"cannot be read: {error}")


def _manifests(file: str, node: yaml.Node) -> Iterator[Manifest | Problem]:
    body = yaml.SafeLoader("").construct_document(node)
    if not isinstance(body, dict):
        yield Problem(file, node.start_mark.line + 1, "", "not a Kubernetes object: a mapping with kind is expected")
        return
    if body.get("kind") == "List":
        items = next((value for key, value in node.value if key.value == "items"), None)
        for item in items.value if isinstance(items, yaml.SequenceNode) else ():
            yield from _manifests(file, item)
    elif body.get("kind") == KIND and str(body.get("apiVersion", "")).startswith(f"{GROUP}/"):
        yield Manifest(file, node, body)


def check_one(manifest: Manifest) -> list[Problem]:
    """The problems of one manifest, in the API server's words."""
    body, problems = manifest.body, []

    def add(path: Sequence[str | int], field: str, text: str) -> None:
        problems.append(Problem(manifest.file, manifest.line(path), field, text))

    if body["apiVersion"] != API_VERSION:
        add(["apiVersion"], "apiVersion", f"Unsupported value: {body['apiVersion']!r}: supported: {API_VERSION!r}")
    for key in body.keys() - {"apiVersion", "kind", "metadata", "spec", "status"}:
        add([key], key, "unknown field")
    name = (body.get("metadata") or {}).get("name")
    generated = (body.get("metadata") or {}).get("generateName")
    if name is None and generated is None:
        add(["metadata"], "metadata.name", "Required value")
    if name is not None and (not _OBJECT_NAME.fullmatch(str(name)) or len(str(name)) > _LONGEST_OBJECT_NAME):
        add(["metadata", "name"], "metadata.name", f"Invalid value: {name!r}: must be a lowercase RFC 1123 subdomain")
    spec = body.get("spec")
    if not isinstance(spec, dict):
        add(["spec"], "spec", "Required value" if spec is None else "Invalid value: must be an object")
        return problems
    if spec.get("edgeDeploymentPlanName") is None and name is not None and not re.match(ENTITY_NAME_PATTERN, str(name)):
        add(["spec"], "spec", f"Invalid value: {NAME_NEEDED}")
    try:
        EdgeDeploymentPlanSpec.model_validate(spec)
    except ValidationError as error:
        for detail in error.errors():
            add(["spec", *detail["loc"]], *problem(detail))
    return problems
