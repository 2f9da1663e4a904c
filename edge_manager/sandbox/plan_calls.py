"""The edge deployment operations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_manager.domain.paging import between, page
from edge_manager.domain.selection import check_selection
from edge_manager.errors import ApiError, invalid, not_found, quota_reached
from edge_manager.sandbox.calls import Call, Result, operation, tags_of
from edge_manager.sandbox.clock import later
from edge_manager.sandbox.stages import Stage
from edge_manager.sandbox.state import Device, Plan

if TYPE_CHECKING:
    from edge_manager.domain.stages import Counts
    from edge_manager.sandbox.state import Fleet


@operation
def create_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> Result:
    """Create a plan with its stages; `quota_before_name` says which of two refusals comes first."""
    name = wanted["EdgeDeploymentPlanName"]
    holdings, settings = call.holdings, call.settings
    if settings.quota_before_name:
        _check_quota(call)
    if name in holdings.plans:
        raise ApiError(settings.duplicate_code, f"Edge deployment plan already exists: {name}")
    tags = tags_of(wanted.get("Tags"), settings)
    _check_stages(wanted.get("Stages", []), [], call)
    _check_quota(call)
    if settings.strict_references:
        for model in wanted["ModelConfigs"]:
            if model["EdgePackagingJobName"] not in holdings.jobs:
                raise not_found("Edge packaging job", model["EdgePackagingJobName"])
    fleet = _fleet(wanted["DeviceFleetName"], call)
    arn = holdings.scope.arn("edge-deployment", name)
    plan = Plan(name, arn, fleet, wanted["ModelConfigs"], call.now, call.now, tags=tags)
    _append(plan, wanted.get("Stages", []), call)
    holdings.plans[name] = plan
    return {"EdgeDeploymentPlanArn": arn}


@operation
def describe_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a plan and a page of its stages."""
    name, lag = wanted["EdgeDeploymentPlanName"], call.settings.describe_lag
    call = _ago(call, lag)
    plan = call.holdings.history.plan(name, call.now) if lag else call.holdings.plans.get(name)
    if plan is None:
        raise not_found("Edge deployment plan", name)
    described = describe(plan, call)
    numbered = enumerate(described["Stages"])
    stages, token = page(numbered, lambda item: [item[0]], wanted, size=10, cap=call.settings.page_size)
    return {**described, "Stages": [stage for _, stage in stages], "NextToken": token}


@operation
def list_edge_deployment_plans(call: Call, wanted: dict[str, Any]) -> Result:
    """List plans, 50 a page unless told otherwise, the newest first (AWS documents no default order)."""
    lag = call.settings.list_lag
    call = _ago(call, lag)

    def modified(plan: Plan) -> float:
        return plan.last_modified(call.now, call.settings)

    keys = {
        "NAME": lambda plan: [plan.name],
        "DEVICE_FLEET_NAME": lambda plan: [plan.fleet.name, plan.name],
        "CREATION_TIME": lambda plan: [plan.created, plan.name],
        "LAST_MODIFIED_TIME": lambda plan: [modified(plan), plan.name],
    }
    by_time = "LastModifiedTimeAfter" in wanted or "LastModifiedTimeBefore" in wanted
    plans = [
        plan
        for plan in (call.holdings.history.plans(call.now) if lag else call.holdings.plans.values())
        if wanted.get("NameContains", "") in plan.name
        and wanted.get("DeviceFleetNameContains", "") in plan.fleet.name
        and between(plan.created, wanted, "CreationTime")
        and (not by_time or between(modified(plan), wanted, "LastModifiedTime"))
    ]
    found, token = page(
        plans,
        keys[wanted.get("SortBy", "CREATION_TIME")],
        wanted,
        size=50,
        cap=call.settings.page_size,
        descending=wanted.get("SortOrder", "Descending") == "Descending",
    )
    summaries = [_summary(plan, plan.counts(call.now), call) for plan in found]
    return {"EdgeDeploymentPlanSummaries": summaries, "NextToken": token}


@operation
def delete_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> None:
    """Delete a plan "if (and only if) all the stages in the plan are inactive"."""
    plan = _plan(call, wanted)
    for stage in plan.stages:
        stage.require_inactive(call.now)
    del call.holdings.plans[plan.name]


@operation
def create_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Append stages to a plan."""
    plan = _plan(call, wanted)
    _check_stages(wanted["Stages"], plan.stages, call)
    _append(plan, wanted["Stages"], call)
    plan.touch(call.now)


@operation
def delete_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Delete an inactive stage."""
    plan, stage = _stage(call, wanted)
    stage.require_inactive(call.now)
    plan.stages.remove(stage)
    plan.touch(call.now)


@operation
def start_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Start a stage on the devices that it has at this moment."""
    plan, stage = _stage(call, wanted)
    devices = plan.allocation()[plan.stages.index(stage)]
    stage.start(devices, call.world.failure_of(plan.name, stage.name), call.now, call.settings)
    plan.touch(call.now)


@operation
def stop_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a stage that is under way."""
    plan, stage = _stage(call, wanted)
    stage.stop(call.now, call.settings)
    plan.touch(call.now)


