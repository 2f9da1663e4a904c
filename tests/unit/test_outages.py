"""Outages: told when they begin and when they end, and whoever waits for credentials is woken."""

import logging
from collections.abc import Callable

import pytest

from controller.domain.failures import Failure, FailureKind
from controller.domain.reasons import Reason
from controller.domain.resource import Scope
from controller.operator.outages import Outages
from tests.log import lines
from tests.unit.builders import SCOPE, failure

DESCRIBE, CREATE = "DescribeEdgeDeploymentPlan", "CreateEdgeDeploymentPlan"
DENIED = failure(FailureKind.CREDENTIALS, "AccessDeniedException", operation=CREATE)
EXPIRED = failure(FailureKind.CREDENTIALS, "ExpiredTokenException")
THROTTLED = failure(FailureKind.THROTTLED, "ThrottlingException")
BROKEN = failure(code="ServiceUnavailable")
ELSEWHERE = Scope("shops", "us-east-1")


class Told:
    """Outages, with what they logged and whom they woke."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self._log = caplog
        self.now = 1000.0
        self.woken: list[tuple[str, Reason]] = []
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._outages = Outages(
            lambda account, reason: self.woken.append((account, reason)),
            lambda seconds, act: self._timers.append((self.now + seconds, act)),
            lambda: self.now,
        )
        for operation in (DESCRIBE, CREATE):
            self.call(operation=operation)
        self.woken.clear()
        self.now += 100

    def call(self, failed: Failure | None = None, operation: str = DESCRIBE, scope: Scope = SCOPE) -> None:
        """A call, made where it did not fail."""
        self._outages.called(scope, failed.operation if failed else operation, failed)

    def fail_soon_after_all_were_woken(self) -> None:
        """A call is denied, works, and ten seconds later is denied and works again."""
        self.call(DENIED)
        self.call(operation=CREATE)
        self.wait(10)
        self.call(DENIED)
        self.call(operation=CREATE)

    def wait(self, seconds: float) -> None:
        """Time goes on."""
        self.now += seconds
        due, self._timers = (
            [act for moment, act in self._timers if moment <= self.now],
            [each for each in self._timers if each[0] > self.now],
        )
        for act in due:
            act()

    @property
    def lines(self) -> list[tuple[str, str]]:
        return lines(self._log)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_beginning_is_a_warning_and_end_a_line_however_many_calls_fail(told: Told) -> None:
    for _ in range(5):
        told.call(BROKEN)
        told.now += 20
    told.call()
    began = "calls fail: AWSUnavailable: ServiceUnavailable: it broke (request id request-1)"
    ended = "calls work again: AWSUnavailable has ended after 0:01:40 and 5 failed calls"
    assert told.lines == [
        ("WARNING", f"AWS account default, eu-west-1: {began}"),
        ("INFO", f"AWS account default, eu-west-1: {ended}"),
    ]


def test_call_that_works_amid_throttling_ends_nothing(told: Told) -> None:
    for _ in range(5):
        told.call(THROTTLED)
        told.call()
        told.now += 5
    told.now += 60
    told.call()
    assert [level for level, _ in told.lines] == ["WARNING"]
    told.now += 60
    told.call()
    assert [level for level, _ in told.lines] == ["WARNING", "INFO"]


def test_what_concerns_one_object_is_no_outage(told: Told) -> None:
    told.call(failure(code="ResourceInUse"))
    told.call(failure(code="ResourceNotFound", operation="CreateEdgeDeploymentPlan"))
    assert told.lines == []


def test_call_of_another_account_ends_nothing(told: Told) -> None:
    told.call(EXPIRED)
    told.call(scope=ELSEWHERE)
    # The first call there that works since the start: an earlier process may have met what has ended since.
    assert told.woken == [("shops", Reason.NO_CREDENTIALS), ("shops", Reason.ACCESS_DENIED)]
    assert [level for level, _ in told.lines] == ["WARNING"]


def test_first_call_that_works_again_wakes_all_that_wait_for_credentials(told: Told) -> None:
    told.call(EXPIRED)
    told.call()
    told.call()
    assert told.woken == [("default", Reason.NO_CREDENTIALS)]


def test_denied_call_ends_only_with_a_call_of_its_kind(told: Told) -> None:
    told.call(DENIED)
    told.call(operation=DESCRIBE)
    assert told.woken == []
    told.call(operation=CREATE)
    assert told.woken == [("default", Reason.ACCESS_DENIED)]


def test_role_that_could_not_be_assumed_can_be_if_any_call_works(told: Told) -> None:
    told.call(failure(FailureKind.CREDENTIALS, "AccessDenied", operation="AssumeRole"))
    told.call(operation=DESCRIBE)
    assert told.woken == [("default", Reason.ACCESS_DENIED)]


def test_what_works_for_one_and_not_for_others_wakes_them_once_a_minute(told: Told) -> None:
    """A policy may allow the same call for some plans only."""
    for _ in range(12):
        told.call(DENIED)
        told.call(operation=CREATE)
        told.now += 10
    assert len(told.woken) == 2


def test_those_who_were_not_woken_as_others_just_had_been_are_woken_later(told: Told) -> None:
    told.fail_soon_after_all_were_woken()
    told.call(operation=CREATE)
    assert len(told.woken) == 1
    told.wait(49)
    assert len(told.woken) == 1
    told.wait(1)
    assert told.woken == 2 * [("default", Reason.ACCESS_DENIED)]
    assert [level for level, _ in told.lines] == ["WARNING", "INFO", "WARNING", "INFO"]


def test_nobody_is_woken_later_for_what_failed_again_since(told: Told) -> None:
    told.fail_soon_after_all_were_woken()
    told.wait(10)
    told.call(DENIED)
    told.wait(60)
    assert len(told.woken) == 1


@pytest.mark.parametrize(
    "failed", [failure(code="ResourceInUse"), failure(FailureKind.TERMINAL, "ValidationException")], ids=str
)
def test_refusal_that_is_about_one_plan_is_no_outage(told: Told, failed: Failure) -> None:
    told.call(failed)
    assert told.lines == []
