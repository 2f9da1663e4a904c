"""Manifests on disk: read as kubectl reads them, with their line numbers, and checked by the API server's rules."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from controller.domain.api import API_VERSION, GROUP, KIND
from controller.domain.resource import NAME_NEEDED
from controller.domain.spec import ENTITY_NAME_PATTERN, EdgeDeploymentPlanSpec
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.schema.documents import Document, decode, documents
from controller.schema.metadata import check_metadata
from controller.schema.wording import (
    REQUIRED,
    all_wrong,
    did_you_mean,
    field_name,
    refused,
    unknown_field,
    unsupported,
    wrong,
)

STDIN = "-"
_SUFFIXES = {".yaml", ".yml", ".json"}
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_LISTS = ("List", f"{KIND}List")
_AMONG_STAGES = "throughStage must be the stageName of one of the stages"
_UNIQUE = re.compile(r"Invalid value: (\w+) must be unique among the \w+$")
_CLOSE = 0.8  # share of letters that a misspelt name has in common with ours

RuleId = Literal["unreadable", "no-such-kind", "invalid", "empty"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a manifest, and where."""

    file: str
    line: int
    field: str
    text: str
    rule: RuleId = "invalid"

    def __str__(self) -> str:
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.field, self.text) if part)


@dataclass(frozen=True)
class Manifest:
    """One EdgeDeploymentPlan in a file."""

    file: str
    node: yaml.Node
    body: dict[str, Any]
    first_line: int = 0
    """Line of the file, from 0, that is line 0 of the node."""

    @property
    def spec(self) -> EdgeDeploymentPlanSpec:
        """The spec, parsed.

        Raises:
            ValidationError: it is not valid.

        """
        return EdgeDeploymentPlanSpec.model_validate(_without_null(self.body["spec"]))

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the field, or of the closest thing around it that is there."""
        node, line = self.node, self.node.start_mark.line
        for part in path:
            step = _child(node, part)
            if step is None:
                break
            node, line = step
        return self.first_line + line + 1

    def node_at(self, path: Sequence[str | int]) -> yaml.Node | None:
        """The value of the field, if it is written in the manifest."""
        node: yaml.Node | None = self.node
        for part in path:
            step = _child(node, part) if node is not None else None
            node = step[0] if step else None
        return node


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):  # of a key that is there twice the last one counts
        found = ((value, key.start_mark.line) for key, value in reversed(node.value) if key.value == str(part))
        return next(found, None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    return None


def check(paths: Sequence[Path], *, allow_empty: bool = False) -> tuple[list[Problem], int]:
    """All problems of all EdgeDeploymentPlans in these files and folders, and how many there were.

    A folder without one, or a standard input without one, is a problem too unless that is allowed.
    """
    problems: list[Problem] = []
    checked = 0
    for path in paths:
        before = checked, len(problems)
        for found in read(path):
            if isinstance(found, Problem):
                problems.append(found)
            else:
                checked += 1
                problems += sorted(check_one(found), key=lambda problem: problem.line)
        if not allow_empty and before == (checked, len(problems)) and (path.is_dir() or str(path) == STDIN):
            what = "standard input" if str(path) == STDIN else "this folder"
            problems.append(Problem(str(path), 1, "", f"no {KIND} in {what} (--allow-empty permits that)", "empty"))
    return problems, checked


def read(path: Path) -> Iterator[Manifest | Problem]:
    """The EdgeDeploymentPlans of a file, of all files below a folder, or of standard input (`-`).

    Other kinds are passed over, unless they are so close to ours that somebody misspelt it.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix in _SUFFIXES and not file.is_dir():
                yield from read(file)
        return
    try:
        data = sys.stdin.buffer.read() if str(path) == STDIN else path.read_bytes()
    except OSError as error:
        yield Problem(str(path), 1, "", f"cannot be read: {error}", "unreadable")
        return
    yield from parse(str(path), decode(data))


def parse(file: str, text: str) -> Iterator[Manifest | Problem]:
    """The EdgeDeploymentPlans in the text of a file of that name."""
    for document in documents(text):
        if isinstance(document, Document):
            yield from _manifests(file, document.node, document.value, document.first_line)
        else:
            yield Problem(file, document.line, "", document.text, "unreadable")


def _manifests(file: str, node: yaml.Node, body: Any, first_line: int) -> Iterator[Manifest | Problem]:
    line = first_line + node.start_mark.line + 1
    if not isinstance(body, dict):
        text = "not a Kubernetes object: a mapping with kind is expected"
        yield Problem(file, line, "", text, "unreadable")
        return
    manifest = Manifest(file, node, body, first_line)
    if "items" in body or body.get("kind") in _LISTS:
        yield from _items_of(manifest)
    elif _is_ours(body):
        yield manifest
    elif told := _misspelt(body):
        field, text = told
        yield Problem(file, manifest.line([field]), field, text, "no-such-kind")


def _items_of(around: Manifest) -> Iterator[Manifest | Problem]:
    """The items of a list: kubectl takes for one whatever has `items`."""
    items = around.body.get("items")
    told = ""
    if not isinstance(items, list):
        told = REQUIRED if items is None else refused(items, "must be a list")
    elif _is_ours(around.body) and not items:
        told = f"unknown field: kubectl takes a {KIND} with items for an empty list"
    elif around.body.get("kind") in _LISTS and not around.body.get("apiVersion"):
        yield Problem(around.file, around.line([]), "apiVersion", REQUIRED, "no-such-kind")
    if told:
        yield Problem(around.file, around.line(["items"]), "items", told)
        return
    nodes = _child(around.node, "items")
    for number, item in enumerate(items or ()):
        inner = _child(nodes[0], number) if nodes else None
        node = inner[0] if inner else around.node
        if isinstance(item, dict) and "items" in item:
            line = around.line(["items", number])
            yield Problem(around.file, line, f"items[{number}]", "a list within a list, which kubectl does not apply")
        else:
            yield from _manifests(around.file, node, _item(item, around.body), around.first_line)


