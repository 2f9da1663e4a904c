"""Calls where AWS throttles: each is made once, few are refused, and whom somebody waits for goes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from contextvars import Context
from datetime import timedelta

import pytest

from controller.aws.sagemaker import NotLeading
from controller.aws.throttle import LONGEST_WAIT, Throttle, in_turn
from controller.domain.actions import Action, CreatePlan, DeletePlan
from controller.domain.failures import Failure, FailureKind
from controller.domain.resource import Scope
from controller.domain.spec import ModelConfig
from controller.engine.ports import AwsError, ObjectChanged
from edge_manager.sandbox.server import Sandbox
from tests.aws.conftest import REGION, accounts_at
from tests.life.virtual import VirtualLoop

pytestmark = pytest.mark.usefixtures("either_way")
HERE, ELSEWHERE = Scope("default", REGION), Scope("default", "us-east-1")
MODELS = (ModelConfig(model_handle="a", edge_packaging_job_name="a"),)
REFUSAL = Failure(FailureKind.THROTTLED, "CreateEdgeDeploymentPlan", "ThrottlingException", "Rate exceeded", "id-1")
EDIT, SWEEP, AUDIT = timedelta(0), timedelta(seconds=2), timedelta(minutes=5)


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with closing(VirtualLoop()) as made:
        yield made


class Queue:
    """A throttle of ten calls a second, and who came to a turn, in that order."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop, self.waited, self.served = loop, list[float](), list[tuple[str, float]]()
        self.throttle = Throttle(self.waited.append)
        self.refused: list[AwsError] = []
        self.do(self._throttled())

    async def _throttled(self) -> None:
        self.throttle.refused(await self.throttle.turn("ListTags"), REFUSAL)
        self.throttle.over()

    def do(self, work: object) -> None:
        self.loop.run_to_end(work, Context())  # type: ignore[arg-type]

    def start(self, name: str, patience: timedelta, calls: int = 1) -> None:
        async def attempt() -> None:
            try:
                with in_turn(patience):
                    for _ in range(calls):
                        await self.throttle.turn("DescribeEdgeDeploymentPlan")
                        self.served.append((name, self.loop.now))
                        self.throttle.over()
            except AwsError as error:
                self.refused.append(error)

        Context().run(self.loop.create_task, attempt())
        self.loop.run_ready()

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.served]


def test_an_attempt_that_has_begun_ends_before_a_later_one_has_its_first_call(loop: VirtualLoop) -> None:
    queue = Queue(loop)
    for name in ("a", "b", "c"):
        queue.start(name, EDIT, calls=3)
        loop.run_for(0.001)
    loop.run_for(3)
    assert queue.names == list("aaabbbccc")


def test_whom_somebody_waits_for_goes_before_sweeps_and_audits(loop: VirtualLoop) -> None:
    queue = Queue(loop)
    queue.start("audit", AUDIT)
    queue.start("sweep", SWEEP)
    queue.start("edit", EDIT)
    loop.run_for(3)
    assert queue.names == ["edit", "sweep", "audit"]


def test_nobody_starves_behind_edits_without_end(loop: VirtualLoop) -> None:
    queue = Queue(loop)
    queue.start("audit", AUDIT)
    for number in range(300):  # twenty a second, twice as many as may go at first
        queue.start(f"edit {number}", EDIT)
        loop.run_for(0.05)
    assert "audit" in queue.names
    assert queue.refused == []


def test_calls_of_all_operations_wait_alike(loop: VirtualLoop) -> None:
    """By the time of their turn, not by what they are: each of three kinds gets a third."""
    queue = Queue(loop)
    for number in range(60):
        queue.start("abc"[number % 3], EDIT)
    loop.run_for(3)
    assert max(queue.names.count(kind) for kind in "abc") - min(queue.names.count(kind) for kind in "abc") <= 1


