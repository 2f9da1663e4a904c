"""What a failed call means for the object."""

from datetime import timedelta

import pytest

from controller.domain.failures import FailureKind
from controller.domain.outcomes import Queued, Retrying, Stalled
from controller.domain.respond import respond
from tests.unit.builders import MINUTE, NOON, REFUSED_FOR_QUOTA, failure, plan, retry, status


def test_first_failure_counts_one() -> None:
    broken = failure()
    assert respond(broken, plan(status=status()), 0.5) == Retrying(broken, timedelta(seconds=0.5), 1)


def test_attempts_go_on_from_what_the_status_says_so_a_restart_loses_none() -> None:
    broken = failure()
    before = status(retry=retry(6, NOON))
    assert respond(broken, plan(status=before), 0.5) == Retrying(broken, timedelta(seconds=32), 7)


def test_edited_spec_starts_to_count_anew() -> None:
    before = status(generation=1, retry=retry(6, NOON))
    outcome = respond(failure(), plan(generation=2, status=before), 0.5)
    assert isinstance(outcome, Retrying)
    assert outcome.attempts == 1


def test_throttled_call_is_not_counted() -> None:
    outcome = respond(failure(FailureKind.THROTTLED), plan(status=status(retry=retry(3, NOON))), 0.5)
    assert isinstance(outcome, Retrying)
    assert outcome.attempts == 0


def test_missing_rights_wait_about_five_minutes() -> None:
    outcome = respond(failure(FailureKind.CREDENTIALS), plan(status=status()), 0.5)
    assert isinstance(outcome, Retrying)
    assert outcome.after == 5 * MINUTE


def test_refusal_for_quota_queues_and_counts() -> None:
    outcome = respond(REFUSED_FOR_QUOTA, plan(status=status(arn=None, retry=retry(2, NOON))), 0.5)
    assert outcome == Queued(0, timedelta(seconds=2), 3, REFUSED_FOR_QUOTA)


def test_terminal_failure_stalls_with_the_words_of_aws() -> None:
    refused = failure(FailureKind.TERMINAL, "ValidationException", operation="CreateEdgeDeploymentPlan")
    outcome = respond(refused, plan(status=status()), 0.5)
    assert outcome == Stalled("RefusedByAWS", "AWS refuses CreateEdgeDeploymentPlan", refused)


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind is not FailureKind.QUOTA])
def test_nothing_is_terminal_while_the_object_is_deleted(kind: FailureKind) -> None:
    assert isinstance(respond(failure(kind), plan(deleting=True, status=status()), 0.5), Retrying)
