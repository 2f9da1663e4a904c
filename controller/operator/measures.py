"""What is measured with a memory of its own: waits in the queue, sweeps, and how long the event loop was kept busy."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Histogram

from controller.domain.agenda import Wake
from controller.domain.resource import Key, Scope

WATCH, TIMER = "watch", "timer"
TRIGGERS = (WATCH, TIMER, *Wake)

_WAITS = (0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300)
_PULSE = 0.1
_MINUTE = 60.0


class Waits:
    """Since when each object of the queue could be worked on: woken, or due by its timer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.working = 0
        """How many are being worked on."""
        self._since: dict[Key, tuple[float, str]] = {}
        self._seconds = Histogram(
            "edgeplan_queue_wait_seconds",
            "Time from when an object could be worked on until it was, by what woke it.",
            ["trigger"],
            buckets=_WAITS,
            registry=registry,
        )
        for trigger in TRIGGERS:
            self._seconds.labels(trigger)

    def woken(self, key: Key, wakes: tuple[Wake, ...]) -> None:
        """The object may be worked on from now on, if it could not before."""
        now = time.monotonic()
        known = self._since.get(key)
        if known is None or known[0] > now:
            self._since[key] = (now, wakes[0] if wakes else WATCH)

    def due(self, key: Key, after: timedelta | None) -> None:
        """The object is due again so much later, unless it was woken while it was worked on."""
        if after is not None:
            self._since.setdefault(key, (time.monotonic() + after.total_seconds(), TIMER))

    def started(self, key: Key, wakes: frozenset[Wake]) -> float | None:
        """The object is worked on; for how many seconds it could have been, if that is known."""
        self.working += 1
        since, trigger = self._since.pop(key, (None, TIMER))
        if since is None:  # after a failure, which the queue itself repeats
            return None
        known, waited = min(wakes, default=trigger), max(0.0, time.monotonic() - since)
        self._seconds.labels(known).observe(waited)
        return waited

    def waiting(self) -> list[tuple[float, str]]:
        """For how long, and woken by what, each object waits that could be worked on."""
        now = time.monotonic()
        return [(now - since, trigger) for since, trigger in list(self._since.values()) if since <= now]


@dataclass(frozen=True)
class Swept:
    """The sweeps of one account and region: when the last good one ended, or the first began; how long it took."""

    good: float
    took: float = 0.0


class Sweeps:
    """How the sweeps of each account and region went."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._latest: dict[Scope, Swept] = {}
        self._counted = Counter(
            "edgeplan_sweeps",
            "Sweeps for drift, by how they ended.",
            ["account", "region", "result"],
            registry=registry,
        )

    def begun(self, scope: Scope) -> None:
        """A sweep begins."""
        self._latest.setdefault(scope, Swept(time.monotonic()))
        for result in ("success", "failure"):
            self._counted.labels(*scope, result)

    def ended(self, scope: Scope, seconds: float, *, good: bool) -> None:
        """A sweep ended."""
        self._counted.labels(*scope, "success" if good else "failure").inc()
        if good:
            self._latest[scope] = Swept(time.monotonic(), seconds)

    def ages(self) -> dict[Scope, tuple[float, float]]:
        """Seconds since the last good sweep, and how many it took."""
        now = time.monotonic()
        return {scope: (now - swept.good, swept.took) for scope, swept in list(self._latest.items())}

    def forget(self, scope: Scope) -> None:
        """No object uses that account and region any more, so nothing is swept."""
        self._latest.pop(scope, None)


class LoopWatch:
    """For how long at most something has kept the event loop from everything else, in this minute and the one before."""

    def __init__(self) -> None:
        self._minute = 0
        self._longest, self._before = 0.0, 0.0

    async def run(self) -> None:
        """Look at how late a short sleep ends, for ever."""
        while True:
            begun = time.monotonic()
            await asyncio.sleep(_PULSE)
            now = time.monotonic()
            self._turn(now)
            self._longest = max(self._longest, now - begun - _PULSE)

    def longest(self) -> float:
        """Seconds; a block that lasts is not seen from within, but the scrape is late by it."""
        return max(self._longest, self._before)

    def _turn(self, now: float) -> None:
        minute = int(now / _MINUTE)
        if minute != self._minute:
            self._before = self._longest if minute == self._minute + 1 else 0.0
            self._minute, self._longest = minute, 0.0
