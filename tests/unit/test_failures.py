"""Failures are a closed set; each kind has one delay."""

from datetime import timedelta

import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.failures import (
    CREDENTIALS_CODES,
    QUOTA_CODES,
    TERMINAL_CODES,
    THROTTLING_CODES,
    TRANSIENT_CODES,
    Failure,
    FailureKind,
    classify,
)
from controller.domain.schedule import BACKOFF_CAP, backoff, retry_after
from tests.unit.builders import failure

DICE = st.floats(min_value=0, max_value=1, exclude_max=True)
SETS = (QUOTA_CODES, THROTTLING_CODES, CREDENTIALS_CODES, TRANSIENT_CODES, TERMINAL_CODES)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ResourceLimitExceeded", 400, FailureKind.QUOTA),
        ("ServiceQuotaExceededException", 402, FailureKind.QUOTA),
        ("ThrottlingException", 400, FailureKind.THROTTLED),
        ("RequestLimitExceeded", 503, FailureKind.THROTTLED),
        ("SomethingNew", 429, FailureKind.THROTTLED),
        ("InternalFailure", 500, FailureKind.TRANSIENT),
        ("ServiceUnavailable", 503, FailureKind.TRANSIENT),
        ("SomethingNew", 500, FailureKind.TRANSIENT),
        ("SomethingNew", 599, FailureKind.TRANSIENT),
        ("ResourceInUse", 400, FailureKind.TRANSIENT),
        ("ConflictException", 409, FailureKind.TRANSIENT),
        ("ResourceNotFound", 400, FailureKind.TRANSIENT),
        ("AccessDeniedException", 400, FailureKind.CREDENTIALS),
        ("AccessDenied", 403, FailureKind.CREDENTIALS),
        ("ExpiredTokenException", 400, FailureKind.CREDENTIALS),
        ("UnrecognizedClientException", 400, FailureKind.CREDENTIALS),
        ("ValidationException", 400, FailureKind.TERMINAL),
        ("UnknownOperationException", 400, FailureKind.TERMINAL),
        ("SomethingNew", 400, FailureKind.UNKNOWN),
        ("SomethingNew", 0, FailureKind.UNKNOWN),
    ],
)
def test_every_answer_of_aws_has_its_kind(code: str, status: int, kind: FailureKind) -> None:
    assert classify(code, status) is kind


def test_no_code_is_of_two_kinds() -> None:
    assert sum(map(len, SETS)) == len(frozenset[str]().union(*SETS))


def test_botocores_throttling_codes_are_ours() -> None:
    assert set(ThrottledRetryableChecker._THROTTLED_ERROR_CODES) <= THROTTLING_CODES


def test_botocores_transient_codes_are_retried_by_us() -> None:
    assert set(TransientRetryableChecker._TRANSIENT_ERROR_CODES) <= TRANSIENT_CODES | THROTTLING_CODES


@given(attempts=st.integers(1, 10_000), dice=DICE)
def test_backoff_is_between_a_tenth_of_a_second_and_five_minutes(attempts: int, dice: float) -> None:
    assert timedelta(milliseconds=100) <= backoff(attempts, dice) <= BACKOFF_CAP == timedelta(minutes=5)


@given(attempts=st.integers(1, 10_000), dice=DICE)
def test_backoff_is_never_over_its_doubling_ceiling(attempts: int, dice: float) -> None:
    ceiling = min(300.0, 2.0 ** min(attempts - 1, 20))
    assert backoff(attempts, dice).total_seconds() <= max(0.1, ceiling)


@given(attempts=st.integers(1, 100), dice=DICE)
def test_backoff_never_gets_shorter_with_more_attempts(attempts: int, dice: float) -> None:
    assert backoff(attempts, dice) <= backoff(attempts + 1, dice)


@given(attempts=st.integers(10, 10_000))
def test_full_jitter_reaches_the_whole_range(attempts: int) -> None:
    assert backoff(attempts, 0.0) == timedelta(milliseconds=100)
    assert backoff(attempts, 0.999999) > timedelta(seconds=299)


@given(attempts=st.integers(1, 10_000), dice=DICE)
def test_credentials_are_tried_again_about_every_five_minutes(attempts: int, dice: float) -> None:
    assert (
        timedelta(seconds=270)
        <= retry_after(failure(FailureKind.CREDENTIALS), attempts, dice)
        <= timedelta(seconds=330)
    )


@given(attempts=st.integers(1, 10_000), dice=DICE)
def test_a_throttled_call_waits_5_to_15_seconds_however_often(attempts: int, dice: float) -> None:
    assert timedelta(seconds=5) <= retry_after(failure(FailureKind.THROTTLED), attempts, dice) <= timedelta(seconds=15)


@pytest.mark.parametrize("kind", [FailureKind.TRANSIENT, FailureKind.UNKNOWN, FailureKind.QUOTA])
def test_all_other_kinds_back_off(kind: FailureKind) -> None:
    assert retry_after(failure(kind), 5, 0.5) == backoff(5, 0.5) == timedelta(seconds=8)


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("CreateEdgeDeploymentPlan", "sagemaker:CreateEdgeDeploymentPlan"),
        ("AddTags", "sagemaker:AddTags"),
        ("AssumeRole", "sts:AssumeRole"),
    ],
)
def test_the_iam_action_is_named_as_in_a_policy(operation: str, action: str) -> None:
    assert failure(operation=operation).iam_action == action


def test_a_failure_reads_as_code_message_and_request_id() -> None:
    assert str(failure()) == "InternalFailure: it broke (request id request-1)"


def test_action_that_aws_names_is_the_one_to_allow() -> None:
    words = "User: arn:aws:iam::111122223333:user/x is not authorized to perform: sts:TagSession on resource: y"
    denied = Failure(FailureKind.CREDENTIALS, "AssumeRole", "AccessDenied", words)
    assert denied.iam_action == "sts:TagSession"
    assert Failure(FailureKind.CREDENTIALS, "AssumeRole", "AccessDenied", "no").iam_action == "sts:AssumeRole"
