"""What tells of the operator's work as spans: nothing, unless tracing is asked for. `spans.py` knows OpenTelemetry.

Off, nothing of OpenTelemetry is imported, and each of these calls does nothing.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from datetime import timedelta

from controller.domain.agenda import Wake
from controller.domain.conversation import Result
from controller.domain.failures import Failure
from controller.domain.resource import Key, Resource, Scope
from controller.engine.ports import ObjectError

TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace of the work under way, for the log."""


class Tracing:
    """Tells nobody of anything."""

    def reconciling(
        self,
        key: Key,  # noqa: ARG002 - whoever traces wants to know
        wakes: frozenset[Wake],  # noqa: ARG002
        waited: float | None,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """An object is worked on meanwhile; it could have been for so many seconds, where that is known."""
        return nullcontext()

    def sweeping(self, scope: Scope) -> AbstractContextManager[None]:  # noqa: ARG002
        """An account and region is looked at for drift meanwhile."""
        return nullcontext()

    def attempted(self, before: Resource, result: Result) -> None:
        """The work came to that."""

    def called(
        self, scope: Scope, operation: str, failure: Failure | None, seconds: float, request_id: str | None
    ) -> None:
        """An AWS call ended."""

    def wrote(self, key: Key, part: str, failure: ObjectError | None, seconds: float) -> None:
        """A write of that part of an object to the Kubernetes API ended."""

    async def close(self, patience: timedelta) -> None:
        """Send what is not sent yet, for so long."""


def _implementation() -> Callable[[str], Tracing]:
    try:
        from controller.operator.spans import Spans  # noqa: PLC0415 - is not there where nobody asks for it
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ValueError("--tracing: OpenTelemetry is not installed: pip install 'edgeplan[otel]'") from error
    return Spans


def check_tracing() -> None:
    """Find out whether spans can be sent.

    Raises:
        ValueError: OpenTelemetry is not installed, or OTEL_… variables make no sense.

    """
    _implementation()
    from controller.operator.spans import make_exporter  # noqa: PLC0415 - as above

    make_exporter().shutdown()  # type: ignore[no-untyped-call]


def open_tracing(cluster: str) -> Tracing:
    """What sends spans to where the OTEL_… variables say.

    Raises:
        ValueError: as `check_tracing`.

    """
    return _implementation()(cluster)
