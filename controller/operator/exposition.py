"""`/metrics` on a port of its own, in Prometheus' format."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


async def serve(registry: CollectorRegistry, port: int, refresh: Callable[[], None]) -> web.AppRunner:
    """Serve the metrics on that port of all addresses, until the runner's cleanup; `refresh` comes before each scrape.

    Raises:
        OSError: the port is not to be had.

    """

    async def scrape(http: web.Request) -> web.Response:
        encode, content_type = choose_encoder(http.headers.get("Accept", ""))
        refresh()
        body = await asyncio.to_thread(encode, registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/metrics", scrape)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
