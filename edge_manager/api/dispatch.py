"""What a request asks for and how it is answered, by botocore's service models: one way for the service and the sandbox."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from edge_manager.api import fleet_calls, job_calls, plan_calls, sts, tag_calls, wire
from edge_manager.api.calls import CONTROL, names

if TYPE_CHECKING:
    from edge_manager.api.calls import Result
    from edge_manager.errors import ApiError

REGISTERED = (fleet_calls, job_calls, plan_calls, tag_calls)  # their operations are in OPERATIONS by now
TOKENS = "sts"
JSON = "application/json"


class Asked(NamedTuple):
    """A service, its operation, and STS's parameters."""

    service: str
    operation: str
    form: dict[str, str] | None = None


class Reply(NamedTuple):
    """An answer, and the code to record it under."""

    status: int
    content_type: str
    body: bytes
    request_id: str
    code: str = "OK"


@functools.cache
def codec(service: str) -> wire.Wire:
    """The codec of a service's operations; compiling the model takes a moment, so a process does it once."""
    return wire.Wire(names(service), service)


def asked(target: str | None, query: str, body: bytes) -> Asked:
    """What a request to `/` asks for: SageMaker names its operation in a header, STS in a form."""
    if target is not None:
        return Asked(CONTROL, target.removeprefix(wire.TARGET_PREFIX))
    form = dict(parse_qsl(query, keep_blank_values=True)) | dict(parse_qsl(body.decode(errors="replace")))
    return Asked(TOKENS, form.get("Action", "Unknown"), form)


def answered(service: str, operation: str, result: Result | None, request_id: str) -> Reply:
    """The result of an operation in the form of its service."""
    return Reply(200, _content_type(service), codec(service).render(operation, result or {}), request_id)


def refused(service: str, error: ApiError, request_id: str) -> Reply:
    """An error in the form of the service that was called."""
    if service == TOKENS:
        status, body = sts.error(error, request_id)
        return Reply(status, sts.CONTENT_TYPE, body, request_id, error.code)
    return Reply(error.status, _content_type(service), wire.render_error(error), request_id, error.code)


def parameters(service: str, operation: str, body: bytes) -> Any:
    """The JSON of a call; an operation that nobody implements is refused first."""
    codec(service).require(operation)
    return wire.loads(body)


def _content_type(service: str) -> str:
    return wire.CONTENT_TYPE if service == CONTROL else JSON
