"""Our bounds against botocore's model of CreateEdgeDeploymentPlan, so that an SDK that changes them is noticed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import botocore.session
import pytest
from botocore.model import Shape

from controller.domain.failures import CREDENTIALS_CODES, QUOTA_CODES, TRANSIENT_CODES
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.stage import MEANING, StageStatus
from controller.schema.crd import custom_resource_definition
from tests.bad_manifests import good_spec

SERVICE = botocore.session.get_session().get_service_model("sagemaker")
REQUEST = SERVICE.operation_model("CreateEdgeDeploymentPlan").input_shape

# Where we say more than AWS's model, and why. The path is AWS's; the second value is what we demand instead.
STRICTER: dict[tuple[str, str], tuple[Any, str]] = {
    ("Stages[].DeviceSelectionConfig.Percentage", "minimum"): (0, "a negative share of a fleet means nothing"),
    ("Stages", "maxItems"): (10, "the operation's documentation says at most 10, the model does not"),
}
# Where we leave out what AWS's model says, and why.
LOOSER: dict[tuple[str, str], str] = {
    ("", "required EdgeDeploymentPlanName"): "the object's name is the default",
}
# Fields of the spec that are no part of the request.
OURS = {"suspend", "policy", "rollout", "target"}


@dataclass(frozen=True)
class Bound:
    """One thing that a schema says of one field."""

    path: str
    what: str
    value: Any


def camel(name: str) -> str:
    """AWS's name of a field as we spell it."""
    return name[0].lower() + name[1:]


def aws_bounds(shape: Shape, path: str = "") -> Iterator[Bound]:
    """Everything that botocore's model says of a shape, in the words of a JSON schema."""
    sizes = {"string": ("minLength", "maxLength"), "list": ("minItems", "maxItems"), "integer": ("minimum", "maximum")}
    kinds = {"structure": "object", "list": "array", "string": "string", "integer": "integer"}
    yield Bound(path, "type", kinds[shape.type_name])
    for word, key in zip(sizes.get(shape.type_name, ()), ("min", "max"), strict=False):
        if key in shape.metadata and (word, shape.metadata[key]) != ("minItems", 0):
            yield Bound(path, word, shape.metadata[key])
    if pattern := shape.metadata.get("pattern"):
        yield Bound(path, "pattern", f"^{pattern}$")
    if enum := shape.metadata.get("enum"):
        yield Bound(path, "enum", tuple(enum))
    if shape.type_name == "list":
        yield from aws_bounds(shape.member, f"{path}[]")
    if shape.type_name == "structure":
        for name in shape.metadata.get("required", ()):
            yield Bound(path, f"required {name}", True)
        for name, member in shape.members.items():
            yield from aws_bounds(member, f"{path}.{name}".lstrip("."))


def own_bounds(schema: dict[str, Any], shape: Shape, path: str = "") -> Iterator[Bound]:
    """The same of our schema, below the fields that the request has."""
    yield Bound(path, "type", schema["type"])
    for word in ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "pattern"):
        if word in schema:
            yield Bound(path, word, schema[word])
    if "enum" in schema:
        yield Bound(path, "enum", tuple(schema["enum"]))
    if shape.type_name == "list":
        yield from own_bounds(schema["items"], shape.member, f"{path}[]")
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if camel(name) in schema.get("required", ()):
                yield Bound(path, f"required {name}", True)
            yield from own_bounds(schema["properties"][camel(name)], member, f"{path}.{name}".lstrip("."))


def crd_spec() -> dict[str, Any]:
    """The schema of the spec in the generated CRD."""
    (version,) = custom_resource_definition()["spec"]["versions"]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


AWS = {(bound.path, bound.what): bound.value for bound in aws_bounds(REQUEST)}
OWN = {(bound.path, bound.what): bound.value for bound in own_bounds(crd_spec(), REQUEST)}


