"""Whether a wake-up means work."""

from datetime import timedelta
from typing import Any

import pytest

from controller.domain.agenda import Rest, Wake, Work, agenda
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.schedule import LONGEST, STAGE_POLL, stage_poll
from controller.domain.status import Claim, EdgeDeploymentPlanStatus
from tests.unit.builders import MINUTE, NOON, condition, plan, retry, state, status

NEVER = frozenset[Wake]()
READY = status(conditions=(condition("Ready"),))
WAITING = status(conditions=(condition("Ready", "False"), condition("Reconciling")), retry=retry(3, NOON + MINUTE))


def test_a_running_stage_with_bounds_is_work_whatever_holds_the_plan_up() -> None:
    bounds = {"strategy": "Sequential", "maxFailedPercent": 20}
    running = status(stages=(state("canary", "INPROGRESS"),))
    for conditions in ((condition("Ready"),), (condition("Ready", "False"), condition("Stalled"))):
        held = running.model_copy(update={"conditions": conditions})
        assert agenda(plan("canary", rollout=bounds, status=held), NEVER, NOON) == Work()
        assert agenda(plan("canary", rollout=bounds, status=held), NEVER, NOON, due=MINUTE) == Rest(MINUTE)
        for idle in ({"rollout": {"strategy": "Sequential"}}, {"rollout": bounds, "suspend": True}, {}):
            assert agenda(plan("canary", status=held, **idle), NEVER, NOON) == Rest()
        observing = plan("canary", rollout=bounds, policy={"management": "Observe"}, status=held, has_finalizer=False)
        assert agenda(observing, NEVER, NOON) == Rest()
        over = held.model_copy(update={"stages": (state("canary", "FAILED"),)})
        assert agenda(plan("canary", rollout=bounds, status=over), NEVER, NOON) == Rest()


def test_new_object_is_work() -> None:
    assert agenda(plan(), NEVER, NOON) == Work()


def test_ready_object_rests() -> None:
    assert agenda(plan(status=READY), NEVER, NOON) == Rest()


def test_edited_object_is_work() -> None:
    assert agenda(plan(generation=2, status=READY), NEVER, NOON) == Work()


@pytest.mark.parametrize("wake", Wake)
def test_every_reason_to_wake_is_work(wake: Wake) -> None:
    assert agenda(plan(status=READY), frozenset({wake}), NOON) == Work()


def test_object_that_waits_rests_until_its_time() -> None:
    assert agenda(plan(status=WAITING), NEVER, NOON) == Rest(MINUTE)


def test_object_that_waited_is_work() -> None:
    assert agenda(plan(status=WAITING), NEVER, NOON + MINUTE) == Work()


def test_edit_during_a_retry_is_taken_up_at_once() -> None:
    assert agenda(plan(generation=2, status=WAITING), NEVER, NOON) == Work()


def test_request_during_a_retry_is_taken_up_at_once() -> None:
    assert agenda(plan(requested="now", status=WAITING), NEVER, NOON) == Work()


def test_request_that_was_handled_is_none() -> None:
    handled = READY.model_copy(update={"last_handled_reconcile_at": "now"})
    assert agenda(plan(requested="now", status=handled), NEVER, NOON) == Rest()
    assert agenda(plan(requested="again", status=handled), NEVER, NOON) == Work()


def test_object_that_reconciles_is_work_after_a_restart() -> None:
    before = status(conditions=(condition("Ready", "False"), condition("Reconciling")))
    assert agenda(plan(status=before), NEVER, NOON) == Work()


def test_stalled_object_rests() -> None:
    before = status(conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.REFUSED_BY_AWS)))
    assert agenda(plan(status=before), NEVER, NOON) == Rest()


def test_object_stalled_by_a_name_conflict_looks_whether_the_holder_went() -> None:
    before = status(conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.NAME_CONFLICT)))
    assert agenda(plan(status=before), NEVER, NOON) == Work()


def test_object_being_deleted_is_work_until_its_finalizer_is_off() -> None:
    assert agenda(plan(deleting=True, status=READY), NEVER, NOON) == Work()
    assert agenda(plan(deleting=True, has_finalizer=False, generation=2, status=READY), frozenset(Wake), NOON) == Rest()


def test_object_whose_deletion_failed_waits_for_its_retry() -> None:
    assert agenda(plan(deleting=True, status=WAITING), NEVER, NOON) == Rest(MINUTE)


