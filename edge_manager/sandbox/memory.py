"""The sandbox's side of `api.ports`: the things of one scope in memory, with devices that are simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from edge_manager.domain import listings
from edge_manager.domain.jobs import Packaged, source_of
from edge_manager.domain.paging import page
from edge_manager.domain.plans import check_devices, models_of
from edge_manager.domain.rules import exists, fleet_in_use
from edge_manager.errors import not_found
from edge_manager.sandbox.clock import later
from edge_manager.sandbox.stages import Stage
from edge_manager.sandbox.state import Device, Fleet, Job, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.listings import Listing
    from edge_manager.domain.rules import Rules
    from edge_manager.domain.scope import Scope
    from edge_manager.domain.stages import Counts
    from edge_manager.sandbox.settings import Settings
    from edge_manager.sandbox.state import Holdings, JobView, World

    Wanted = Mapping[str, Any]

Item = TypeVar("Item")
UNFETCHED = "da39a3ee5e6b4b0d3255bfef95601890afd80709"  # SHA-1 of nothing: no device of the sandbox fetches a package


@dataclass(frozen=True)
class Call:
    """Where and when an operation works; with a lag, it sees plans as they were so long ago."""

    world: World
    holdings: Holdings
    settings: Settings
    time: float
    lag: float = 0

    @property
    def now(self) -> float:
        """When the call is made, or what it looks back to."""
        return later(self.time, -self.lag) if self.lag else self.time

    @property
    def scope(self) -> Scope:
        """Whose things they are."""
        return self.holdings.scope

    @property
    def rules(self) -> Rules:
        """The bounds that are set."""
        return self.settings.rules(self.scope)

    @property
    def fleets(self) -> Fleets:
        """The scope's fleets."""
        return Fleets(self)

    @property
    def plans(self) -> Plans:
        """The scope's plans."""
        return Plans(self)

    @property
    def packaging_jobs(self) -> Jobs:
        """The scope's packaging jobs."""
        return Jobs(self, "Edge packaging job", "edge-packaging-job", listings.PACKAGING_JOBS, self.holdings.packages)

    @property
    def compilation_jobs(self) -> Jobs:
        """The scope's compilation jobs."""
        return Jobs(self, "Compilation job", "compilation-job", listings.COMPILATION_JOBS, self.holdings.compilations)

    @property
    def tags(self) -> Tags:
        """The tags of the scope's resources."""
        return Tags(self)

    def fleet_named(self, name: str) -> Fleet:
        """The fleet of that name, made up on first use unless references are strict."""
        if name not in self.holdings.fleets and not self.settings.strict_references:
            self.holdings.make_up(name, self.settings, self.now)
        return self.fleets.find(name)

    def packaging_job_named(self, name: str) -> JobView:
        """The packaging job of that name, made up on first use unless references are strict."""
        if name not in self.holdings.packages and not self.settings.strict_references:
            self.holdings.make_up_package(name, self.now)
        return self.packaging_jobs.find(name)

    def refer_to_devices(self, fleet: str, named: Sequence[str]) -> None:
        """Make up devices that a fleet lacks, or refuse them when references are strict."""
        found = self.holdings.fleets[fleet]
        if self.settings.strict_references:
            check_devices(named, found.devices)
        elif missing := [name for name in dict.fromkeys(named) if name not in found.devices]:
            found.register((Device(name, self.now) for name in missing), self.now)

    def packages(self, models: Sequence[Mapping[str, str]]) -> Sequence[Model]:
        """The models that a plan refers to; packaging jobs that nobody created will do unless references are strict."""
        if self.settings.strict_references:
            return models_of(models, self.packaging_jobs.packaged())
        return [{"handle": model["ModelHandle"], "job": model["EdgePackagingJobName"]} for model in models]

    def compiled(self, job: str) -> str:
        """What a compilation job ended with; one that nobody created will do unless references are strict."""
        if job not in self.holdings.compilations and not self.settings.strict_references:
            return f"{self.holdings.bucket}/{job}"
        return source_of(self.compilation_jobs.find(job))


