"""What was asked of the API server and by whom, from its own audit log; tests count with it.

It holds every write, and of the reads those of service accounts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE_VERBS: Final = ("create", "update", "patch", "delete", "deletecollection")

POLICY: Final[dict[str, Any]] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Metadata", "verbs": list(WRITE_VERBS)},
        # What a service account asks for, granted or not, tells which of its rights are used.
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class Write:
    """One request, as a rule a write, that the API server answered, refused ones included (see `code`)."""

    verb: str
    group: str
    """API group of the resource, empty for the core."""
    resource: str
    """`edgedeploymentplans` or, with its subresource, `edgedeploymentplans/status`."""
    namespace: str
    name: str
    user: str
    user_agent: str
    code: int
    time: str
    """When it was received, RFC 3339 in UTC with microseconds: two of them compare as text."""


def read_writes(log: Path, **wanted: str) -> Iterator[Write]:
    """Yield the writes of an audit log whose fields equal the wanted ones; `user_agent` may be a mere beginning."""
    return (request for request in read_requests(log, **wanted) if request.verb in WRITE_VERBS)


def read_requests(log: Path, **wanted: str) -> Iterator[Write]:
    """Yield the writes and the reads of an audit log in the same way."""
    if not log.exists():  # the API server creates it with the first write
        return
    agent = wanted.pop("user_agent", "")
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):  # the API server is just writing it
                return
            write = _parse(json.loads(line))
            if write.user_agent.startswith(agent) and all(
                getattr(write, key) == value for key, value in wanted.items()
            ):
                yield write


def _parse(event: dict[str, Any]) -> Write:
    target = event.get("objectRef", {})
    resource, subresource = target.get("resource", ""), target.get("subresource", "")
    return Write(
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=f"{resource}/{subresource}" if subresource else resource,
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        user=event.get("user", {}).get("username", ""),
        user_agent=event.get("userAgent", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        time=event["requestReceivedTimestamp"],
    )
