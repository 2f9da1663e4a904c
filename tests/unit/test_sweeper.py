"""What a sweep costs and whom it wakes."""

import asyncio
import contextlib
import logging
from datetime import timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.failures import FailureKind
from controller.domain.outcomes import Queued
from controller.domain.ownership import Owner
from controller.domain.resource import Key, Resource, Scope
from controller.domain.status import Devices, StageState
from controller.engine.index import Index
from controller.engine.ports import AwsError
from controller.engine.quotas import Quotas
from controller.engine.sweeper import Sweeper
from tests.life.virtual import VirtualLoop
from tests.unit.builders import MINUTE, NOON, OWNER, REFUSED_FOR_QUOTA, SCOPE, failure, plan, status
from tests.unit.ports import MemoryAccounts, MemoryObjects, MemoryPlans, row, tags_of

HOUR = timedelta(hours=1)
NOT_ASKED = 1_000_000 * HOUR


class World:
    """Plans in an index, rows in AWS, and who was woken."""

    def __init__(self, plans: int, *, audit: timedelta = NOT_ASKED, interval: timedelta = MINUTE) -> None:
        self.index, self.site, self.objects = Index(), MemoryPlans(), MemoryObjects()
        self.woken: list[tuple[Key, Wake]] = []
        self.woke = asyncio.Event()
        self.quotas = Quotas(self.wake)
        self.sweeper = Sweeper(
            index=self.index,
            accounts=MemoryAccounts(self.site),
            objects=self.objects,
            quotas=self.quotas,
            wake=self.wake,
            cluster=OWNER.cluster,
            clock=lambda: NOON,
            audits_per_minute=1000,
            interval=interval,
            audit_interval=audit,
        )
        for number in range(plans):
            one = plan(name=f"plan-{number}", uid=f"uid-{number}", status=status(last_modified_time=NOON))
            self.add(one)
            self.site.rows[one.plan_name] = row(one.plan_name)

    def wake(self, key: Key, wake: Wake) -> None:
        self.woken.append((key, wake))
        self.woke.set()

    def add(self, one: Resource) -> None:
        self.index.put(one)
        self.index.set_scope(one, SCOPE)

    def sweep(self) -> list[tuple[str, Wake]]:
        self.woken.clear()
        asyncio.run(self.sweeper.sweep(SCOPE))
        return [(key.name, wake) for key, wake in self.woken]


def test_a_thousand_idle_plans_cost_one_listing_and_wake_nobody() -> None:
    world = World(1000)
    assert world.sweep() == []
    assert world.site.calls == ["list"]


def test_one_changed_plan_wakes_one_object() -> None:
    world = World(1000)
    world.site.rows["plan-7"] = row("plan-7", modified=NOON + MINUTE)
    assert world.sweep() == [("plan-7", Wake.DRIFT)]


def test_vanished_plan_wakes_its_object() -> None:
    world = World(10)
    world.sweep()
    del world.site.rows["plan-7"]
    assert world.sweep() == [("plan-7", Wake.DRIFT)]


def test_vanished_plan_wakes_who_waits_for_quota() -> None:
    world = World(1)
    waiting = plan(name="waiting", uid="uid-waiting", status=status(arn=None))
    world.add(waiting)
    world.quotas.settle(SCOPE, waiting, Queued(0, MINUTE, 1, REFUSED_FOR_QUOTA), ())
    world.site.rows["of-others"] = row("of-others")
    assert world.sweep() == []
    del world.site.rows["of-others"]
    assert world.sweep() == [("waiting", Wake.QUOTA)]


def test_every_plan_is_audited_once_in_the_audit_interval() -> None:
    world = World(100, audit=MINUTE)
    assert world.sweep() == [(f"plan-{number}", Wake.AUDIT) for number in range(100)]


def test_about_a_share_of_the_plans_is_audited_in_each_sweep() -> None:
    world = World(2000, audit=10 * MINUTE)
    assert 100 < len(world.sweep()) < 300


def test_region_without_objects_costs_nothing() -> None:
    world = World(0)
    assert world.sweep() == []
    assert world.site.calls == []


def test_failed_listing_wakes_nobody_and_the_next_one_comes() -> None:
    world = World(3)
    world.site.failures["list"] = [failure(operation="ListEdgeDeploymentPlans")]
    with pytest.raises(AwsError):
        world.sweep()
    assert world.woken == []
    assert world.sweep() == []


# -- what changed -----------------------------------------------------------------------------------------------------


def sweep_changes(world: World) -> list[tuple[str, Wake]]:
    world.woken.clear()
    asyncio.run(world.sweeper.sweep(SCOPE, NOON))
    return [(key.name, wake) for key, wake in world.woken]


def test_sweep_of_changes_wakes_who_changed_and_nobody_who_is_not_listed() -> None:
    world = World(10)
    world.site.rows["plan-7"] = row("plan-7", modified=NOON + MINUTE)
    del world.site.rows["plan-3"]
    assert sweep_changes(world) == [("plan-7", Wake.DRIFT)]
    assert world.site.calls == ["list changes"]
    assert ("plan-3", Wake.DRIFT) in world.sweep()


