"""What the sandbox holds: fleets, devices, packaging jobs and plans of each account and region."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_manager.domain.jobs import UNDER_WAY, package_url
from edge_manager.domain.selection import Choice, Names, allocate
from edge_manager.sandbox.history import History
from edge_manager.sandbox.stages import Failure, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.scope import Scope
    from edge_manager.domain.stages import Counts
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

    @property
    def id(self) -> str:
        """What tells it from others."""
        return self.name

    def register(self, devices: Iterable[Device], now: float) -> None:
        """Add or replace devices."""
        self.devices.update((device.name, device) for device in devices)
        self.touch(now)

    def touch(self, now: float) -> None:
        """Note that the devices changed."""
        self.version += 1
        self.modified = now


class JobView(NamedTuple):
    """A job as it is at a moment."""

    name: str
    arn: str
    details: dict[str, Any]
    status: str
    created: float
    modified: float
    ended: float | None
    model: str
    version: str
    artifact: str | None
    message: str | None = None


@dataclass
class Job:
    """A packaging or compilation job, COMPLETED at `ends` unless stopped before."""

    name: str
    arn: str
    created: float
    ends: float
    details: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    model: str = ""
    version: str = ""
    stopped: float | None = None

    def seen(self, now: float) -> JobView:
        """How it is by now."""
        ended = self.stopped
        if ended is None and now >= self.ends:
            ended = self.ends
        status = UNDER_WAY if ended is None else "COMPLETED" if self.stopped is None else "STOPPED"
        artifact = None
        if status == "COMPLETED":
            artifact = package_url(
                self.details["OutputConfig"]["S3OutputLocation"], self.name, self.model, self.version
            )
        modified = self.created if ended is None else ended
        return JobView(
            self.name, self.arn, self.details, status, self.created, modified, ended, self.model, self.version, artifact
        )

    def stop(self, now: float) -> None:
        """End it, unless it is over."""
        if self.stopped is None and now < self.ends:
            self.stopped = now


@dataclass
class Plan:
    """An edge deployment plan with its stages in order; `target` is the fleet that it goes to."""

    name: str
    arn: str
    target: Fleet
    models: Sequence[Model]
    created: float
    modified: float
    stages: list[Stage] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    _allocation: tuple[int, list[Sequence[str]]] | None = None

    @property
    def id(self) -> str:
        """What tells it from others."""
        return self.name

    @property
    def fleet(self) -> str:
        """The fleet's name."""
        return self.target.name

    @property
    def fleet_id(self) -> str:
        """The fleet's id."""
        return self.target.id

    @property
    def fleet_arn(self) -> str:
        """The fleet's ARN."""
        return self.target.arn

    def stage(self, name: str) -> Stage | None:
        """A stage by name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def touch(self, now: float) -> None:
        """Note a change of the plan or of its stages."""
        self.modified, self._allocation = now, None

    def allocation(self) -> list[Sequence[str]]:
        """The devices of each stage: as it was started, else as the fleet stands now."""
        if self._allocation is None or self._allocation[0] != self.target.version:
            choices = [Choice(stage.selection, stage.devices) for stage in self.stages]
            self._allocation = (self.target.version, allocate(choices, Names(self.target.devices)))
        return self._allocation[1]

    def counts(self, now: float) -> list[Counts]:
        """Devices by outcome, of each stage."""
        allocated = zip(self.stages, self.allocation(), strict=True)
        return [stage.life.counts(len(devices), now) for stage, devices in allocated]

    def last_modified(self, now: float, settings: Settings) -> float:
        """LastModifiedTime: the last change by a call or of a stage's status."""
        moments = [stage.life.moment(now)[1] for stage in self.stages]
        if settings.last_modified_with_devices:
            moments += [stage.attempt.last_answer(now) for stage in self.stages if stage.attempt is not None]
        return round(max([self.modified, *(moment for moment in moments if moment <= now)]), 3)


@dataclass
class Holdings:
    """What one scope holds."""

    scope: Scope
    fleets: dict[str, Fleet] = field(default_factory=dict)
    packages: dict[str, Job] = field(default_factory=dict)
    compilations: dict[str, Job] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    history: History = field(default_factory=History)

    @property
    def bucket(self) -> str:
        """Where what is made up is said to be."""
        return f"s3://edge-manager-{self.scope.account}"

    def note(self, name: str, now: float) -> None:
        """Keep for lagging readers what became of a plan."""
        self.history.note(name, self.plans.get(name), now)

    def seed(self, name: str, devices: Iterable[str], now: float) -> Fleet:
        """A fleet with devices, made if it is not there; not a call of the API."""
        fleet = self.fleets.get(name)
        if fleet is None:
            details = {"OutputConfig": {"S3OutputLocation": f"{self.bucket}/{name}"}}
            fleet = self.fleets[name] = Fleet(name, self.scope.arn("device-fleet", name), now, now, details)
        fleet.register((Device(device, now) for device in devices), now)
        return fleet

    def make_up(self, name: str, settings: Settings, now: float) -> Fleet:
        """The fleet that somebody refers to without having created it."""
        canaries = min(settings.canary_devices_per_fleet, settings.default_devices_per_fleet)
        devices = device_names(name, canaries, "{fleet}-canary-{number:04d}")
        return self.seed(name, devices + device_names(name, settings.default_devices_per_fleet - canaries), now)

    def make_up_package(self, name: str, now: float) -> None:
        """The packaging job, long finished, that somebody refers to without having created it."""
        details = {
            "CompilationJobName": name,
            "InputS3Uri": f"{self.bucket}/{name}",
            "OutputConfig": {"S3OutputLocation": self.bucket},
            "RoleArn": f"arn:aws:iam::{self.scope.account}:role/made-up",
        }
        arn = self.scope.arn("edge-packaging-job", name)
        self.packages[name] = Job(name, arn, now, now, details, model=name, version="1")


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
