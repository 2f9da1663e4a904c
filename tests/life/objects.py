"""One operator's way to the cluster: `ports.Objects` over `Cluster`, whose calls may fail, be slow, or be the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from controller.domain.events import Event
from controller.domain.resource import Key, Resource
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import ObjectError, ObjectGone

if TYPE_CHECKING:
    from tests.life.aws import Aws
    from tests.life.cluster import Cluster
    from tests.life.crash import Mortality

T = TypeVar("T")


class LocalObjects:
    """Implements `ports.Objects`."""

    def __init__(self, cluster: Cluster, mortality: Mortality, aws: Aws) -> None:
        self._cluster, self._mortality, self._aws = cluster, mortality, aws

    async def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status."""
        return await self._call(lambda: self._cluster.write_status(resource, status))

    async def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status, unless the object was changed in between."""
        return await self._call(lambda: self._cluster.claim(resource, status))

    async def hold(self, resource: Resource) -> Resource:
        """Put the finalizer on."""
        return await self._call(lambda: self._cluster.hold(resource))

    async def release(self, resource: Resource) -> Resource | None:
        """Take the finalizer off."""
        try:
            return await self._call(lambda: self._cluster.release(resource))
        except ObjectGone:
            return None

    async def exists(self, key: Key, uid: str) -> bool:
        """Whether the object of that uid is there."""
        return await self._call(lambda: any((each.key, each.uid) == (key, uid) for each in self._cluster.plans()))

    async def definition_going(self) -> bool:
        """Never, here."""
        self._mortality.before_work()
        return False

    def publish(self, resource: Resource, event: Event) -> None:
        """Note the event."""
        self._mortality.before_work()
        self._cluster.events.append((resource.key, event))

    async def _call(self, work: Callable[[], T]) -> T:
        await self._travel()
        self._mortality.before_work()
        done = self._cluster.failing.pop(0) if self._cluster.failing else None
        if done is False:
            raise ObjectError("the API server is away")
        result = work()
        self._mortality.after_work()
        await self._travel()
        if done:
            raise ObjectError("the API server's answer got lost")
        return result

    async def _travel(self) -> None:
        seconds = self._aws.travel()
        if seconds:
            await asyncio.sleep(seconds)
