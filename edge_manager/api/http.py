"""The service's HTTP server: the API at `/`, health beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from edge_manager.api.calls import EDGE, names
from edge_manager.api.certificates import Certificate
from edge_manager.api.door import Door, Limits
from edge_manager.api.metrics import Counts, MeasuredStore, Metrics
from edge_manager.api.metrics import application as metrics_application
from edge_manager.api.service import Request as Call
from edge_manager.api.service import Service, refusal
from edge_manager.api.signatures import Incoming
from edge_manager.artifacts import Artifacts, Worker
from edge_manager.domain.rules import Rules
from edge_manager.errors import ApiError, ConfigurationError
from edge_manager.store.engine import Store
from edge_manager.store.keys import Seal, require

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

LOG = logging.getLogger(__name__)
GRACE = 25.0  # seconds that calls under way may take at a stop, within Kubernetes' 30
BACKLOG = 512


@dataclass(frozen=True)
class Options:
    """How the service is run."""

    store: str
    secret_key: str
    host: str = "127.0.0.1"
    port: int = 4578
    rules: Rules = field(default_factory=Rules)
    max_body: int = 4 * 2**20
    rate: float | None = 100.0
    burst: int | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    metrics_port: int | None = None


def application(service: Service, max_body: int) -> web.Application:
    """The routes."""

    async def answer(http: web.Request) -> web.Response:
        headers = {name.lower(): ",".join(http.headers.getall(name)) for name in http.headers}
        try:
            body = await http.read()
        except ConnectionError:  # the client is gone in the middle of its request: nobody is left to be answered
            return web.Response(status=400)
        except web.HTTPRequestEntityTooLarge:
            service_name = EDGE if http.path != "/" else "sagemaker"
            incoming = Incoming(http.method, http.path, http.query_string, headers, b"")
            error = ApiError("RequestEntityTooLargeException", f"A request may have {max_body} bytes.", 413)
            reply = refusal(Call(incoming, service_name, ""), error)
        else:
            incoming = Incoming(http.method, http.path, http.rel_url.raw_query_string, headers, body)
            reply = await service.answer(incoming)
        fields = {"x-amzn-RequestId": reply.request_id, "Content-Type": reply.content_type}
        if reply.code != "OK":
            fields["x-amzn-ErrorType"] = reply.code
        return web.Response(status=reply.status, body=reply.body, headers=fields)

    async def alive(_http: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_http: web.Request) -> web.Response:
        try:
            await service.check()
        except Exception as error:  # noqa: BLE001  whatever it is, the store does not answer
            LOG.warning("The store does not answer: %s", type(error).__name__)
            return web.json_response({"status": "the store does not answer"}, status=503)
        return web.json_response({"status": "ok"})

    app = web.Application(client_max_size=max_body)
    paths = ["/", *(f"/{name}" for name in names(EDGE))]
    app.add_routes([web.post(path, answer) for path in paths])
    app.add_routes([web.get("/", answer), web.get("/healthz", alive), web.get("/readyz", ready)])
    return app


@contextlib.asynccontextmanager
async def serving(options: Options) -> AsyncIterator[str]:
    """Listen; yields the URL. At the end calls under way are answered before the store is closed."""
    database = "postgresql" if options.store.startswith("postgres") else "sqlite"
    metrics = None if options.metrics_port is None else Metrics(database)
    store = Store(options.store) if metrics is None else MeasuredStore(options.store, metrics)
    seal = Seal(options.secret_key)
    with contextlib.ExitStack() as undone:
        undone.callback(store.close)
        store.read(lambda db: require(db, seal))
        undone.pop_all()
    worker = Worker(store, Artifacts())
    door = Door(seal, Limits(options.rate, options.burst))
    service = Service(store, door, options.rules, job_created=worker.wake, watch=metrics)
    runner = web.AppRunner(application(service, options.max_body), access_log=None, shutdown_timeout=GRACE)
    await runner.setup()
    worker.start()
    try:
        async with _measured(metrics, store, options), _secured(options) as tls:
            listener = _listen(options.host, options.port)
            await web.SockSite(runner, listener, ssl_context=tls).start()
            yield _url("http" if tls is None else "https", listener)
    finally:
        await runner.cleanup()
        service.close()
        worker.close()
        store.close()


@contextlib.asynccontextmanager
async def _measured(metrics: Metrics | None, store: Store, options: Options) -> AsyncIterator[None]:
    """Serve metrics meanwhile, if they are wanted: always over HTTP, on a port that is not the API's."""
    if metrics is None or options.metrics_port is None:
        yield
        return
    counts = Counts(store, options.rules.connected_within)
    runner = web.AppRunner(metrics_application(metrics, counts), access_log=None)
    await runner.setup()
    try:
        listener = _listen(options.host, options.metrics_port)
        await web.SockSite(runner, listener).start()
        LOG.info("Metrics on %s/metrics", _url("http", listener))
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _secured(options: Options) -> AsyncIterator[ssl.SSLContext | None]:
    """TLS, if there is a certificate, with whatever certificate the files hold meanwhile."""
    if options.tls_cert is None:
        yield None
        return
    certificate = Certificate(options.tls_cert, options.tls_key)
    renewal = asyncio.create_task(certificate.renew())
    try:
        yield certificate.context
    finally:
        renewal.cancel()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{shown}:{port}"


def run(options: Options) -> None:
    """Serve until SIGINT or SIGTERM."""
    asyncio.run(_run(options))


async def _run(options: Options) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with serving(options) as url:
        names = " ".join(f"AWS_ENDPOINT_URL_{name}={url}" for name in ("SAGEMAKER", "SAGEMAKER_EDGE", "STS"))
        print(f"Edge Manager on {url}\nexport {names}", flush=True)  # noqa: T201  what the command is for
        await over.wait()
        LOG.info("Stopping: calls under way are answered first")
