"""A receiver of spans by OTLP over HTTP, for tests: what it got, as OpenTelemetry's own messages tell it."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Received:
    """One span."""

    name: str
    trace: str
    id: str
    parent: str
    kind: str
    failed: bool
    attributes: dict[str, Any]
    origin: dict[str, Any]
    events: tuple[str, ...]
    begun: int
    ended: int


@dataclass
class Receiver:
    """What came in by now."""

    port: int
    paths: set[str] = field(default_factory=set)
    spans: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> list[Received]:
        return [span for span in [*self.spans] if span.name == name]

    def children(self, parent: Received) -> list[Received]:
        """Its children, in the order in which they began."""
        return sorted((span for span in [*self.spans] if span.parent == parent.id), key=lambda span: span.begun)

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            origin = values(group.resource.attributes)
            self.spans += [received(span, origin) for scope in group.scope_spans for span in scope.spans]


def received(span: Message, origin: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=Message.SpanKind.Name(span.kind),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=values(span.attributes),
        origin=origin,
        events=tuple(event.name for event in span.events),
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
    )


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take(self.path, gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
