"""A call on its way through an operation, and the table that operations enter themselves in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_manager.store.fleets import Fleets
from edge_manager.store.jobs import CompilationJobs, PackagingJobs
from edge_manager.store.plans import Plans

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from edge_manager.domain.rules import Rules
    from edge_manager.domain.scope import Scope
    from edge_manager.store.caches import Caches
    from edge_manager.store.devices import Beat, Fetch

    Function = Callable[["Call", dict[str, Any]], "Result | Pending | None"]

Result = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """Where and when an operation works: within one transaction."""

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


@dataclass(frozen=True)
class Pending:
    """A device's write that is to share a transaction with others, and the answer once it is on disk."""

    item: Beat | Fetch
    answer: Result


class Operation(NamedTuple):
    """An operation of the API."""

    function: Function
    writes: bool
    service: str


OPERATIONS: dict[str, Operation] = {}


def _register(*, writes: bool, service: str = "sagemaker") -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        OPERATIONS[function.__name__.title().replace("_", "")] = Operation(function, writes, service)
        return function

    return register


# Each enters a function as the operation of its name: `list_tags` is `ListTags`.
reads = _register(writes=False)
writes = _register(writes=True)
device_reads = _register(writes=False, service="sagemaker-edge")
