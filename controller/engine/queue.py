"""A keyed queue: at most one worker per key, wake-ups that come while it works are not lost, and each key has one timer.

Who has waited longest is next, but a wake-up that can wait counts as one that came later: so what people wait for goes
before what the operator does by itself, and that has its turn all the same.

The semantics are those of client-go's rate-limited workqueue. `Line` has the rules, and knows neither clock nor asyncio;
`WorkQueue` runs the work as asyncio tasks.
"""

import asyncio
import heapq
import logging
import math
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from controller.domain.agenda import Wake, patience
from controller.domain.resource import Key
from controller.domain.schedule import OWN_ACCORD, backoff
from controller.engine.ports import EdgePlanError

logger = logging.getLogger(__name__)

Work = Callable[[Key, frozenset[Wake]], Awaitable[timedelta | None]]


@dataclass
class _Waiting:
    """One that waits in a lane; the lane may be another by the next wake-up."""

    lane: Hashable
    turn: float = math.inf
    wakes: set[Wake] = field(default_factory=set)


class Line:
    """Who is waiting, who is worked on, and who is due when. All moments are seconds of one monotonic clock.

    Every lane has `limit` places of its own: an account that does not answer holds up nobody in another one.
    """

    def __init__(self, *, limit: int, lane: Callable[[Key], Hashable]) -> None:
        self._limit = limit
        self._lane = lane
        self._waiting: dict[Key, _Waiting] = {}
        self._turns: dict[
            Hashable, list[tuple[float, int, Key]]
        ] = {}  # a heap a lane; who got an earlier turn is twice in
        self._arrivals = count()
        self._working: dict[Key, Hashable] = {}
        self._busy: dict[Hashable, int] = {}
        self._again: dict[Key, set[Wake]] = {}  # woken while it was worked on
        self._timers: dict[Key, tuple[float, frozenset[Wake]]] = {}
        self._due: list[tuple[float, Key]] = []  # a heap of the timers, and of those that are over
        self._failures: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._working) + len(self._waiting)

    def wake(self, key: Key, *wakes: Wake, now: float) -> None:
        """Have the key worked on as soon as it is its turn, or once more after the work under way."""
        if key in self._working:
            self._again.setdefault(key, set()).update(wakes)
        else:
            self._enter(key, now + patience(wakes).total_seconds(), wakes)

    def start(self, now: float) -> list[tuple[Key, frozenset[Wake]]]:
        """Who is to be worked on now, and why each was woken."""
        while self._due and self._due[0][0] <= now:
            due, key = heapq.heappop(self._due)
            if self._timers.get(key, (None,))[0] == due:
                self._enter(key, due + OWN_ACCORD.total_seconds(), ())
        started = []
        for lane, turns in tuple(self._turns.items()):
            while turns and self._busy.get(lane, 0) < self._limit:
                turn, _, key = heapq.heappop(turns)
                waiting = self._waiting.get(key)
                if waiting is None or (waiting.lane, waiting.turn) != (lane, turn):
                    continue
                del self._waiting[key]
                started.append((key, frozenset(waiting.wakes)))
                self._working[key] = lane
                self._busy[lane] = self._busy.get(lane, 0) + 1
            if not turns:
                del self._turns[lane]
        return started

    def finish(self, key: Key, now: float, after: timedelta | None) -> None:
        """The work is done; the key is due again after `after`, if at all."""
        self._failures.pop(key, None)
        self._end(key, now, after, frozenset())

    def fail(self, key: Key, now: float, wakes: frozenset[Wake], dice: float) -> tuple[int, timedelta]:
        """The work failed: it backs off and keeps the reasons for the wake-up. How often it did, and for how long."""
        attempts = self._failures[key] = self._failures.get(key, 0) + 1
        delay = backoff(attempts, dice)
        self._end(key, now, delay, wakes)
        return attempts, delay

    def next_due(self) -> float | None:
        """When the next timer ends."""
        while self._due and self._timers.get(self._due[0][1], (None,))[0] != self._due[0][0]:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _end(self, key: Key, now: float, after: timedelta | None, wakes: frozenset[Wake]) -> None:
        lane = self._working.pop(key)
        self._busy[lane] -= 1
        if not self._busy[lane]:
            del self._busy[lane]
        again = self._again.pop(key, None)
        if again is not None:
            self._enter(key, now + patience(again).total_seconds(), again | wakes)
        elif after is not None:
            due = now + max(0.0, after.total_seconds())
            self._timers[key] = (due, wakes)
            heapq.heappush(self._due, (due, key))

    def _enter(self, key: Key, turn: float, wakes: Iterable[Wake]) -> None:
        """Have the key wait for its turn, at the latest then; its timer is over."""
        _, kept = self._timers.pop(key, (0.0, frozenset[Wake]()))
        waiting = self._waiting.get(key) or _Waiting(self._lane(key))
        self._waiting[key] = waiting
        waiting.wakes.update(wakes, kept)
        if turn < waiting.turn:
            waiting.turn = turn
            heapq.heappush(self._turns.setdefault(waiting.lane, []), (turn, next(self._arrivals), key))


class WorkQueue:
    """Runs `work` for keys that are woken, `concurrency` at a time in each lane."""

    def __init__(self, work: Work, *, concurrency: int, lane: Callable[[Key], Hashable] = lambda _key: None) -> None:
        self._work = work
        self._line = Line(limit=concurrency, lane=lane)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._starting = False
        self._closed = False

    def __len__(self) -> int:
        return len(self._line)

    def wake(self, key: Key, *wakes: Wake) -> None:
        """Have the key worked on now, or once more after the work under way; wake-ups of one moment are one run."""
        self._line.wake(key, *wakes, now=asyncio.get_running_loop().time())
        if not self._starting and not self._closed:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start)

    async def drain(self, patience: timedelta) -> bool:
        """Take no more work and let what is under way finish; False when it did not within `patience`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if not self._tasks:
            return True
        _, late = await asyncio.wait(set(self._tasks), timeout=patience.total_seconds())
        return not late

    def _start(self, moment: float = 0.0) -> None:
        """Start what is due. `moment` is the timer's own: asyncio may call a little before it."""
        self._starting = False
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        for key, wakes in self._line.start(max(moment, loop.time())):
            task = loop.create_task(self._run(key, wakes), name=f"reconcile {key}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._timer is not None:
            self._timer.cancel()
        due = self._line.next_due()
        self._timer = loop.call_at(due, self._start, due) if due is not None else None

    async def _run(self, key: Key, wakes: frozenset[Wake]) -> None:
        """One run; a failure of the Kubernetes API, or a bug, backs off."""
        loop = asyncio.get_running_loop()
        try:
            after = await self._work(key, wakes)
        except Exception as error:
            attempts, delay = self._line.fail(key, loop.time(), wakes, random.random())  # noqa: S311 - jitter
            trace = attempts == 1 and not isinstance(error, EdgePlanError)
            logger.warning("%s: %s; again in %.1f s", key, error, delay.total_seconds(), exc_info=trace)
        else:
            self._line.finish(key, loop.time(), after)
        self._start()