def _is_ours(body: Mapping[str, Any]) -> bool:
    """Whether this is an EdgeDeploymentPlan, of whatever version."""
    return body.get("kind") == KIND and _group(body) == GROUP


def _item(item: Any, around: Mapping[str, Any]) -> Any:
    """An item of a list: one that does not say its kind has that of the list."""
    if isinstance(item, dict) and not item.get("kind") and not item.get("apiVersion"):
        kind = str(around.get("kind") or "").removesuffix("List")
        return item | {"kind": kind, "apiVersion": around.get("apiVersion")}
    return item


def _group(body: Mapping[str, Any]) -> str:
    group, slash, _ = str(body.get("apiVersion") or "").partition("/")
    return group if slash else ""


def _misspelt(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Field and words, if this is close to our kind but is not it."""
    kind, group = body.get("kind"), _group(body)
    version = body.get("apiVersion")
    if kind in {None, ""}:
        ours = _close(group, GROUP) or {"modelConfigs", "deviceFleetName"} & {*_mapping(body.get("spec"))}
        return ("kind", f"{REQUIRED}{_stray('kind', body)}") if ours else None
    if not _close(str(kind), KIND) and not _close(group, GROUP):
        return None
    if version in {None, ""}:
        return "apiVersion", f"{REQUIRED}{_stray('apiVersion', body)}"
    field, meant = ("apiVersion", API_VERSION) if kind == KIND else ("kind", KIND)
    return field, f'no matches for kind "{kind}" in version "{version}": did you mean {meant}?'


def _stray(name: str, body: Mapping[str, Any]) -> str:
    """Words on a field of the body that stands where another one should."""
    stray = [key for key in body if key not in _FIELDS and did_you_mean(key, [name])]
    return f": did you mean {name} by {stray[0]}?" if stray else ""


def _close(text: str, ours: str) -> bool:
    given, wanted = (re.sub(r"[^a-z0-9]", "", word.lower()) for word in (text, ours))
    return SequenceMatcher(None, given, wanted).ratio() >= _CLOSE


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def check_one(manifest: Manifest) -> list[Problem]:
    """The problems of one manifest, in the API server's words."""
    body, problems = manifest.body, []

    def add(path: Sequence[str | int], text: str) -> None:
        problems.append(Problem(manifest.file, manifest.line(path), field_name(path), text))

    if body["apiVersion"] != API_VERSION:
        add(["apiVersion"], unsupported(body["apiVersion"], [API_VERSION]))
    for key, value in body.items():
        if key not in _FIELDS and value is not None:
            add([key], unknown_field(key, _FIELDS))
    named = True
    for below, text in check_metadata(body.get("metadata")):
        add(["metadata", *below], text)
        named = named and list(below) != ["name"]
    _check_status(body.get("status"), add)
    spec = body.get("spec")
    if not isinstance(spec, dict):
        add(["spec"], REQUIRED if spec is None else refused(spec, "must be a mapping"))
        return problems
    name = _mapping(body.get("metadata")).get("name")
    if spec.get("edgeDeploymentPlanName") is None and name and named and not re.match(ENTITY_NAME_PATTERN, str(name)):
        add(["spec"], f"Invalid value: {NAME_NEEDED}")
    try:
        _ = manifest.spec
    except ValidationError as error:
        for loc, text in all_wrong(error.errors(), EdgeDeploymentPlanSpec):
            add(["spec", *loc], _in_detail(loc, text, spec))
    return problems


def _in_detail(loc: Sequence[str | int], text: str, spec: Mapping[str, Any]) -> str:
    """The text with what the API server's rule over several values does not say: which they are."""
    if text.endswith(_AMONG_STAGES):
        names = [stage["stageName"] for stage in spec["stages"]]
        value = spec["rollout"]["throughStage"]
        return f"{text}: {json.dumps(value)} is none of {', '.join(names) or '(none)'}{did_you_mean(value, names)}"
    if not (unique := _UNIQUE.search(text)):
        return text
    seen: dict[str, int] = {}
    twice = []
    for number, item in enumerate(spec[str(loc[-1])]):
        value = item[unique[1]]
        if value in seen:
            twice.append(f"{json.dumps(value)} is that of {loc[-1]}[{seen[value]}] and {loc[-1]}[{number}]")
        seen.setdefault(value, number)
    return f"{text}: {', '.join(twice)}"


def _check_status(status: Any, add: Callable[[Sequence[str | int], str], None]) -> None:
    """Find fields of the status that do not exist: all else about it the API server ignores, as it is not the user's."""
    try:
        EdgeDeploymentPlanStatus.model_validate(_without_null(_mapping(status)))
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "extra_forbidden":
                add(["status", *detail["loc"]], wrong(detail, EdgeDeploymentPlanStatus))


def _without_null(value: Any) -> Any:
    """The value as the API server sees it, for which a field that is null is not there."""
    if isinstance(value, Mapping):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value