@pytest.mark.parametrize("key", sorted(AWS), ids=lambda key: f"{key[0]} {key[1]}")
def test_every_bound_of_aws_is_in_the_crd(key: tuple[str, str]) -> None:
    if key in LOOSER:
        assert key not in OWN
        return
    expected = STRICTER[key][0] if key in STRICTER else AWS[key]
    assert OWN.get(key) == expected


@pytest.mark.parametrize("key", sorted(OWN), ids=lambda key: f"{key[0]} {key[1]}")
def test_the_crd_demands_no_more_than_aws_but_for_a_reason(key: tuple[str, str]) -> None:
    assert key in AWS or OWN[key] == STRICTER[key][0]


def test_every_exception_is_still_one() -> None:
    assert all(AWS.get(key) != value for key, (value, _) in STRICTER.items())
    assert all(key in AWS for key in LOOSER)


def test_the_spec_has_every_field_of_the_request_and_our_own() -> None:
    assert set(crd_spec()["properties"]) == {camel(name) for name in REQUEST.members} | OURS


def bounds_of_pydantic(schema: dict[str, Any], defs: dict[str, Any], shape: Shape, path: str = "") -> Iterator[Bound]:
    """What the models themselves say, before the CRD is made of them."""
    schema = next((branch for branch in schema.get("anyOf", ()) if branch != {"type": "null"}), schema)
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    for word in ("minLength", "maxLength", "maxItems", "minimum", "maximum", "pattern"):
        if word in schema:
            yield Bound(path, word, schema[word])
    if "enum" in schema:
        yield Bound(path, "enum", tuple(schema["enum"]))
    if shape.type_name == "list":
        yield from bounds_of_pydantic(schema["items"], defs, shape.member, f"{path}[]")
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if camel(name) in schema.get("required", ()):
                yield Bound(path, f"required {name}", True)
            yield from bounds_of_pydantic(schema["properties"][camel(name)], defs, member, f"{path}.{name}".lstrip("."))


def test_the_models_say_what_the_crd_says() -> None:
    schema = EdgeDeploymentPlanSpec.model_json_schema(by_alias=True)
    bounds = bounds_of_pydantic(schema, schema["$defs"], REQUEST)
    assert {(bound.path, bound.what): bound.value for bound in bounds} == {
        key: value for key, value in OWN.items() if key[1] != "type"
    }


def test_the_spec_that_uses_every_field_uses_every_field() -> None:
    assert set(good_spec()) == set(crd_spec()["properties"])


def test_stage_statuses_are_those_of_aws() -> None:
    assert list(get_args(StageStatus)) == SERVICE.shape_for("StageStatus").enum
    assert set(get_args(StageStatus)) == MEANING.keys()


@pytest.mark.parametrize(
    ("operation", "errors"),
    [
        ("CreateEdgeDeploymentPlan", {"ResourceLimitExceeded"}),
        ("CreateEdgeDeploymentStage", {"ResourceLimitExceeded"}),
        ("DeleteEdgeDeploymentPlan", {"ResourceInUse"}),
        ("DeleteEdgeDeploymentStage", {"ResourceInUse"}),
        ("DescribeEdgeDeploymentPlan", {"ResourceNotFound"}),
        ("ListEdgeDeploymentPlans", set()),
        ("StartEdgeDeploymentStage", set()),
        ("StopEdgeDeploymentStage", set()),
        ("AddTags", set()),
        ("DeleteTags", set()),
    ],
)
def test_the_errors_that_aws_documents_are_the_ones_we_know(operation: str, errors: set[str]) -> None:
    modelled = {shape.error_code for shape in SERVICE.operation_model(operation).error_shapes}
    assert modelled == errors
    assert modelled <= QUOTA_CODES | TRANSIENT_CODES | CREDENTIALS_CODES


def test_aws_has_no_call_that_updates_a_plan() -> None:
    operations = {name for name in SERVICE.operation_names if "EdgeDeployment" in name}
    assert {name.split("Edge")[0] for name in operations} == {"Create", "Delete", "Describe", "List", "Start", "Stop"}
