"""What a sweep costs and whom it wakes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest

from controller.domain.actions import Action
from controller.domain.agenda import Wake
from controller.domain.observed import ObservedPlan, PlanSummary
from controller.domain.resource import Key, Resource, Scope
from controller.engine.index import Index
from controller.engine.ports import Accounts, AwsError
from controller.engine.quotas import Quotas
from controller.engine.sweeper import Sweeper
from tests.unit.builders import ARN, MINUTE, NOON, REFUSED_FOR_QUOTA, failure, plan, status

SCOPE = Scope("default", "eu-west-1")
HOUR = timedelta(hours=1)


@dataclass
class Site:
    """An account and region that only lists; anything else is a mistake."""

    rows: dict[str, PlanSummary] = field(default_factory=dict)
    lists: int = 0
    broken: bool = False
    scope: Scope = SCOPE

    async def list_plans(self) -> Mapping[str, PlanSummary]:
        self.lists += 1
        if self.broken:
            raise AwsError(failure(operation="ListEdgeDeploymentPlans"))
        return dict(self.rows)

    async def describe(self, name: str, *, with_tags: bool) -> ObservedPlan | None:
        raise AssertionError(f"described {name} (tags: {with_tags})")

    async def apply(self, action: Action) -> str | None:
        raise AssertionError(str(action))

    async def count_devices(self, plan: str, stage: str) -> int:
        raise AssertionError(f"{plan}/{stage}")

    def plans(self, _scope: Scope) -> "Site":
        return self


class World:
    """Plans in an index, rows at a site, and who was woken."""

    def __init__(self, plans: int, *, audit: timedelta = 1_000_000 * HOUR) -> None:
        self.index, self.site = Index(), Site()
        self.woken: list[tuple[Key, Wake]] = []
        self.quotas = Quotas(self.wake)
        self.sweeper = Sweeper(
            index=self.index,
            accounts=cast("Accounts", self.site),
            quotas=self.quotas,
            wake=self.wake,
            interval=MINUTE,
            audit_interval=audit,
        )
        for number in range(plans):
            one = plan(name=f"plan-{number}", uid=f"uid-{number}", status=status(last_modified_time=NOON))
            self.add(one)
            self.site.rows[one.plan_name] = PlanSummary(one.plan_name, ARN, NOON)

    def wake(self, key: Key, wake: Wake) -> None:
        self.woken.append((key, wake))

    def add(self, one: Resource) -> None:
        self.index.put(one)
        self.index.place(one, SCOPE)

    def sweep(self) -> list[tuple[str, Wake]]:
        self.woken.clear()
        asyncio.run(self.sweeper.sweep(SCOPE))
        return [(key.name, wake) for key, wake in self.woken]


def test_a_thousand_idle_plans_cost_one_listing_and_wake_nobody() -> None:
    world = World(1000)
    assert world.sweep() == []
    assert world.site.lists == 1


def test_one_changed_plan_wakes_one_object() -> None:
    world = World(1000)
    world.site.rows["plan-7"] = PlanSummary("plan-7", ARN, NOON + MINUTE)
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
    world.quotas.refused(SCOPE, waiting, REFUSED_FOR_QUOTA)
    world.site.rows["of-others"] = PlanSummary("of-others", ARN, NOON)
    assert world.sweep() == []
    del world.site.rows["of-others"]
    assert world.sweep() == [("waiting", Wake.QUOTA)]


def test_every_plan_is_audited_once_in_the_audit_interval() -> None:
    world = World(100, audit=MINUTE)
    assert world.sweep() == [(f"plan-{number}", Wake.AUDIT) for number in range(100)]


def test_about_a_share_of_the_plans_is_audited_in_each_sweep() -> None:
    world = World(2000, audit=10 * MINUTE)
    assert 100 < len(world.sweep()) < 300


def test_place_without_objects_costs_nothing() -> None:
    world = World(0)
    assert world.sweep() == []
    assert world.site.lists == 0


def test_failed_listing_wakes_nobody_and_the_next_one_comes() -> None:
    world = World(3)
    world.site.broken = True
    with pytest.raises(AwsError):
        world.sweep()
    assert world.woken == []
    world.site.broken = False
    assert world.sweep() == []
