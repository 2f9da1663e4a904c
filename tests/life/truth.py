"""What must be true: of every call as it is made, and of the whole once everything is quiet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from controller.domain.spec import EdgeDeploymentPlanSpec
from tests.life.aws import READS, REGIONS
from tests.life.driver import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.domain.resource import Resource
    from controller.domain.status import EdgeDeploymentPlanStatus
    from edge_manager.service import Request
    from tests.life.aws import Aws
    from tests.life.cluster import Cluster
    from tests.life.driver import Process


def region_of(plan: Resource) -> str:
    """Where the object's plan lives."""
    assert isinstance(plan.spec, EdgeDeploymentPlanSpec)
    target = plan.spec.target
    return (target and target.region) or REGIONS[0]


def owner_of(plan: Resource) -> str:
    """The ownership tag of the object's plan."""
    return Owner(CLUSTER, plan.key.namespace, plan.key.name, plan.uid).tag_value


def spec_of(plan: Resource) -> EdgeDeploymentPlanSpec:
    """The spec, which is valid here."""
    assert isinstance(plan.spec, EdgeDeploymentPlanSpec)
    return plan.spec


def same_immutables(spec: EdgeDeploymentPlanSpec, aws: Mapping[str, Any]) -> bool:
    """Whether fleet and models at AWS are those of the spec."""
    wanted = sorted((each.model_handle, each.edge_packaging_job_name) for each in spec.model_configs)
    held = sorted((each["ModelHandle"], each["EdgePackagingJobName"]) for each in aws["ModelConfigs"])
    return spec.device_fleet_name == aws["DeviceFleetName"] and wanted == held


def same_stages(spec: EdgeDeploymentPlanSpec, aws: Mapping[str, Any]) -> bool:
    """Whether AWS has the stages of the spec, in order."""
    wanted = spec.stages or ()
    if [each.stage_name for each in wanted] != [each["StageName"] for each in aws["Stages"]]:
        return False
    for want, have in zip(wanted, aws["Stages"], strict=True):
        selection = {key[0].lower() + key[1:]: value for key, value in have["DeviceSelectionConfig"].items()}
        if want.device_selection_config.wire() != selection:
            return False
        policy = have["DeploymentConfig"]["FailureHandlingPolicy"]
        if want.deployment_config is not None and want.deployment_config.failure_handling_policy != policy:
            return False
    return True


def statuses(aws: Mapping[str, Any]) -> dict[str, str]:
    """Stage statuses at AWS, by name."""
    return {each["StageName"]: each["DeploymentStatus"]["StageStatus"] for each in aws["Stages"]}