@dataclass(frozen=True)
class Fleets:
    """Fleets and their devices, none of which sends heartbeats."""

    call: Call

    def find(self, name: str) -> Fleet:
        """A fleet by name."""
        fleet = self.call.holdings.fleets.get(name)
        if fleet is None:
            raise not_found("Device fleet", name)
        return fleet

    def create(self, name: str, details: Wanted, tags: Mapping[str, str], now: float) -> None:
        """A fleet without devices."""
        fleets = self.call.holdings.fleets
        if name in fleets:
            raise exists("Device fleet", name)
        fleets[name] = Fleet(name, self.call.scope.arn("device-fleet", name), now, now, dict(details), dict(tags))

    def change(self, name: str, details: Wanted, now: float) -> None:
        """Other details; those that are not named stay."""
        fleet = self.find(name)
        fleet.details, fleet.modified = fleet.details | dict(details), now

    def delete(self, name: str) -> None:
        """A fleet that no plan uses, with its devices."""
        fleet = self.find(name)
        user = next((plan.name for plan in self.call.holdings.plans.values() if plan.target is fleet), None)
        if user is not None:
            raise fleet_in_use(name, user)
        del self.call.holdings.fleets[name]

    def page(self, wanted: Wanted) -> tuple[list[Fleet], str | None]:
        """A page of fleets."""
        return _listed(self.call, self.call.holdings.fleets.values(), listings.FLEETS, wanted)

    def register(self, name: str, devices: Sequence[Wanted], now: float) -> None:
        """Add devices. One that is registered already gets the new description."""
        fleet = self.find(name)
        known = fleet.devices
        fleet.register(
            [
                Device(
                    device["DeviceName"],
                    known[device["DeviceName"]].registered if device["DeviceName"] in known else now,
                    device.get("Description"),
                    device.get("IotThingName"),
                )
                for device in devices
            ],
            now,
        )

    def describe_devices(self, name: str, devices: Sequence[Wanted], now: float) -> None:
        """Other descriptions and things of registered devices; what is not named stays."""
        fleet = self.find(name)
        check_devices([device["DeviceName"] for device in devices], fleet.devices)
        for device in devices:
            known = fleet.devices[device["DeviceName"]]
            fleet.devices[known.name] = known._replace(
                description=device.get("Description", known.description), thing=device.get("IotThingName", known.thing)
            )
        fleet.modified = now

    def deregister(self, name: str, devices: Sequence[str], now: float) -> None:
        """Let devices go; those of a stage that was started stay in its counts."""
        fleet = self.find(name)
        for device in devices:
            fleet.devices.pop(device, None)
        fleet.touch(now)

    def device(self, fleet: str, name: str) -> DeviceView:
        """A registered device."""
        found = self.find(fleet)
        if name not in found.devices:
            raise not_found("Device", name)
        return _view(found, found.devices[name])

    def device_page(self, wanted: Wanted) -> tuple[list[DeviceView], str | None]:
        """A page of the devices of one fleet or of all; none reported a model, or anything lately."""
        name = wanted.get("DeviceFleetName")
        fleets = self.call.holdings.fleets.values() if name is None else [self.find(name)]
        if "LatestHeartbeatAfter" in wanted or "ModelName" in wanted:
            fleets = []
        devices = [(fleet, device) for fleet in fleets for device in fleet.devices.values()]
        cap = self.call.settings.page_size
        found, token = page(devices, lambda item: [item[0].name, item[1].name], wanted, cap=cap)
        return [_view(*item) for item in found], token

    def agents(self, fleet: Fleet, since: float) -> list[tuple[str | None, int, int]]:  # noqa: ARG002
        """All devices, of no agent version and never heard of."""
        return [(None, len(fleet.devices), 0)]

    def reported(self, fleet: Fleet) -> list[Any]:  # noqa: ARG002
        """Nothing."""
        return []