@pytest.mark.parametrize("ahead", [LONGEST, 1440 * MINUTE], ids=["just over", "a day"])
def test_retry_that_is_further_away_than_any_wait_is_due(ahead: timedelta) -> None:
    """The clock jumped since it was written: a node without NTP."""
    before = status(conditions=(condition("Ready", "False"), condition("Reconciling")), retry=retry(3, NOON + ahead))
    assert agenda(plan(status=before), NEVER, NOON) == Work()
    nearly = retry(3, NOON + LONGEST - timedelta(seconds=1))
    assert agenda(plan(status=before.model_copy(update={"retry": nearly})), NEVER, NOON) == Rest(
        LONGEST - timedelta(seconds=1)
    )


CLAIMED = READY.model_copy(update={"claim": Claim(by="process-1", until=NOON + MINUTE)})


@pytest.mark.parametrize(
    "one",
    [plan(status=CLAIMED), plan(generation=2, status=CLAIMED), plan(requested="now", status=CLAIMED)],
    ids=["at rest", "edited", "asked"],
)
def test_object_that_another_process_works_on_rests_until_its_claim_lapses(one: Resource) -> None:
    assert agenda(one, frozenset(Wake), NOON, "process-2") == Rest(MINUTE)
    assert agenda(one, NEVER, NOON + MINUTE, "process-2") == Work()


def test_object_that_this_process_claimed_is_work() -> None:
    assert agenda(plan(status=CLAIMED), NEVER, NOON, "process-1") == Work()


def test_claim_that_is_further_away_than_any_wait_holds_nobody() -> None:
    before = READY.model_copy(update={"claim": Claim(by="process-1", until=NOON + LONGEST)})
    assert agenda(plan(status=before), NEVER, NOON, "process-2") == Work()


def test_object_that_stalled_in_another_version_of_the_operator_rests() -> None:
    before = status(conditions=(condition("Ready", "False"), condition("Stalled", reason="OfAnotherVersion")))
    assert agenda(plan(status=before), NEVER, NOON) == Rest()


def test_finalizer_that_somebody_took_off_is_work() -> None:
    assert agenda(plan(has_finalizer=False, status=READY), NEVER, NOON) == Work()
    assert agenda(plan(status=READY, policy={"deletion": "Retain"}), NEVER, NOON) == Work()


@pytest.mark.parametrize("fields", [{"suspend": True}, {"invalid": "deviceFleetName: Required value"}])
def test_finalizer_of_an_object_that_says_nothing_of_it_stays_as_it_is(fields: dict[str, Any]) -> None:
    for held in (True, False):
        assert agenda(plan(has_finalizer=held, status=READY, **fields), NEVER, NOON) == Rest()


CREATING = status(conditions=(condition("Ready"),), stages=(state("canary", "CREATING"),), creation_time=None)


def test_stages_that_were_just_created_are_looked_at_soon() -> None:
    assert agenda(plan(status=CREATING), NEVER, NOON) == Rest(STAGE_POLL)
    assert agenda(plan(status=CREATING), NEVER, NOON + STAGE_POLL) == Work()


def test_clock_that_was_set_back_makes_no_early_look_late() -> None:
    assert agenda(plan(status=CREATING), NEVER, NOON - 60 * MINUTE) == Work()


def test_stages_that_are_ready_are_not_looked_at() -> None:
    ready = CREATING.model_copy(update={"stages": (state("canary", "READYTODEPLOY"),)})
    assert agenda(plan(status=ready), NEVER, NOON + MINUTE) == Rest()


def test_suspended_object_whose_stages_were_creating_rests() -> None:
    suspended = CREATING.model_copy(update={"conditions": (condition("Ready", "Unknown", Reason.SUSPENDED),)})
    assert agenda(plan(suspend=True, status=suspended), NEVER, NOON + MINUTE) == Rest()


def test_object_whose_status_was_lost_is_work() -> None:
    assert agenda(plan(status=EdgeDeploymentPlanStatus()), NEVER, NOON) == Work()


def test_wait_of_this_process_counts_however_long_since_its_clock_does_not_jump() -> None:
    baking = plan(status=status(conditions=(condition("Ready", "False"), condition("Reconciling"))))
    assert agenda(baking, frozenset(), NOON, due=timedelta(hours=3)) == Rest(timedelta(hours=3))
    assert agenda(baking, frozenset(), NOON, due=timedelta(0)) == Work()


@pytest.mark.parametrize(
    ("age", "crowd", "seconds"),
    [(10, 0, 2), (100, 5, 10), (1000, 5, 30), (10, 6, 18), (1000, 8, 30), (1000, 1000, 3000), (None, 1000, 3000)],
)
def test_stages_of_a_crowd_are_looked_at_about_once_in_three_seconds_together(
    age: float | None, crowd: int, seconds: float
) -> None:
    started = NOON - timedelta(seconds=age) if age is not None else None
    assert stage_poll(started, NOON, crowd) == timedelta(seconds=seconds)
