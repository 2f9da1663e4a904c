"""What the cluster in KUBECONFIG knows of an object: its uid and status. Optional: a CI job may have no cluster."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime

from kubernetes.aio import client

from controller.cluster.connection import Unreachable, cluster_uid, configuration, connect, status_of
from controller.cluster.namespaces import Namespaces
from controller.cluster.objects import KubernetesObjects
from controller.domain.ownership import Owner
from controller.domain.resource import Key, Resource
from controller.engine.ports import ObjectError

_PATIENCE = 10.0  # seconds for one answer: a diff should not hang on a cluster that is switched off
_FORBIDDEN = 403


class Cluster:
    """The cluster, or the lack of one: `trouble` then says why, and every object counts as unknown."""

    told = False
    """Whether the user gave its identity."""

    def __init__(
        self,
        objects: KubernetesObjects | None,
        cluster_id: str | None,
        trouble: str | None = None,
        namespaces: Namespaces | None = None,
    ) -> None:
        self._objects = objects
        self._namespaces = namespaces
        self.id = cluster_id
        self.trouble = trouble

    @property
    def reached(self) -> bool:
        """Whether there is a cluster that answers."""
        return self._objects is not None

    async def find(self, key: Key) -> Resource | None:
        """The object as the cluster has it now.

        Raises:
            ObjectError: the cluster did not say.

        """
        return await self._objects.find(key) if self._objects is not None else None

    async def learn(self, namespaces: Iterable[str]) -> str | None:
        """Read the labels of those namespaces; why not all of them are known, if that is so."""
        if self._namespaces is None:
            return self.trouble
        try:
            for namespace in namespaces:
                await self._namespaces.learn(namespace)
        except ObjectError as error:
            return str(error)
        return None

    def labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of that namespace; none where they are not known."""
        return self._namespaces.labels(namespace) if self._namespaces is not None else {}

    async def lives(self, owner: Owner) -> bool:
        """Whether that owner is an object that still exists; where nobody can say, it counts as there."""
        if self._objects is None or owner.cluster != self.id:
            return True
        return await self._objects.exists(owner.key, owner.uid)


@contextlib.asynccontextmanager
async def reach(cluster_id: str | None, context: str | None = None) -> AsyncIterator[Cluster]:
    """Connect to the cluster in KUBECONFIG if there is one; `cluster_id` is its identity if it is known already.

    Raises:
        ObjectError: there is one, and it answers with nothing that can be used.

    """
    logging.getLogger("kubernetes.aio.config.kube_config").setLevel(logging.ERROR)  # no file is no trouble here
    try:
        api = connect(await configuration(context), connections=8)
    except ObjectError as error:
        yield Cluster(None, cluster_id, str(error))
        return
    try:
        cluster = await _greet(api, cluster_id)
        cluster.told = cluster_id is not None
        yield cluster
    finally:
        await api.close()  # type: ignore[no-untyped-call]


async def _greet(api: client.ApiClient, cluster_id: str | None) -> Cluster:
    objects = KubernetesObjects(api, lambda: datetime.now(UTC), "edgeplan diff", _PATIENCE)
    namespaces = Namespaces(api, _PATIENCE)
    try:
        found = await cluster_uid(api, _PATIENCE)
    except Unreachable as error:
        return Cluster(None, cluster_id, f"the cluster in KUBECONFIG does not answer: {error}")
    except ObjectError as error:
        if status_of(error) != _FORBIDDEN:
            raise
        # It answers, but its kube-system is not ours to read.
        return Cluster(objects, cluster_id, None if cluster_id else str(error), namespaces)
    return Cluster(objects, cluster_id or found, namespaces=namespaces)