def test_call_that_waits_too_long_is_told_as_refused_with_the_words_of_aws(loop: VirtualLoop) -> None:
    queue = Queue(loop)

    async def refuse_all() -> None:
        while True:
            queue.throttle.refused(await queue.throttle.turn("ListTags"), REFUSAL)
            queue.throttle.over()

    with_turn = Context()
    task = with_turn.run(loop.create_task, refuse_all())
    for number in range(200):
        queue.start(f"edit {number}", timedelta(seconds=9))
    loop.run_for(LONGEST_WAIT.total_seconds() + 1)
    assert queue.refused
    failure = queue.refused[0].failure
    assert (failure.operation, failure.message) == ("DescribeEdgeDeploymentPlan", "Rate exceeded")
    assert (failure.kind, failure.harmless, failure.sent) == (FailureKind.THROTTLED, True, False)
    task.cancel()


def test_without_a_refusal_nothing_waits_and_nothing_is_told(loop: VirtualLoop) -> None:
    throttle, waited = Throttle(), list[float]()

    async def many() -> None:
        for _ in range(5_000):
            await throttle.turn("ListTags")
            throttle.over()
        assert throttle.rate is None

    loop.run_to_end(many(), Context())
    assert (loop.now, waited) == (0, [])


def test_a_timer_that_comes_a_little_early_lets_go_who_is_due(loop: VirtualLoop) -> None:
    queue = Queue(loop)
    queue.start("edit", EDIT)
    due = loop.next_moment()
    assert due is not None
    loop.jump(due - loop.now - 1e-7)
    loop.run_ready()
    assert queue.names == ["edit"]


class Callers:
    """Who calls an AWS that answers after that many seconds, all at once, and when each call went."""

    def __init__(self, loop: VirtualLoop, latency: float) -> None:
        self.loop, self.latency, self.throttle = loop, latency, Throttle()
        self.went: list[float] = []

    def start(self, count: int) -> list[asyncio.Task[None]]:
        async def call() -> None:
            await self.throttle.turn("ListTags")
            try:
                self.went.append(self.loop.now)
                await asyncio.sleep(self.latency)
            finally:
                self.throttle.over()

        made = [Context().run(self.loop.create_task, call()) for _ in range(count)]
        self.loop.run_ready()
        return made

    def waves(self) -> list[int]:
        return list(Counter(round(moment - self.went[0], 6) for moment in self.went).values())


def test_few_calls_go_at_first_and_twice_as_many_with_each_round_of_answers(loop: VirtualLoop) -> None:
    callers = Callers(loop, latency=0.125)
    callers.start(100)
    loop.run_for(1)
    assert callers.waves() == [4, 8, 16, 32, 40]


def test_a_wide_way_stays_open_and_is_narrow_again_after_a_silence(loop: VirtualLoop) -> None:
    callers = Callers(loop, latency=0.125)
    callers.start(60)
    loop.run_for(5)
    callers.went.clear()
    callers.start(60)
    loop.run_for(12)
    assert callers.waves() == [60]
    callers.went.clear()
    callers.start(60)
    loop.run_for(5)
    assert callers.waves() == [4, 8, 16, 32]


def test_nobody_waits_long_for_an_aws_that_does_not_answer(loop: VirtualLoop) -> None:
    callers = Callers(loop, latency=30)
    callers.start(32)
    loop.run_for(0.9)
    assert len(callers.went) == 4
    loop.run_for(3)
    assert len(callers.went) == 32
    loop.run_for(40)


def test_calls_that_were_given_up_leave_their_room_to_others(loop: VirtualLoop) -> None:
    callers = Callers(loop, latency=30)
    for task in callers.start(8):
        task.cancel()
    loop.run_ready()
    callers.went.clear()
    callers.start(4)
    assert len(callers.went) == 4
    loop.run_for(40)


def test_the_wait_is_told_and_the_rate_while_aws_throttles(loop: VirtualLoop) -> None:
    queue = Queue(loop)

    async def rate() -> None:
        assert queue.throttle.rate == pytest.approx(8)  # a little less than the ten that are guessed

    queue.do(rate())
    for number in range(20):
        queue.start(str(number), EDIT)
    loop.run_for(5)
    assert len(queue.waited) == 20
    assert max(queue.waited) == pytest.approx(20 / 8, rel=0.3)


def test_who_gives_up_waiting_holds_up_nobody(loop: VirtualLoop) -> None:
    queue = Queue(loop)

    async def impatient() -> None:
        waits = asyncio.create_task(queue.throttle.turn("ListTags"))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)

    for _ in range(50):
        queue.do(impatient())
    began = loop.now
    queue.start("edit", EDIT)
    loop.run_for(1)
    assert queue.served[0][1] - began <= 0.2


