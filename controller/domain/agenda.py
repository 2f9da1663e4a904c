"""Whether a wake-up means work: the first question of every reconcile, answered without a call to anything."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.domain.resource import InvalidSpec, Resource


class Wake(StrEnum):
    """Why an object was woken, beside a watch event or its own timer."""

    DRIFT = "drift"  # the sweep saw that AWS changed
    AUDIT = "audit"  # the slow check of tags is due
    QUOTA = "quota"  # the quota queue moved
    NAME = "name"  # the object that held the plan's name went


@dataclass(frozen=True)
class Rest:
    """Nothing to do until then, or until something happens."""

    until: datetime | None = None


@dataclass(frozen=True)
class Work:
    """Observe, decide, apply, summarize."""


def agenda(resource: Resource, wakes: frozenset[Wake], now: datetime) -> Rest | Work:
    """Whether there is work: an edit or a request is taken up at once, a retry waits for its time."""
    if resource.deleting and not resource.has_finalizer:
        return Rest()
    status = resource.status
    if resource.generation != status.observed_generation or resource.asked or wakes:
        return Work()
    if status.retry is not None and status.retry.next_attempt_time > now:
        return Rest(status.retry.next_attempt_time)
    if resource.deleting or status.is_true("Reconciling"):
        return Work()
    if status.edge_deployment_plan_arn is not None and resource.has_finalizer != _wants_finalizer(resource):
        return Work()  # somebody took it off: a replace does
    stalled = status.condition("Stalled")
    if stalled is not None and stalled.reason == "NameConflict":
        return Work()  # costs no AWS call, and the holder may have gone while the operator was down
    return Rest()


def _wants_finalizer(resource: Resource) -> bool:
    """Whether the object should have our finalizer; as it is where the spec does not say."""
    spec = resource.spec
    return resource.has_finalizer if isinstance(spec, InvalidSpec) or spec.suspend else spec.deletes
