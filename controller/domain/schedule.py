"""When next: every delay of the loop, in one place."""

from datetime import datetime, timedelta

from controller.domain.failures import Failure, FailureKind

STAGE_POLL = timedelta(seconds=2)
SLOWEST_STAGE_POLL = timedelta(seconds=30)
FEW = 5
"""So many plans with stages under way in an account and region are looked at one by one; more, by listing what changed."""
CROWD_POLL = timedelta(seconds=5)
"""How often the listing of what changed comes where there are more."""
OWN_ACCORD = timedelta(seconds=2)
"""How much younger ones go before an object that the operator looks at of its own accord: edits and deletions do."""
DOUBT_POLL = timedelta(seconds=10)
"""How often a plan is looked for that nobody may have made: a create that is carried out late."""
REFERENCE_POLL = timedelta(seconds=30)
"""How often it is asked whether a packaging job is finished that a plan waits for."""
BACKOFF_BASE = timedelta(seconds=1)
BACKOFF_CAP = timedelta(minutes=5)
LONGEST = BACKOFF_CAP * 1.1
"""No wait is longer, whatever the status says: the wall clock may have jumped since it was written."""
_A_LOOK = timedelta(seconds=3)  # with the listings that tell who moved, a thousand plans take under a call a second
_CREDENTIALS_DELAY = timedelta(minutes=5)
_THROTTLED_DELAY = timedelta(seconds=10)
_CAP_EXPONENT = 9  # 2 ** 9 seconds is past the cap; keeps the power small after a thousand attempts


def stage_poll(started: datetime | None, now: datetime, crowd: int = 0) -> timedelta:
    """How long until a stage under way is looked at again: a tenth of the time that it has taken, 2 to 30 s.

    What is over in seconds is seen in seconds, and a deployment of hours costs two calls a minute. Where a `crowd` of plans
    has stages under way, a listing tells who moved, and all of them together are looked at once in three seconds.
    """
    alone = max(STAGE_POLL, min(SLOWEST_STAGE_POLL, (now - started) / 10)) if started is not None else STAGE_POLL
    return max(alone, _A_LOOK * crowd) if crowd > FEW else alone


def backoff(attempts: int, dice: float) -> timedelta:
    """Exponential backoff with full jitter: uniform between 0 and min(5 min, 1 s * 2 ** (attempts - 1)).

    `attempts` counts consecutive failures from 1; `dice` is uniform in [0, 1). The delay is never under 100 ms, so that
    an unlucky draw is no hot loop. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    ceiling: timedelta = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempts - 1, _CAP_EXPONENT))
    return max(timedelta(milliseconds=100), ceiling * dice)


def retry_after(failure: Failure, attempts: int, dice: float) -> timedelta:
    """How long to wait before the call is made again, by the kind of its failure."""
    match failure.kind:
        case FailureKind.CREDENTIALS:
            return _CREDENTIALS_DELAY * (0.9 + 0.2 * dice)
        case FailureKind.THROTTLED:
            return _THROTTLED_DELAY * (0.5 + dice)
        case _:
            return backoff(attempts, dice)


def queue_recheck(dice: float) -> timedelta:
    """How long a plan that waits behind others goes without a look: its place in the message stays true so."""
    return timedelta(seconds=30 + 30 * dice)
