"""The edge deployment operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Call, Result, reads, writes
from edge_manager.api.fleet_calls import device_arn
from edge_manager.domain.paging import page
from edge_manager.domain.plans import check_devices, check_stages, models_of
from edge_manager.domain.rules import tags_of
from edge_manager.domain.stages import policy_of
from edge_manager.errors import ApiError, not_found

if TYPE_CHECKING:
    from edge_manager.domain.stages import Counts
    from edge_manager.store.plans import Stage, StageDevice
    from edge_manager.store.queries import AnyRow

STAGES_PER_PAGE = 10


@writes
def create_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> Result:
    """Create a plan with its stages; refused for a name that exists before it is refused for quota."""
    name, stages = wanted["EdgeDeploymentPlanName"], wanted.get("Stages", [])
    if call.plans.find(name) is not None:
        raise ApiError("ValidationException", f"Edge deployment plan already exists: {name}")
    tags = tags_of(wanted.get("Tags"))
    call.rules.check_quota(call.plans.count())
    fleet = call.fleets.find(wanted["DeviceFleetName"])
    named = check_stages(stages, [])
    check_devices(named, call.fleets.registered(fleet.id, named))
    jobs = call.packaging_jobs.packaged(model["EdgePackagingJobName"] for model in wanted["ModelConfigs"])
    models = models_of(wanted["ModelConfigs"], jobs)
    plan = call.plans.create(name, fleet, models, tags, call.now)
    _append(call, plan, stages)
    return {"EdgeDeploymentPlanArn": call.scope.arn("edge-deployment", name)}


@reads
def describe_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a plan and a page of its stages."""
    plan = _plan(call, wanted)
    stages = call.plans.stages([plan.id])[plan.id]
    counts = call.plans.counts(plan, stages, call.now)
    described = [_describe_stage(stage, of, call.now) for stage, of in zip(stages, counts, strict=True)]
    found, token = page(enumerate(described), lambda item: [item[0]], wanted, size=STAGES_PER_PAGE, cap=None)
    models = [{"ModelHandle": model["handle"], "EdgePackagingJobName": model["job"]} for model in plan.models]
    return {
        **_summary(plan, counts),
        "ModelConfigs": models,
        "Stages": [stage for _, stage in found],
        "NextToken": token,
    }


@reads
def list_edge_deployment_plans(call: Call, wanted: dict[str, Any]) -> Result:
    """List plans, 50 a page unless told otherwise, the newest first (AWS documents no default order)."""
    plans, token = call.plans.page(wanted)
    stages = call.plans.stages([plan.id for plan in plans])
    summaries = [_summary(plan, call.plans.counts(plan, stages[plan.id], call.now)) for plan in plans]
    return {"EdgeDeploymentPlanSummaries": summaries, "NextToken": token}


@writes
def delete_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> None:
    """Delete a plan "if (and only if) all the stages in the plan are inactive"."""
    plan = _plan(call, wanted)
    stages = [call.plans.lock_stage(plan, stage.name) for stage in call.plans.stages([plan.id])[plan.id]]
    for stage in stages:
        stage.life.require_inactive(stage.name, call.now)
    call.plans.delete(plan, stages)


@writes
def create_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Append stages to a plan."""
    plan = _plan(call, wanted)
    present = [stage.name for stage in call.plans.stages([plan.id])[plan.id]]
    named = check_stages(wanted["Stages"], present)
    check_devices(named, call.fleets.registered(plan.fleet_id, named))
    _append(call, plan.id, wanted["Stages"])
    call.plans.touch(plan.id, call.now)


@writes
def delete_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Delete an inactive stage."""
    plan = _plan(call, wanted)
    stage = call.plans.lock_stage(plan, wanted["StageName"])
    stage.life.require_inactive(stage.name, call.now)
    call.plans.delete_stage(plan, stage)
    call.plans.touch(plan.id, call.now)


