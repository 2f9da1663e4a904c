"""Actions as requests of the SageMaker API."""

from collections.abc import Mapping
from typing import Any, assert_never

from controller.domain.actions import (
    Action,
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.spec import Stage


def request_of(action: Action) -> tuple[str, dict[str, Any]]:
    """The operation and the request of an action."""
    match action:
        case CreatePlan(name, fleet, models, stages, tags):
            request: dict[str, Any] = {
                "EdgeDeploymentPlanName": name,
                "ModelConfigs": [
                    {"ModelHandle": model.model_handle, "EdgePackagingJobName": model.edge_packaging_job_name}
                    for model in models
                ],
                "DeviceFleetName": fleet,
                "Tags": _tag_list(tags),
            }
            if stages:
                request["Stages"] = [_stage_request(stage) for stage in stages]
            return "CreateEdgeDeploymentPlan", request
        case DeletePlan(name):
            return "DeleteEdgeDeploymentPlan", {"EdgeDeploymentPlanName": name}
        case CreateStages(plan, stages):
            stage_requests = [_stage_request(stage) for stage in stages]
            return "CreateEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "Stages": stage_requests}
        case DeleteStage(plan, stage):
            return "DeleteEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "StageName": stage}
        case StartStage(plan, stage):
            return "StartEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "StageName": stage}
        case StopStage(plan, stage):
            return "StopEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "StageName": stage}
        case AddTags(arn, tags):
            return "AddTags", {"ResourceArn": arn, "Tags": _tag_list(tags)}
        case DeleteTags(arn, keys):
            return "DeleteTags", {"ResourceArn": arn, "TagKeys": list(keys)}
        case _:
            assert_never(action)


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _stage_request(stage: Stage) -> dict[str, Any]:
    selection = stage.device_selection_config
    config: dict[str, Any] = {"DeviceSubsetType": selection.device_subset_type}
    if selection.percentage is not None:
        config["Percentage"] = selection.percentage
    if selection.device_names is not None:
        config["DeviceNames"] = list(selection.device_names)
    if selection.device_name_contains is not None:
        config["DeviceNameContains"] = selection.device_name_contains
    request: dict[str, Any] = {"StageName": stage.stage_name, "DeviceSelectionConfig": config}
    if stage.deployment_config is not None:
        request["DeploymentConfig"] = {"FailureHandlingPolicy": stage.deployment_config.failure_handling_policy}
    return request
