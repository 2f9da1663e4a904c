"""The keyed queue: never two at once for one key, no wake-up lost, everything drained. Gates instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.resource import Key
from controller.engine.queue import Line, WorkQueue

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


def test_timer_that_the_loop_calls_a_little_early_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        # asyncio calls what is due within its clock's resolution; here the clock does not even move until it has.
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "_clock_resolution", 0.002)
        monkeypatch.setattr(loop, "time", lambda: 0.0)
        worker = Worker(after=timedelta(seconds=0.001))
        worker.gate.set()
        queue = WorkQueue(worker, concurrency=1)
        queue.wake(A)
        await turns()
        worker.after = None
        await turns()
        assert len(worker.runs) > 1

    asyncio.run(scenario())


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


# -- the rules, without a clock ---------------------------------------------------------------------------------------

C = Key("stores", "c")


def line(limit: int = 1) -> Line:
    """A lane for each namespace."""
    return Line(limit=limit, lane=lambda key: key.namespace)


def started(waiting: Line, now: float = 0.0) -> list[Key]:
    return [key for key, _ in waiting.start(now)]


def test_lane_that_hangs_does_not_hold_another() -> None:
    waiting = line(limit=2)
    for key in (A, B, Key("retail", "third"), C):
        waiting.wake(key, now=0)
    assert started(waiting) == [A, B, C]
    waiting.finish(C, 0, None)
    waiting.wake(C, now=0)
    assert started(waiting) == [C]
    assert len(waiting) == 4
    waiting.finish(A, 0, None)
    assert started(waiting) == [Key("retail", "third")]


def test_key_gives_its_place_back_to_the_lane_that_it_came_from() -> None:
    lanes = {A: "one"}
    waiting = Line(limit=1, lane=lambda key: lanes.get(key, "one"))
    waiting.wake(A, now=0)
    waiting.wake(B, now=0)
    assert started(waiting) == [A]
    lanes[A] = "two"
    waiting.finish(A, 0, None)
    assert started(waiting) == [B]


def test_key_whose_lane_changed_while_it_was_worked_on_is_worked_on_in_the_new_one() -> None:
    lanes = {A: "one"}
    waiting = Line(limit=1, lane=lambda key: lanes.get(key, "one"))
    waiting.wake(A, now=0)
    waiting.wake(B, now=0)
    assert started(waiting) == [A]
    lanes[A] = "two"
    waiting.wake(A, Wake.DRIFT, now=0)
    waiting.finish(A, 0, None)
    assert started(waiting) == [B, A]


def test_what_people_wait_for_goes_before_what_can_wait_and_that_has_its_turn() -> None:
    waiting = line()
    audits = [Key("retail", f"audit-{number}") for number in range(3)]
    for key in audits:
        waiting.wake(key, Wake.AUDIT, now=0)
    waiting.wake(A, Wake.DRIFT, now=1)
    waiting.wake(B, now=2)
    order = []
    for moment in range(3, 8):
        (key,) = started(waiting, moment)
        order.append(key)
        waiting.finish(key, moment, None)
    assert order == [B, A, *audits]
    waiting.wake(audits[0], Wake.AUDIT, now=10)
    edits = [Key("retail", f"edit-{number}") for number in range(100)]
    for number, key in enumerate(edits):
        waiting.wake(key, now=10 * number)
    order = []
    for _ in range(101):
        (key,) = started(waiting, 2000)
        order.append(key)
        waiting.finish(key, 2000, None)
    assert order.index(audits[0]) == 31  # those that came in the first five minutes went before it


def test_who_can_wait_goes_at_once_when_somebody_edits_it_and_is_worked_on_once() -> None:
    waiting = line()
    waiting.wake(A, Wake.AUDIT, now=0)
    waiting.wake(B, Wake.DRIFT, now=0)
    waiting.wake(A, now=1)
    assert waiting.start(1) == [(A, frozenset({Wake.AUDIT}))]
    waiting.finish(A, 1, None)
    assert started(waiting, 1) == [B]
    waiting.finish(B, 1, None)
    assert started(waiting, 1000) == []
    assert len(waiting) == 0


def test_edit_that_comes_while_work_fails_is_not_held_up_by_the_reason_of_that_work() -> None:
    waiting = line()
    waiting.wake(A, Wake.AUDIT, now=0)
    waiting.start(0)
    waiting.wake(B, Wake.QUOTA, now=0)
    waiting.wake(A, now=1)
    waiting.fail(A, 1, frozenset({Wake.AUDIT}), 0.5)
    assert waiting.start(1) == [(A, frozenset({Wake.AUDIT}))]


def test_timer_is_due_at_its_time_and_once() -> None:
    waiting = line()
    waiting.wake(A, now=0)
    waiting.start(0)
    waiting.finish(A, 0, timedelta(seconds=5))
    assert waiting.next_due() == 5
    assert started(waiting, 4.9) == []
    assert started(waiting, 5) == [A]
    assert waiting.next_due() is None
    waiting.finish(A, 5, None)
    assert started(waiting, 100) == []


def test_wait_of_no_time_or_less_is_due_at_once() -> None:
    waiting = line()
    waiting.wake(A, now=0)
    waiting.start(0)
    waiting.finish(A, 7, timedelta(seconds=-3))
    assert waiting.next_due() == 7
    assert started(waiting, 7) == [A]


def test_timer_that_a_wake_up_came_before_is_over() -> None:
    waiting = line()
    for key in (A, C):
        waiting.wake(key, now=0)
    waiting.start(0)
    waiting.finish(A, 0, timedelta(seconds=5))
    waiting.finish(C, 0, timedelta(seconds=9))
    waiting.wake(A, Wake.QUOTA, now=0)
    assert waiting.next_due() == 9
    assert waiting.start(1) == [(A, frozenset({Wake.QUOTA}))]
    waiting.finish(A, 1, timedelta(seconds=20))
    assert started(waiting, 6) == []
    assert started(waiting, 9) == [C]


def test_reason_of_a_failed_wake_up_is_kept_whatever_wakes_the_key_next() -> None:
    waiting = line()
    waiting.wake(A, Wake.DRIFT, now=0)
    waiting.start(0)
    attempts, delay = waiting.fail(A, 0, frozenset({Wake.DRIFT}), 0.5)
    assert (attempts, delay) == (1, timedelta(seconds=0.5))
    waiting.wake(A, Wake.AUDIT, now=0)
    assert waiting.start(0) == [(A, frozenset({Wake.DRIFT, Wake.AUDIT}))]
    attempts, delay = waiting.fail(A, 0, frozenset({Wake.DRIFT, Wake.AUDIT}), 0.5)
    assert (attempts, delay) == (2, timedelta(seconds=1))
    assert waiting.start(1) == [(A, frozenset({Wake.DRIFT, Wake.AUDIT}))]
    waiting.finish(A, 1, None)
    waiting.wake(A, now=0)
    assert waiting.start(1) == [(A, frozenset())]
    assert waiting.fail(A, 1, frozenset(), 0.5)[0] == 1


def test_key_woken_during_work_that_failed_is_worked_on_at_once_with_both_reasons() -> None:
    waiting = line()
    waiting.wake(A, Wake.DRIFT, now=0)
    waiting.start(0)
    waiting.wake(A, Wake.NAME, now=0)
    waiting.fail(A, 0, frozenset({Wake.DRIFT}), 0.5)
    assert waiting.start(0) == [(A, frozenset({Wake.DRIFT, Wake.NAME}))]


def test_drained_queue_starts_no_timer() -> None:
    async def scenario() -> None:
        worker = Worker(after=LATER)
        worker.gate.set()
        queue = WorkQueue(worker, concurrency=1)
        queue.wake(A)
        await turns()
        timer = queue._timer
        assert timer is not None
        assert await queue.drain(LATER)
        assert timer.cancelled()

    run(scenario)
