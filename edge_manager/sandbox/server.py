"""The sandbox's HTTP server: `Sandbox` in a thread of a test or a demo, `run` as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from aiohttp import web

from edge_manager.sandbox.client import SandboxClient
from edge_manager.sandbox.clock import Clock
from edge_manager.sandbox.control import Control
from edge_manager.sandbox.service import Service
from edge_manager.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

MAX_BODY = 16 * 2**20  # ten thousand devices in one RegisterDevices


def application(service: Service) -> web.Application:
    """AWS at `/`, the control endpoint beside it."""

    async def answer(http: web.Request) -> web.Response:
        try:
            body = await http.read()
        except ConnectionError:  # the client is gone in the middle of its request: nobody is left to be answered
            return web.Response(status=400)
        request = service.open(http.headers, body, time.time())
        fault = service.obstruct(request)
        if delay := service.delay(request, fault):
            await asyncio.sleep(delay)
        mode = fault.mode if fault else None
        if fault and mode == "late":
            service.postpone(request, fault.seconds, time.time())
        if mode in ("drop_before", "hang", "late"):
            service.record(request, 0, str(mode), time.time())
            return _hang_up(http)
        reply = service.answer(request, fault, time.time())
        if mode == "drop_after":
            service.record(request, 0, mode, time.time())
            return _hang_up(http)
        service.record(request, reply.status, reply.code, time.time())
        headers = {"x-amzn-RequestId": request.id, "Content-Type": reply.content_type}
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def date(_request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers["Date"] = service.date(time.time())

    app = web.Application(client_max_size=MAX_BODY)
    app.on_response_prepare.append(date)
    app.add_routes([web.post("/", answer), *Control(service).routes()])
    return app


def _hang_up(http: web.Request) -> web.Response:
    if http.transport is not None:
        http.transport.close()
    return web.Response()  # written to nobody


@contextlib.asynccontextmanager
async def serving(host: str, port: int, settings: Settings, speed: float) -> AsyncIterator[str]:
    """Listen; yields the URL."""
    wall = time.time()
    service = Service(settings, Clock(wall, wall, speed))
    runner = web.AppRunner(application(service), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=512)
        await web.SockSite(runner, listener).start()
        shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104  an address to print, not to bind
        yield f"http://{shown}:{listener.getsockname()[1]}"
        # Accept no more, and let what was accepted become known to the runner before it closes all that it knows:
        # asyncio leaks a connection whose server is closed between the two.
        asyncio.get_running_loop().remove_reader(listener)
        await _turns()
    finally:
        await runner.cleanup()
        await _turns()  # closed connections let go of their sockets


async def _turns(count: int = 5) -> None:
    """Let the event loop get to what it has already scheduled."""
    for _ in range(count):
        await asyncio.sleep(0)


class Sandbox(SandboxClient):
    """A sandbox in a background thread of this process, for as long as the `with` block lasts."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
    ) -> None:
        super().__init__("")
        self._arguments = (host, port, settings or Settings(), speed)
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  raised again in the thread that waits for the sandbox
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        async with serving(*self._arguments) as self.url:
            self._ready.set()
            await self._over.wait()


def run(host: str, port: int, settings: Settings, speed: float = 1.0) -> None:
    """Serve until SIGINT or SIGTERM."""
    asyncio.run(_run(host, port, settings, speed))


async def _run(host: str, port: int, settings: Settings, speed: float) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with serving(host, port, settings, speed) as url:
        print(  # noqa: T201  what the command is for
            f"SageMaker sandbox on {url}, control endpoint on {url}/_sandbox/\n"
            f"export AWS_ENDPOINT_URL_SAGEMAKER={url} AWS_ENDPOINT_URL_STS={url}",
            flush=True,
        )
        await over.wait()
