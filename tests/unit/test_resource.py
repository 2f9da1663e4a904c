"""Objects as they come from the API server: what is bounded, and what can be read of a spec that the models refuse."""

from typing import Any

import pytest

from controller.domain.api import RECONCILE_ANNOTATION
from controller.domain.resource import InvalidSpec, Resource, parse
from controller.domain.spec import EdgeDeploymentPlanSpec, Policy, Target
from tests.bad_manifests import good_spec

POLICY = {"deletion": "Retain"}
TARGET = {"region": "eu-west-1"}


def stored(name: str = "parking", annotations: dict[str, str] | None = None, **spec: Any) -> Resource:
    metadata = {
        "namespace": "retail",
        "name": name,
        "uid": "uid-1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-03-01T12:00:00Z",
        "annotations": annotations or {},
    }
    fields = good_spec() | {"policy": POLICY, "target": TARGET, "edgeDeploymentPlanName": "Parking"} | spec
    return parse({"metadata": metadata, "spec": {key: value for key, value in fields.items() if value is not None}})


def invalid(resource: Resource) -> InvalidSpec:
    assert isinstance(resource.spec, InvalidSpec)
    return resource.spec


@pytest.mark.parametrize(
    ("spec", "unreadable"),
    [
        ({"fromALaterDefinition": 1}, ("fromALaterDefinition",)),
        ({"modelConfigs": [{"modelHandle": "a"}], "tags": 1}, ("modelConfigs", "tags")),
        ({"deviceFleetName": None}, ("deviceFleetName",)),
        ({"stages": [], "rollout": {"strategy": "Sequential"}}, ("rollout",)),
    ],
)
def test_what_a_deletion_needs_is_read_beside_fields_that_are_refused(
    spec: dict[str, Any], unreadable: tuple[str, ...]
) -> None:
    plan = stored(**spec)
    found = invalid(plan)
    assert (found.salvaged.policy, found.salvaged.target) == (Policy(deletion="Retain"), Target(region="eu-west-1"))
    assert (plan.plan_name, found.unreadable) == ("Parking", unreadable)
    assert not found.salvaged.deletes
    assert (found.salvaged.model_configs, found.salvaged.device_fleet_name) == ((), "")


@pytest.mark.parametrize(
    ("spec", "unreadable"),
    [
        ({"policy": POLICY | {"mercy": "None"}}, "policy"),
        ({"target": {"region": "the moon"}}, "target"),
        ({"edgeDeploymentPlanName": "not a name"}, "edgeDeploymentPlanName"),
    ],
)
def test_field_that_is_not_valid_by_itself_is_named_and_left_out(spec: dict[str, Any], unreadable: str) -> None:
    plan = stored(**spec)
    found = invalid(plan)
    read = {
        "policy": found.salvaged.policy is not None,
        "target": found.salvaged.target is not None,
        "edgeDeploymentPlanName": found.salvaged.edge_deployment_plan_name is not None,
    }
    assert [name for name, there in read.items() if not there] == [unreadable]
    assert found.unreadable == (unreadable,)
    assert f"spec.{unreadable}" in found.message


def test_object_whose_name_is_no_plan_name_says_what_is_needed() -> None:
    found = invalid(stored(name="a.b", edgeDeploymentPlanName=None))
    assert found.message.startswith("spec.edgeDeploymentPlanName is needed: metadata.name, its default, is not 1 to 63")
    assert found.unreadable == ("edgeDeploymentPlanName",)
    assert found.salvaged.device_fleet_name == good_spec()["deviceFleetName"]


def test_invalid_spec_of_which_nothing_is_known_deletes_under_the_objects_name() -> None:
    nothing = InvalidSpec("no")
    assert (nothing.salvaged.deletes, nothing.salvaged.edge_deployment_plan_name) == (True, None)
    assert nothing.unreadable == ()


def test_long_token_is_bounded_and_two_of_them_still_differ() -> None:
    def token(text: str) -> str:
        return stored(annotations={RECONCILE_ANNOTATION: text}).reconcile_requested_at or ""

    assert token("x" * 128) == "x" * 128
    long, other = token("x" * 250_000), token("x" * 249_999 + "y")
    assert len(long) == len(other) == 130
    assert long[:66] == other[:66] == "x" * 64 + ".."
    assert long != other
    assert token("x" * 250_000) == long


def test_a_spec_is_parsed_once_a_generation() -> None:
    def body(uid: str, generation: int) -> dict[str, Any]:
        metadata = {"namespace": "retail", "name": "parking", "uid": uid, "generation": generation}
        times = {"resourceVersion": str(generation), "creationTimestamp": "2026-03-01T12:00:00Z"}
        return {"metadata": metadata | times, "spec": good_spec()}

    known = parse(body("uid-1", 3))
    assert parse(body("uid-1", 3), known).spec is known.spec
    for other in (body("uid-1", 4), body("uid-2", 3)):
        other["spec"]["deviceFleetName"] = "another"
        assert parse(other, known).readable_spec.device_fleet_name == "another"


def test_a_deletion_counts_the_generation_on_and_leaves_the_spec() -> None:
    def body(generation: int, *, deleting: bool = True) -> dict[str, Any]:
        metadata = {"namespace": "retail", "name": "parking", "uid": "uid-1", "generation": generation}
        times = {"resourceVersion": str(generation), "creationTimestamp": "2026-03-01T12:00:00Z"}
        times |= {"deletionTimestamp": "2026-03-01T13:00:00Z"} if deleting else {}
        return {"metadata": metadata | times, "spec": good_spec()}

    known = parse(body(3, deleting=False))
    went = parse(body(4), known)
    assert (went.spec is known.spec, went.deleting, went.generation) == (True, True, 4)
    for other, before in ((body(5), known), (body(5), went), (body(4, deleting=False), known)):
        other["spec"]["deviceFleetName"] = "another"
        assert parse(other, before).readable_spec.device_fleet_name == "another"


def test_what_many_objects_have_alike_is_kept_once() -> None:
    def spec(percentage: int) -> EdgeDeploymentPlanSpec:
        selection = {"deviceSubsetType": "PERCENTAGE", "percentage": percentage}
        found = stored(stages=[{"stageName": "all", "deviceSelectionConfig": selection}], rollout=None).spec
        assert isinstance(found, EdgeDeploymentPlanSpec)
        return found

    one, same, other = spec(100), spec(100), spec(99)
    assert (one.stages is same.stages, one.stages == other.stages) == (True, False)
    assert one.model_configs is other.model_configs
