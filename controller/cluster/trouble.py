"""Trouble with calls that are made again every second or two, as the log tells it: when it begins and when it has ended.

The rule is that of `operator/outages.py`: a warning for each kind of trouble, not for each try, and the end once nothing
has failed for ten seconds.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from controller.cluster.connection import status_of
from controller.engine.ports import ObjectError

logger = logging.getLogger(__name__)

_CALM = timedelta(seconds=10)


class Trouble:
    """What keeps failing of one subject, several calls perhaps. Told of each call, it logs what is new."""

    def __init__(self, subject: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._subject = subject
        self._clock = clock
        self._told: set[tuple[type[ObjectError], int | None]] = set()
        self._first = self._last = 0.0
        self._calls = 0

    def failed(self, error: ObjectError) -> None:
        """A call failed."""
        self._last = self._clock()
        if not self._told:
            self._first, self._calls = self._last, 0
        self._calls += 1
        kind = (type(error), status_of(error))  # by its words each error may be another one
        if kind not in self._told:
            self._told.add(kind)
            logger.warning("%s", error)

    def worked(self) -> None:
        """A call worked."""
        if not self._told or self._clock() - self._last < _CALM.total_seconds():
            return
        self._told.clear()
        took = timedelta(seconds=round(self._last - self._first))
        logger.info("%s: works again, after %s and %d failed calls", self._subject, took, self._calls)
