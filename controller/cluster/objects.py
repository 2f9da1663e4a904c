"""EdgeDeploymentPlan objects through the official client's asyncio half: status, finalizer, events, existence.

Every write names the uid, so that an object that was deleted and made anew under the same name is never written to.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.events import EventRecorder
from controller.domain.api import FINALIZER, GROUP, PLURAL, VERSION
from controller.domain.events import Event
from controller.domain.resource import Key, Resource, parse
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import ObjectChanged, ObjectError, ObjectGone

logger = logging.getLogger(__name__)

_NOT_FOUND, _CONFLICT, _FORBIDDEN = 404, 409, 403
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def configuration() -> client.Configuration:
    """How to reach the cluster: by the pod's service account, or else by KUBECONFIG.

    Raises:
        ObjectError: neither is there.

    """
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        try:
            # Named here: the library reads KUBECONFIG once, when it is imported.
            await config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=settings)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise ObjectError(f"no way to reach a cluster: not in a pod, and {error}") from error
    return settings


def connect(settings: client.Configuration, connections: int) -> client.ApiClient:
    """A client with that many connections at the most."""
    settings.connection_pool_maxsize = connections
    # No proxy and no netrc from the environment, as in Kopf's watch: they cost two threads a call, and are for AWS.
    settings.client_session_kwargs = {"trust_env": False}
    api = client.ApiClient(settings)
    api.user_agent = "edgeplan"
    return api


async def cluster_uid(api: client.ApiClient) -> str:
    """The uid of the kube-system namespace, which the field uses as the cluster's identity."""
    try:
        metadata = await _metadata(api, "/api/v1/namespaces/kube-system")
    except ApiException as error:
        raise ObjectError(f"cannot read namespace kube-system ({error.reason}): give --cluster-id") from error
    return str(metadata["uid"])


async def _metadata(api: client.ApiClient, path: str) -> Mapping[str, Any]:
    """The metadata of an object, without the library's models.

    Those of CoreV1Api take a second and 25 MB to import, and those of a CustomResourceDefinition more time to fill than
    all else that the deletion of an object needs.
    """
    headers = {"Accept": _METADATA_ONLY}
    request = await api.param_serialize("GET", path, header_params=headers, auth_settings=["BearerToken"])
    answer = await api.call_api(*request)
    await answer.read()  # type: ignore[no-untyped-call]
    body: Any = api.response_deserialize(answer, {"200": "object"}).data
    return dict(body["metadata"])


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn whatever a call can raise into an ObjectError that says what failed.

    The client's asyncio half lets aiohttp's errors through, and not all of them are OSErrors.
    """
    try:
        yield
    except ApiException as error:
        text = f"{what}: {error.status} {error.reason}: {error.body}"
        kind = {_NOT_FOUND: ObjectGone, _CONFLICT: ObjectChanged}.get(error.status, ObjectError)
        raise kind(text) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise ObjectError(f"{what}: the Kubernetes API cannot be reached: {error}") from error


class KubernetesObjects:
    """The objects of one cluster."""

    def __init__(self, api: client.ApiClient, clock: Callable[[], datetime], reporter: str) -> None:
        self._api = api
        self._objects = client.CustomObjectsApi(api)
        self._events = EventRecorder(self._objects, clock, reporter)

    async def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status; the object as it is then."""
        before, after = resource.status.wire(), status.wire()
        # A merge patch keeps what it does not mention: what went must be named.
        body = {"metadata": {"uid": resource.uid}, "status": after | dict.fromkeys(before.keys() - after.keys())}
        return parse(await self._patch(self._objects.patch_namespaced_custom_object_status, resource, body))

    async def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status if the object is just as it is known here, or else raise ObjectChanged."""
        before, after = resource.status.wire(), status.wire()
        metadata = {"uid": resource.uid, "resourceVersion": resource.resource_version}
        body = {"metadata": metadata, "status": after | dict.fromkeys(before.keys() - after.keys())}
        return parse(await self._patch(self._objects.patch_namespaced_custom_object_status, resource, body))

    async def hold(self, resource: Resource) -> Resource:
        """Put the finalizer on; the object as it is then."""
        return parse(await self._finalizers(resource, [*resource.finalizers, FINALIZER]))

    async def release(self, resource: Resource) -> Resource | None:
        """Take the finalizer off; the object as it is then, or None when it went."""
        try:
            body = await self._finalizers(resource, [name for name in resource.finalizers if name != FINALIZER])
        except ObjectGone:
            return None
        return parse(body) if body["metadata"].get("finalizers") or not resource.deleting else None

    async def exists(self, key: Key, uid: str) -> bool:
        """Whether the object of that uid is there, asked at the API server."""
        try:
            with _translated(f"cannot read {key}"):
                body: Any = await self._objects.get_namespaced_custom_object(
                    GROUP, VERSION, key.namespace, PLURAL, key.name
                )
        except ObjectGone:
            return False
        except ObjectError as error:
            # Not allowed to look: as good as there, for whoever would take its plan.
            if getattr(error.__cause__, "status", None) == _FORBIDDEN:
                return True
            raise
        return bool(body["metadata"]["uid"] == uid)

    async def first(self, namespace: str | None) -> Resource | None:
        """The first object there is, of that namespace or of all."""
        with _translated(f"cannot list {PLURAL}"):
            body: Any = await (
                self._objects.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, limit=1)
                if namespace
                else self._objects.list_cluster_custom_object(GROUP, VERSION, PLURAL, limit=1)
            )
        return parse(body["items"][0]) if body["items"] else None

    async def definition_going(self) -> bool:
        """Whether the CustomResourceDefinition itself is being deleted."""
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"
        try:
            with _translated("cannot read the CustomResourceDefinition"):
                metadata = await _metadata(self._api, path)
        except ObjectGone:
            return True
        return "deletionTimestamp" in metadata

    async def publish(self, resource: Resource, event: Event) -> None:
        """Publish an event about the object; a failure is logged, not raised."""
        try:
            with _translated(f"{resource.key}: event {event.reason} not published"):
                await self._events.publish(resource, event)
        except ObjectError as error:
            logger.info("%s", error)

    async def _finalizers(self, resource: Resource, finalizers: list[str]) -> Any:
        # The resourceVersion guards the finalizers of others: a merge patch replaces the whole list.
        metadata = {"uid": resource.uid, "resourceVersion": resource.resource_version, "finalizers": finalizers}
        return await self._patch(self._objects.patch_namespaced_custom_object, resource, {"metadata": metadata})

    async def _patch(self, call: Any, resource: Resource, body: Mapping[str, Any]) -> Any:
        with _translated(str(resource.key)):
            return await call(
                GROUP,
                VERSION,
                resource.key.namespace,
                PLURAL,
                resource.key.name,
                body,
                _content_type="application/merge-patch+json",
            )
