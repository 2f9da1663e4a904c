"""What the domain has to know of things, wherever they are kept: rows of a store, or objects in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.stages import Life


class Fleet(Protocol):
    """A fleet, wherever it is kept."""

    @property
    def name(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def created(self) -> float: ...
    @property
    def modified(self) -> float: ...
    @property
    def details(self) -> Mapping[str, Any]: ...


class Device(Protocol):
    """A registered device, wherever it is kept; `fleet` is a name."""

    @property
    def name(self) -> str: ...
    @property
    def fleet(self) -> str: ...
    @property
    def fleet_arn(self) -> str: ...
    @property
    def description(self) -> str | None: ...
    @property
    def thing(self) -> str | None: ...
    @property
    def registered(self) -> float: ...
    @property
    def heartbeat(self) -> float | None: ...
    @property
    def agent(self) -> str | None: ...
    @property
    def models(self) -> Sequence[Mapping[str, Any]] | None: ...


class Reported(Protocol):
    """What a device said last."""

    @property
    def models(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def heartbeat(self) -> float | None: ...


class Plan(Protocol):
    """A plan, wherever it is kept; `fleet` is a name."""

    @property
    def name(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def fleet(self) -> str: ...
    @property
    def fleet_arn(self) -> str: ...
    @property
    def models(self) -> Sequence[Model]: ...
    @property
    def created(self) -> float: ...


class Stage(Protocol):
    """A stage, wherever it is kept; `failure` is what a device said that failed."""

    @property
    def name(self) -> str: ...
    @property
    def selection(self) -> Mapping[str, Any]: ...
    @property
    def policy(self) -> str: ...
    @property
    def life(self) -> Life: ...
    @property
    def started(self) -> float | None: ...
    @property
    def failure(self) -> str | None: ...


class Deployed(Protocol):
    """How far a device of a stage is."""

    @property
    def status(self) -> str: ...
    @property
    def status_message(self) -> str | None: ...


class StageDevice(Protocol):
    """A device of a stage; `deployed` names the last stage of the plan that deployed to it."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str | None: ...
    @property
    def deployment(self) -> Deployed | None: ...
    @property
    def deployed(self) -> str | None: ...


class Job(Protocol):
    """A job, wherever it is kept."""

    @property
    def name(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def details(self) -> Mapping[str, Any]: ...
    @property
    def status(self) -> str: ...
    @property
    def message(self) -> str | None: ...
    @property
    def created(self) -> float: ...
    @property
    def modified(self) -> float: ...


class CompilationJob(Job, Protocol):
    """One that takes what is compiled already."""

    @property
    def ended(self) -> float | None: ...


class PackagingJob(Job, Protocol):
    """One that makes the package that devices fetch."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def artifact(self) -> str | None: ...
