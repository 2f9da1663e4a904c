"""A keyed queue: at most one worker per key, wake-ups that come while it works are not lost, and each key has one timer.

The semantics are those of client-go's rate-limited workqueue; the work runs as asyncio tasks, not in a fixed pool, so
that a thousand objects that wait cost nothing.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from controller.domain.agenda import Wake
from controller.domain.failures import backoff
from controller.domain.resource import Key

logger = logging.getLogger(__name__)

Work = Callable[[Key, frozenset[Wake]], Awaitable[timedelta | None]]


class WorkQueue:
    """Runs `work` for keys that are woken, `concurrency` at a time, in the order of their wake-ups."""

    def __init__(self, work: Work, *, concurrency: int) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(concurrency)
        self._wakes: dict[Key, set[Wake]] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._closed = False

    def wake(self, key: Key, *wakes: Wake) -> None:
        """Have the key worked on now, or once more after the work under way."""
        if self._closed:
            return
        self._wakes.setdefault(key, set()).update(wakes)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"reconcile {key}")

    async def drain(self, patience: timedelta) -> bool:
        """Take no more work and let what is under way finish; False when it did not within `patience`."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        tasks = set(self._tasks.values())
        if not tasks:
            return True
        _, late = await asyncio.wait(tasks, timeout=patience.total_seconds())
        return not late

    def __len__(self) -> int:
        return len(self._tasks)

    async def _run(self, key: Key) -> None:
        after: timedelta | None = None
        try:
            while key in self._wakes:
                async with self._slots:
                    if self._closed:
                        return
                    after = await self._once(key, frozenset(self._wakes.pop(key)))
        finally:
            del self._tasks[key]
        if after is not None and not self._closed:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(max(0.0, after.total_seconds()), self._due, key)

    def _due(self, key: Key) -> None:
        del self._timers[key]
        self.wake(key)

    async def _once(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        """One run; a failure of the Kubernetes API, or a bug, backs off and keeps the reason for the wake-up."""
        try:
            after = await self._work(key, wakes)
        except Exception as error:
            attempts = self._failures[key] = self._failures.get(key, 0) + 1
            delay = backoff(attempts, random.random())  # noqa: S311 - jitter, no secret
            logger.warning("%s: %s; again in %.1f s", key, error, delay.total_seconds(), exc_info=attempts == 1)
            if wakes:
                # Kept for the retry: a drift wake that met a failing API server must still be acted upon.
                asyncio.get_running_loop().call_later(delay.total_seconds(), self.wake, key, *wakes)
            return delay
        self._failures.pop(key, None)
        return after