class Witness:
    """Watches each call of the operator and each status as it is written."""

    def __init__(self, aws: Aws, cluster: Cluster) -> None:
        self._aws, self._cluster = aws, cluster
        self.process: Process | None = None
        self.writes = 0
        aws.calling = self._calling
        aws.called = self._called
        cluster.written = self.status_is_sound
        cluster.released = self._released

    # -- calls ------------------------------------------------------------------------------------------------------

    def _calling(self, request: Request) -> None:
        """Before a call of the operator is done: may it be made at all?"""
        if request.operation in READS:
            return
        assert self.process is not None
        region = request.caller.region
        name = request.name.rpartition("/")[2]
        namesakes = [plan for plan in self.process.index if plan.plan_name == name and region_of(plan) == region]
        writers = [
            plan
            for plan in namesakes
            if (plan.deleting and spec_of(plan).deletes)
            or (not plan.deleting and spec_of(plan).manages and not spec_of(plan).suspend)
        ]
        assert writers, f"{request.operation} of {name}, which no object may touch"
        if request.operation in {"DeleteEdgeDeploymentPlan", "StopEdgeDeploymentStage"}:
            held = self._aws.plan(name, region)
            if held is not None:
                assert any(self._may_stop(plan, held, request.operation) for plan in writers), (
                    f"{request.operation} of {name}, which nobody asked for"
                )
        claims = {tag["Value"] for tag in request.parameters.get("Tags", ()) if tag["Key"] == OWNER_TAG}
        assert claims <= {owner_of(plan) for plan in writers}, f"{name} is claimed for {claims}"
        assert claims or request.operation != "CreateEdgeDeploymentPlan", f"{name} is created for nobody"

    def _may_stop(self, plan: Resource, held: Mapping[str, Any], operation: str) -> bool:
        """Whether this object asks for the deletion, or for stages to be stopped, and the plan is its own."""
        tag = held["Tags"].get(OWNER_TAG)
        ours = owner_of(plan)
        known = plan.status.edge_deployment_plan_arn == held["EdgeDeploymentPlanArn"] and (
            plan.status.creation_time is None or plan.status.creation_time.timestamp() == held["CreationTime"]
        )
        # A former life of the object left it, or the tag went from what we certainly made.
        own = tag.rpartition("/")[0] == ours.rpartition("/")[0] if tag is not None else known
        spec = spec_of(plan)
        if operation == "StopEdgeDeploymentStage" and spec.rollout is not None:
            return own
        replaced = spec.recreates and not same_immutables(spec, held)
        return own and (plan.deleting or replaced)

    def _called(self, request: Request) -> None:
        """After a call of the operator succeeded: is what it did consistent?"""
        if request.operation not in READS:
            self.writes += 1
        if request.operation != "CreateEdgeDeploymentPlan":
            return
        owners = [
            plan.tags[OWNER_TAG]
            for region in REGIONS
            for plan in self._aws.place(region).plans.values()
            if OWNER_TAG in plan.tags
        ]
        assert len(owners) == len(set(owners)), "an object has two plans"

    def _released(self, plan: Resource) -> None:
        """The finalizer goes from an object that is deleted."""
        stored = self._cluster.plan(plan.key)
        if not (spec_of(stored).deletes and spec_of(plan).deletes):
            return
        left = self._aws.plan(plan.plan_name, region_of(plan))
        assert left is None or left["Tags"].get(OWNER_TAG) != owner_of(plan), f"{plan.plan_name} is lost at AWS"

    # -- statuses ---------------------------------------------------------------------------------------------------

    def status_is_sound(self, plan: Resource, status: EdgeDeploymentPlanStatus) -> None:
        """What kstatus and the API conventions ask of every status."""
        kinds = [each.type for each in status.conditions]
        assert kinds == [each for each in ("Ready", "Reconciling", "Stalled", "ResourceLimitExceeded") if each in kinds]
        assert not {"Reconciling", "Stalled"} <= set(kinds)
        assert kinds[:1] == ["Ready"]
        for each in status.conditions:
            assert each.type in {"Ready", "ResourceLimitExceeded"} or each.status == "True"
            assert re.fullmatch(r"([A-Z][a-z0-9]*|[A-Z]+)+", each.reason)
            assert each.observed_generation == status.observed_generation == plan.generation
            earlier = plan.status.condition(each.type)
            if earlier is not None and earlier.status == each.status:
                assert each.last_transition_time == earlier.last_transition_time


