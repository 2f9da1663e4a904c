"""What a person at a terminal may do with the objects: by the person's own rights, in a namespace of a kubeconfig's context."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kubernetes.aio import client, config, watch

from controller.cluster.connection import MERGE_PATCH, configuration, connect, mapping, status_of, translated
from controller.domain.api import API_VERSION, GROUP, KIND, PLURAL, VERSION
from controller.engine.ports import ObjectError

_PATIENCE = 15.0  # seconds for one answer
_WATCH = 30  # seconds until a watch is begun again with a new list: one that went silent is found out by then
_PAUSE = 1.0  # seconds before it is tried again
_FORBIDDEN, _UNAUTHORIZED = 403, 401
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Occurrence:
    """One event, as a person reads it."""

    time: datetime
    type: str
    reason: str
    note: str
    name: str
    """Name of the object that it is about."""
    count: int = 1


class Access:
    """The objects of one namespace, or of all, to whoever the kubeconfig says."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self._api = api
        self._objects = client.CustomObjectsApi(api)
        self.namespace = namespace
        self.trouble: str | None = None
        """Why what is followed may be out of date, while it is."""

    async def get(self, name: str) -> Mapping[str, Any]:
        """The object of that name.

        Raises:
            ObjectGone: there is none.

        """
        async with translated(f"cannot read {self.namespace}/{name}", _PATIENCE):
            body: Any = await self._objects.get_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, name)
        return mapping(body)

    async def objects(self, *, everywhere: bool = False) -> list[Mapping[str, Any]]:
        """The objects of the namespace, or of all."""
        items, _ = await self._listed(None, everywhere=everywhere)
        return [*items.values()]

    async def patch(self, name: str, change: Mapping[str, Any]) -> Mapping[str, Any]:
        """Merge a change into the object; the object as it is then."""
        async with translated(f"cannot change {self.namespace}/{name}", _PATIENCE):
            body: Any = await self._objects.patch_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, name, dict(change), _content_type=MERGE_PATCH
            )
        return mapping(body)

    async def follow(self, name: str | None, *, everywhere: bool = False) -> AsyncIterator[list[Mapping[str, Any]]]:
        """The object of that name, or all of them, now and after each change.

        Raises:
            ObjectError: the first list failed. Later ones are tried again.

        """
        first = True
        while True:
            try:
                items, version = await self._listed(name, everywhere=everywhere)
                self.trouble = None
                yield [*items.values()]
                first = False
                async for kind, body in self._changes(name, version, everywhere=everywhere):
                    identity = body["metadata"]["uid"]
                    items.pop(identity, None) if kind == "DELETED" else items.update({identity: body})
                    yield [*items.values()]
            except ObjectError as error:
                if first:
                    raise
                self.trouble = str(error)
                await asyncio.sleep(_PAUSE)

    async def events(self, name: str | None, *, everywhere: bool = False) -> list[Occurrence] | None:
        """The events of the object of that name, or of all, the oldest first; None where reading them is not allowed."""
        selector = f"involvedObject.kind={KIND}" + (f",involvedObject.name={name}" if name else "")
        path = "/api/v1/events" if everywhere else f"/api/v1/namespaces/{self.namespace}/events"
        try:
            body = await self.read(path, {"fieldSelector": selector})
        except ObjectError as error:
            if status_of(error) in {_FORBIDDEN, _UNAUTHORIZED}:
                return None
            raise
        found = (_occurrence(item) for item in body.get("items") or ())
        return sorted(found, key=lambda each: (each.time, each.reason))

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """What the API server answers to a GET of that path."""
        async with translated(f"cannot read {path}", _PATIENCE):
            request = await self._api.param_serialize(
                "GET",
                path,
                query_params=[*(query or {}).items()],
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )
            answer = await self._api.call_api(*request)
            await answer.read()  # type: ignore[no-untyped-call]
            return mapping(self._api.response_deserialize(answer, {"200": "object"}).data)

    async def _listed(self, name: str | None, *, everywhere: bool) -> tuple[dict[str, Mapping[str, Any]], str]:
        path = f"/apis/{API_VERSION}{'' if everywhere else f'/namespaces/{self.namespace}'}/{PLURAL}"
        body = await self.read(path, {"fieldSelector": f"metadata.name={name}"} if name else None)
        items = {item["metadata"]["uid"]: item for item in body.get("items") or ()}
        return items, str(mapping(body.get("metadata")).get("resourceVersion"))

    async def _changes(
        self, name: str | None, version: str, *, everywhere: bool
    ) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        call = self._objects.list_cluster_custom_object if everywhere else self._objects.list_namespaced_custom_object
        place = (GROUP, VERSION, PLURAL) if everywhere else (GROUP, VERSION, self.namespace, PLURAL)
        options: dict[str, Any] = {"resource_version": version, "timeout_seconds": _WATCH}
        if name:
            options["field_selector"] = f"metadata.name={name}"
        watching = watch.Watch()  # type: ignore[no-untyped-call]
        async with translated("cannot watch", _WATCH + _PATIENCE), watching:
            async for event in watching.stream(call, *place, **options):  # type: ignore[no-untyped-call]
                yield event["type"], mapping(event["object"])


@asynccontextmanager
async def open_access(namespace: str | None, context: str | None) -> AsyncIterator[Access]:
    """Connect as the kubeconfig, or the pod's service account, says.

    Raises:
        ObjectError: neither is there, or it cannot be read.

    """
    logging.getLogger("kubernetes.aio.config.kube_config").setLevel(logging.ERROR)  # told in our own words
    api = connect(await configuration(context), connections=8)
    try:
        yield Access(api, namespace or _namespace(context))
    finally:
        await api.close()  # type: ignore[no-untyped-call]


def _namespace(context: str | None) -> str:
    """The namespace that the context, or the pod, is for."""
    if context is None and _POD_NAMESPACE.exists():
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    contexts, active = config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))  # type: ignore[no-untyped-call]
    chosen = next((each for each in contexts if each["name"] == context), active)
    return str(mapping(chosen.get("context")).get("namespace") or "default")


def _occurrence(item: Mapping[str, Any]) -> Occurrence:
    series = item.get("series") or {}
    moments = (series.get("lastObservedTime"), item.get("lastTimestamp"), item.get("eventTime"))
    moment = next((each for each in moments if each), item["metadata"]["creationTimestamp"])
    return Occurrence(
        time=datetime.fromisoformat(moment),
        type=str(item.get("type") or "Normal"),
        reason=str(item.get("reason") or ""),
        note=str(item.get("message") or ""),
        name=str(mapping(item.get("involvedObject")).get("name")),
        count=int(series.get("count") or item.get("count") or 1),
    )
