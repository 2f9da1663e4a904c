"""Whether a wake-up means work: the first question of every reconcile, answered without a call to anything."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.domain.resource import InvalidSpec, Plan


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


def agenda(plan: Plan, wakes: frozenset[Wake], now: datetime) -> Rest | Work:
    """Whether there is work: an edit or a request is taken up at once, a retry waits for its time."""
    if plan.deleting and not plan.held:
        return Rest()
    status = plan.status
    if plan.generation != status.observed_generation or plan.asked or wakes:
        return Work()
    if status.retry is not None and status.retry.next_attempt_time > now:
        return Rest(status.retry.next_attempt_time)
    if plan.deleting or status.is_true("Reconciling"):
        return Work()
    if status.edge_deployment_plan_arn is not None and plan.held != _wants_finalizer(plan):
        return Work()  # somebody took it off: a replace does
    stalled = status.condition("Stalled")
    if stalled is not None and stalled.reason == "NameConflict":
        return Work()  # costs no AWS call, and the holder may have gone while the operator was down
    return Rest()


def _wants_finalizer(plan: Plan) -> bool:
    """Whether the object should have our finalizer; as it is where the spec does not say."""
    spec = plan.spec
    return plan.held if isinstance(spec, InvalidSpec) or spec.suspend else spec.deletes
