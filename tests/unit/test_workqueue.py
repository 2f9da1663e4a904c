"""The keyed queue: never two at once for one key, no wake-up lost, everything drained. Gates instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.resource import Key
from controller.engine.queue import WorkQueue

A, B = Key("retail", "a"), Key("retail", "b")
NOW = timedelta(0)
LATER = timedelta(hours=1)


class Worker:
    """Work that waits at a gate and notes what it saw."""

    def __init__(self, after: timedelta | None = None) -> None:
        self.gate = asyncio.Event()
        self.runs: list[tuple[Key, frozenset[Wake]]] = []
        self.active: list[Key] = []
        self.most = 0
        self.after = after

    async def __call__(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        assert key not in self.active
        self.active.append(key)
        self.most = max(self.most, len(self.active))
        self.runs.append((key, wakes))
        await self.gate.wait()
        self.active.remove(key)
        return self.after


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(whole())


def test_wake_ups_before_the_work_begins_are_one_run() -> None:
    async def scenario() -> None:
        worker = Worker()
        queue = WorkQueue(worker, concurrency=2)
        worker.gate.set()
        queue.wake(A)
        queue.wake(A, Wake.DRIFT)
        queue.wake(A, Wake.QUOTA)
        await turns()
        assert worker.runs == [(A, frozenset({Wake.DRIFT, Wake.QUOTA}))]
        assert len(queue) == 0

    run(scenario)


def test_wake_ups_during_the_work_are_one_more_run_after_it() -> None:
    async def scenario() -> None:
        worker = Worker()
        queue = WorkQueue(worker, concurrency=2)
        queue.wake(A)
        await turns()
        queue.wake(A, Wake.DRIFT)
        queue.wake(A, Wake.NAME)
        await turns()
        assert worker.runs == [(A, frozenset())]
        worker.gate.set()
        await turns()
        assert worker.runs == [(A, frozenset()), (A, frozenset({Wake.DRIFT, Wake.NAME}))]

    run(scenario)


def test_one_key_is_never_worked_on_twice_at_once() -> None:
    async def scenario() -> None:
        worker = Worker()
        queue = WorkQueue(worker, concurrency=8)
        for _ in range(5):
            queue.wake(A)
            queue.wake(B)
            await turns()
        assert sorted(worker.active) == [A, B]
        worker.gate.set()
        await turns()
        assert worker.most == 2
        assert worker.active == []

    run(scenario)


def test_no_more_keys_than_slots_are_worked_on() -> None:
    async def scenario() -> None:
        worker = Worker()
        queue = WorkQueue(worker, concurrency=3)
        keys = [Key("retail", str(number)) for number in range(10)]
        for key in keys:
            queue.wake(key)
        await turns()
        assert worker.active == keys[:3]
        worker.gate.set()
        await turns()
        assert [key for key, _ in worker.runs] == keys
        assert worker.most == 3

    run(scenario)


def test_key_that_wants_another_look_gets_it_without_a_wake_up() -> None:
    async def scenario() -> None:
        done = asyncio.Event()
        looks: list[frozenset[Wake]] = []

        async def work(_key: Key, wakes: frozenset[Wake]) -> timedelta | None:
            looks.append(wakes)
            if len(looks) == 3:
                done.set()
            return NOW if len(looks) < 3 else None

        WorkQueue(work, concurrency=1).wake(A, Wake.DRIFT)
        await done.wait()
        assert looks == [frozenset({Wake.DRIFT}), frozenset(), frozenset()]

    run(scenario)


def test_wake_up_comes_before_the_timer_and_replaces_it() -> None:
    async def scenario() -> None:
        worker = Worker(after=LATER)
        worker.gate.set()
        queue = WorkQueue(worker, concurrency=1)
        queue.wake(A)
        await turns()
        queue.wake(A, Wake.QUOTA)
        await turns()
        assert worker.runs == [(A, frozenset()), (A, frozenset({Wake.QUOTA}))]
        assert await queue.drain(LATER)

    run(scenario)


def test_failed_work_is_done_again_and_keeps_the_reason_of_its_wake_up(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        done = asyncio.Event()
        looks: list[frozenset[Wake]] = []

        async def work(_key: Key, wakes: frozenset[Wake]) -> timedelta | None:
            looks.append(wakes)
            if len(looks) == 1:
                raise RuntimeError("the API server is away")
            if Wake.DRIFT in wakes:
                done.set()
            return None

        WorkQueue(work, concurrency=1).wake(A, Wake.DRIFT)
        await done.wait()
        assert looks[0] == frozenset({Wake.DRIFT})

    run(scenario)
    assert "the API server is away" in caplog.text


def test_drain_lets_work_finish_and_takes_no_more() -> None:
    async def scenario() -> None:
        worker = Worker(after=NOW)
        queue = WorkQueue(worker, concurrency=1)
        queue.wake(A)
        queue.wake(B)
        await turns()
        draining = asyncio.ensure_future(queue.drain(LATER))
        await turns()
        queue.wake(A, Wake.DRIFT)
        worker.gate.set()
        assert await draining
        await turns()
        assert worker.runs == [(A, frozenset())]
        assert len(queue) == 0

    run(scenario)


def test_drain_says_so_when_work_does_not_finish_in_time() -> None:
    async def scenario() -> None:
        worker = Worker()
        queue = WorkQueue(worker, concurrency=1)
        queue.wake(A)
        await turns()
        assert not await queue.drain(NOW)
        worker.gate.set()
        await turns()
        assert len(queue) == 0

    run(scenario)


def test_drain_of_an_idle_queue_is_done_at_once() -> None:
    async def scenario() -> None:
        assert await WorkQueue(Worker(), concurrency=1).drain(LATER)

    run(scenario)
