"""Metrics in Prometheus' format, on a port of their own: whoever may call the API need not see them, and vice versa.

No label names a key, an account, a fleet or a device: there is one series per operation, code and status.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from importlib import metadata
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from edge_manager.api.calls import OPERATIONS
from edge_manager.api.watch import Watch
from edge_manager.domain.deployments import State
from edge_manager.domain.jobs import ENDED, UNDER_WAY
from edge_manager.store import census
from edge_manager.store.devices import Beat
from edge_manager.store.engine import Store, is_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import ExceptionContext

    from edge_manager.store.census import Census
    from edge_manager.store.devices import Fetch

LOG = logging.getLogger(__name__)
Result = TypeVar("Result")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FRESH = 10.0  # seconds for which a count of the store holds: several scrapers cost no more than one
PATIENCE = 5.0  # seconds that a scrape waits for it; without it the other metrics are served


class Metrics(Watch):
    """Counts what the service does."""

    def __init__(self, store_kind: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that no query needs
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        build = Gauge(
            "edge_manager_build_info", "What runs; always 1.", ["version", "python", "store"], registry=registry
        )
        build.labels(version(), platform.python_version(), store_kind).set(1)
        self._calls = Counter(
            "edge_manager_calls",
            "Calls answered, by operation and error code.",
            ["operation", "code"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "edge_manager_call_seconds", "Time until the answer.", ["operation"], buckets=SECONDS, registry=registry
        )
        self._heartbeats = Counter("edge_manager_heartbeats", "Heartbeats written.", registry=registry)
        self._answers = Counter(
            "edge_manager_deployments_answered",
            "Deployments that a device answered; each counts once.",
            ["result"],
            registry=registry,
        )
        self._groups = Histogram(
            "edge_manager_group_commit_size",
            "Writes of devices that shared a commit.",
            buckets=SIZES,
            registry=registry,
        )
        self.store_seconds = Histogram(
            "edge_manager_store_seconds",
            "Time of a transaction until it is on disk, waiting and repeats included.",
            ["kind"],
            buckets=SECONDS,
            registry=registry,
        )
        self.store_errors = Counter(
            "edge_manager_store_errors",
            "Errors of the database. After a conflict (deadlock, serialization failure, busy file) a write starts over.",
            ["kind"],
            registry=registry,
        )
        for name in OPERATIONS:  # zero is an answer, too: rates need to see a series begin
            self._calls.labels(name, "OK")
        for state in (State.SUCCESS, State.FAIL):
            self._answers.labels(state)
        for kind in ("read", "write"):
            self.store_seconds.labels(kind)
        for kind in ("conflict", "other"):
            self.store_errors.labels(kind)

    def called(self, operation: str, code: str, seconds: float) -> None:
        """A call was answered."""
        self._calls.labels(operation, code).inc()
        self._call_seconds.labels(operation).observe(seconds)

    def heard(self, item: Beat | Fetch, *, is_news: bool) -> None:
        """A device's heartbeat or fetch was written."""
        if isinstance(item, Beat):
            self._heartbeats.inc()
            if is_news and item.answer is not None:
                self._answers.labels(item.answer.state).inc()

    def grouped(self, size: int) -> None:
        """So many writes of devices shared a commit."""
        self._groups.observe(size)


class MeasuredStore(Store):
    """A store whose transactions are counted."""

    def __init__(self, url: str, metrics: Metrics) -> None:
        self._metrics = metrics
        super().__init__(url)
        event.listen(self.engine, "handle_error", self._note)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """As `Store.read`."""
        begun = time.perf_counter()
        result = super().read(work)
        self._metrics.store_seconds.labels("read").observe(time.perf_counter() - begun)
        return result

    def write(self, work: Callable[[Connection], Result], *, isolation: str = "SERIALIZABLE") -> Result:
        """As `Store.write`."""
        begun = time.perf_counter()
        result = super().write(work, isolation=isolation)
        self._metrics.store_seconds.labels("write").observe(time.perf_counter() - begun)
        return result

    def _note(self, context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        is_conflict = isinstance(error, DBAPIError) and is_transient(error)
        self._metrics.store_errors.labels("conflict" if is_conflict else "other").inc()


class Counts(Collector):
    """What the store holds, counted when somebody asks and for some seconds after that."""

    def __init__(self, store: Store, connected_within: float, clock: Callable[[], float] = time.time) -> None:
        self._store, self._connected_within, self._clock = store, connected_within, clock
        self._latest: Census | None = None
        self._taken = -FRESH
        self._counting: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """Count again if it is time; one count at a time, and a store that does not answer keeps nobody waiting."""
        if time.monotonic() - self._taken < FRESH:
            return
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count())
        await asyncio.wait({self._counting}, timeout=PATIENCE)

    def collect(self) -> Iterator[Metric]:
        """The gauges; none where the store did not answer."""
        if self._latest is None or time.monotonic() - self._taken > FRESH + PATIENCE:
            return
        found = self._latest
        devices = GaugeMetricFamily("edge_manager_devices", "Registered devices.", labels=["state"])
        devices.add_metric(["connected"], found.connected)
        devices.add_metric(["silent"], found.registered - found.connected)
        yield devices
        jobs = GaugeMetricFamily("edge_manager_jobs", "Jobs by kind and status.", labels=["kind", "status"])
        for kind, counted in (("compilation", found.compilation_jobs), ("packaging", found.packaging_jobs)):
            for status in (UNDER_WAY, *sorted(ENDED)):
                jobs.add_metric([kind, status], counted.get(status, 0))
        yield jobs

    def describe(self) -> list[Metric]:
        """Nothing: who registers a collector without this makes it collect."""
        return []

    async def _count(self) -> None:
        since = self._clock() - self._connected_within
        try:
            self._latest = await asyncio.to_thread(self._store.read, lambda db: census.take(db, since))
        except Exception as error:  # noqa: BLE001  whatever it is, the store does not answer
            LOG.warning("The store does not answer: %s", type(error).__name__)
        else:
            self._taken = time.monotonic()


def application(metrics: Metrics, counts: Counts) -> web.Application:
    """`/metrics`."""
    metrics.registry.register(counts)

    async def scrape(http: web.Request) -> web.Response:
        await counts.refresh()
        encode, content_type = choose_encoder(http.headers.get("Accept", ""))
        return web.Response(body=encode(metrics.registry), headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/metrics", scrape)])
    return app


def version() -> str:
    """The version that is installed, if it is."""
    try:
        return metadata.version("edge-manager")
    except metadata.PackageNotFoundError:
        return "checkout"
