"""What a new field of the spec costs: the files that CONTRIBUTING.md names, and no others."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from controller.domain.base import Model
from controller.domain.spec import EdgeDeploymentPlanSpec, Policy, Rollout, Target
from controller.schema import crd

ROOT = Path(__file__).parents[2]

# Written by people: these in the code, tests/bad_manifests.py, and for a field of our own a page of documentation. What
# a field of AWS's request means is said by its description in spec.py, which `kubectl explain` shows.
MOST_FILES = 6
PLACES = {
    *("domain/spec.py", "domain/changes.py", "domain/decide.py", "domain/rollout.py", "domain/forecast.py"),
    *("domain/desired.py", "domain/resource.py"),
    *("aws/requests.py", "aws/answers.py"),
    *("commands/show.py", "commands/view.py", "commands/promotion.py"),
}
# Not fields alone: words of the domain, which other values carry too.
CONCEPTS = {
    *("edge_deployment_plan_name", "stages", "stage_name", "tags", "suspend", "target", "account", "region"),
    *("policy", "rollout", "key", "value", "deletion", "device_selection_config", "deployment_config"),
}


def fields(model: type[Model]) -> set[str]:
    """The names of all fields of a model and of the models in it."""
    return {name for each in crd.models(model) for name in each.model_fields}


OURS = fields(Policy) | fields(Rollout) | fields(Target)


@cache
def names_in(path: Path) -> frozenset[str]:
    """Every attribute and keyword that a file of code uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    declared = {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return frozenset(
        attributes | declared | {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    )


def places(field: str) -> set[str]:
    code = ROOT / "controller"
    return {str(path.relative_to(code)) for path in code.rglob("*.py") if field in names_in(path)}


@pytest.mark.parametrize("field", sorted(fields(EdgeDeploymentPlanSpec) - CONCEPTS))
def test_a_field_of_the_spec_is_known_in_few_places(field: str) -> None:
    found = places(field)
    assert "domain/spec.py" in found
    assert found <= PLACES, f"{field} is also known in {sorted(found - PLACES)}: CONTRIBUTING.md says where it belongs"
    cost = len(found) + (2 if field in OURS else 1)
    assert cost <= MOST_FILES, (
        f"{field} costs {cost} files: {sorted(found)}, bad manifests, documentation if it is ours"
    )


@pytest.mark.parametrize("field", sorted(fields(EdgeDeploymentPlanSpec)))
def test_a_field_of_the_spec_has_a_bad_manifest(field: str) -> None:
    head, *rest = field.split("_")
    wire = head + "".join(word.capitalize() for word in rest)
    assert re.search(rf"\b{wire}\b", (ROOT / "tests/bad_manifests.py").read_text(encoding="utf-8"))


def test_contributing_names_the_places() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## A new field")[1].split("\n## ")[0]
    named = set(re.findall(r"`(?:controller/)?((?:domain|aws|commands)/\w+\.py|rollout\.py)`", section))
    assert {name if "/" in name else f"domain/{name}" for name in named} <= PLACES