class Verdict:
    """Judges every object once all is quiet. Each `_stalled_…` says whether a reason is true."""

    def __init__(
        self,
        aws: Aws,
        cluster: Cluster,
        foreign_tags: set[tuple[str, str, str]],
        *,
        forgetful: bool,
        swept: bool,
    ) -> None:
        self._aws, self._cluster = aws, cluster
        self.foreign_tags = foreign_tags
        """Plan, region and key of each tag that a person put on."""
        self.swept = swept
        """Whether the listing was looked at, which tells that a stage has become READYTODEPLOY, say."""
        self.forgetful = forgetful
        """Whether the process died or a status was not written: a tag of a former spec may have been left then."""

    def judge(self) -> None:
        """Every object has what it asks for, or says truthfully why not."""
        for key in self._cluster.all_keys():
            plan = self._cluster.plan(key)
            assert not plan.deleting, f"{key} is still there"
            assert plan.status.observed_generation == plan.generation
            self._judge(plan)

    def _judge(self, plan: Resource) -> None:
        spec, status = spec_of(plan), plan.status
        aws = self._aws.plan(plan.plan_name, region_of(plan))
        ready, stalled = status.condition("Ready"), status.condition("Stalled")
        context = f"{plan.key}: {status.conditions}\nspec {spec.wire()}\nAWS {aws}"
        assert ready is not None
        assert plan.has_finalizer == spec.deletes or spec.suspend or (stalled and stalled.reason == "NameConflict"), (
            context
        )
        if spec.suspend:
            assert (ready.status, ready.reason) == ("Unknown", "Suspended"), context
        elif stalled is not None:
            assert self._stalled(stalled.reason, plan, aws), context
        elif status.is_true("ResourceLimitExceeded"):
            self._queued(plan, aws, context)
        elif not spec.manages:
            assert not status.is_true("Reconciling"), context
            assert (ready.status == "True") == (status.pending_changes is None), context
            if ready.status == "True":
                assert aws is not None, context
                assert same_immutables(spec, aws), context
                assert same_stages(spec, aws), context
        else:
            assert ready.status == "True", context
            assert not status.is_true("Reconciling"), context
            assert aws is not None, context
            self._in_sync(plan, aws, context)

    def _in_sync(self, plan: Resource, aws: Mapping[str, Any], context: str) -> None:
        spec, status = spec_of(plan), plan.status
        assert same_immutables(spec, aws), context
        assert same_stages(spec, aws), context
        wanted = {tag.key: tag.value for tag in spec.tags or ()} | {OWNER_TAG: owner_of(plan)}
        assert wanted.items() <= aws["Tags"].items(), context
        # Keys that the spec had and has no more are gone; what people put on stays.
        others = {key for name, region, key in self.foreign_tags if (name, region) == (plan.plan_name, region_of(plan))}
        assert self.forgetful or aws["Tags"].keys() <= wanted.keys() | others, context
        assert status.edge_deployment_plan_arn == aws["EdgeDeploymentPlanArn"], context
        told = {stage.stage_name: stage.status for stage in status.stages or ()}
        assert not self.swept or told == statuses(aws), context
        if spec.rollout is not None:
            order = [stage.stage_name for stage in spec.stages or ()]
            gate = order.index(spec.rollout.through_stage) if spec.rollout.through_stage else len(order) - 1
            assert {statuses(aws)[name] for name in order[: gate + 1]} == {"DEPLOYED"}, context

    def _queued(self, plan: Resource, aws: Mapping[str, Any] | None, context: str) -> None:
        region = region_of(plan)
        quota = self._aws.service.settings.quota
        assert aws is None, context
        assert quota is not None, context
        assert len(self._aws.place(region).plans) >= quota, context
        older = [
            other
            for other in map(self._cluster.plan, self._cluster.all_keys())
            if other.seniority < plan.seniority
            and region_of(other) == region
            and other.status.is_true("ResourceLimitExceeded")
            and not spec_of(other).suspend
        ]
        message = next(each.message for each in plan.status.conditions if each.type == "ResourceLimitExceeded")
        noun = "plan" if len(older) == 1 else "plans"
        assert (f"behind {len(older)} {noun}:" if older else "first in the queue") in message, context

    def _stalled(self, reason: str, plan: Resource, aws: Mapping[str, Any] | None) -> bool:
        spec = spec_of(plan)
        stages = statuses(aws) if aws else {}
        tag = aws["Tags"].get(OWNER_TAG) if aws else None
        match reason:
            case "NameConflict":
                return any(
                    other.key != plan.key
                    and other.plan_name == plan.plan_name
                    and region_of(other) == region_of(plan)
                    and spec_of(other).manages
                    and (other.seniority < plan.seniority or other.status.edge_deployment_plan_arn is not None)
                    for other in map(self._cluster.plan, self._cluster.all_keys())
                )
            case "NotOwned":
                return aws is not None and tag != owner_of(plan)
            case "OwnershipLost":
                return aws is not None and tag not in {None, owner_of(plan)}
            case "ImmutableFieldChanged":
                return aws is not None and not spec.recreates and not same_immutables(spec, aws)
            case "StageDeployed":
                return aws is not None and "DEPLOYED" in stages.values() and not same_stages(spec, aws)
            case "StageFailed":
                return spec.rollout is not None and "FAILED" in stages.values()
            case "RolloutStopped":
                bounded = spec.rollout is not None and spec.rollout.max_failed_percent is not None
                return spec.rollout is not None and (
                    "STOPPED" in stages.values() or (bounded and "DEPLOYED" in stages.values())
                )
            case _:
                return False
