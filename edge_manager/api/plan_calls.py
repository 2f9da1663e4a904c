"""The edge deployment operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Result, reads, writes
from edge_manager.domain import plans
from edge_manager.domain.paging import page
from edge_manager.domain.stages import policy_of
from edge_manager.errors import not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_manager.api.ports import Call


@writes
def create_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> Result:
    """Create a plan with its stages; the rules say which of two refusals comes first, that of the name or of the quota."""
    name, stages = wanted["EdgeDeploymentPlanName"], wanted.get("Stages", [])
    if call.rules.quota_before_name:
        call.rules.check_quota(call.plans.count())
    if call.plans.find(name) is not None:
        raise call.rules.taken(name)
    tags = call.rules.tags_of(wanted.get("Tags"))
    named = plans.check_stages(stages, [], call.rules)
    plans.check_models(wanted["ModelConfigs"])
    call.rules.check_quota(call.plans.count())
    fleet = call.fleet_named(wanted["DeviceFleetName"])
    call.refer_to_devices(fleet.id, named)
    plan = call.plans.create(name, fleet, call.packages(wanted["ModelConfigs"]), tags, call.now)
    _append(call, plan, stages)
    return {"EdgeDeploymentPlanArn": call.scope.arn("edge-deployment", name)}


@reads
def describe_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a plan and a page of its stages."""
    plan = call.plans.find(wanted["EdgeDeploymentPlanName"])
    if plan is None:
        raise not_found("Edge deployment plan", wanted["EdgeDeploymentPlanName"])
    described = describe(call, plan)
    numbered, cap = enumerate(described["Stages"]), call.rules.page_size
    found, token = page(numbered, lambda item: [item[0]], wanted, size=plans.STAGES_PER_PAGE, cap=cap)
    return {**described, "Stages": [stage for _, stage in found], "NextToken": token}


@reads
def list_edge_deployment_plans(call: Call, wanted: dict[str, Any]) -> Result:
    """List plans, 50 a page unless told otherwise, the newest first (AWS documents no default order)."""
    found, token = call.plans.page(wanted)
    stages = call.plans.stages([plan.id for plan in found])
    summaries = [
        plans.summarize(plan, call.plans.counts(plan, stages[plan.id], call.now), call.plans.modified(plan, call.now))
        for plan in found
    ]
    return {"EdgeDeploymentPlanSummaries": summaries, "NextToken": token}


@writes
def delete_edge_deployment_plan(call: Call, wanted: dict[str, Any]) -> None:
    """Delete a plan "if (and only if) all the stages in the plan are inactive"."""
    plan = _plan(call, wanted)
    stages = [_stage(call, plan, stage.name) for stage in _stages(call, plan)]
    for stage in stages:
        stage.life.require_inactive(stage.name, call.now)
    call.plans.delete(plan, stages)


@writes
def create_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Append stages to a plan."""
    plan = _plan(call, wanted)
    named = plans.check_stages(wanted["Stages"], [stage.name for stage in _stages(call, plan)], call.rules)
    call.refer_to_devices(plan.fleet_id, named)
    _append(call, plan.id, wanted["Stages"])
    call.plans.touch(plan.id, call.now)


@writes
def delete_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Delete an inactive stage."""
    plan = _plan(call, wanted)
    stage = _stage(call, plan, wanted["StageName"])
    stage.life.require_inactive(stage.name, call.now)
    call.plans.delete_stage(plan, stage)
    call.plans.touch(plan.id, call.now)


@writes
def start_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Start a stage on the devices that it has at this moment, or again on those that did not succeed."""
    plan = _plan(call, wanted)
    stage = _stage(call, plan, wanted["StageName"])
    stage.life.check_start(stage.name, call.now, failed_too=call.rules.restart_failed_stages)
    call.plans.start(plan, stage, _stages(call, plan), call.now)
    call.plans.touch(plan.id, call.now)


@writes
def stop_edge_deployment_stage(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a stage that is under way; devices that fetched it may still finish."""
    plan = _plan(call, wanted)
    stage = _stage(call, plan, wanted["StageName"])
    stage.life.check_stop(stage.name, call.now)
    call.plans.stop(stage, call.now)
    call.plans.touch(plan.id, call.now)


@reads
def list_stage_devices(call: Call, wanted: dict[str, Any]) -> Result:
    """List the devices of a stage; a device in several stages names the last one that deployed to it."""
    plan = _plan(call, wanted)
    stages = _stages(call, plan)
    stage = next((each for each in stages if each.name == wanted["StageName"]), None)
    if stage is None:
        raise _no_stage(call, plan, wanted["StageName"])
    found, token = call.plans.device_page(plan, stage, stages, wanted)
    devices = [plans.describe_device(plan, stage, device) for device in found]
    return {"DeviceDeploymentSummaries": devices, "NextToken": token}


def describe(call: Call, plan: Any) -> Result:
    """A plan with all of its stages."""
    stages = _stages(call, plan)
    counts = call.plans.counts(plan, stages, call.now)
    return plans.describe(plan, stages, counts, call.plans.modified(plan, call.now), call.now)


def _plan(call: Call, wanted: dict[str, Any]) -> Any:
    plan = call.plans.find(wanted["EdgeDeploymentPlanName"])
    if plan is None:
        raise call.rules.missing("Edge deployment plan", wanted["EdgeDeploymentPlanName"])
    return plan


def _stages(call: Call, plan: Any) -> Sequence[Any]:
    return call.plans.stages([plan.id])[plan.id]


def _stage(call: Call, plan: Any, name: str) -> Any:
    stage = call.plans.lock_stage(plan, name)
    if stage is None:
        raise _no_stage(call, plan, name)
    return stage


def _no_stage(call: Call, plan: Any, name: str) -> Exception:
    return call.rules.missing(f"Stage {name} of edge deployment plan", plan.name)


def _append(call: Call, plan: Any, stages: Sequence[dict[str, Any]]) -> None:
    wanted = [(stage["StageName"], stage["DeviceSelectionConfig"], policy_of(stage)) for stage in stages]
    call.plans.append(plan, wanted, call.now)
