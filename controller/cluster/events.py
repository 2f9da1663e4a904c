"""Events through events.k8s.io/v1: one object per event, and a series where the same is said again.

That API leaves the counting to whoever reports (client-go's recorder does the same): the first occurrence is created, a
repetition within six minutes moves `series.count` and `series.lastObservedTime` of that object.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.connection import MERGE_PATCH, call, mapping
from controller.domain.api import API_VERSION, GROUP, KIND
from controller.domain.events import Event
from controller.domain.resource import Resource

_EVENTS = "events.k8s.io/v1"
_CONTROLLER = f"{GROUP}/controller"
_LONGEST_NOTE = 1024  # the API refuses more
_SERIES_ENDS_AFTER = timedelta(minutes=6)
_REMEMBERED = 4096
_NOT_FOUND = 404


@dataclass(frozen=True)
class _Occurrence:
    """An event as it was last published."""

    name: str
    count: int
    time: datetime


class EventRecorder:
    """Publishes events of this process. Every call raises ApiException as it comes."""

    def __init__(self, api: client.ApiClient, clock: Callable[[], datetime], reporter: str) -> None:
        self._api = api
        self._clock = clock
        self._reporter = reporter
        self._published: OrderedDict[tuple[str, Event], _Occurrence] = OrderedDict()

    async def publish(self, resource: Resource, event: Event) -> None:
        """Publish the event, or count it where it repeats."""
        key, now = (resource.uid, event), self._clock()
        before = self._published.pop(key, None)
        if before is None or now - before.time > _SERIES_ENDS_AFTER or not await self._count(resource, before, now):
            occurrence = _Occurrence(await self._create(resource, event, now), 1, now)
        else:
            occurrence = _Occurrence(before.name, before.count + 1, now)
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
