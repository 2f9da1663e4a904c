"""What the sandbox holds: fleets, devices, packaging jobs and plans of each account and region."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_manager.domain.selection import Choice, Names, allocate
from edge_manager.domain.stages import Counts
from edge_manager.errors import not_found
from edge_manager.sandbox.history import History
from edge_manager.sandbox.stages import Failure, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_manager.domain.scope import Scope
    from edge_manager.sandbox.settings import Settings

MAX_NAME = 63


class Device(NamedTuple):
    """A registered device."""

    name: str
    registered: float
    description: str | None = None
    thing: str | None = None


@dataclass
class Fleet:
    """A device fleet; `version` moves with every change of its devices."""

    name: str
    arn: str
    created: float
    modified: float
    details: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    version: int = 0

    def register(self, devices: Iterable[Device], now: float) -> None:
        """Add or replace devices."""
        self.devices.update((device.name, device) for device in devices)
        self.touch(now)

    def touch(self, now: float) -> None:
        """Note that the devices changed."""
        self.version += 1
        self.modified = now


@dataclass
class Job:
    """A packaging job, finished at `ends` unless stopped before."""

    name: str
    arn: str
    created: float
    ends: float
    details: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    stopped: float | None = None

    def status(self, now: float) -> str:
        """AWS's EdgePackagingJobStatus."""
        if self.stopped is not None:
            return "STOPPED"
        return "COMPLETED" if now >= self.ends else "INPROGRESS"

    def modified(self, now: float) -> float:
        """When the status changed last."""
        if self.stopped is not None:
            return self.stopped
        return self.ends if now >= self.ends else self.created


@dataclass
class Plan:
    """An edge deployment plan with its stages in order."""

    name: str
    arn: str
    fleet: Fleet
    models: list[dict[str, Any]]
    created: float
    modified: float
    stages: list[Stage] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    _allocation: tuple[int, list[Sequence[str]]] | None = None

    def stage(self, name: str) -> Stage | None:
        """A stage by name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def touch(self, now: float) -> None:
        """Note a change of the plan or of its stages."""
        self.modified, self._allocation = now, None

    def allocation(self) -> list[Sequence[str]]:
        """The devices of each stage: as it was started, else as the fleet stands now."""
        if self._allocation is None or self._allocation[0] != self.fleet.version:
            choices = [Choice(stage.selection, stage.devices) for stage in self.stages]
            allocated = allocate(choices, Names(self.fleet.devices))
            self._allocation = (self.fleet.version, allocated)
        return self._allocation[1]

    def counts(self, now: float) -> list[Counts]:
        """Devices by outcome, of each stage."""
        return [stage.counts(len(devices), now) for stage, devices in zip(self.stages, self.allocation(), strict=True)]

    def last_modified(self, now: float, settings: Settings) -> float:
        """LastModifiedTime: the last change by a call or of a stage's status."""
        moments = [stage.changed(now) for stage in self.stages]
        if settings.last_modified_with_devices:
            moments += [stage.attempt.last_answer(now) for stage in self.stages if stage.attempt is not None]
        return round(max([self.modified, *(moment for moment in moments if moment <= now)]), 3)


@dataclass
class Holdings:
    """What one scope holds."""

    scope: Scope
    fleets: dict[str, Fleet] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def note(self, name: str, now: float) -> None:
        """Keep for lagging readers what became of a plan."""
        self.history.note(name, self.plans.get(name), now)

    def device_arn(self, fleet: Fleet, device: str) -> str:
        """The ARN of a device."""
        return f"{fleet.arn}/device/{device}"

    def fleet(self, name: str) -> Fleet:
        """A fleet by name."""
        if name not in self.fleets:
            raise not_found("Device fleet", name)
        return self.fleets[name]

    def seed(self, name: str, devices: Iterable[str], now: float) -> Fleet:
        """A fleet with devices, made if it is not there; not a call of the API."""
        fleet = self.fleets.get(name)
        if fleet is None:
            details = {"OutputConfig": {"S3OutputLocation": f"s3://edge-manager-{self.scope.account}/{name}"}}
            fleet = self.fleets[name] = Fleet(name, self.scope.arn("device-fleet", name), now, now, details)
        fleet.register((Device(device, now) for device in devices), now)
        return fleet

    def make_up(self, name: str, settings: Settings, now: float) -> Fleet:
        """The fleet that somebody refers to without having created it."""
        canaries = min(settings.canary_devices_per_fleet, settings.default_devices_per_fleet)
        devices = device_names(name, canaries, "{fleet}-canary-{number:04d}")
        return self.seed(name, devices + device_names(name, settings.default_devices_per_fleet - canaries), now)


def device_names(prefix: str, count: int, template: str = "{fleet}-{number:04d}") -> list[str]:
    """Names of `count` devices of a fleet, no longer than AWS allows."""
    room = MAX_NAME - len(template.format(fleet="", number=count))
    return [template.format(fleet=prefix[:room].rstrip("-"), number=number) for number in range(1, count + 1)]


@dataclass
class World:
    """Everything that the sandbox knows about all accounts, and the failures that devices will meet."""

    scopes: dict[Scope, Holdings] = field(default_factory=dict)
    failures: list[tuple[str, str, Failure]] = field(default_factory=list)

    def holdings(self, scope: Scope) -> Holdings:
        """What a scope holds."""
        return self.scopes.setdefault(scope, Holdings(scope))

    def failure_of(self, plan: str, stage: str) -> Failure:
        """The failure set last for a stage of a plan."""
        matching = (f for p, s, f in reversed(self.failures) if p in ("*", plan) and s in ("*", stage))
        return next(matching, Failure())