def test_all_plans_are_made_and_deleted_once_where_aws_throttles_and_few_calls_are_refused(sandbox: Sandbox) -> None:
    sandbox.settings(quota=None, rate=10)
    names = [f"plan-{number}" for number in range(40)]

    async def life() -> None:
        with closing(accounts_at(sandbox.url)) as accounts:
            plans, places = accounts.plans(HERE), asyncio.Semaphore(4)  # as many as threads, like those of the queue

            async def apply(action: Action) -> None:
                async with places:
                    await plans.apply(action)

            await asyncio.gather(*(apply(CreatePlan(name, "fleet", MODELS, (), {})) for name in names))
            assert sorted(sandbox.plans()) == sorted(names)
            await asyncio.gather(*(apply(DeletePlan(name)) for name in names))

    asyncio.run(life())
    assert sandbox.plans() == []
    codes = sandbox.counts_by_code()
    for operation in ("CreateEdgeDeploymentPlan", "DeleteEdgeDeploymentPlan"):
        assert codes[operation].pop("OK") == len(names)
        assert codes[operation].keys() <= {"ThrottlingException"}
    refused = sum(sum(each.values()) for each in codes.values())
    assert refused <= 0.15 * 2 * len(names)  # four at a time are under way when AWS refuses the first one


def test_refusal_is_told_where_aws_refuses_all_the_same(sandbox: Sandbox) -> None:
    sandbox.fault("CreateEdgeDeploymentPlan", error="ThrottlingException")

    async def create() -> None:
        with closing(accounts_at(sandbox.url)) as accounts:
            await accounts.plans(HERE).apply(CreatePlan("plan", "fleet", MODELS, (), {}))

    with pytest.raises(AwsError, match="Rate exceeded") as refusal:
        asyncio.run(create())
    assert refusal.value.failure.kind is FailureKind.THROTTLED
    assert sandbox.counts()["CreateEdgeDeploymentPlan"] == 3


def test_one_who_leads_no_more_when_its_turn_comes_makes_no_call(sandbox: Sandbox) -> None:
    sandbox.settings(quota=None)
    sandbox.fault("CreateEdgeDeploymentPlan", error="ThrottlingException", times=1)
    term = iter([True])  # it leads for one call

    async def deposed() -> None:
        with closing(accounts_at(sandbox.url, may_call=lambda: next(term, False))) as accounts:
            plans = accounts.plans(HERE)
            calls = (plans.apply(CreatePlan(name, "fleet", MODELS, (), {})) for name in "abc")
            for ended in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(ended, NotLeading)
            assert accounts.rates().keys() == {HERE}

    asyncio.run(deposed())
    assert sandbox.counts() == {"CreateEdgeDeploymentPlan": 1}


def test_what_is_not_wanted_any_more_when_its_turn_comes_is_not_called(sandbox: Sandbox) -> None:
    """Its object was suspended, say, while the call waited."""
    sandbox.settings(quota=None)
    sandbox.fault("CreateEdgeDeploymentPlan", error="ThrottlingException", times=1)
    asked: list[bool] = []

    def still() -> None:
        asked.append(True)
        if len(asked) > 1:
            raise ObjectChanged("it was suspended")

    async def create() -> None:
        with closing(accounts_at(sandbox.url)) as accounts:
            await accounts.plans(HERE).apply(CreatePlan("plan", "fleet", MODELS, (), {}), still)

    with pytest.raises(ObjectChanged, match="it was suspended"):
        asyncio.run(create())
    assert sandbox.counts() == {"CreateEdgeDeploymentPlan": 1}


def test_another_region_waits_for_nothing(sandbox: Sandbox) -> None:
    sandbox.settings(quota=None)
    sandbox.fault("*", region=REGION, error="ThrottlingException", times=2)

    async def both() -> dict[Scope, float]:
        with closing(accounts_at(sandbox.url)) as accounts:
            for scope in (HERE, ELSEWHERE):
                await accounts.plans(scope).apply(CreatePlan("plan", "fleet", MODELS, (), {}))
            return accounts.rates()

    assert asyncio.run(both()).keys() == {HERE}
