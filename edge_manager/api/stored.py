"""The service's side of `ports`: the things of one scope in the store, within one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_manager.domain.jobs import source_of
from edge_manager.domain.plans import check_devices, models_of
from edge_manager.store import tags
from edge_manager.store.fleets import Fleets
from edge_manager.store.jobs import CompilationJobs, PackagingJobs
from edge_manager.store.plans import Plans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from edge_manager.api.calls import Result
    from edge_manager.domain.deployments import Model
    from edge_manager.domain.rules import Rules
    from edge_manager.domain.scope import Scope
    from edge_manager.store.caches import Caches
    from edge_manager.store.devices import Beat, Fetch
    from edge_manager.store.queries import AnyRow
    from edge_manager.store.tags import Tagged


@dataclass(frozen=True)
class Call:
    """Where and when an operation works. References are strict."""

    db: Connection
    scope: Scope
    now: float
    rules: Rules
    caches: Caches

    @property
    def fleets(self) -> Fleets:
        """The scope's fleets."""
        return Fleets(self.db, self.scope, self.caches)

    @property
    def plans(self) -> Plans:
        """The scope's plans."""
        return Plans(self.db, self.scope, self.caches)

    @property
    def packaging_jobs(self) -> PackagingJobs:
        """The scope's packaging jobs."""
        return PackagingJobs(self.db, self.scope)

    @property
    def compilation_jobs(self) -> CompilationJobs:
        """The scope's compilation jobs."""
        return CompilationJobs(self.db, self.scope)

    @property
    def tags(self) -> Tags:
        """The tags of the scope's resources."""
        return Tags(self.db, self.scope)

    def fleet_named(self, name: str) -> AnyRow:
        """The fleet that a plan refers to."""
        return self.fleets.find(name)

    def packaging_job_named(self, name: str) -> AnyRow:
        """The packaging job that a plan refers to."""
        return self.packaging_jobs.find(name)

    def refer_to_devices(self, fleet: int, named: Sequence[str]) -> None:
        """Refuse devices that a fleet lacks."""
        check_devices(named, self.fleets.registered(fleet, named))

    def packages(self, models: Sequence[Mapping[str, str]]) -> Sequence[Model]:
        """What devices have to fetch for the models that a plan refers to."""
        return models_of(models, self.packaging_jobs.packaged(model["EdgePackagingJobName"] for model in models))

    def compiled(self, job: str) -> str:
        """What a compilation job that a packaging job refers to ended with."""
        return source_of(self.compilation_jobs.find(job))


@dataclass(frozen=True)
class Tags:
    """The tags of whatever has an ARN."""

    db: Connection
    scope: Scope

    def find(self, arn: str) -> Tagged:
        """The resource with an ARN, and its tags."""
        return tags.find(self.db, self.scope, arn)

    def put(self, resource: Tagged, wanted: Mapping[str, str]) -> None:
        """Have these tags and no others."""
        tags.put(self.db, resource, wanted)


@dataclass(frozen=True)
class Pending:
    """A device's write that is to share a transaction with others, and the answer once it is on disk."""

    item: Beat | Fetch
    answer: Result