def test_sweep_of_changes_forgets_no_difference_that_it_does_not_list() -> None:
    world = World(2)
    del world.site.rows["plan-0"]
    tellings = []
    for number in range(8):
        tellings += [number for name, _ in world.sweep() if name == "plan-0"]
        assert sweep_changes(world) == []
    assert tellings == [0, 1, 2, 4]  # full ones and others count alike: 0, 2, 6, 14 of all sweeps are later than these


def test_sweep_of_changes_asks_for_nobodys_tags() -> None:
    world = World(1)
    left_behind(world, GONE)
    assert sweep_changes(world) == []
    assert "tags" not in world.site.calls


class Listener(World):
    """A world whose sweeps come by themselves, in seconds of a clock that is not waited for."""

    def listings(self, seconds: float, *, moving: int = 0) -> list[str]:
        """Calls of so many seconds."""
        for number in range(moving):
            stages = (StageState(stage_name="canary", status="INPROGRESS"),)
            now = status(last_modified_time=NOON, stages=stages, devices=Devices())
            self.add(plan(name=f"plan-{number}", uid=f"uid-{number}", version=2, status=now))

        loop = VirtualLoop()
        task = loop.create_task(self.sweeper.run())
        loop.run_for(seconds)
        task.cancel()
        loop.run_ready()
        loop.close()
        return self.site.calls


def test_small_account_is_listed_in_full_each_time() -> None:
    calls = Listener(100).listings(620)
    assert set(calls) == {"list"}
    assert 8 <= len(calls) <= 11


def test_large_account_is_listed_in_full_every_ten_minutes_and_in_between_what_changed() -> None:
    world = Listener(10)
    world.site.rows |= {f"of-others-{number}": row(f"of-others-{number}") for number in range(40_000)}
    for name in world.site.rows:
        world.site.owners[name] = {}
    calls = [call for call in world.listings(1900) if call != "tags"]
    assert 3 <= calls.count("list") <= 4
    assert 22 <= calls.count("list changes") <= 30


def test_full_listing_that_failed_comes_again_after_one_interval() -> None:
    world = Listener(10)
    world.site.rows |= {f"of-others-{number}": row(f"of-others-{number}") for number in range(40_000)}
    world.site.failures["list"] = [failure(operation="ListEdgeDeploymentPlans")] * 3
    assert [call for call in world.listings(270) if call != "tags"] == ["list"] * 4


def test_crowd_of_rollouts_is_followed_by_listing_what_changed() -> None:
    calls = Listener(100).listings(190, moving=50)
    assert 2 <= calls.count("list") <= 4
    assert 20 <= calls.count("list changes") <= 30  # not before the first full one


def test_listing_of_a_large_crowd_comes_as_seldom_as_its_pages_want() -> None:
    calls = Listener(1000).listings(190, moving=50)
    assert 3 <= calls.count("list changes") <= 6


def test_few_rollouts_are_followed_one_by_one() -> None:
    assert set(Listener(100).listings(190, moving=5)) == {"list"}


# -- told until both reads agree --------------------------------------------------------------------------------------


def told(world: World, sweeps: int) -> list[int]:
    """In which of so many sweeps the object of plan-0 was woken."""
    return [number for number in range(sweeps) if ("plan-0", Wake.DRIFT) in world.sweep()]


def test_difference_that_stays_is_told_again_at_doubling_distances() -> None:
    world = World(1)
    world.site.rows["plan-0"] = row("plan-0", modified=NOON + MINUTE)
    assert told(world, 40) == [0, 1, 3, 7, 15, 31]


def test_sweeps_of_other_regions_bring_no_telling_forward() -> None:
    world = World(1)
    elsewhere = plan(name="elsewhere", uid="uid-e")
    world.index.put(elsewhere)
    world.index.set_scope(elsewhere, Scope("default", "us-east-1"))
    world.site.rows["plan-0"] = row("plan-0", modified=NOON + MINUTE)
    tellings = []
    for number in range(20):
        asyncio.run(world.sweeper.sweep(Scope("default", "us-east-1")))
        if ("plan-0", Wake.DRIFT) in world.sweep():
            tellings.append(number)
    assert tellings == [0, 1, 3, 7, 15]


def test_difference_is_told_until_both_reads_agree() -> None:
    world = World(1)
    world.site.rows["plan-0"] = row("plan-0", modified=NOON + MINUTE)
    assert told(world, 2) == [0, 1]
    world.add(plan(name="plan-0", uid="uid-0", version=2, status=status(last_modified_time=NOON + MINUTE)))
    assert told(world, 20) == []


def test_another_change_is_told_at_once_however_often_the_one_before_was() -> None:
    world = World(1)
    world.site.rows["plan-0"] = row("plan-0", modified=NOON + MINUTE)
    told(world, 5)
    world.site.rows["plan-0"] = row("plan-0", modified=NOON + 2 * MINUTE)
    assert told(world, 2) == [0, 1]
    del world.site.rows["plan-0"]
    assert told(world, 2) == [0, 1]


