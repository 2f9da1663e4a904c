"""What both competitors ask of AWS and say in status: the same as ours for a plan's creation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP: Final = ("edgeplan.dev", "v1alpha1", "edgedeploymentplans")


def create_request(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """CreateEdgeDeploymentPlan for an object."""
    return {
        "EdgeDeploymentPlanName": name,
        "DeviceFleetName": spec["deviceFleetName"],
        "ModelConfigs": [
            {"ModelHandle": model["modelHandle"], "EdgePackagingJobName": model["edgePackagingJobName"]}
            for model in spec["modelConfigs"]
        ],
        "Stages": [
            {
                "StageName": stage["stageName"],
                "DeviceSelectionConfig": {
                    "DeviceSubsetType": stage["deviceSelectionConfig"]["deviceSubsetType"],
                    "Percentage": stage["deviceSelectionConfig"]["percentage"],
                },
            }
            for stage in spec["stages"]
        ],
    }


def ready(generation: int) -> list[dict[str, Any]]:
    """The conditions of a plan that AWS holds."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [
        {
            "type": "Ready",
            "status": "True",
            "reason": "InSync",
            "message": "AWS holds the plan",
            "observedGeneration": generation,
            "lastTransitionTime": now,
        }
    ]
