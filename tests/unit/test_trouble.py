"""Trouble with repeated calls: told when it begins, once for each kind, and when it has ended."""

import logging

import pytest
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.connection import Unreachable
from controller.cluster.trouble import Trouble
from controller.engine.ports import ObjectError
from tests.log import lines


def refused(status: int, words: str = "no") -> ObjectError:
    error = ObjectError(f"lease a/b: {status} {words}")
    error.__cause__ = ApiException(status=status)
    return error


class Told:
    """Trouble by a clock of the test's, with what it logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self._log = caplog
        self.now = 1000.0
        self._trouble = Trouble("lease a/b", lambda: self.now)

    def failed(self, error: ObjectError) -> None:
        self._trouble.failed(error)
        self.now += 1

    def worked(self) -> None:
        self._trouble.worked()
        self.now += 1

    @property
    def lines(self) -> list[tuple[str, str]]:
        return lines(self._log)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_beginning_is_a_warning_and_end_a_line_however_many_calls_fail(told: Told) -> None:
    told.worked()
    for _ in range(101):
        told.failed(refused(401))
    told.now += 10
    told.worked()
    told.worked()
    assert told.lines == [
        ("WARNING", "lease a/b: 401 no"),
        ("INFO", "lease a/b: works again, after 0:01:40 and 101 failed calls"),
    ]


def test_it_has_not_ended_while_one_call_in_some_fails(told: Told) -> None:
    for _ in range(30):
        told.failed(refused(401))
        told.worked()
    assert told.lines == [("WARNING", "lease a/b: 401 no")]


def test_another_kind_of_trouble_is_told_too_and_other_words_for_the_same_are_not(told: Told) -> None:
    for number in range(3):
        told.failed(refused(401, f"request {number}"))
        told.failed(Unreachable(f"nobody listens, try {number}"))
        told.failed(refused(403))
    assert [text for _, text in told.lines] == [
        "lease a/b: 401 request 0",
        "nobody listens, try 0",
        "lease a/b: 403 no",
    ]


def test_what_begins_again_is_told_again(told: Told) -> None:
    for _ in range(2):
        told.failed(refused(401))
        told.now += 10
        told.worked()
    assert [level for level, _ in told.lines] == ["WARNING", "INFO"] * 2