@dataclass(frozen=True)
class Plans:
    """Plans and their stages; a plan's id is its name."""

    call: Call

    def find(self, name: str) -> Plan | None:
        """A plan, if there is one."""
        holdings = self.call.holdings
        return holdings.history.plan(name, self.call.now) if self.call.lag else holdings.plans.get(name)

    def count(self) -> int:
        """How many there are."""
        return len(self.call.holdings.plans)

    def page(self, wanted: Wanted) -> tuple[list[Plan], str | None]:
        """A page of plans."""
        holdings, now = self.call.holdings, self.call.now
        plans = holdings.history.plans(now) if self.call.lag else holdings.plans.values()

        def value(plan: Plan, name: str) -> Any:
            return self.modified(plan, now) if name == "modified" else getattr(plan, name)

        return _listed(self.call, plans, listings.PLANS, wanted, value)

    def create(self, name: str, fleet: Fleet, models: Sequence[Model], tags: Mapping[str, str], now: float) -> str:
        """A plan without stages; its id."""
        arn = self.call.scope.arn("edge-deployment", name)
        self.call.holdings.plans[name] = Plan(name, arn, fleet, models, now, now, tags=dict(tags))
        return name

    def append(self, plan: str, stages: Iterable[tuple[str, Wanted, str]], now: float) -> None:
        """Add stages: name, selection and policy."""
        self.call.holdings.plans[plan].stages += [Stage.create(*stage, now, self.call.settings) for stage in stages]

    def touch(self, plan: str, now: float) -> None:
        """Note a change by a call."""
        self.call.holdings.plans[plan].touch(now)

    def modified(self, plan: Plan, now: float) -> float:
        """When a plan changed last: by a call, or in a stage's status."""
        return plan.last_modified(now, self.call.settings)

    def stages(self, plans: Sequence[str]) -> dict[str, list[Stage]]:
        """The stages of plans, in order."""
        return {name: plan.stages for name in plans if (plan := self.find(name)) is not None}

    def counts(self, plan: Plan, stages: Sequence[Stage], now: float) -> list[Counts]:  # noqa: ARG002  they are the plan's
        """Devices by outcome, of each stage."""
        return plan.counts(now)

    def lock_stage(self, plan: Plan, name: str) -> Stage | None:
        """A stage, if there is one."""
        return plan.stage(name)

    def start(self, plan: Plan, stage: Stage, stages: Sequence[Stage], now: float) -> None:
        """Start a stage on the devices that it has at this moment, or again on those that did not succeed."""
        devices = plan.allocation()[stages.index(stage)]
        stage.start(devices, self.call.world.failure_of(plan.name, stage.name), now, self.call.settings)

    def stop(self, stage: Stage, now: float) -> None:
        """Let no more devices answer."""
        stage.stop(now, self.call.settings)

    def delete(self, plan: Plan, stages: Sequence[Stage]) -> None:  # noqa: ARG002  they go with it
        """Remove a plan and its stages."""
        del self.call.holdings.plans[plan.name]

    def delete_stage(self, plan: Plan, stage: Stage) -> None:
        """Remove a stage."""
        plan.stages.remove(stage)

    def device_page(
        self, plan: Plan, stage: Stage, stages: Sequence[Stage], wanted: Wanted
    ) -> tuple[list[StageDevice], str | None]:
        """A page of a stage's devices."""
        now, allocation = self.call.now, plan.allocation()
        deployed: dict[str, str] = {}
        for other, devices in zip(stages, allocation, strict=True):
            if other.attempt is not None:
                each = enumerate(devices)
                deployed.update((name, other.name) for i, name in each if other.device_status(i, now) == "DEPLOYED")
        numbered = list(enumerate(allocation[stages.index(stage)]))
        if wanted.get("ExcludeDevicesDeployedInOtherStage"):
            numbered = [(i, name) for i, name in numbered if deployed.get(name, stage.name) == stage.name]
        found, token = page(numbered, lambda item: [item[0]], wanted, cap=self.call.settings.page_size)

        def view(number: int, name: str) -> StageDevice:
            status, device = stage.device_status(number, now), plan.target.devices.get(name)
            deployment = Deployed(status, stage.failure if status == "FAILED" else None)
            return StageDevice(name, device and device.description, deployment, deployed.get(name))

        return [view(*item) for item in found], token


