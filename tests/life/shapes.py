"""The objects that users make, and the worlds in which they live."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from controller.domain.resource import Key
from controller.domain.spec import EdgeDeploymentPlanSpec
from tests.life.aws import REGIONS
from tests.life.troubles import MOST, TURNED_ON, Trouble

KEYS = st.sampled_from([Key("retail", "a"), Key("retail", "b"), Key("retail", "c"), Key("stores", "d")])
NAMES = ("a", "b", "shared")
STAGE_NAMES = st.sampled_from(["canary", "tenth", "fleet"])
SELECTIONS = st.sampled_from(
    [
        {"deviceSubsetType": "PERCENTAGE", "percentage": 10},
        {"deviceSubsetType": "PERCENTAGE", "percentage": 100},
        {"deviceSubsetType": "NAMECONTAINS", "deviceNameContains": "canary"},
    ]
)
DEPLOYMENTS = st.sampled_from([None, "ROLLBACK_ON_FAILURE", "DO_NOTHING"])


def _stage(name: str, selection: dict[str, Any], policy: str | None) -> dict[str, Any]:
    config = {"deploymentConfig": {"failureHandlingPolicy": policy}} if policy else {}
    return {"stageName": name, "deviceSelectionConfig": selection, **config}


STAGES = st.lists(
    st.builds(_stage, STAGE_NAMES, SELECTIONS, DEPLOYMENTS), unique_by=lambda each: each["stageName"], max_size=3
)
TAGS = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["1", "2"])).map(
    lambda tags: [{"key": key, "value": value} for key, value in tags.items()]
)
FLEET_NAMES = ("cameras", "scanners")
FLEETS = st.sampled_from(FLEET_NAMES)
FLEETS_AND_JOBS = (*FLEET_NAMES, "counter-v1", "counter-v2", "reader-v1")
MODELS = st.sampled_from([["counter-v1"], ["counter-v2"], ["counter-v1", "reader-v1"]]).map(
    lambda jobs: [{"modelHandle": job.partition("-")[0], "edgePackagingJobName": job} for job in jobs]
)
POLICY = {
    "management": ["Manage", "Manage", "Manage", "Observe"],
    "deletion": ["Delete", "Delete", "Retain"],
    "adoption": ["Never", "Adopt"],
    "replacement": ["Never", "Recreate"],
}
POLICIES = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in POLICY.items()})
ROLLOUTS = st.none() | st.fixed_dictionaries(
    {"strategy": st.just("Sequential")},
    optional={
        "throughStage": STAGE_NAMES,
        "bakeTime": st.sampled_from(["30s", "10m"]),
        "progressDeadline": st.sampled_from(["20s", "1h"]),
        "maxFailedPercent": st.sampled_from([0, 30]),
    },
)


def legal(wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The spec without what is None, its gate put right; None for one that the API server would refuse."""
    spec = {name: value for name, value in wanted.items() if value is not None}
    names = [stage["stageName"] for stage in spec.get("stages", ())]
    rollout = spec.get("rollout", {})
    if not names:
        spec.pop("rollout", None)
    elif rollout.get("throughStage", names[0]) not in names:
        spec["rollout"] = {**rollout, "throughStage": names[-1]}
    try:
        EdgeDeploymentPlanSpec.model_validate(spec)
    except ValidationError:
        return None
    return spec


def _spec(*, shared: bool, region: str | None, **fields: Any) -> dict[str, Any] | None:
    name = {"edgeDeploymentPlanName": "shared"} if shared else {}
    target = {"target": {"region": region}} if region else {}
    return legal({field: value or None for field, value in fields.items()} | name | target)


SPECS = st.builds(
    _spec,
    shared=st.booleans(),
    region=st.sampled_from([None, None, None, REGIONS[1]]),
    modelConfigs=MODELS,
    deviceFleetName=FLEETS,
    stages=STAGES,
    tags=TAGS,
    policy=POLICIES,
    rollout=ROLLOUTS,
)
LAGS = st.sampled_from([0.3, 4.0, 20.0])
WORLDS = st.fixed_dictionaries(
    {},
    optional={
        "duplicate_code": st.sampled_from(["ValidationException", "ResourceInUse", "ConflictException"]),
        "missing_code": st.sampled_from(["ResourceNotFound", "ValidationException"]),
        "last_modified_with_devices": st.booleans(),
        "last_modified_with_tags": st.booleans(),
        "page_size": st.just(1),
        "do_nothing_ends_as": st.sampled_from(["FAILED", "DEPLOYED"]),
        "quota": st.integers(0, 3),
        "deploy_duration_per_stage": st.just(400.0),
    },
)
TROUBLES = st.sets(st.sampled_from(sorted(TURNED_ON, key=lambda trouble: trouble.name)), max_size=MOST)
# Parts of the world that only some lives have, if they meet the trouble.
TROUBLED_WORLDS: dict[Trouble, st.SearchStrategy[dict[str, Any]]] = {
    Trouble.QUOTA_BEFORE_NAME: st.fixed_dictionaries({}, optional={"quota_before_name": st.booleans()}),
    Trouble.MISSING_REFERENCES: st.fixed_dictionaries({"strict_references": st.just(True)}),
    Trouble.LAGGING_READS: st.fixed_dictionaries({}, optional={"describe_lag": LAGS, "list_lag": LAGS}),
}
SLOWNESS = st.sampled_from([0.1, 2.0])
