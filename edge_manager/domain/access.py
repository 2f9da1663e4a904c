"""Who may do what: three roles, and a refusal in AWS's words for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from edge_manager.domain.texts import LONGEST_QUOTE, shortened
from edge_manager.errors import access_denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.domain.scope import Scope

DEVICE_OPERATIONS = frozenset({"GetDeployments", "GetDeviceRegistration", "SendHeartbeat"})
# The IAM policy of docs/install.md: what the operator needs of AWS is all that an operator's key may do here.
OPERATOR_OPERATIONS = frozenset(
    {
        "CreateEdgeDeploymentPlan",
        "DescribeEdgeDeploymentPlan",
        "DeleteEdgeDeploymentPlan",
        "ListEdgeDeploymentPlans",
        "CreateEdgeDeploymentStage",
        "DeleteEdgeDeploymentStage",
        "StartEdgeDeploymentStage",
        "StopEdgeDeploymentStage",
        "ListStageDevices",
        "AddTags",
        "ListTags",
        "DeleteTags",
        "DescribeDeviceFleet",
        "DescribeDevice",
        "DescribeEdgePackagingJob",
    }
)
# The parameter that names what a call is about, and the resource type in its ARN.
SUBJECTS = {
    "EdgeDeploymentPlanName": "edge-deployment",
    "EdgePackagingJobName": "edge-packaging-job",
    "CompilationJobName": "compilation-job",
    "DeviceFleetName": "device-fleet",
}


class Role(StrEnum):
    """What a key is for."""

    ADMIN = "admin"
    OPERATOR = "operator"
    DEVICE = "device"


@dataclass(frozen=True)
class Principal:
    """Whose signature a call bears. A key without a region holds in all of them."""

    access_key: str
    account: str
    arn: str
    role: Role
    region: str | None = None
    fleet: str | None = None
    device: str | None = None
    assumable: tuple[str, ...] = ()

    def may(self, operation: str, scope: Scope, wanted: Mapping[str, Any]) -> bool:
        """Whether a call is allowed."""
        if scope.account != self.account or self.region not in (None, scope.region):
            return False
        if self.role is Role.ADMIN:
            return True
        if self.role is Role.DEVICE:
            own = (wanted.get("DeviceFleetName"), wanted.get("DeviceName")) == (self.fleet, self.device)
            return operation in DEVICE_OPERATIONS and own
        arn = wanted.get("ResourceArn")
        return operation in OPERATOR_OPERATIONS and (
            arn is None or str(arn).startswith(scope.arn("edge-deployment", ""))
        )

    def check(self, operation: str, scope: Scope, wanted: Mapping[str, Any]) -> None:
        """Refuse what is not allowed."""
        if not self.may(operation, scope, wanted):
            resource = shortened(resource_of(operation, scope, wanted), LONGEST_QUOTE)
            raise access_denied(self.arn, f"sagemaker:{operation}", resource)


def resource_of(operation: str, scope: Scope, wanted: Mapping[str, Any]) -> str:
    """The ARN that an IAM policy would have to allow."""
    if arn := wanted.get("ResourceArn"):
        return str(arn)
    if operation in DEVICE_OPERATIONS:
        name = f"{wanted.get('DeviceFleetName')}/device/{wanted.get('DeviceName')}"
        return scope.arn("device-fleet", name)
    for key, kind in SUBJECTS.items():
        if key in wanted or key.removesuffix("Name") in operation:
            return scope.arn(kind, str(wanted.get(key, "*")))
    return "*"
