"""The life of a stage, whoever its devices are.

CREATING -> READYTODEPLOY -> STARTING -> INPROGRESS -> DEPLOYED | FAILED, and STARTING | INPROGRESS -> STOPPING -> STOPPED.
STOPPED and FAILED may be started again. Nothing ticks: the status is reckoned from what was written down and what the
devices answered by now. That is asked of one port with two sides: heartbeats that were counted (`Heard`), or the
sandbox's simulator, in which it is a function of time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from edge_manager.errors import in_use, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STARTABLE = frozenset({"READYTODEPLOY", "STOPPED", "FAILED"})
STOPPABLE = frozenset({"STARTING", "INPROGRESS"})
ACTIVE = frozenset({"CREATING", "STARTING", "INPROGRESS", "STOPPING"})


class Counts(NamedTuple):
    """Devices of a stage by outcome."""

    succeeded: int
    pending: int
    failed: int


class Answers(Protocol):
    """What the devices of a stage that was started answered by now."""

    def counts(self, now: float) -> Counts:
        """Devices by outcome."""

    def ended(self, now: float) -> float | None:
        """When the last device answered; None while one has not."""


class Heard(NamedTuple):
    """The side of real devices: what their heartbeats said, counted as it came in."""

    total: int
    succeeded: int
    failed: int
    last: float

    def counts(self, now: float) -> Counts:  # noqa: ARG002  what was counted is what there is by now
        """Devices by outcome."""
        return Counts(self.succeeded, self.total - self.succeeded - self.failed, self.failed)

    def ended(self, now: float) -> float | None:
        """When the last device answered; None while one has not."""
        return None if self.counts(now).pending else self.last


@dataclass(frozen=True)
class Run:
    """One start of a stage: STARTING until `begins`; stopped at `stopping`, which takes until `stopped`."""

    started: float
    begins: float
    answers: Answers
    stopping: float | None = None
    stopped: float | None = None


@dataclass(frozen=True)
class Life:
    """What a stage's status depends on."""

    created: float
    ready: float
    run: Run | None = None
    failed_ends_as: str = "FAILED"

    def moment(self, now: float) -> tuple[str, float]:
        """AWS's StageStatus, and since when."""
        run = self.run
        if run is None:
            return ("READYTODEPLOY", self.ready) if now >= self.ready else ("CREATING", self.created)
        if run.stopping is not None:
            if run.stopped is not None and now >= run.stopped:
                return "STOPPED", run.stopped
            return "STOPPING", run.stopping
        if now < run.begins:
            return "STARTING", run.started
        ended = run.answers.ended(now)
        if ended is None:
            return "INPROGRESS", run.begins
        return self.failed_ends_as if run.answers.counts(now).failed else "DEPLOYED", max(ended, run.begins)

    def status(self, now: float) -> str:
        """AWS's StageStatus."""
        return self.moment(now)[0]

    def counts(self, allocated: int, now: float) -> Counts:
        """Devices by outcome; `allocated` is how many a stage that never started would go to."""
        return Counts(0, allocated, 0) if self.run is None else self.run.answers.counts(now)

    def check_start(self, name: str, now: float, *, failed_too: bool = True) -> None:
        """Refuse a start in the wrong status."""
        status = self.status(now)
        if status not in STARTABLE or (status == "FAILED" and not failed_too):
            raise invalid(f"Stage {name} cannot be started while its status is {status}.")

    def check_stop(self, name: str, now: float) -> None:
        """Refuse a stop in the wrong status."""
        if (status := self.status(now)) not in STOPPABLE:
            raise invalid(f"Stage {name} cannot be stopped while its status is {status}.")

    def require_inactive(self, name: str, now: float) -> None:
        """Refuse what AWS allows "if and only if" a stage is inactive."""
        if (status := self.status(now)) in ACTIVE:
            raise in_use(f"Stage {name} is active, its status is {status}. Stop it first.")


def policy_of(wanted: Mapping[str, Any]) -> str:
    """The failure policy of a stage. AWS documents ROLLBACK_ON_FAILURE as "by default turned on"."""
    policy: str = wanted.get("DeploymentConfig", {}).get("FailureHandlingPolicy", "ROLLBACK_ON_FAILURE")
    return policy
