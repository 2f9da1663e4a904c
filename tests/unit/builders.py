"""Values for tests: each builder makes the ordinary case, and is told only the difference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from controller.domain.api import FINALIZER, OWNER_TAG
from controller.domain.circumstances import Circumstances
from controller.domain.desired import Desired
from controller.domain.failures import Failure, FailureKind
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.ownership import Owner
from controller.domain.reasons import Reason
from controller.domain.resource import InvalidSpec, Key, Resource, Scope
from controller.domain.spec import DeploymentConfig, DeviceSelectionConfig, EdgeDeploymentPlanSpec, ModelConfig, Stage
from controller.domain.stage import StageStatus
from controller.domain.status import (
    Condition,
    ConditionType,
    EdgeDeploymentPlanStatus,
    LastError,
    Retry,
    Settling,
    StageState,
    Truth,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAME = "store-cameras"
ARN = f"arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/{NAME}"
OWNER = Owner("cluster-1", "retail", NAME, "uid-1")
KEY = Key("retail", NAME)
SCOPE = Scope("default", "eu-west-1")
ACCOUNT = "123456789012"
PROCESS = "process-1"
MODEL = ModelConfig(model_handle="people-counter", edge_packaging_job_name="people-counter-v7")


def stage(name: str, percentage: int = 10, policy: str | None = None) -> Stage:
    """A stage of the spec."""
    return Stage.model_validate(
        {
            "stageName": name,
            "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": percentage},
            **({"deploymentConfig": {"failureHandlingPolicy": policy}} if policy else {}),
        }
    )


def named(name: str, *devices: str) -> Stage:
    """A stage of the spec that selects devices by name."""
    selection = {"deviceSubsetType": "SELECTION", "deviceNames": list(devices)}
    return Stage.model_validate({"stageName": name, "deviceSelectionConfig": selection})


def spec(*stages: str | Stage, tags: Mapping[str, str] | None = None, **fields: Any) -> EdgeDeploymentPlanSpec:
    """A spec with these stages; other fields as on the wire."""
    built = [stage(each) if isinstance(each, str) else each for each in stages]
    body: dict[str, Any] = {"modelConfigs": [MODEL.wire()], "deviceFleetName": NAME}
    if built:
        body["stages"] = [each.wire() for each in built]
    if tags:
        body["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    return EdgeDeploymentPlanSpec.model_validate(body | fields)


def desired(*stages: str | Stage, tags: Mapping[str, str] | None = None, **fields: Any) -> Desired:
    """What an object with that spec asks for."""
    return Desired(NAME, spec(*stages, tags=tags, **fields), OWNER)


def rollout(**fields: Any) -> dict[str, Any]:
    """A rollout on the wire."""
    return {"strategy": "Sequential", **fields}


@dataclass(frozen=True)
class Observed(ObservedPlan):
    """A plan in AWS that says what differs."""

    def at(self, name: str, status: StageStatus, **more: Any) -> Self:
        """The same with a stage in another status; or with one more stage, if it has none of that name."""
        if self.stage(name) is None:
            return replace(self, stages=(*self.stages, observed_stage(stage(name), status, **more)))
        stages = tuple(replace(each, status=status, **more) if each.name == name else each for each in self.stages)
        return replace(self, stages=stages)

    def tagged(self, tags: Mapping[str, str]) -> Self:
        """The same with these tags and no others."""
        return replace(self, tags=tags)

    def but(self, **fields: Any) -> Self:
        """The same with other fields."""
        return replace(self, **fields)


def observed_stage(wanted: Stage, status: StageStatus = "READYTODEPLOY", **more: Any) -> ObservedStage:
    """A stage in AWS, as the spec asks for it."""
    return ObservedStage(
        name=wanted.stage_name,
        selection=DeviceSelectionConfig.model_construct(**dict(wanted.device_selection_config)),
        deployment=wanted.deployment_config or DeploymentConfig(failure_handling_policy="ROLLBACK_ON_FAILURE"),
        status=status,
        **more,
    )


def observed(*stages: str | Stage, tags: Mapping[str, str] | None = None) -> Observed:
    """Our plan in AWS with these stages, none of them started."""
    built = [stage(each) if isinstance(each, str) else each for each in stages]
    return Observed(
        arn=ARN,
        name=NAME,
        fleet=NAME,
        models=(MODEL,),
        stages=tuple(observed_stage(each) for each in built),
        tags={**(tags or {}), OWNER_TAG: OWNER.tag_value},
        created=NOON,
        modified=NOON,
    )


def status(*, arn: str | None = ARN, generation: int = 1, **fields: Any) -> EdgeDeploymentPlanStatus:
    """The status of an object whose plan is in AWS, tagged as ours."""
    fields.setdefault("applied_tag_keys", (OWNER_TAG,) if arn else None)
    fields.setdefault("creation_time", NOON if arn else None)
    return EdgeDeploymentPlanStatus(observed_generation=generation, edge_deployment_plan_arn=arn, **fields)


def condition(
    kind: ConditionType, truth: Truth = "True", reason: str = Reason.IN_SYNC, message: str = "", since: datetime = NOON
) -> Condition:
    """A condition."""
    return Condition(
        type=kind, status=truth, reason=reason, message=message, observed_generation=1, last_transition_time=since
    )


def retry(attempts: int, at: datetime, code: str = "InternalFailure") -> Retry:
    """A retry that is due then."""
    return Retry(attempts=attempts, next_attempt_time=at, last_error=LastError(code=code, message="it broke"))


def settling(until: datetime = NOON + MINUTE, **more: Any) -> Settling:
    """A change that AWS's reads may not show until then."""
    return Settling(until=until, **more)


