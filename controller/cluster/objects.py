"""EdgeDeploymentPlan objects through the official client's asyncio half: status, finalizer, events, existence, listing.

Every write carries the resourceVersion that it was decided on. The API server takes it for that version alone, so that
neither an object that replaced another under its name nor somebody's edit is written over. (`metadata.uid` in a patch of
the status guards nothing: the API server takes all metadata but the resourceVersion from what it has.)
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from kubernetes.aio import client

from controller.cluster.connection import (
    MERGE_PATCH,
    call,
    mapping,
    metadata,
    metadata_page,
    metadata_pages,
    status_of,
    translated,
)
from controller.cluster.events import EventRecorder
from controller.cluster.listing import Glimpse, Listing, Page
from controller.cluster.shared import SharedRead
from controller.domain.api import API_VERSION, FINALIZER, GROUP, PLURAL
from controller.domain.base import Model
from controller.domain.events import Event
from controller.domain.resource import Key, Resource, parse
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import ObjectChanged, ObjectError, ObjectGone

logger = logging.getLogger(__name__)

_FORBIDDEN, _UNPROCESSABLE = 403, 422
_ATTEMPTS = 5  # for a write that others' edits come before: each costs a read, and edits are rare

Wrote = Callable[[Key, str, ObjectError | None, float], None]
"""Told of each write: to which object, which part of it, how it failed if it did, and how many seconds it took."""


class KubernetesObjects:
    """The objects of one cluster."""

    def __init__(
        self,
        api: client.ApiClient,
        clock: Callable[[], datetime],
        reporter: str,
        patience: float | None = None,
        *,
        wrote: Wrote = lambda *_: None,
    ) -> None:
        self._api = api
        self._events = EventRecorder(api, clock, reporter)
        self._patience = patience
        self._wrote = wrote
        self._definition_going = SharedRead(self._is_definition_going)

    # -- writes -----------------------------------------------------------------------------------------------------

    async def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status; the object as it is then.

        Somebody's edit of spec or metadata in between is no obstacle.

        Raises:
            ObjectChanged: somebody else wrote the status; `now` is the object as it is by now.
            ObjectGone: the object is gone, or is another one of that name.

        """
        known = resource
        for _ in range(_ATTEMPTS):
            try:
                return await self._patch_status(known, status)
            except ObjectChanged as conflict:
                known = await self._now(resource)
                if known.status.wire() != resource.status.wire():
                    raise ObjectChanged(f"{resource.key}: somebody else wrote its status", known) from conflict
        raise ObjectChanged(f"{resource.key}: edited {_ATTEMPTS} times while its status was written", known)

    async def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status if the object is just as it is known here; the object as it is then.

        Raises:
            ObjectChanged: it is not; `now` is the object as it is by now.
            ObjectGone: the object is gone, or is another one of that name.

        """
        try:
            return await self._patch_status(resource, status)
        except ObjectChanged as conflict:
            raise ObjectChanged(str(conflict), await self._now(resource)) from conflict

    async def hold(self, resource: Resource) -> Resource:
        """Put the finalizer on; the object as it is then.

        Raises:
            ObjectChanged: somebody else has put it on meanwhile.
            ObjectGone: the object is gone or about to be, or is another one of that name.

        """
        return await self._set_finalizer(resource, wanted=True)

    async def release(self, resource: Resource) -> Resource | None:
        """Take the finalizer off; the object as it is then, or None when it went."""
        try:
            now = await self._set_finalizer(resource, wanted=False)
        except ObjectGone:
            return None
        return None if now.deleting and not now.finalizers else now

    def publish(self, resource: Resource, event: Event) -> None:
        """Have an event about the object published, beside the work; a failure is logged."""
        self._events.publish(resource, event)

    async def drain(self, patience: timedelta) -> None:
        """Let the events that wait be published, for so long."""
        await self._events.drain(patience)

    # -- reads ------------------------------------------------------------------------------------------------------

    async def find(self, key: Key) -> Resource | None:
        """The object of that name as it is now, if there is one."""
        try:
            async with translated(f"cannot read {key}", self._patience):
                body = await call(self._api, "GET", _path(key))
        except ObjectGone:
            return None
        return _parsed(body)

    async def exists(self, key: Key, uid: str) -> bool:
        """Whether the object of that uid is there, asked at the API server."""
        try:
            found = await self.find(key)
        except ObjectError as error:
            # Not allowed to look: as good as there, for whoever would take its plan.
            if status_of(error) == _FORBIDDEN:
                return True
            raise
        return found is not None and found.uid == uid

    async def listed(self, namespaces: Iterable[str | None]) -> Listing:
        """All objects of those namespaces, None standing for all of the cluster; as they are now, not as cached."""
        asked = frozenset(namespaces)
        living: set[tuple[Key, str]] = set()  # filled page by page: all at once would hold up the event loop
        versions = []
        for namespace in asked:
            async for page in self._pages(namespace):
                living.update((item.key, item.uid) for item in page.items)
                versions.append(page.resource_version)
        return Listing(asked, min(versions, default=0), living)

    async def glimpse(self, namespace: str | None) -> Glimpse:
        """The first object of that namespace or of all, and how many there are, for the price of one."""
        async with translated(f"cannot list {PLURAL}", self._patience):
            return Glimpse.of(Page.parse(await metadata_page(self._api, _collection(namespace), {"limit": "1"})))

    async def served(self) -> bool:
        """Whether the API server knows the kind: anybody may ask."""
        try:
            async with translated(f"cannot ask for the kinds of {API_VERSION}", self._patience):
                kinds = mapping(await call(self._api, "GET", f"/apis/{API_VERSION}")).get("resources") or ()
        except ObjectGone:
            return False
        return any(mapping(kind).get("name") == PLURAL for kind in kinds)

    async def definition_going(self) -> bool:
        """Whether the CustomResourceDefinition itself is being deleted: as it is now, in one read for all who ask."""
        return await self._definition_going()

    async def _is_definition_going(self) -> bool:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"
        try:
            async with translated("cannot read the CustomResourceDefinition"):
                return "deletionTimestamp" in await metadata(self._api, path)
        except ObjectGone:
            return True

    # -- how --------------------------------------------------------------------------------------------------------

    async def _patch_status(self, known: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        body = {"metadata": {"resourceVersion": known.resource_version}, "status": _whole(status)}
        return await self._patch(known, body, "/status")

    async def _set_finalizer(self, resource: Resource, *, wanted: bool) -> Resource:
        known = resource
        for _ in range(_ATTEMPTS):
            try:
                return await self._patch_finalizers(known, wanted=wanted)
            except ObjectChanged as conflict:
                known = await self._now(resource)
                if known.has_finalizer and wanted:
                    raise ObjectChanged(f"{resource.key}: somebody else put the finalizer on", known) from conflict
                if known.has_finalizer == wanted:
                    return known
            except ObjectError as error:
                # The API server takes no new finalizer for an object that is being deleted.
                if not wanted or status_of(error) != _UNPROCESSABLE:
                    raise
                known = await self._now(resource)
                if not known.deleting:
                    raise
                raise ObjectChanged(f"{resource.key} is being deleted: {error}", known) from error
        raise ObjectChanged(f"{resource.key}: edited {_ATTEMPTS} times while its finalizer was written", known)

    async def _patch_finalizers(self, known: Resource, *, wanted: bool) -> Resource:
        # A merge patch replaces the whole list; the resourceVersion guards the finalizers of others.
        others = [name for name in known.finalizers if name != FINALIZER]
        finalizers = [*others, FINALIZER] if wanted else others
        body = {"metadata": {"resourceVersion": known.resource_version, "finalizers": finalizers}}
        return await self._patch(known, body)

    async def _patch(self, known: Resource, body: Mapping[str, Any], part: str = "") -> Resource:
        begun, what = time.monotonic(), part.lstrip("/") or "metadata"
        try:
            async with translated(str(known.key)):
                answer = await call(self._api, "PATCH", _path(known.key) + part, body, content_type=MERGE_PATCH)
        except ObjectError as error:
            self._wrote(known.key, what, error, time.monotonic() - begun)
            raise
        self._wrote(known.key, what, None, time.monotonic() - begun)
        return _parsed(answer, known)

    async def _now(self, resource: Resource) -> Resource:
        """The object as it is now; ObjectGone when it went, or is another one of that name."""
        found = await self.find(resource.key)
        if found is None or found.uid != resource.uid:
            raise ObjectGone(f"{resource.key}: the object of uid {resource.uid} is gone")
        return found

    async def _pages(self, namespace: str | None) -> AsyncIterator[Page]:
        async for body in metadata_pages(self._api, _collection(namespace), f"cannot list {PLURAL}", self._patience):
            yield Page.parse(body)


def _collection(namespace: str | None) -> str:
    return f"/apis/{API_VERSION}{f'/namespaces/{namespace}' if namespace else ''}/{PLURAL}"


def _path(key: Key) -> str:
    return f"{_collection(key.namespace)}/{key.name}"


def _whole(value: Model) -> dict[str, Any]:
    """The value with null for what is unset, at every depth: a merge patch keeps what it does not mention."""
    wire = value.wire()
    fields = {field.alias or name: getattr(value, name) for name, field in type(value).model_fields.items()}
    return {name: _whole(part) if isinstance(part, Model) else wire.get(name) for name, part in fields.items()}


def _parsed(body: Any, known: Resource | None = None) -> Resource:
    if "uid" not in mapping(mapping(body).get("metadata")):
        raise ObjectError("no answer of the Kubernetes API: an object without a uid")
    return parse(body, known)
