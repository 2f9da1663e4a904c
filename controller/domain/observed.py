"""What AWS holds, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from controller.domain.spec import DeploymentConfig, DeviceSelectionConfig, ModelConfig
from controller.domain.stage import MEANING, StageStatus
from controller.domain.status import FailedDevice


@dataclass(frozen=True)
class ObservedStage:
    """One stage of the AWS plan."""

    name: str
    selection: DeviceSelectionConfig
    deployment: DeploymentConfig | None
    status: StageStatus
    succeeded: int = 0
    pending: int = 0
    failed: int = 0
    started: datetime | None = None
    message: str | None = None
    failed_devices: tuple[FailedDevice, ...] = ()
    """Some of the devices that failed."""

    @property
    def active(self) -> bool:
        """Whether AWS refuses to delete the stage now."""
        return MEANING[self.status].active


@dataclass(frozen=True)
class ObservedPlan:
    """The AWS plan; `tags` is None where they were not asked for."""

    arn: str
    name: str
    fleet: str
    models: tuple[ModelConfig, ...]
    stages: tuple[ObservedStage, ...] = ()
    tags: Mapping[str, str] | None = None
    created: datetime | None = None
    modified: datetime | None = None

    def stage(self, name: str) -> ObservedStage | None:
        """The stage of that name, if AWS has it."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def with_tags(self, tags: Mapping[str, str]) -> Self:
        """The same plan with its tags known."""
        return replace(self, tags=tags)


@dataclass(frozen=True)
class PlanSummary:
    """One row of ListEdgeDeploymentPlans."""

    name: str
    arn: str
    modified: datetime | None
    created: datetime | None = None
    failed: int | None = None
    """Devices that failed, of all stages."""
    succeeded: int | None = None
    """Devices that succeeded, of all stages."""


@dataclass(frozen=True)
class Created:
    """AWS's answer to CreateEdgeDeploymentPlan.

    `since` is the earliest moment, by AWS's clock, at which the plan can have been made: a look that shows an older plan
    of that name shows one that is gone. None where the answer did not tell.
    """

    arn: str
    since: datetime | None = None
