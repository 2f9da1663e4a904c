"""The table that operations enter themselves in, those of the sandbox and the service alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Result = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])
CONTROL, EDGE = "sagemaker", "sagemaker-edge"


class Operation(NamedTuple):
    """An operation of the API: a function of a call and its parameters."""

    function: Callable[[Any, dict[str, Any]], Any]
    writes: bool
    service: str


OPERATIONS: dict[str, Operation] = {}


def _register(*, writes: bool, service: str = CONTROL) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        OPERATIONS[function.__name__.title().replace("_", "")] = Operation(function, writes, service)
        return function

    return register


# Each enters a function as the operation of its name: `list_tags` is `ListTags`.
reads = _register(writes=False)
writes = _register(writes=True)
device_reads = _register(writes=False, service=EDGE)


def names(service: str) -> list[str]:
    """The operations of a service that were entered."""
    return [name for name, operation in OPERATIONS.items() if operation.service == service]
