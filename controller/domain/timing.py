"""How often to look while AWS is at work."""

from datetime import timedelta

STAGE_POLL = timedelta(seconds=5)
AT_ONCE = timedelta(0)
