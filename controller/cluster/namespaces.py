"""The labels of namespaces, by which accounts may be open: all are read at the start, and the watch keeps them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kubernetes.aio import client

from controller.cluster.connection import mapping, metadata, metadata_pages, translated
from controller.cluster.shared import SharedRead
from controller.engine.ports import ObjectGone


class Namespaces:
    """What is known of each namespace. A newer version is never replaced by an older one."""

    def __init__(self, api: client.ApiClient, patience: float | None = None) -> None:
        self._api = api
        self._patience = patience
        self._read_all = SharedRead(self.learn_all)
        self._known: dict[str, tuple[int, dict[str, str]]] = {}

    def labels(self, name: str) -> Mapping[str, str]:
        """The labels of that namespace; none where it is not known."""
        return self._known.get(name, (0, {}))[1]

    def seen(self, body: Mapping[str, Any]) -> bool:
        """Take in the metadata of a namespace; whether its labels are others than before."""
        name, version = body["name"], int(body["resourceVersion"])
        known = self._known.get(name)
        if known is not None and known[0] > version:
            return False
        labels = dict(body.get("labels") or {})
        self._known[name] = (version, labels)
        return known is None or known[1] != labels

    def gone(self, name: str) -> None:
        """The namespace is there no more."""
        self._known.pop(name, None)

    async def learn(self, name: str) -> None:
        """Read one namespace, unless it is known: who may see no other one may still see that.

        Raises:
            ObjectError: the API server does not say.

        """
        if name in self._known:
            return
        with suppress(ObjectGone):
            async with translated(f"cannot read the labels of namespace {name}", self._patience):
                self.seen(await metadata(self._api, f"/api/v1/namespaces/{name}"))

    async def catch_up(self, name: str) -> None:
        """Read all once more if that one is not known: the watch may bring an object before the namespace that it is in.

        Raises:
            ObjectError: the API server does not say.

        """
        if name not in self._known:
            await self._read_all()
            self._known.setdefault(name, (0, {}))  # it is gone

    async def learn_all(self) -> None:
        """Read all namespaces.

        Raises:
            ObjectError: the API server does not say.

        """
        what = "cannot list namespaces, by whose labels accounts are open"
        async for page in metadata_pages(self._api, "/api/v1/namespaces", what, self._patience):
            for item in page.get("items") or ():
                self.seen(mapping(mapping(item).get("metadata")))
