"""A promotion as a change of a manifest's text: the next stage in `spec.rollout.throughStage`, and all else as it was. Pure."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff

import yaml

from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.schema.manifests import Manifest, Problem, parse

_FIELD = ("spec", "rollout", "throughStage")


class NotPromoted(Exception):  # noqa: N818 - a refusal, worded for the user
    """Why there is nothing to promote, or not in this way."""


def next_stage(spec: EdgeDeploymentPlanSpec, wanted: str | None) -> str:
    """The stage that a promotion moves the gate to: the one after it, or a later one that is wanted.

    Raises:
        NotPromoted: there is no gate, or nothing behind it.

    """
    if spec.rollout is None:
        raise NotPromoted("there is no spec.rollout: no stage is started")
    gate = spec.rollout.through_stage
    if gate is None:
        raise NotPromoted("spec.rollout has no throughStage: all stages may start already")
    names = [stage.stage_name for stage in spec.stages or ()]
    behind = names[names.index(gate) + 1 :]
    if not behind:
        raise NotPromoted(f"{gate} is the last stage: all may start already")
    if wanted is None:
        return behind[0]
    if wanted in behind:
        return wanted
    if wanted in names:
        raise NotPromoted(f"stage {wanted} may start already: the gate is at {gate}")
    raise NotPromoted(f"there is no stage {wanted!r}: behind the gate come {', '.join(behind)}")


def promoted(text: str, manifest: Manifest, stage: str) -> str:
    """The text of the manifest's file with the gate at that stage.

    Raises:
        NotPromoted: the field is written in a way that cannot be changed by itself, through an anchor for one.

    """
    at = f"{manifest.file}:{manifest.line(_FIELD)}"
    node = manifest.node_at(_FIELD)
    lines = text.splitlines(keepends=True)
    changed = _replaced(lines, manifest, node, stage) if isinstance(node, yaml.ScalarNode) else None
    wanted = manifest.spec.model_dump(by_alias=True, exclude_none=True)
    wanted["rollout"]["throughStage"] = stage
    # Read again: a change that is not just this one, or none at all, is none that is offered.
    if changed is None or wanted not in _specs_instead(manifest, changed):
        raise NotPromoted(f"{at}: cannot be changed by itself; set spec.rollout.throughStage to {stage} there")
    return changed


def git_diff(path: str, before: str, after: str) -> str:
    """The change of a file as `git diff` writes it and `git apply` takes it."""
    return "".join(_diff_lines(path, before.splitlines(keepends=True), after.splitlines(keepends=True)))


def _diff_lines(path: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    yield f"diff --git a/{path} b/{path}\n"
    for line in unified_diff(before, after, f"a/{path}", f"b/{path}"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _replaced(lines: Sequence[str], manifest: Manifest, node: yaml.ScalarNode, stage: str) -> str | None:
    start, end = node.start_mark, node.end_mark
    number = manifest.first_line + start.line
    line = lines[number]
    written = line[start.column : end.column]
    if start.line != end.line or written.strip("\"'") != node.value:
        return None
    quote = written[0] if written[0] in "\"'" else ""
    line = f"{line[: start.column]}{quote}{stage}{quote}{line[end.column :]}"
    return "".join([*lines[:number], line, *lines[number + 1 :]])


def _specs_instead(manifest: Manifest, changed: str) -> list[object]:
    """What the file holds after the change at the place of this manifest, if everything else in it is as it was."""
    first = manifest.line([])
    found = [each for each in parse(manifest.file, changed) if not isinstance(each, Problem)]
    return [each.spec.model_dump(by_alias=True, exclude_none=True) for each in found if each.line([]) == first]
