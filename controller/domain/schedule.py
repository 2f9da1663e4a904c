"""How often to look while AWS is at work."""

from datetime import datetime, timedelta

AT_ONCE = timedelta(0)
STAGE_POLL = timedelta(seconds=2)
SLOWEST_STAGE_POLL = timedelta(seconds=30)


def stage_poll(started: datetime | None, now: datetime) -> timedelta:
    """How long until a stage under way is looked at again: a tenth of the time that it has taken, 2 to 30 s.

    What is over in seconds is seen in seconds, and a deployment of hours costs two calls a minute.
    """
    if started is None:
        return STAGE_POLL
    return max(STAGE_POLL, min(SLOWEST_STAGE_POLL, (now - started) / 10))
