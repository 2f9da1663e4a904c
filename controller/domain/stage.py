"""What a stage's status means: one row for each status that AWS has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

StageStatus = Literal[
    "CREATING", "READYTODEPLOY", "STARTING", "INPROGRESS", "DEPLOYED", "FAILED", "STOPPING", "STOPPED"
]


@dataclass(frozen=True)
class Meaning:
    """What can be done to a stage in a status, and what becomes of it by itself."""

    active: bool = False
    """AWS refuses to delete the stage, and its plan (`ResourceInUse`)."""
    stoppable: bool = False
    """StopEdgeDeploymentStage works."""
    ends_as: StageStatus | None = None
    """What AWS makes of it if all goes well and nobody acts; None where it stays."""


MEANING: Mapping[StageStatus, Meaning] = {
    "CREATING": Meaning(active=True, ends_as="READYTODEPLOY"),
    "READYTODEPLOY": Meaning(),
    "STARTING": Meaning(active=True, stoppable=True, ends_as="DEPLOYED"),
    "INPROGRESS": Meaning(active=True, stoppable=True, ends_as="DEPLOYED"),
    "DEPLOYED": Meaning(),
    "FAILED": Meaning(),
    "STOPPING": Meaning(active=True, ends_as="STOPPED"),
    "STOPPED": Meaning(),
}
