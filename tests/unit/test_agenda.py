"""Whether a wake-up means work."""

import pytest

from controller.domain.agenda import Rest, Wake, Work, agenda
from controller.domain.reasons import Reason
from controller.domain.status import EdgeDeploymentPlanStatus
from tests.unit.builders import MINUTE, NOON, condition, plan, retry, status

NEVER = frozenset[Wake]()
READY = status(conditions=(condition("Ready"),))
WAITING = status(conditions=(condition("Ready", "False"), condition("Reconciling")), retry=retry(3, NOON + MINUTE))


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


def test_object_whose_status_was_lost_is_work() -> None:
    assert agenda(plan(status=EdgeDeploymentPlanStatus()), NEVER, NOON) == Work()