def state(name: str, stage_status: StageStatus, **more: Any) -> StageState:
    """A stage as the status reports it."""
    return StageState(stage_name=name, status=stage_status, **more)


def given(now: datetime = NOON, *, before: EdgeDeploymentPlanStatus | None = None, **more: Any) -> Circumstances:
    """The circumstances of a decision about a plan that is known to be ours."""
    known = before if before is not None else status()
    ordinary: dict[str, Any] = {
        "scope": SCOPE,
        "cluster": OWNER.cluster,
        "process": PROCESS,
        "applied_tag_keys": frozenset(known.applied_tag_keys or ()),
    }
    return Circumstances(known, now, **ordinary | more)


def plan(
    *stages: str | Stage,
    name: str = NAME,
    uid: str = "uid-1",
    generation: int = 1,
    age: timedelta = timedelta(0),
    deleting: bool = False,
    has_finalizer: bool = True,
    requested: str | None = None,
    status: EdgeDeploymentPlanStatus | None = None,
    invalid: str | None = None,
    version: int = 1,
    **fields: Any,
) -> Resource:
    """An object."""
    return Resource(
        key=Key("retail", name),
        uid=uid,
        generation=generation,
        resource_version=str(version),
        created=NOON - age,
        deleting=deleting,
        finalizers=(FINALIZER,) if has_finalizer else (),
        reconcile_requested_at=requested,
        spec=InvalidSpec(invalid) if invalid else spec(*stages, **fields),
        status=status or EdgeDeploymentPlanStatus(),
    )


def fresh(*stages: str | Stage, **fields: Any) -> Resource:
    """An object that nobody has worked on yet."""
    return plan(*(stages or ("canary",)), has_finalizer=False, **fields)


def failure(
    kind: FailureKind = FailureKind.TRANSIENT,
    code: str = "InternalFailure",
    *,
    operation: str = "DescribeEdgeDeploymentPlan",
    harmless: bool = False,
    message: str = "it broke",
    request_id: str | None = "request-1",
    sent: bool = True,
) -> Failure:
    """A failed call."""
    return Failure(kind, operation, code, message, request_id, harmless, sent)


REFUSED_FOR_QUOTA = failure(
    FailureKind.QUOTA,
    "ResourceLimitExceeded",
    operation="CreateEdgeDeploymentPlan",
    harmless=True,
    message="The account-level service limit is 3",
)