@writes
def start_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Start a stage on the devices that it has at this moment, or again on those that did not succeed."""
    plan = _plan(call, wanted)
    stage = call.plans.lock_stage(plan, wanted["StageName"])
    stage.life.check_start(stage.name, call.now)
    call.plans.start(plan, stage, call.plans.stages([plan.id])[plan.id], call.now)
    call.plans.touch(plan.id, call.now)


@writes
def stop_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a stage that is under way; devices that fetched it may still finish."""
    plan = _plan(call, wanted)
    stage = call.plans.lock_stage(plan, wanted["StageName"])
    stage.life.check_stop(stage.name, call.now)
    call.plans.stop(stage, call.now)
    call.plans.touch(plan.id, call.now)


@reads
def list_stage_devices(call: Call, wanted: dict[str, Any]) -> Result:
    """List the devices of a stage; a device in several stages names the last one that deployed to it."""
    plan = _plan(call, wanted)
    stages = call.plans.stages([plan.id])[plan.id]
    stage = next((each for each in stages if each.name == wanted["StageName"]), None)
    if stage is None:
        raise not_found(f"Stage {wanted['StageName']} of edge deployment plan", plan.name)
    devices, token = call.plans.device_page(plan, stage, stages, wanted)
    return {
        "DeviceDeploymentSummaries": [_summarize_device(plan, stage, device) for device in devices],
        "NextToken": token,
    }


def _plan(call: Call, wanted: dict[str, Any]) -> AnyRow:
    plan = call.plans.find(wanted["EdgeDeploymentPlanName"])
    if plan is None:
        raise not_found("Edge deployment plan", wanted["EdgeDeploymentPlanName"])
    return plan


def _append(call: Call, plan: int, stages: list[dict[str, Any]]) -> None:
    wanted = [(stage["StageName"], stage["DeviceSelectionConfig"], policy_of(stage)) for stage in stages]
    call.plans.append(plan, wanted, call.now)


def _summary(plan: AnyRow, counts: list[Counts]) -> Result:
    return {
        "EdgeDeploymentPlanArn": plan.arn,
        "EdgeDeploymentPlanName": plan.name,
        "DeviceFleetName": plan.fleet,
        "EdgeDeploymentSuccess": sum(stage.succeeded for stage in counts),
        "EdgeDeploymentPending": sum(stage.pending for stage in counts),
        "EdgeDeploymentFailed": sum(stage.failed for stage in counts),
        "CreationTime": plan.created,
        "LastModifiedTime": plan.modified,
    }


def _describe_stage(stage: Stage, counts: Counts, now: float) -> Result:
    return {
        "StageName": stage.name,
        "DeviceSelectionConfig": stage.selection,
        "DeploymentConfig": {"FailureHandlingPolicy": stage.policy},
        "DeploymentStatus": {
            "StageStatus": stage.life.status(now),
            "EdgeDeploymentSuccessInStage": counts.succeeded,
            "EdgeDeploymentPendingInStage": counts.pending,
            "EdgeDeploymentFailedInStage": counts.failed,
            "EdgeDeploymentStatusMessage": _message(stage),
            "EdgeDeploymentStageStartTime": stage.started,
        },
    }


def _message(stage: Stage) -> str | None:
    """How many devices failed, and what the last one said."""
    if not stage.failed:
        return None
    counted = f"{stage.failed} of {stage.total} devices failed the deployment"
    return f"{counted}: {stage.failure}" if stage.failure else counted


def _summarize_device(plan: AnyRow, stage: Stage, device: StageDevice) -> Result:
    deployment = device.deployment
    return {
        "EdgeDeploymentPlanArn": plan.arn,
        "EdgeDeploymentPlanName": plan.name,
        "StageName": stage.name,
        "DeployedStageName": device.deployed,
        "DeviceFleetName": plan.fleet,
        "DeviceName": device.name,
        "DeviceArn": device_arn(plan.fleet_arn, device.name),
        "DeviceDeploymentStatus": deployment.status if deployment else "READYTODEPLOY",
        "DeviceDeploymentStatusMessage": deployment.status_message if deployment else None,
        "Description": device.description,
        "DeploymentStartTime": stage.started,
    }
