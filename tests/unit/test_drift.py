"""Which plans a sweep gives reason to look at."""

from datetime import datetime

import pytest

from controller.domain.drift import is_due_again, strangers, suspects
from controller.domain.observed import PlanSummary
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from tests.unit.builders import ARN, MINUTE, NAME, NOON, condition, plan, retry, status

ROW = {NAME: PlanSummary(NAME, ARN, NOON)}
SEEN = status(last_modified_time=NOON)
STALLED = (condition("Ready", "False"), condition("Stalled", reason=Reason.NOT_OWNED))
TAKEN = status(arn=None, conditions=STALLED)
OBSERVED = {"management": "Observe"}


def suspected(one: Resource, rows: dict[str, PlanSummary]) -> bool:
    return bool(suspects([one], rows))


def test_plan_as_it_was_seen_is_none() -> None:
    assert not suspected(plan(status=SEEN), ROW)


def test_plan_that_vanished_is_one() -> None:
    assert suspected(plan(status=SEEN), {})


@pytest.mark.parametrize("moment", [NOON - MINUTE, NOON + MINUTE])
def test_plan_that_was_modified_is_one(moment: datetime) -> None:
    assert suspected(plan(status=SEEN), {NAME: PlanSummary(NAME, ARN, moment)})


def test_plan_that_was_created_and_never_looked_at_is_one() -> None:
    assert suspected(plan(status=status(last_modified_time=None)), ROW)


def test_plan_without_an_arn_is_none() -> None:
    assert not suspected(plan(status=status(arn=None)), ROW)
    assert not suspected(plan(status=status(arn=None)), {})


def test_object_being_deleted_is_none() -> None:
    assert not suspected(plan(deleting=True, status=SEEN), {})


def test_name_that_was_taken_and_is_free_now_is_one() -> None:
    assert suspected(plan(status=TAKEN), {})
    assert not suspected(plan(status=TAKEN), ROW)


def test_plan_that_is_there_although_its_creation_was_refused_is_one() -> None:
    refused = status(arn=None, conditions=(condition("Stalled", reason=Reason.REFUSED_BY_AWS),))
    assert not suspected(plan(status=refused), {})
    assert suspected(plan(status=refused), ROW)


def test_plan_that_is_there_although_its_object_waits_for_quota_is_one() -> None:
    waiting = status(arn=None, conditions=(condition("ResourceLimitExceeded", reason=Reason.WAITING_FOR_QUOTA),))
    assert not suspected(plan(status=waiting), {})
    assert suspected(plan(status=waiting), ROW)


@pytest.mark.parametrize("reason", [Reason.NAME_CONFLICT, Reason.INVALID_SPEC, "OfAnotherVersion"])
def test_object_that_stalls_for_another_reason_is_none(reason: str) -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=reason),))
    assert not suspected(plan(status=stalled), {})
    assert not suspected(plan(status=stalled), ROW)


def test_plans_that_no_object_names_are_strangers_in_order_of_name() -> None:
    rows = {name: PlanSummary(name, ARN, NOON) for name in ("zebra", NAME, "ant")}
    assert strangers([plan()], rows) == (rows["ant"], rows["zebra"])


def test_difference_is_told_again_at_doubling_distances() -> None:
    assert [sweeps for sweeps in range(1, 40) if is_due_again(3, sweeps)] == list(range(7, 40))
    assert [is_due_again(1, 1), is_due_again(2, 2), is_due_again(2, 3)] == [True, False, True]


def test_plan_that_appears_is_shown_to_who_only_observes() -> None:
    before = status(arn=None, pending_changes=("CreatePlan(store-cameras)",))
    assert suspected(plan(policy=OBSERVED, status=before), ROW)
    assert not suspected(plan(policy=OBSERVED, status=before), {})


def test_a_thousand_idle_plans_are_none() -> None:
    plans = [plan(name=f"plan-{number}", uid=str(number), status=SEEN) for number in range(1000)]
    rows = {one.plan_name: PlanSummary(one.plan_name, ARN, NOON) for one in plans}
    assert suspects(plans, rows) == frozenset()
    assert len(suspects(plans, rows | {"plan-7": PlanSummary("plan-7", ARN, NOON + MINUTE)})) == 1


def test_create_that_is_tried_again_is_told_that_its_plan_is_there() -> None:
    waiting = plan(status=status(arn=None, retry=retry(3, NOON)))
    assert suspects([waiting], {NAME: PlanSummary(NAME, ARN, NOON)}) == {waiting.key}
