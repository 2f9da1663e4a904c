"""What a plan may ask for, and how plans, stages and their devices are described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.domain.fleets import device_arn
from edge_manager.domain.selection import check_selection
from edge_manager.errors import invalid, not_found, quota_reached

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from edge_manager.domain import views
    from edge_manager.domain.deployments import Model
    from edge_manager.domain.jobs import Packaged
    from edge_manager.domain.rules import Rules
    from edge_manager.domain.stages import Counts

STAGES_PER_PAGE = 10


def check_stages(wanted: Sequence[Mapping[str, Any]], present: Sequence[str], rules: Rules) -> list[str]:
    """Refuse stages that a plan with such stages cannot have; the devices that the wanted ones name."""
    names = [*present, *(stage["StageName"] for stage in wanted)]
    if len(set(names)) != len(names):
        raise invalid("Stage names must be unique within an edge deployment plan.")
    for stage in wanted:
        check_selection(stage)
    if len(names) > rules.stages_per_plan:
        unit = "EdgeDeploymentStages"
        raise quota_reached("Stages per edge deployment plan", unit, rules.stages_per_plan, len(present), len(wanted))
    return [name for stage in wanted for name in stage["DeviceSelectionConfig"].get("DeviceNames", ())]


def check_devices(named: Sequence[str], fleet: Container[str]) -> None:
    """Refuse devices that the fleet lacks."""
    for name in named:
        if name not in fleet:
            raise not_found("Device", name)


def check_models(wanted: Sequence[Mapping[str, str]]) -> None:
    """Refuse two models under one handle."""
    handles = [model["ModelHandle"] for model in wanted]
    if len(set(handles)) != len(handles):
        raise invalid("Model handles must be unique within an edge deployment plan.")


def models_of(wanted: Sequence[Mapping[str, str]], jobs: Mapping[str, Packaged]) -> list[Model]:
    """What devices have to fetch for a plan's models, refused where a package is unknown or not ready."""
    found: list[Model] = []
    for model in wanted:
        name = model["EdgePackagingJobName"]
        job = jobs.get(name)
        if job is None:
            raise not_found("Edge packaging job", name)
        if job.artifact is None or job.sha1 is None:
            raise invalid(f"Edge packaging job {name} is {job.status}, it must be COMPLETED.")
        package = {"url": job.artifact, "sha1": job.sha1, "name": job.model, "version": job.version}
        found.append({"handle": model["ModelHandle"], "job": name, **package})
    return found


def summarize(plan: views.Plan, counts: Sequence[Counts], modified: float) -> dict[str, Any]:
    """AWS's EdgeDeploymentPlanSummary."""
    return {
        "EdgeDeploymentPlanArn": plan.arn,
        "EdgeDeploymentPlanName": plan.name,
        "DeviceFleetName": plan.fleet,
        "EdgeDeploymentSuccess": sum(stage.succeeded for stage in counts),
        "EdgeDeploymentPending": sum(stage.pending for stage in counts),
        "EdgeDeploymentFailed": sum(stage.failed for stage in counts),
        "CreationTime": plan.created,
        "LastModifiedTime": modified,
    }


def describe(
    plan: views.Plan, stages: Sequence[views.Stage], counts: Sequence[Counts], modified: float, now: float
) -> dict[str, Any]:
    """A plan with all of its stages."""
    models = [{"ModelHandle": model["handle"], "EdgePackagingJobName": model["job"]} for model in plan.models]
    described = [_describe_stage(stage, of, now) for stage, of in zip(stages, counts, strict=True)]
    return {**summarize(plan, counts, modified), "ModelConfigs": models, "Stages": described}


def describe_device(plan: views.Plan, stage: views.Stage, device: views.StageDevice) -> dict[str, Any]:
    """AWS's DeviceDeploymentSummary."""
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


def _describe_stage(stage: views.Stage, counts: Counts, now: float) -> dict[str, Any]:
    return {
        "StageName": stage.name,
        "DeviceSelectionConfig": stage.selection,
        "DeploymentConfig": {"FailureHandlingPolicy": stage.policy},
        "DeploymentStatus": {
            "StageStatus": stage.life.status(now),
            "EdgeDeploymentSuccessInStage": counts.succeeded,
            "EdgeDeploymentPendingInStage": counts.pending,
            "EdgeDeploymentFailedInStage": counts.failed,
            "EdgeDeploymentStatusMessage": _message(stage, counts),
            "EdgeDeploymentStageStartTime": stage.started,
        },
    }


def _message(stage: views.Stage, counts: Counts) -> str | None:
    """How many devices failed, and what one of them said."""
    if not counts.failed:
        return None
    counted = f"{counts.failed} of {sum(counts)} devices failed the deployment"
    return f"{counted}: {stage.failure}" if stage.failure else counted