@dataclass(frozen=True)
class Jobs:
    """The jobs of one kind, over after a set time."""

    call: Call
    title: str
    kind: str
    listing: Listing
    held: dict[str, Job]

    def find(self, name: str) -> JobView:
        """A job by name."""
        return self._find(name).seen(self.call.now)

    def create(self, name: str, details: Wanted, tags: Mapping[str, str], now: float, **more: Any) -> str:
        """A job that has begun; its ARN."""
        if name in self.held:
            raise exists(self.title, name)
        ends, arn = later(now, self.call.settings.packaging_duration), self.call.scope.arn(self.kind, name)
        self.held[name] = Job(name, arn, now, ends, dict(details), dict(tags), **more)
        return arn

    def stop(self, name: str, now: float) -> None:
        """Stop a job; one that is over stays as it ended."""
        self._find(name).stop(now)

    def page(self, wanted: Wanted) -> tuple[list[JobView], str | None]:
        """A page of jobs."""
        jobs = [job.seen(self.call.now) for job in self.held.values()]
        if status := wanted.get("StatusEquals"):
            jobs = [job for job in jobs if job.status == status]
        return _listed(self.call, jobs, self.listing, wanted)

    def packaged(self) -> dict[str, Packaged]:
        """All of them, as far as plans need them."""
        jobs = (job.seen(self.call.now) for job in self.held.values())
        return {job.name: Packaged(job.status, job.artifact, UNFETCHED, job.model, job.version) for job in jobs}

    def _find(self, name: str) -> Job:
        job = self.held.get(name)
        if job is None:
            raise not_found(self.title, name)
        return job


@dataclass(frozen=True)
class Tags:
    """The tags of whatever has an ARN."""

    call: Call

    def find(self, arn: str) -> Plan | Fleet | Job:
        """The resource with an ARN, and its tags."""
        holdings = self.call.holdings
        kinds: dict[str, Mapping[str, Plan | Fleet | Job]] = {
            "edge-deployment": holdings.plans,
            "device-fleet": holdings.fleets,
            "edge-packaging-job": holdings.packages,
            "compilation-job": holdings.compilations,
        }
        kind, name = self.call.scope.subject(arn) or ("", "")
        resource = kinds.get(kind, {}).get(name)
        if resource is None:
            raise self.call.rules.missing("Resource", arn)
        return resource

    def put(self, resource: Plan | Fleet | Job, tags: Mapping[str, str]) -> None:
        """Have these tags and no others."""
        resource.tags = dict(tags)
        if self.call.settings.last_modified_with_tags and isinstance(resource, Plan):
            resource.modified = self.call.now
            self.call.holdings.note(resource.name, self.call.now)


class DeviceView(NamedTuple):
    """A device with its fleet's name and ARN."""

    name: str
    fleet: str
    fleet_arn: str
    description: str | None
    thing: str | None
    registered: float
    heartbeat: float | None = None
    agent: str | None = None
    models: list[dict[str, Any]] | None = None


class Deployed(NamedTuple):
    """How far a device of a stage is."""

    status: str
    status_message: str | None


class StageDevice(NamedTuple):
    """A device of a stage; `deployed` names the last stage of the plan that deployed to it."""

    name: str
    description: str | None
    deployment: Deployed
    deployed: str | None


def _view(fleet: Fleet, device: Device) -> DeviceView:
    return DeviceView(device.name, fleet.name, fleet.arn, device.description, device.thing, device.registered)


def _listed(
    call: Call,
    items: Iterable[Item],
    listing: Listing,
    wanted: Wanted,
    value: Callable[[Item, str], Any] = getattr,
) -> tuple[list[Item], str | None]:
    """The page of a listing that was asked for, with its filters and in its order."""
    order, descending = listing.order(wanted), listings.is_descending(wanted)
    bounds = [
        (name, moment)
        for name, moment in listings.TIMES.items()
        if f"{name}After" in wanted or f"{name}Before" in wanted
    ]

    def fits(item: Item) -> bool:
        return all(wanted.get(name, "") in value(item, part) for name, part in listing.parts.items()) and all(
            wanted.get(f"{name}After", float("-inf")) < value(item, moment) < wanted.get(f"{name}Before", float("inf"))
            for name, moment in bounds
        )

    def key(item: Item) -> list[Any]:
        return [value(item, name) for name in order]

    fitting = [item for item in items if fits(item)]
    return page(fitting, key, wanted, cap=call.settings.page_size, descending=descending)
