"""One stage of the sandbox: the life that `domain.stages` describes, with devices whose answers are a function of time.

Nothing ticks: starting a stage writes down what will have happened when.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_manager.domain.stages import Counts, Life, Run
from edge_manager.sandbox.clock import later

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_manager.sandbox.settings import Settings


class Failure(NamedTuple):
    """Devices that will fail: a number or a percentage, all together after some seconds or spread over the rollout."""

    devices: int | None = None
    percent: float | None = None
    after: float | None = None
    message: str = "The model could not be loaded on the device"

    def of(self, total: int) -> int:
        """How many of so many devices."""
        return min(total, self.devices if self.devices is not None else round(total * (self.percent or 0) / 100))


@dataclass(frozen=True)
class Attempt:
    """The simulator's side of `domain.stages.Answers`: one rollout to the devices from `offset` on.

    They answer one by one between `begins` and `ends`.
    """

    offset: int
    total: int
    begins: float
    ends: float
    failing: int
    fail_at: float | None
    halted: float | None = None

    def _answered(self, now: float) -> int:
        if now < self.begins:
            return 0
        if now >= self.ends:
            return self.total
        # Rounded first: 4.999999 answers are five that floating point cut short.
        return int(round(self.total * (now - self.begins) / (self.ends - self.begins), 4))

    def _failed_together(self, now: float) -> bool:
        return self.fail_at is not None and (now >= self.fail_at or now >= self.ends)

    def tally(self, now: float) -> tuple[int, int]:
        """Devices that succeeded and that failed so far."""
        now = now if self.halted is None else min(now, self.halted)
        answered = self._answered(now)
        failed = answered * self.failing // max(self.total, 1)
        succeeded = answered - failed
        if self.fail_at is not None:
            failed = self.failing if self._failed_together(now) else 0
        return succeeded, failed

    def outcome(self, number: int, now: float) -> str | None:
        """DEPLOYED or FAILED for the numbered device of this attempt, None while it is pending."""
        now = now if self.halted is None else min(now, self.halted)
        fails = (number + 1) * self.failing // self.total > number * self.failing // self.total
        if fails and self.fail_at is not None:
            return "FAILED" if self._failed_together(now) else None
        if number >= self._answered(now):
            return None
        return "FAILED" if fails else "DEPLOYED"

    def counts(self, now: float) -> Counts:
        """Devices by outcome, those that an earlier attempt succeeded on included."""
        succeeded, failed = self.tally(now)
        return Counts(succeeded + self.offset, self.total - succeeded - failed, failed)

    def ended(self, now: float) -> float | None:
        """When the last device answered; None while one has not."""
        return self.ends if now >= self.ends else None

    def last_answer(self, now: float) -> float:
        """When a device answered last."""
        now = now if self.halted is None else min(now, self.halted)
        return self.begins + (self.ends - self.begins) * self._answered(now) / max(self.total, 1)


@dataclass
class Stage:
    """A stage: what was asked for, the devices that it was started on, and its life."""

    name: str
    selection: Mapping[str, Any]
    policy: str
    life: Life
    devices: Sequence[str] | None = None
    started: float | None = None
    attempt: Attempt | None = None
    trouble: Failure = field(default_factory=Failure)

    @classmethod
    def create(cls, name: str, selection: Mapping[str, Any], policy: str, now: float, settings: Settings) -> Stage:
        """A new stage."""
        return cls(name, selection, policy, Life(now, later(now, settings.create_duration)))

    def device_status(self, number: int, now: float) -> str:
        """AWS's DeviceDeploymentStatus of the numbered device."""
        status = self.life.status(now)
        if self.attempt is None or status in ("CREATING", "READYTODEPLOY"):
            return "READYTODEPLOY"
        if number < self.attempt.offset:
            return "DEPLOYED"
        waiting = "READYTODEPLOY" if status == "STARTING" else status
        return self.attempt.outcome(number - self.attempt.offset, now) or waiting

    @property
    def failure(self) -> str:
        """What a failed device reports; the policy decides what it runs afterwards."""
        rolled_back = self.policy == "ROLLBACK_ON_FAILURE"
        return f"{self.trouble.message}{'; rolled back to the previous configuration' if rolled_back else ''}"

    def start(self, devices: Sequence[str], failure: Failure, now: float, settings: Settings) -> None:
        """Write down how the devices will answer. One that is started again goes on with those that did not succeed."""
        offset = 0
        if self.attempt is not None:
            done = [name for i, name in enumerate(devices) if self.device_status(i, now) == "DEPLOYED"]
            deployed = frozenset(done)
            devices, offset = [*done, *(name for name in devices if name not in deployed)], len(done)
        total = len(devices) - offset
        begins = later(now, settings.start_duration)
        ends = later(begins, settings.deploy_duration_per_stage)
        failing = failure.of(total)
        fail_at = None if failure.after is None else later(begins, failure.after)
        on_failure = "FAILED" if self.policy == "ROLLBACK_ON_FAILURE" else settings.do_nothing_ends_as
        self.devices, self.trouble, self.started = devices, failure, now
        self.attempt = Attempt(offset, total, begins, ends, failing, fail_at)
        self.life = replace(self.life, run=Run(now, begins, self.attempt), failed_ends_as=on_failure)

    def stop(self, now: float, settings: Settings) -> None:
        """Devices that have not answered stay as they are."""
        if self.attempt is not None and self.life.run is not None:
            self.attempt = replace(self.attempt, halted=now)
            stopped = later(now, settings.stop_duration)
            run = replace(self.life.run, answers=self.attempt, stopping=now, stopped=stopped)
            self.life = replace(self.life, run=run)