def test_difference_that_went_and_came_back_is_told_at_once() -> None:
    world = World(1)
    del world.site.rows["plan-0"]
    told(world, 5)
    world.site.rows["plan-0"] = row("plan-0")
    assert told(world, 1) == []
    del world.site.rows["plan-0"]
    assert told(world, 1) == [0]


def test_object_is_judged_as_it_is_when_the_listing_has_come() -> None:
    world = World(1)
    del world.site.rows["plan-0"]

    def goes(_call: str) -> None:
        world.add(plan(name="plan-0", uid="uid-0", version=2, status=status(arn=None)))

    world.site.before = goes
    assert world.sweep() == []


# -- plans that no object names ---------------------------------------------------------------------------------------

GONE = Owner(OWNER.cluster, "retail", "gone", "uid-gone")


def left_behind(world: World, owner: Owner | None, name: str = "left") -> None:
    world.site.rows[name] = row(name, arn=f"arn-{name}")
    if owner is not None:
        world.site.owners[f"arn-{name}"] = tags_of(owner.tag_value)


def test_plan_of_an_object_that_is_gone_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World(1)
    left_behind(world, GONE)
    for _ in range(3):
        world.sweep()
    assert world.sweeper.orphans[SCOPE] == {"left": GONE}
    assert world.site.calls.count("tags") == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"the AWS plan left in default, eu-west-1 was left behind by the object {GONE}"
    ]


def test_orphan_that_goes_is_reported_no_more() -> None:
    world = World(1)
    left_behind(world, GONE)
    world.sweep()
    del world.site.rows["left"]
    world.sweep()
    assert world.sweeper.orphans[SCOPE] == {}


def test_orphan_that_changed_is_looked_at_again() -> None:
    world = World(1)
    left_behind(world, GONE)
    world.sweep()
    world.site.rows["left"] = row("left", arn="arn-left", modified=NOON + MINUTE)
    world.site.owners["arn-left"] = {}
    world.sweep()
    assert world.site.calls.count("tags") == 2


@pytest.mark.parametrize(
    "owner",
    [
        None,
        Owner("another-cluster", "retail", "gone", "uid-gone"),
        Owner(OWNER.cluster, "retail", "g" * 200, "uid-gone"),
    ],
    ids=["by hand", "another cluster", "a name that the tag has cut"],
)
def test_plan_that_cannot_be_ours_is_no_orphan(owner: Owner | None) -> None:
    world = World(1)
    left_behind(world, owner)
    world.sweep()
    assert world.sweeper.orphans[SCOPE] == {}
    assert world.objects.calls == []


def test_plan_of_an_object_that_lives_is_no_orphan() -> None:
    world = World(1)
    living = plan(name="renamed", uid="uid-gone")
    world.objects.there[living.key] = living
    left_behind(world, Owner(OWNER.cluster, "retail", "renamed", "uid-gone"))
    world.sweep()
    assert world.sweeper.orphans[SCOPE] == {}


def test_strangers_are_looked_at_a_few_in_each_sweep() -> None:
    world = World(1)
    for number in range(25):
        left_behind(world, GONE, name=f"left-{number}")
    looks = []
    for _ in range(4):
        world.site.calls.clear()
        world.sweep()
        looks.append(world.site.calls.count("tags"))
    assert looks == [10, 10, 5, 0]


def test_stranger_whose_tags_cannot_be_read_hides_no_orphan() -> None:
    world = World(1)
    left_behind(world, GONE, name="a-stranger")
    left_behind(world, GONE)
    denied = failure(FailureKind.CREDENTIALS, "AccessDeniedException", operation="ListTags", harmless=True)
    world.site.failures["tags"] = [denied]
    with contextlib.suppress(AwsError):
        world.sweep()
    world.site.failures["tags"] = [denied]
    with contextlib.suppress(AwsError):
        world.sweep()
    assert "left" in world.sweeper.orphans[SCOPE]


# -- for ever ---------------------------------------------------------------------------------------------------------


def test_no_exception_ends_the_sweeps(caplog: pytest.LogCaptureFixture) -> None:
    world = World(1, interval=timedelta(0))
    world.site.failures["list"] = [failure(operation="ListEdgeDeploymentPlans"), KeyError("Stages")]
    del world.site.rows["plan-0"]

    async def story() -> None:
        async with asyncio.timeout(30):
            task = asyncio.ensure_future(world.sweeper.run())
            await world.woke.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(story())
    assert world.woken[0] == (Key("retail", "plan-0"), Wake.DRIFT)
    warning, error = caplog.records[:2]
    assert (warning.levelno, error.levelno) == (logging.WARNING, logging.ERROR)
    assert "drift sweep of default in eu-west-1 failed: InternalFailure" in warning.getMessage()
    assert "failed in an unknown way" in error.getMessage()
    assert error.exc_info is not None
