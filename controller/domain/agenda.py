"""Whether a wake-up means work: the first question of every reconcile, answered without a call to anything."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.domain.reasons import Reason
from controller.domain.resource import InvalidSpec, Resource
from controller.domain.schedule import LONGEST, OWN_ACCORD, STAGE_POLL, stage_poll
from controller.domain.stage import MEANING


class Wake(StrEnum):
    """Why an object was woken, beside a watch event or its own timer."""

    DRIFT = "drift"  # the sweep saw that AWS changed
    MOVED = "moved"  # the sweep saw that a stage under way moved on
    AUDIT = "audit"  # the slow check of tags is due
    QUOTA = "quota"  # the quota queue moved
    NAME = "name"  # the object that held the plan's name went
    RIGHTS = "rights"  # what its namespace may do is, or may be, something else by now
    CREDENTIALS = "credentials"  # AWS takes the account's credentials again


# Longer than it takes to let some thousand others go first, and short against the time in which all is audited (1 h).
_PATIENCE = {Wake.AUDIT: timedelta(minutes=5), Wake.DRIFT: timedelta(seconds=10)}


def patience(wakes: Iterable[Wake]) -> timedelta:
    """How much younger ones go before an object that was woken for these reasons; for none, the watch brought news."""
    return min((_PATIENCE.get(wake, OWN_ACCORD) for wake in wakes), default=timedelta(0))


@dataclass(frozen=True)
class Rest:
    """Nothing to do for so long, or until something happens."""

    after: timedelta | None = None


@dataclass(frozen=True)
class Work:
    """Observe, decide, apply, summarize."""


def agenda(
    resource: Resource, wakes: frozenset[Wake], now: datetime, process: str = "", due: timedelta | None = None
) -> Rest | Work:
    """Whether there is work: an edit or a request is taken up at once, a retry waits for its time.

    `due` is when this process wanted to look again, by a clock that does not jump; only where it has none, after a restart
    say, does the time in the status count.
    """
    if resource.deleting and not resource.has_finalizer:
        return Rest()
    status = resource.status
    claim = status.claim
    if claim is not None and claim.by != process and timedelta(0) < claim.until - now < LONGEST:
        return Rest(claim.until - now)
    if resource.edited or resource.asked or wakes:
        return Work()
    if due is not None and due > timedelta(0):
        return Rest(due)
    left = status.retry.next_attempt_time - now if due is None and status.retry is not None else timedelta(0)
    if timedelta(0) < left < LONGEST:  # what is further away than any retry is due: the clock jumped
        return Rest(left)
    if resource.deleting or status.is_true("Reconciling") or claim is not None or guard(resource, now) is not None:
        return Work()
    if status.edge_deployment_plan_arn is not None and resource.has_finalizer != _wants_finalizer(resource):
        return Work()  # somebody took it off: a replace does
    stalled = status.condition("Stalled")
    if stalled is not None:
        # Costs no AWS call, and the holder may have gone while the operator was down.
        reason = Reason.of(stalled.reason)
        return Work() if reason is not None and reason.ends_when_the_name_is_free else Rest()
    ready = status.condition("Ready")
    if ready is None or next_look(resource, now) is None or ready.reason == Reason.SUSPENDED:
        return Rest()
    left = STAGE_POLL - (now - ready.last_transition_time)
    return Rest(left) if timedelta(0) < left <= STAGE_POLL else Work()  # a moment to come: the clock was set back


def guard(resource: Resource, now: datetime, crowd: int = 0) -> timedelta | None:
    """How soon stages that run are looked at for the bounds of the rollout, whatever else holds the plan up.

    None where nothing is bounded; how often it is looked at beside a `crowd` of others, `stage_poll` says.
    """
    spec = resource.readable_spec
    if spec.rollout is None or not spec.rollout.bounded or spec.suspend or not spec.manages:
        return None
    running = [stage for stage in resource.status.stages or () if MEANING[stage.status].stoppable]
    return min((stage_poll(stage.start_time, now, crowd) for stage in running), default=None)


def next_look(resource: Resource, now: datetime) -> timedelta | None:
    """When stages that are CREATING are looked at again, after a look; no listing need tell that they are ready."""
    ready = resource.status.condition("Ready")
    if ready is None or not any(stage.status == "CREATING" for stage in resource.status.stages or ()):
        return None
    return stage_poll(ready.last_transition_time, now)


def _wants_finalizer(resource: Resource) -> bool:
    """Whether the object should have our finalizer; as it is where the spec does not say."""
    spec = resource.spec
    return resource.has_finalizer if isinstance(spec, InvalidSpec) or spec.suspend else spec.deletes
