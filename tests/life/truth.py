"""What the objects ask for and what is in AWS, in terms that both have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller.domain.ownership import Owner
from controller.domain.spec import EdgeDeploymentPlanSpec
from tests.life.aws import REGIONS

if TYPE_CHECKING:
    from controller.domain.resource import Resource

CLUSTER = "cluster-1"


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
    """Whether fleet and models in AWS are those of the spec."""
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
    """Stage statuses in AWS, by name."""
    return {each["StageName"]: each["DeploymentStatus"]["StageStatus"] for each in aws["Stages"]}
