"""Which plans a sweep gives reason to look at."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.domain.agenda import Wake
from controller.domain.drift import changed_since, full_sweep_interval, is_due_again, suspects
from controller.domain.observed import PlanSummary
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.status import Devices, EdgeDeploymentPlanStatus, StageState
from tests.unit.builders import ARN, MINUTE, NAME, NOON, condition, plan, retry, settling, status

ROW = {NAME: PlanSummary(NAME, ARN, NOON)}
SEEN = status(last_modified_time=NOON)
STALLED = (condition("Ready", "False"), condition("Stalled", reason=Reason.NOT_OWNED))
TAKEN = status(arn=None, conditions=STALLED)
SECOND = timedelta(seconds=1)
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
    assert suspects(plans, rows) == {}
    assert len(suspects(plans, rows | {"plan-7": PlanSummary("plan-7", ARN, NOON + MINUTE)})) == 1


def test_create_that_is_tried_again_is_told_that_its_plan_is_there() -> None:
    waiting = plan(status=status(arn=None, retry=retry(3, NOON)))
    assert suspects([waiting], {NAME: PlanSummary(NAME, ARN, NOON)}) == {waiting.key: Wake.DRIFT}


@pytest.mark.parametrize(
    ("row", "looks"),
    [
        (PlanSummary(NAME, ARN, NOON, created=NOON), False),
        (PlanSummary(NAME, ARN, NOON + SECOND, created=NOON), True),
        (PlanSummary(NAME, ARN, NOON + MINUTE, created=NOON + MINUTE), True),
        (PlanSummary(NAME, ARN + "-2", NOON, created=NOON), True),
    ],
)
def test_plan_as_its_create_made_it_needs_no_look(row: PlanSummary, looks: bool) -> None:
    unseen = status(last_modified_time=None, creation_time=None, settling=settling(created_after=NOON - 2 * SECOND))
    made = plan(status=unseen)
    assert suspects([made], {NAME: row}) == ({made.key: Wake.DRIFT} if looks else {})


# -- stages under way --------------------------------------------------------------------------------------------------


def under_way(**fields: Any) -> EdgeDeploymentPlanStatus:
    stages = (StageState(stage_name="canary", status="INPROGRESS", devices_failed=1),)
    return status(
        stages=stages, devices=Devices(failed=1), last_modified_time=NOON, **{"creation_time": NOON - MINUTE} | fields
    )


def moved(
    before: EdgeDeploymentPlanStatus, *, modified: datetime = NOON, failed: int | None = 1, succeeded: int | None = None
) -> Wake | None:
    row = PlanSummary(NAME, ARN, modified, created=NOON - MINUTE, failed=failed, succeeded=succeeded)
    return suspects([plan(status=before)], {NAME: row}).get(plan().key)


def test_stage_that_moves_on_needs_no_look_at_the_tags() -> None:
    assert moved(under_way()) is None
    assert moved(under_way(), modified=NOON + SECOND) is Wake.MOVED


def test_device_that_fails_is_news_even_where_it_does_not_count_as_a_change() -> None:
    assert moved(under_way(), failed=2) is Wake.MOVED
    deploying = StageState(stage_name="canary", status="INPROGRESS", devices_failed=1, devices_pending=4)
    done = StageState(stage_name="first", status="DEPLOYED", devices_succeeded=2)
    before = under_way().model_copy(update={"stages": (done, deploying)})
    assert moved(before, succeeded=5) is None
    assert moved(before, succeeded=6) is Wake.MOVED  # the last device, which may not count as a change of the plan
    assert moved(under_way(), failed=None) is None


def test_plan_that_another_one_took_the_place_of_is_looked_at_with_its_tags() -> None:
    assert moved(under_way(creation_time=NOON - 2 * MINUTE), modified=NOON + SECOND) is Wake.DRIFT
    assert moved(under_way(creation_time=None), modified=NOON + SECOND) is Wake.DRIFT


def test_failed_devices_of_a_rollout_that_is_over_are_no_news() -> None:
    over = (StageState(stage_name="canary", status="DEPLOYED", devices_failed=1),)
    assert moved(under_way().model_copy(update={"stages": over}), failed=2) is None


# -- how often ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "seconds"), [(0, 60), (3000, 60), (5000, 100), (30_000, 600), (50_000, 600)])
def test_full_listing_takes_a_page_every_two_seconds_and_comes_every_ten_minutes(rows: int, seconds: float) -> None:
    assert full_sweep_interval(MINUTE, rows) == timedelta(seconds=seconds)


def test_interval_that_is_longer_than_that_is_kept() -> None:
    assert full_sweep_interval(60 * MINUTE, 100) == 60 * MINUTE


def test_listing_of_changes_reaches_back_a_minute_before_the_latest() -> None:
    rows = [PlanSummary(NAME, ARN, moment) for moment in (NOON, None, NOON - MINUTE)]
    assert changed_since(rows, NOON + MINUTE) == NOON - MINUTE


def test_change_of_a_time_to_come_hides_no_later_ones() -> None:
    rows = [PlanSummary(NAME, ARN, NOON + 1000 * MINUTE)]
    assert changed_since(rows, NOON) == NOON - MINUTE


def test_nothing_can_be_left_out_where_no_row_tells_when_it_changed() -> None:
    assert changed_since([PlanSummary(NAME, ARN, None)], NOON) is None
    assert changed_since([], NOON) is None
