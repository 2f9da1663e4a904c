"""Kopf wiring, and nothing else: events are parsed at the door and handed to the operator.

An `on.event` handler keeps Kopf from writing to the objects: no progress annotations, no diff base, no second patch. Kopf
gives the watch, its resumption, the namespaces, the signals, the liveness server and the order of start and stop. Its
session reads the events of our kind first (`stream.py`).
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
import kopf
from kopf._cogs.clients.errors import APINotFoundError  # Kopf exports none of its errors of this kind
from kopf._core.engines.activities import ActivityError

from controller.cluster.connection import configuration
from controller.domain.api import GROUP, PLURAL, VERSION
from controller.domain.resource import parse
from controller.engine.ports import ObjectError
from controller.operator.clock import utc_now
from controller.operator.process import Operator
from controller.operator.stream import listening

StartFailed = ActivityError
"""What Kopf ends by where `start` failed; why is its cause."""
WatchLost = APINotFoundError
"""What Kopf ends by where the kind went between a list and the watch that follows, as when its definition is replaced."""


def register(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """Register the operator's handlers."""

    def hear(kind: str | None, body: Mapping[str, Any]) -> None:
        operator.last_event = utc_now()
        if kind == "DELETED":
            operator.gone(parse({**body, "status": {}}, operator.known(body)))  # of what is gone nobody reads it
        else:
            # Kopf makes a list at the start and after a gap.
            operator.heard(body, listed=kind is None, created=kind == "ADDED")

    @kopf.on.startup(registry=registry)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False  # events are our own: one per transition, not one per log line
        # Scanning stays on: Kopf watches CRDs, so the kind may come after the operator, go, and come back.
        settings.peering.standalone = True
        settings.watching.server_timeout = 300  # a silent watch is renewed at the latest then
        settings.watching.client_timeout = 330
        settings.watching.connect_timeout = 30
        settings.watching.chunk_size = 250  # a list of all would hold up the event loop while it is parsed
        settings.networking.error_backoffs = (1, 2, 3, 5, 8, 13, 21)
        try:
            await operator.start()
        except (ObjectError, ValueError) as error:
            raise kopf.PermanentError(str(error)) from error  # ends the process: whoever runs it restarts it

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.AiohttpSession:
        # Kopf asks again when a token has expired. One way to the cluster serves Kopf's watch and our own writes.
        settings = await configuration()
        scheme, token = settings.api_key.get("BearerToken", " ").split(" ", maxsplit=1)
        access = kopf.ConnectionInfo(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            insecure=not settings.verify_ssl,
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
            scheme=scheme or None,
            token=token or None,
        )
        connector = aiohttp.TCPConnector(limit=0, ssl=access.as_ssl_context())
        return kopf.AiohttpSession(
            server=access.server, aiohttp_session=listening(connector, access.as_http_headers(), hear)
        )

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await operator.stop()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        # Kopf watches a kind for its handlers; what the session has told of does not come here.
        hear(event["type"], event["object"])

    if operator.selects_namespaces:
        _register_namespaces(registry, operator)
    _register_probes(registry, operator)


def _register_namespaces(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    @kopf.on.event("", "v1", "namespaces", registry=registry)
    async def namespace_changed(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - Kopf's own name
        if type == "DELETED":
            operator.namespace_gone(body["metadata"]["name"])
        else:
            operator.namespace_heard(body["metadata"])


def _register_probes(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """What the liveness endpoint shows; the first one may fail."""

    @kopf.on.probe(registry=registry, id="health")
    async def health(**_: Any) -> str:
        try:
            operator.check_health()
        except ObjectError as error:
            raise kopf.PermanentError(str(error)) from error  # the probe is answered with 500
        return "ok"

    @kopf.on.probe(registry=registry, id="leads")
    async def leads(**_: Any) -> bool:
        return operator.serving

    @kopf.on.probe(registry=registry, id="objects")
    async def objects(**_: Any) -> int:
        return len(operator.index)

    @kopf.on.probe(registry=registry, id="lastEvent")
    async def last_event(**_: Any) -> str:
        return operator.last_event.isoformat()
