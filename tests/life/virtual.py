"""An event loop without waiting: its time goes on only where a test says so, and jumps from timer to timer.

Nothing is ready but by the program itself, so the order of all that happens depends on nothing but the seed.
"""

from __future__ import annotations

import asyncio
import selectors
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

from controller.engine.ports import EdgePlanError
from tests.life.crash import Crash

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

# Turns of the loop at one moment of time after which somebody goes round in circles.
HOT = 20_000

OWNER: ContextVar[object | None] = ContextVar("owner", default=None)
"""Whose work it is: inherited by all tasks and timers that the work leads to."""


class _Nothing(selectors.SelectSelector):
    """No file is ever ready."""

    def select(self, timeout: float | None = None) -> list[Any]:  # noqa: ARG002 - the interface of all selectors
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`run_ready`, `run_for` and `run_until` make steps of any length out of real asyncio tasks and timers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.halted = False
        self.failed: list[BaseException] = []
        """What ended a task or a callback that nobody would have heard of."""
        self._tasks_of: dict[object | None, dict[asyncio.Task[Any], None]] = {}  # in order: a set would go by address
        super().__init__(_Nothing())
        self._clock_resolution = 1e-6
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._failed)

    # -- without files ----------------------------------------------------------------------------------------------

    def _make_self_pipe(self) -> None:
        """Nobody wakes this loop from another thread."""

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    # -- time -------------------------------------------------------------------------------------------------------

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.now

    def jump(self, seconds: float) -> None:
        """Time goes on and nobody gets to do anything: timers in it are late."""
        self.now += seconds

    def halt(self) -> None:
        """End the step under way: something happened that the test has to look at."""
        self.halted = True

    def timers(self) -> Iterator[asyncio.TimerHandle]:
        """All that is to happen later."""
        return (handle for handle in self._scheduled if not handle.cancelled())  # type: ignore[attr-defined]

    def next_moment(self, counts: Callable[[asyncio.TimerHandle], bool] = lambda _handle: True) -> float | None:
        """When the next of the timers that count is due."""
        return min((handle.when() for handle in self.timers() if counts(handle)), default=None)

    # -- steps ------------------------------------------------------------------------------------------------------

    def run_ready(self) -> int:
        """Do all that is to be done at this moment; how many turns of the loop it took."""
        self.halted = False
        turns = 0
        while not self.halted and (self._ready or self._due()):  # type: ignore[attr-defined]
            turns += 1
            if turns > HOT:
                raise AssertionError(f"a hot loop: {asyncio.all_tasks(self)}")
            self.call_soon(self.stop)
            self.run_forever()
        return turns

    def run_until(self, moment: float) -> None:
        """Let time go on until that moment, with all timers in it."""
        while True:
            self.run_ready()
            following = self.next_moment()
            if self.halted or following is None or following > moment:
                break
            self.now = max(self.now, following)
        if not self.halted:
            self.now = max(self.now, moment)
            self.run_ready()

    def run_for(self, seconds: float) -> None:
        """Let so much time go by, with all timers in it."""
        self.run_until(self.now + seconds)

    def run_to_end(self, work: Coroutine[Any, Any, None], context: Context) -> None:
        """Run one coroutine to its end, with all that happens meanwhile; an error of the ports ends it too."""
        task = context.run(self.create_task, work)
        while not task.done():
            self.run_ready()
            if self.halted:
                return
            following = self.next_moment()
            if not task.done():
                assert following is not None, f"{task} waits for what never comes"
                self.now = max(self.now, following)

    # -- whose work it is -------------------------------------------------------------------------------------------

    def kill(self, owner: object) -> None:
        """End all that somebody has under way or has planned."""
        for task in tuple(self._tasks_of.pop(owner, ())):
            task.cancel()
        for handle in list(self.timers()):
            if handle._context.get(OWNER) is owner:  # type: ignore[attr-defined]
                handle.cancel()

    def close(self) -> None:
        """End everything."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.run_ready()
        super().close()

    def _make_task(self, _loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self, **options)
        owner = OWNER.get()
        tasks = self._tasks_of.setdefault(owner, {})
        tasks[task] = None
        task.add_done_callback(lambda _: tasks.pop(task))
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Crash | EdgePlanError):
            self.failed.append(error)
            self.halt()

    def _failed(self, _loop: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        if isinstance(told.get("handle"), asyncio.Handle):  # of tasks, `_done` tells
            self.failed.append(told["exception"])
            self.halt()

    def _due(self) -> bool:
        moment = self.next_moment()
        return moment is not None and moment < self.now + self._clock_resolution
