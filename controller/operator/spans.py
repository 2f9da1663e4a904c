"""Spans by OpenTelemetry, sent by OTLP over HTTP: one for each reconcile and sweep, in it one for each call and write.

The names of attributes are those of OpenTelemetry's semantic conventions (AWS SDK, HTTP, Kubernetes), and `edgeplan.…`
for what is the operator's own. Where to, how often and how much of it is for the OTEL_… variables to say, as everywhere.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector
from opentelemetry.sdk.resources import Resource as Origin
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, get_current_span
from opentelemetry.util.types import AttributeValue

from controller.cluster.connection import status_of
from controller.domain.agenda import Wake
from controller.domain.api import PLURAL
from controller.domain.conversation import Result
from controller.domain.failures import Failure
from controller.domain.outcomes import Retrying
from controller.domain.resource import Key, Resource, Scope
from controller.engine.ports import ObjectError
from controller.operator.logs import own_version
from controller.operator.metrics import reason_of
from controller.operator.tracing import TRACE_ID, Tracing

_STS = frozenset({"AssumeRole", "GetCallerIdentity"})
_NOTHING_DONE = "Rest"
_NANOSECONDS = 1_000_000_000


def make_exporter() -> OTLPSpanExporter:
    """What sends spans.

    Raises:
        ValueError: an OTEL_… variable makes no sense.

    """
    try:
        return OTLPSpanExporter()
    except ValueError as error:
        raise ValueError(f"--tracing: an OTEL_ variable makes no sense: {error}") from error


class Spans(Tracing):
    """Tells of the work by spans."""

    def __init__(self, cluster: str) -> None:
        own = {
            "service.name": "edgeplan",
            "service.version": own_version(),
            "service.instance.id": socket.gethostname(),
            "k8s.cluster.uid": cluster,
        }
        origin = Origin.create(own | dict(OTELResourceDetector().detect().attributes))
        # Not at the exit of the process: who does not answer must not hold it up.
        self._provider = TracerProvider(resource=origin, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(make_exporter()))
        self._tracer = self._provider.get_tracer("edgeplan", own_version())

    @contextmanager
    def reconciling(self, key: Key, wakes: frozenset[Wake], waited: float | None) -> Iterator[None]:
        """As `Tracing.reconciling`."""
        known: dict[str, AttributeValue] = {
            "k8s.namespace.name": key.namespace,
            "edgeplan.name": key.name,
            "edgeplan.wakes": sorted(wakes),
            "edgeplan.outcome": _NOTHING_DONE,
        }
        if waited is not None:
            known["edgeplan.queue.wait_seconds"] = waited
        with self._root("reconcile", known):
            yield

    @contextmanager
    def sweeping(self, scope: Scope) -> Iterator[None]:
        """As `Tracing.sweeping`."""
        with self._root("sweep", _place(scope)):
            yield

    @contextmanager
    def _root(self, name: str, attributes: Mapping[str, AttributeValue]) -> Iterator[None]:
        # A context of its own: the task may have been begun from within another reconcile, which did not cause it.
        with self._tracer.start_as_current_span(name, context=Context(), attributes=attributes) as span:
            token = TRACE_ID.set(format_trace_id(span.get_span_context().trace_id))
            try:
                yield
            finally:
                TRACE_ID.reset(token)

    def attempted(self, before: Resource, result: Result) -> None:
        """As `Tracing.attempted`."""
        span, outcome = get_current_span(), result.outcome
        span.set_attributes(
            {
                "edgeplan.uid": before.uid,
                "edgeplan.generation": before.generation,
                "edgeplan.outcome": type(outcome).__name__,
                "edgeplan.reason": reason_of(outcome),
            }
        )
        if isinstance(outcome, Retrying):
            _failed(span, outcome.failure.code, str(outcome.failure))

    def called(
        self, scope: Scope, operation: str, failure: Failure | None, seconds: float, request_id: str | None
    ) -> None:
        """As `Tracing.called`."""
        service = "STS" if operation in _STS else "SageMaker"
        known = {"rpc.system": "aws-api", "rpc.service": service, "rpc.method": operation, **_place(scope)}
        if request_id:
            known["aws.request_id"] = request_id
        error = (failure.code, str(failure)) if failure is not None else None
        self._over(f"{service}.{operation}", known, seconds, error)

    def wrote(self, key: Key, part: str, failure: ObjectError | None, seconds: float) -> None:
        """As `Tracing.wrote`."""
        known: dict[str, str | int] = {
            "http.request.method": "PATCH",
            "k8s.namespace.name": key.namespace,
            "edgeplan.name": key.name,
            "edgeplan.part": part,
        }
        error = None
        if failure is not None:
            status = status_of(failure)
            known |= {"http.response.status_code": status} if status is not None else {}
            error = (str(status or type(failure).__name__), str(failure))
        self._over(f"PATCH {PLURAL} {part}", known, seconds, error)

    def _over(
        self, name: str, attributes: Mapping[str, str | int], seconds: float, error: tuple[str, str] | None
    ) -> None:
        """Tell of something that is over by now."""
        now = time.time_ns()
        begun = now - int(seconds * _NANOSECONDS)
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes, start_time=begun)
        if error is not None:
            _failed(span, *error)
        span.end(now)

    async def close(self, patience: timedelta) -> None:
        """As `Tracing.close`."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # too late: the loop has ended
                loop.call_soon_threadsafe(sent.set)

        # A thread that the process does not wait for, as it would for one of the loop's own.
        threading.Thread(target=send, name="spans", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(sent.wait(), patience.total_seconds())


def _place(scope: Scope) -> dict[str, str]:
    return {"cloud.region": scope.region, "edgeplan.account": scope.account}


def _failed(span: Span, code: str, text: str) -> None:
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, text))
    span.add_event("exception", {"exception.type": code, "exception.message": text})
