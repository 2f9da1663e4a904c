"""What an operation works on: the things of one scope, in a store or in memory.

The service keeps them in `store/`, with real devices; the sandbox in `sandbox/memory.py`, with simulated ones. What a call
means is the same for both. A thing that one method returns goes into the others of its side, and nobody else looks into it
but by `domain/views.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.rules import Rules
    from edge_manager.domain.scope import Scope
    from edge_manager.domain.stages import Counts

    Wanted = Mapping[str, Any]
    Page = tuple[Sequence[Any], str | None]


class Fleets(Protocol):
    """Fleets and their devices. A name that is not there is refused, as is a second one of a name."""

    def find(self, name: str) -> Any:
        """A fleet by name."""

    def create(self, name: str, details: Wanted, tags: Mapping[str, str], now: float) -> None:
        """A fleet without devices."""

    def change(self, name: str, details: Wanted, now: float) -> None:
        """Other details; those that are not named stay."""

    def delete(self, name: str) -> None:
        """A fleet that no plan uses, with its devices."""

    def page(self, wanted: Wanted) -> Page:
        """A page of fleets."""

    def register(self, name: str, devices: Sequence[Wanted], now: float) -> None:
        """Add devices. One that is registered already gets the new description."""

    def describe_devices(self, name: str, devices: Sequence[Wanted], now: float) -> None:
        """Other descriptions and things of registered devices; what is not named stays."""

    def deregister(self, name: str, devices: Sequence[str], now: float) -> None:
        """Let devices go; those of a stage that was started stay in its counts."""

    def device(self, fleet: str, name: str) -> Any:
        """A registered device."""

    def device_page(self, wanted: Wanted) -> Page:
        """A page of the devices of one fleet or of all."""

    def agents(self, fleet: Any, since: float) -> Iterable[tuple[str | None, int, int]]:
        """Per agent version: devices, and how many of them were heard of since then."""

    def reported(self, fleet: Any) -> Iterable[Any]:
        """What devices report to run, and when."""


class Plans(Protocol):
    """Plans and their stages."""

    def find(self, name: str) -> Any | None:
        """A plan, if there is one."""

    def count(self) -> int:
        """How many there are."""

    def page(self, wanted: Wanted) -> Page:
        """A page of plans."""

    def create(self, name: str, fleet: Any, models: Sequence[Model], tags: Mapping[str, str], now: float) -> Any:
        """A plan without stages; its id."""

    def append(self, plan: Any, stages: Iterable[tuple[str, Wanted, str]], now: float) -> None:
        """Add stages to the plan of an id: name, selection and policy."""

    def touch(self, plan: Any, now: float) -> None:
        """Note a change, by a call, of the plan of an id."""

    def modified(self, plan: Any, now: float) -> float:
        """When a plan changed last."""

    def stages(self, plans: Sequence[Any]) -> Mapping[Any, Sequence[Any]]:
        """The stages of the plans of these ids, in order."""

    def counts(self, plan: Any, stages: Sequence[Any], now: float) -> Sequence[Counts]:
        """Devices by outcome, of each stage: what they answered by now."""

    def lock_stage(self, plan: Any, name: str) -> Any | None:
        """A stage that is about to change, if there is one."""

    def start(self, plan: Any, stage: Any, stages: Sequence[Any], now: float) -> None:
        """Start a stage on the devices that it has at this moment, or again on those that did not succeed."""

    def stop(self, stage: Any, now: float) -> None:
        """Offer a stage to no more devices."""

    def delete(self, plan: Any, stages: Sequence[Any]) -> None:
        """Remove a plan and its stages."""

    def delete_stage(self, plan: Any, stage: Any) -> None:
        """Remove a stage."""

    def device_page(self, plan: Any, stage: Any, stages: Sequence[Any], wanted: Wanted) -> Page:
        """A page of a stage's devices, in the order in which they were registered."""


class Jobs(Protocol):
    """The jobs of one kind. A name that is not there is refused, as is a second one of a name."""

    def find(self, name: str) -> Any:
        """A job by name."""

    def create(self, name: str, details: Wanted, tags: Mapping[str, str], now: float, **more: Any) -> str:
        """A job that waits to be worked on; its ARN."""

    def stop(self, name: str, now: float) -> None:
        """Stop a job; one that is over stays as it ended."""

    def page(self, wanted: Wanted) -> Page:
        """A page of jobs."""


class Tags(Protocol):
    """The tags of whatever has an ARN."""

    def find(self, arn: str) -> Any:
        """The resource with an ARN, and its `tags`."""

    def put(self, resource: Any, tags: Mapping[str, str]) -> None:
        """Have these tags and no others."""


class Call(Protocol):
    """Where and when an operation works."""

    @property
    def scope(self) -> Scope:
        """Whose things they are."""

    @property
    def now(self) -> float:
        """When the call is made."""

    @property
    def rules(self) -> Rules:
        """The installation's bounds."""

    @property
    def fleets(self) -> Fleets:
        """The scope's fleets."""

    @property
    def plans(self) -> Plans:
        """The scope's plans."""

    @property
    def packaging_jobs(self) -> Jobs:
        """The scope's packaging jobs."""

    @property
    def compilation_jobs(self) -> Jobs:
        """The scope's compilation jobs."""

    @property
    def tags(self) -> Tags:
        """The tags of the scope's resources."""

    def fleet_named(self, name: str) -> Any:
        """The fleet that a plan refers to."""

    def packaging_job_named(self, name: str) -> Any:
        """The packaging job that a plan refers to."""

    def refer_to_devices(self, fleet: Any, named: Sequence[str]) -> None:
        """Refuse devices that the fleet of an id lacks, or make them up."""

    def packages(self, models: Sequence[Mapping[str, str]]) -> Sequence[Model]:
        """What devices have to fetch for the models that a plan refers to."""

    def compiled(self, job: str) -> str:
        """What a compilation job that a packaging job refers to ended with."""
