"""Outages of AWS as the log tells them: a warning when calls begin to fail, a line when they work again; none per try.

Who waits for credentials waits for minutes: the first call of the account that works again wakes all of them.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from controller.domain.failures import Failure, FailureKind
from controller.domain.reasons import Reason
from controller.domain.resource import Scope

logger = logging.getLogger(__name__)

_CALM = timedelta(seconds=10)
# Most calls of an account that is throttled work, and every ten to sixty seconds one tries whether AWS takes more.
_CALM_OF_THROTTLE = timedelta(minutes=2)
_BREATH = timedelta(minutes=1)  # between two times that all who wait are woken: what works for one may fail for others
_ASSUME_ROLE = "AssumeRole"  # comes before any other call: whatever works shows that it does
_OF_ONE_OBJECT = frozenset({Reason.PROGRESSING_WITH_RETRY, Reason.REFERENCE_NOT_FOUND})
_TELLING = frozenset({FailureKind.CREDENTIALS, FailureKind.THROTTLED, FailureKind.TRANSIENT})


@dataclass(frozen=True)
class _What:
    """What fails: a call that is denied says nothing of other calls, all else concerns every call there."""

    scope: Scope
    reason: Reason
    operation: str | None

    def ended_by(self, scope: Scope, operation: str) -> bool:
        return self.scope == scope and self.operation in {None, operation, _ASSUME_ROLE}


@dataclass
class _Since:
    first: float
    last: float
    calls: int = 1
    worked: float | None = None
    """When a call worked last of which those who wait have not been told yet."""


class Outages:
    """Told of each call; `works_again` is called with an account and what has ended there: AccessDenied or NoCredentials."""

    def __init__(
        self,
        works_again: Callable[[str, Reason], None],
        later: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._works_again = works_again
        self._later = later
        self._clock = clock
        self._open: dict[_What, _Since] = {}
        self._woken: dict[tuple[str, Reason], float] = {}
        self._worked_once: set[tuple[str, str | None]] = set()

    def called(self, scope: Scope, operation: str, failure: Failure | None) -> None:
        """A call was made, or could not be."""
        if failure is None:
            self._worked(scope, operation)
        elif failure.kind in _TELLING and failure.reason not in _OF_ONE_OBJECT:
            self._failed(scope, operation, failure)

    def _failed(self, scope: Scope, operation: str, failure: Failure) -> None:
        denied = failure.reason is Reason.ACCESS_DENIED
        what, now = _What(scope, failure.reason, operation if denied else None), self._clock()
        known = self._open.get(what)
        if known is not None:
            known.last, known.calls = now, known.calls + 1
            return
        self._open[what] = _Since(now, now)
        subject = f"{operation} fails" if denied else f"calls fail: {failure.reason}"
        details = {"reason": failure.reason, "errorCode": failure.code, "requestId": failure.request_id}
        logger.warning(
            "AWS account %s, %s: %s: %s",
            *(*scope, subject, failure),
            extra=_place(scope) | {"action": operation} | details,
        )

    def _worked(self, scope: Scope, operation: str) -> None:
        now = self._clock()
        # Since the start: an earlier process may have met an outage.
        for called, ended in ((None, Reason.NO_CREDENTIALS), (operation, Reason.ACCESS_DENIED)):
            if (scope.account, called) not in self._worked_once:
                self._worked_once.add((scope.account, called))
                self._works_again(scope.account, ended)
        for what in [what for what in self._open if what.ended_by(scope, operation)]:
            since = self._open[what]
            if what.reason in {Reason.ACCESS_DENIED, Reason.NO_CREDENTIALS}:
                if not self._wake(scope, operation, what, now):
                    continue
            elif now - since.last < (_CALM_OF_THROTTLE if what.reason is Reason.THROTTLED else _CALM).total_seconds():
                continue
            del self._open[what]
            took = timedelta(seconds=round(now - since.first))
            subject = f"{what.operation} works" if what.operation else "calls work"
            logger.info(
                "AWS account %s, %s: %s again: %s has ended after %s and %d failed calls",
                *(*scope, subject, what.reason, took, since.calls),
                extra=_place(scope) | {"reason": what.reason},
            )

    def _wake(self, scope: Scope, operation: str, what: _What, now: float) -> bool:
        """Wake all who wait for it, unless that was done a moment ago: then later, if it has not failed again by then."""
        who, since = (scope.account, what.reason), self._open[what]
        left = self._woken.get(who, now - _BREATH.total_seconds()) + _BREATH.total_seconds() - now
        if left > 0:
            if since.worked is None:
                self._later(left, lambda: self._still_works(scope, operation, what, since))
            since.worked = now
            return False
        self._woken[who] = now
        self._works_again(*who)
        return True

    def _still_works(self, scope: Scope, operation: str, what: _What, since: _Since) -> None:
        worked, since.worked = since.worked, None
        if self._open.get(what) is since and worked is not None and worked >= since.last:
            self._worked(scope, operation)


def _place(scope: Scope) -> dict[str, str | None]:
    return {"account": scope.account, "region": scope.region}
