"""What the object asks for, with everything resolved that the spec leaves open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from controller.domain.actions import CreatePlan
from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from controller.domain.spec import EdgeDeploymentPlanSpec, Stage


@dataclass(frozen=True)
class Reference:
    """What a plan is to be made of. As a question, answered with a packaging job's status in AWS; others have none: ""."""

    field: Literal["deviceFleetName", "edgePackagingJobName", "deviceNames"]
    name: str
    fleet: str = ""
    """The fleet of a device."""

    def __str__(self) -> str:
        return f"{self.field} {self.name}"


@dataclass(frozen=True)
class Desired:
    """The spec, the plan's name in AWS and the owner to tag it with."""

    name: str
    spec: EdgeDeploymentPlanSpec
    owner: Owner

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self.spec.stages or ()

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags that the plan must carry, the ownership tag included."""
        return {tag.key: tag.value for tag in self.spec.tags or ()} | {OWNER_TAG: self.owner.tag_value}

    def creation(self) -> CreatePlan:
        """The call that makes the plan, already tagged as ours."""
        return CreatePlan(self.name, self.spec.device_fleet_name, self.spec.model_configs, self.stages, self.tags)
