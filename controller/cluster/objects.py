"""EdgeDeploymentPlan objects through the official client's asyncio half: status, finalizer, events, existence, listing.

Every write carries the resourceVersion that it was decided on. The API server takes it for that version alone, so that
neither an object that replaced another under its name nor somebody's edit is written over. (`metadata.uid` in a patch of
the status guards nothing: the API server takes all metadata but the resourceVersion from what it has.)
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubernetes.aio import client

from controller.cluster.connection import mapping, metadata, metadata_page, status_of, translated
from controller.cluster.events import EventRecorder
from controller.domain.api import API_VERSION, FINALIZER, GROUP, PLURAL, VERSION
from controller.domain.base import Model
from controller.domain.events import Event
from controller.domain.resource import Key, Resource, parse
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import ObjectChanged, ObjectError, ObjectGone

logger = logging.getLogger(__name__)

_FORBIDDEN, _UNPROCESSABLE = 403, 422
_ATTEMPTS = 5  # for a write that others' edits come before: each costs a read, and edits are rare
_PAGE = 500


@dataclass(frozen=True)
class Listing:
    """Which objects there are in some namespaces, at one resourceVersion."""

    namespaces: frozenset[str | None]
    """None stands for all of the cluster."""
    resource_version: int
    living: frozenset[tuple[Key, str]]
    """Key and uid of each."""

    def misses(self, resource: Resource) -> bool:
        """Whether the object is gone: of these namespaces, known at this version or before, and not there."""
        covered = None in self.namespaces or resource.key.namespace in self.namespaces
        older = int(resource.resource_version) <= self.resource_version
        return covered and older and (resource.key, resource.uid) not in self.living


@dataclass(frozen=True)
class Glimpse:
    """The first object of a list, and how many there are."""

    count: int | None
    """None where the API server does not say."""
    key: Key | None = None
    uid: str = ""
    resource_version: int = 0


class KubernetesObjects:
    """The objects of one cluster."""

    def __init__(
        self, api: client.ApiClient, clock: Callable[[], datetime], reporter: str, patience: float | None = None
    ) -> None:
        self._api = api
        self._objects = client.CustomObjectsApi(api)
        self._events = EventRecorder(self._objects, clock, reporter)
        self._patience = patience

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

    async def publish(self, resource: Resource, event: Event) -> None:
        """Publish an event about the object; a failure is logged, not raised."""
        try:
            async with translated(f"{resource.key}: event {event.reason} not published"):
                await self._events.publish(resource, event)
        except ObjectError as error:
            logger.info("%s", error)

    # -- reads ------------------------------------------------------------------------------------------------------

    async def find(self, key: Key) -> Resource | None:
        """The object of that name as it is now, if there is one."""
        try:
            async with translated(f"cannot read {key}", self._patience):
                body: Any = await self._objects.get_namespaced_custom_object(
                    GROUP, VERSION, key.namespace, PLURAL, key.name
                )
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
        asked, versions, living = frozenset(namespaces), list[int](), set[tuple[Key, str]]()
        for namespace in asked:
            query = {"limit": str(_PAGE)}
            while True:
                page = await self._page(namespace, query)
                versions.append(_version(page))
                living |= {_identity(item) for item in page["items"]}
                if not (more := page["metadata"].get("continue")):
                    break
                query["continue"] = more
        # With several lists the oldest version decides: what is newer than that list is not judged by it.
        return Listing(asked, min(versions, default=0), frozenset(living))

    async def glimpse(self, namespace: str | None) -> Glimpse:
        """The first object of that namespace or of all, and how many there are, for the price of one."""
        page = await self._page(namespace, {"limit": "1"})
        left = page["metadata"].get("remainingItemCount", None if page["metadata"].get("continue") else 0)
        count = None if left is None else len(page["items"]) + int(left)
        if not page["items"]:
            return Glimpse(count)
        first = page["items"][0]
        return Glimpse(count, *_identity(first), _version(first))

    async def definition_going(self) -> bool:
        """Whether the CustomResourceDefinition itself is being deleted."""
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"
        try:
            async with translated("cannot read the CustomResourceDefinition"):
                return "deletionTimestamp" in await metadata(self._api, path)
        except ObjectGone:
            return True

    # -- how --------------------------------------------------------------------------------------------------------

    async def _patch_status(self, known: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        body = {"metadata": {"resourceVersion": known.resource_version}, "status": _whole(status)}
        return await self._patch(self._objects.patch_namespaced_custom_object_status, known, body)

    async def _set_finalizer(self, resource: Resource, *, wanted: bool) -> Resource:
        known = resource
        for _ in range(_ATTEMPTS):
            try:
                return await self._patch_finalizers(known, wanted=wanted)
            except ObjectChanged:
                known = await self._now(resource)
                if known.has_finalizer == wanted:
                    return known
            except ObjectError as error:
                # The API server takes no new finalizer for an object that is being deleted.
                refused = wanted and status_of(error) == _UNPROCESSABLE
                if refused and (await self._now(resource)).deleting:
                    raise ObjectGone(str(error)) from error
                raise
        raise ObjectChanged(f"{resource.key}: edited {_ATTEMPTS} times while its finalizer was written", known)

    async def _patch_finalizers(self, known: Resource, *, wanted: bool) -> Resource:
        # A merge patch replaces the whole list; the resourceVersion guards the finalizers of others.
        others = [name for name in known.finalizers if name != FINALIZER]
        finalizers = [*others, FINALIZER] if wanted else others
        body = {"metadata": {"resourceVersion": known.resource_version, "finalizers": finalizers}}
        return await self._patch(self._objects.patch_namespaced_custom_object, known, body)

    async def _patch(self, call: Any, known: Resource, body: Mapping[str, Any]) -> Resource:
        namespace, name = known.key
        async with translated(str(known.key)):
            answer = await call(
                GROUP, VERSION, namespace, PLURAL, name, body, _content_type="application/merge-patch+json"
            )
        return _parsed(answer)

    async def _now(self, resource: Resource) -> Resource:
        """The object as it is now; ObjectGone when it went, or is another one of that name."""
        found = await self.find(resource.key)
        if found is None or found.uid != resource.uid:
            raise ObjectGone(f"{resource.key}: the object of uid {resource.uid} is gone")
        return found

    async def _page(self, namespace: str | None, query: Mapping[str, str]) -> Mapping[str, Any]:
        within = f"/namespaces/{namespace}" if namespace else ""
        async with translated(f"cannot list {PLURAL}", self._patience):
            page = await metadata_page(self._api, f"/apis/{API_VERSION}{within}/{PLURAL}", query)
        items = page.get("items") or []  # null where there is none
        if not isinstance(page.get("metadata"), Mapping) or not isinstance(items, list):
            raise ObjectError(f"cannot list {PLURAL}: the answer is no list")
        return {**page, "items": items}


def _whole(value: Model) -> dict[str, Any]:
    """The value with null for what is unset, at every depth: a merge patch keeps what it does not mention."""
    wire = value.wire()
    fields = {field.alias or name: getattr(value, name) for name, field in type(value).model_fields.items()}
    return {name: _whole(part) if isinstance(part, Model) else wire.get(name) for name, part in fields.items()}


def _parsed(body: Any) -> Resource:
    if "uid" not in mapping(mapping(body).get("metadata")):
        raise ObjectError("no answer of the Kubernetes API: an object without a uid")
    return parse(body)


def _identity(item: Mapping[str, Any]) -> tuple[Key, str]:
    return Key(item["metadata"]["namespace"], item["metadata"]["name"]), item["metadata"]["uid"]


def _version(item: Mapping[str, Any]) -> int:
    return int(item["metadata"]["resourceVersion"])