@operation
def list_stage_devices(call: Call, wanted: dict[str, Any]) -> Result:
    """List the devices of a stage; a device in several stages names the last one that deployed to it."""
    plan, stage = _stage(call, wanted)
    allocation = plan.allocation()
    deployed_by: dict[str, str] = {}
    for other, devices in zip(plan.stages, allocation, strict=True):
        if other.attempt is not None:
            deployed_by.update(
                (name, other.name) for i, name in enumerate(devices) if other.device_status(i, call.now) == "DEPLOYED"
            )
    numbered = list(enumerate(allocation[plan.stages.index(stage)]))
    if wanted.get("ExcludeDevicesDeployedInOtherStage"):
        numbered = [(i, name) for i, name in numbered if deployed_by.get(name, stage.name) == stage.name]
    found, token = page(numbered, lambda item: [item[0]], wanted, size=50, cap=call.settings.page_size)

    def summary(number: int, name: str) -> Result:
        status = stage.device_status(number, call.now)
        device = plan.fleet.devices.get(name)
        return {
            "EdgeDeploymentPlanArn": plan.arn,
            "EdgeDeploymentPlanName": plan.name,
            "StageName": stage.name,
            "DeployedStageName": deployed_by.get(name),
            "DeviceFleetName": plan.fleet.name,
            "DeviceName": name,
            "DeviceArn": call.holdings.device_arn(plan.fleet, name),
            "DeviceDeploymentStatus": status,
            "DeviceDeploymentStatusMessage": stage.device_message if status == "FAILED" else None,
            "Description": device and device.description,
            "DeploymentStartTime": stage.started,
        }

    return {"DeviceDeploymentSummaries": [summary(*item) for item in found], "NextToken": token}


def describe(plan: Plan, call: Call) -> Result:
    """A plan with all of its stages."""
    counts = plan.counts(call.now)
    stages = [_describe_stage(stage, of, call.now) for stage, of in zip(plan.stages, counts, strict=True)]
    return {**_summary(plan, counts, call), "ModelConfigs": plan.models, "Stages": stages}


def _ago(call: Call, seconds: float) -> Call:
    return replace(call, now=later(call.now, -seconds)) if seconds else call


def _check_quota(call: Call) -> None:
    quota, used = call.settings.quota_in(call.holdings.scope), len(call.holdings.plans)
    if quota is not None and used >= quota:
        raise quota_reached("Number of edge deployment plans", "EdgeDeploymentPlans", quota, used)


def _plan(call: Call, wanted: dict[str, Any]) -> Plan:
    name = wanted["EdgeDeploymentPlanName"]
    if name not in call.holdings.plans:
        raise ApiError(call.settings.missing_code, f"Edge deployment plan {name} does not exist.")
    return call.holdings.plans[name]


def _stage(call: Call, wanted: dict[str, Any]) -> tuple[Plan, Stage]:
    plan, name = _plan(call, wanted), wanted["StageName"]
    stage = plan.stage(name)
    if stage is None:
        raise ApiError(call.settings.missing_code, f"Stage {name} of edge deployment plan {plan.name} does not exist.")
    return plan, stage


def _fleet(name: str, call: Call) -> Fleet:
    """The fleet of that name, made up on first use unless references are strict."""
    if name not in call.holdings.fleets and not call.settings.strict_references:
        call.holdings.make_up(name, call.settings, call.now)
    return call.holdings.fleet(name)


def _check_stages(wanted: list[dict[str, Any]], present: list[Stage], call: Call) -> None:
    names = [stage.name for stage in present] + [stage["StageName"] for stage in wanted]
    if len(set(names)) != len(names):
        raise invalid("Stage names must be unique within an edge deployment plan.")
    for stage in wanted:
        check_selection(stage)
    limit = call.settings.stages_per_plan
    if len(names) > limit:
        unit = "EdgeDeploymentStages"
        raise quota_reached("Stages per edge deployment plan", unit, limit, len(present), len(wanted))


def _append(plan: Plan, wanted: list[dict[str, Any]], call: Call) -> None:
    """Add stages; devices selected by name that the fleet lacks are made up, or refused when references are strict."""
    named = [name for stage in wanted for name in stage["DeviceSelectionConfig"].get("DeviceNames", ())]
    missing = [name for name in dict.fromkeys(named) if name not in plan.fleet.devices]
    if missing and call.settings.strict_references:
        raise not_found("Device", missing[0])
    if missing:
        plan.fleet.register((Device(name, call.now) for name in missing), call.now)
    plan.stages += [Stage.create(stage, call.now, call.settings) for stage in wanted]


def _summary(plan: Plan, counts: list[Counts], call: Call) -> Result:
    return {
        "EdgeDeploymentPlanArn": plan.arn,
        "EdgeDeploymentPlanName": plan.name,
        "DeviceFleetName": plan.fleet.name,
        "EdgeDeploymentSuccess": sum(stage.succeeded for stage in counts),
        "EdgeDeploymentPending": sum(stage.pending for stage in counts),
        "EdgeDeploymentFailed": sum(stage.failed for stage in counts),
        "CreationTime": plan.created,
        "LastModifiedTime": plan.last_modified(call.now, call.settings),
    }


def _describe_stage(stage: Stage, counts: Counts, now: float) -> Result:
    return {
        "StageName": stage.name,
        "DeviceSelectionConfig": stage.selection,
        "DeploymentConfig": {"FailureHandlingPolicy": stage.policy},
        "DeploymentStatus": {
            "StageStatus": stage.status(now),
            "EdgeDeploymentSuccessInStage": counts.succeeded,
            "EdgeDeploymentPendingInStage": counts.pending,
            "EdgeDeploymentFailedInStage": counts.failed,
            "EdgeDeploymentStatusMessage": stage.message(now),
            "EdgeDeploymentStageStartTime": stage.started,
        },
    }
