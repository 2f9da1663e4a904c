"""What the operator counts: attempts, waits in the queue, AWS calls, sweeps, drift. `census.py` has what it can look up.

Whoever is measured is handed a method of `Metrics` and knows no more of it. Labels are bounded: outcomes, reasons, accounts,
regions and operations are closed sets, and of error codes, which somebody else may make up, a process knows so many.
"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from controller.domain.agenda import Wake
from controller.domain.conversation import Result
from controller.domain.failures import Failure, FailureKind
from controller.domain.outcomes import Done, Gone, Outcome, Pending, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope
from controller.engine.ports import ObjectError
from controller.engine.queue import Work
from controller.engine.sweeper import Sweeper
from controller.operator.logs import own_version
from controller.operator.measures import LoopWatch, Sweeps, Waits
from controller.operator.tracing import Tracing

OUTCOMES = (Done, Waiting, Retrying, Queued, Stalled, Pending, Suspended, Gone)
FAILED = "Failed"
OK, NONE, OTHER = "OK", "none", "other"

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_MOST_CODES = 60


def reason_of(outcome: Outcome) -> Reason:
    """Why an attempt ended as it did; the kind of a failure is counted apart."""
    match outcome:
        case Done(reason=reason) | Waiting(reason=reason) | Stalled(reason=reason) | Gone(reason=reason):
            return reason
        case Retrying(failure=failure):
            return failure.reason
        case Queued():
            return Reason.WAITING_FOR_QUOTA if outcome.ahead else Reason.RESOURCE_LIMIT_EXCEEDED
        case Pending():
            return Reason.CHANGES_PENDING
        case Suspended():
            return Reason.SUSPENDED


class Metrics:
    """Counters and histograms of one operator."""

    def __init__(self, scope_of: Callable[[Key], Scope | None]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that no query needs
        self.registry = registry = CollectorRegistry()
        self.waits = Waits(registry)
        self.sweeps = Sweeps(registry)
        self.loop = LoopWatch()
        self.failing: dict[Key, FailureKind] = {}
        """Objects whose latest attempt failed, and how."""
        self.tracing = Tracing()
        """Told of the same, one by one."""
        self._scope_of = scope_of
        self._codes: set[str] = set()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        build = Gauge("edgeplan_build_info", "What runs; always 1.", ["version", "python"], registry=registry)
        build.labels(own_version(), platform.python_version()).set(1)
        self._reconciles = Counter(
            "edgeplan_reconciles",
            "Attempts at an object, by how they ended and why. Failed: the Kubernetes API did, or a bug came up.",
            ["outcome", "reason"],
            registry=registry,
        )
        self._seconds = Histogram(
            "edgeplan_reconcile_seconds",
            "Time of an attempt, with its AWS calls and its writes to the Kubernetes API.",
            ["outcome"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._retries = Counter(
            "edgeplan_retries",
            "Attempts that ended with a failure to be tried again, by kind of failure.",
            ["failure"],
            registry=registry,
        )
        self._found = Counter(
            "edgeplan_drift_found",
            "Plans that were as specified and then differed in AWS, though nobody had edited the object.",
            ["account", "region"],
            registry=registry,
        )
        self._corrected = Counter(
            "edgeplan_drift_corrected",
            "Differences between AWS and a spec that the operator put right.",
            ["account", "region"],
            registry=registry,
        )
        self._calls = Counter(
            "edgeplan_aws_calls",
            "AWS calls. code: OK or the error code; failure: its kind, none for OK. AssumeRole only where it failed.",
            ["operation", "account", "region", "code", "failure"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "edgeplan_aws_call_seconds",
            "Time of an AWS call, without the wait for its turn where AWS throttles.",
            ["operation", "account"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._throttle_seconds = Histogram(
            "edgeplan_aws_throttle_wait_seconds",
            "Time that AWS calls waited for their turn while AWS throttles.",
            ["account", "region"],
            buckets=_SECONDS,
            registry=registry,
        )
        for outcome in OUTCOMES:  # zero is an answer, too: rates need to see a series begin
            self._seconds.labels(outcome.__name__)
        for why in (ObjectError, Exception):
            self._reconciles.labels(FAILED, why.__name__)
        for kind in FailureKind:
            self._retries.labels(kind)

    def attempted(self, before: Resource, result: Result, seconds: float) -> None:
        """An attempt at an object came to something."""
        outcome, name = result.outcome, type(result.outcome).__name__
        self._reconciles.labels(name, reason_of(outcome)).inc()
        self._seconds.labels(name).observe(seconds)
        # Whoever is behind others in the quota queue made no attempt; who asked AWS and was refused did.
        if isinstance(outcome, Retrying) or (isinstance(outcome, Queued) and outcome.attempts):
            self._retries.labels(outcome.failure.kind).inc()
            self.failing[before.key] = outcome.failure.kind
        else:
            self.failing.pop(before.key, None)
        self._count_drift(before, result)
        self.tracing.attempted(before, result)

    def _count_drift(self, before: Resource, result: Result) -> None:
        """Whoever was Ready, and was neither edited nor asked nor deleted, has work to do for no other reason."""
        settled = before.status.is_true("Ready") and not (before.edited or before.asked or before.deleting)
        scope = self._scope_of(before.key)
        if not settled or scope is None:
            return
        lost = isinstance(result.outcome, Stalled) and result.outcome.reason is Reason.OWNERSHIP_LOST
        if result.found.done or lost or isinstance(result.outcome, Pending):
            self._found.labels(*scope).inc()
        if result.found.done and not isinstance(result.outcome, Stalled | Retrying):
            self._corrected.labels(*scope).inc()

    def called(self, scope: Scope, operation: str, failure: Failure | None, seconds: float) -> None:
        """An AWS call ended."""
        code, kind = (self._bounded(failure.code), failure.kind) if failure is not None else (OK, NONE)
        self._calls.labels(operation, *scope, code, kind).inc()
        self._call_seconds.labels(operation, scope.account).observe(seconds)

    def waited(self, scope: Scope, seconds: float) -> None:
        """An AWS call waited for its turn, where AWS throttles."""
        self._throttle_seconds.labels(*scope).observe(seconds)

    def _bounded(self, code: str) -> str:
        if len(self._codes) < _MOST_CODES:
            self._codes.add(code)
        return code if code in self._codes else OTHER

    def swept(self, scope: Scope) -> None:
        """A sweep begins: from now on its account and region can have drift."""
        for counter in (self._found, self._corrected):
            counter.labels(*scope)

    def measured(self, work: Work) -> Work:
        """The work of a queue, with its waits and failures counted."""

        async def run(key: Key, wakes: frozenset[Wake]) -> timedelta | None:
            waited = self.waits.started(key, wakes)
            try:
                with self.tracing.reconciling(key, wakes, waited):
                    after = await work(key, wakes)
            except Exception as error:
                known = ObjectError if isinstance(error, ObjectError) else Exception
                self._reconciles.labels(FAILED, known.__name__).inc()
                raise
            finally:
                self.waits.working -= 1
            self.waits.due(key, after)
            return after

        return run


@dataclass(kw_only=True)
class MeasuredSweeper(Sweeper):
    """A sweeper whose sweeps are counted."""

    metrics: Metrics

    async def sweep(self, scope: Scope, since: datetime | None = None) -> None:
        """As `Sweeper.sweep`."""
        begun, good = time.monotonic(), False
        self.metrics.sweeps.begun(scope)
        self.metrics.swept(scope)
        try:
            with self.metrics.tracing.sweeping(scope):
                await super().sweep(scope, since)
            good = True
        finally:
            self.metrics.sweeps.ended(scope, time.monotonic() - begun, good=good)
