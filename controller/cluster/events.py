"""Events through events.k8s.io/v1: one object per event, and a series where the same is said again.

They are published beside the work, which waits for none of them: like client-go's broadcaster, bounded and one by one.

That API leaves the counting to whoever reports (client-go's recorder does the same): the first occurrence is created, a
repetition within six minutes moves `series.count` and `series.lastObservedTime` of that object.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.connection import MERGE_PATCH, call, mapping, translated
from controller.domain.api import API_VERSION, GROUP, KIND
from controller.domain.events import Event
from controller.domain.resource import Resource
from controller.engine.ports import ObjectError

logger = logging.getLogger(__name__)

_EVENTS = "events.k8s.io/v1"
_CONTROLLER = f"{GROUP}/controller"
_LONGEST_NOTE = 1024  # the API refuses more
_SERIES_ENDS_AFTER = timedelta(minutes=6)
_REMEMBERED = 4096
_MOST_WAITING = 4096
_PATIENCE = 30.0  # seconds for one of them: the others wait behind it
_NOT_FOUND = 404


@dataclass(frozen=True)
class _Occurrence:
    """An event as it was last published."""

    name: str
    count: int
    time: datetime


class EventRecorder:
    """Publishes events of this process, in the order in which they were told. A failure is logged, never raised."""

    def __init__(self, api: client.ApiClient, clock: Callable[[], datetime], reporter: str) -> None:
        self._api = api
        self._clock = clock
        self._reporter = reporter
        self._published: OrderedDict[tuple[str, Event], _Occurrence] = OrderedDict()
        self._waiting: deque[tuple[Resource, Event, datetime]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._dropped = 0

    def publish(self, resource: Resource, event: Event) -> None:
        """Have the event published, or counted where it repeats; it is dropped where too many wait."""
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append((resource, event, self._clock()))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="events")

    async def drain(self, patience: timedelta) -> None:
        """Let those that wait be published, for so long."""
        if (worker := self._worker) is None:
            return
        await asyncio.wait([worker], timeout=patience.total_seconds())
        if not worker.done():
            worker.cancel()
            await asyncio.wait([worker])  # it lets go of its connection
            logger.info("%d events were not published any more", len(self._waiting) + 1)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._publish(*self._waiting.popleft())
        finally:
            self._worker = None
            if self._dropped:
                logger.warning("%d events were not published: there were too many at once", self._dropped)
                self._dropped = 0

    async def _publish(self, resource: Resource, event: Event, now: datetime) -> None:
        key = (resource.uid, event)
        before = self._published.pop(key, None)
        try:
            async with translated(f"{resource.key}: event {event.reason} not published", _PATIENCE):
                lasting = before is not None and now - before.time <= _SERIES_ENDS_AFTER
                if before is not None and lasting and await self._count(resource, before, now):
                    self._remember(key, _Occurrence(before.name, before.count + 1, now))
                else:
                    self._remember(key, _Occurrence(await self._create(resource, event, now), 1, now))
        except ObjectError as error:
            logger.info("%s", error)
        except Exception:
            logger.exception("%s: event %s not published", resource.key, event.reason)

    def _remember(self, key: tuple[str, Event], occurrence: _Occurrence) -> None:
        self._published[key] = occurrence
        if len(self._published) > _REMEMBERED:
            self._published.popitem(last=False)

    async def _count(self, resource: Resource, before: _Occurrence, now: datetime) -> bool:
        """Move the series on; False where the event has expired."""
        body = {"series": {"count": before.count + 1, "lastObservedTime": _micro_time(now)}}
        try:
            path = f"{_path(resource.key.namespace)}/{before.name}"
            await call(self._api, "PATCH", path, body, content_type=MERGE_PATCH)
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    async def _create(self, resource: Resource, event: Event, now: datetime) -> str:
        """Create the event; its name."""
        body: dict[str, Any] = {
            "apiVersion": _EVENTS,
            "kind": "Event",
            "metadata": {
                "generateName": f"{resource.key.name[:200].rstrip('-.')}-",
                "namespace": resource.key.namespace,
            },
            "eventTime": _micro_time(now),
            "type": event.type,
            "reason": event.reason,
            "action": event.action,
            "note": event.note[:_LONGEST_NOTE],
            "reportingController": _CONTROLLER,
            "reportingInstance": self._reporter,
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "namespace": resource.key.namespace,
                "name": resource.key.name,
                "uid": resource.uid,
                "resourceVersion": resource.resource_version,
            },
        }
        made = mapping(await call(self._api, "POST", _path(resource.key.namespace), body))
        return str(made["metadata"]["name"])


def _path(namespace: str) -> str:
    return f"/apis/{_EVENTS}/namespaces/{namespace}/events"


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
