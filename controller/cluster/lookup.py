"""What the cluster in KUBECONFIG knows of an object: its uid and status. Optional: a CI job may have no cluster."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from controller.cluster.objects import cluster_uid, configuration, connect
from controller.domain.api import GROUP, PLURAL, VERSION
from controller.domain.ownership import Owner
from controller.domain.resource import Key, Resource, parse
from controller.engine.ports import ObjectError

_PATIENCE = 10.0  # seconds for one answer: a diff should not hang on a cluster that is switched off
_NOT_FOUND = 404
_Answer = TypeVar("_Answer")


class Cluster:
    """The cluster, or the lack of one: `trouble` then says why, and every object counts as unknown."""

    def __init__(self, api: client.ApiClient | None, cluster_id: str | None, trouble: str | None = None) -> None:
        self._objects = client.CustomObjectsApi(api) if api is not None else None
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
        if self._objects is None:
            return None
        try:
            body: Any = await _patiently(
                self._objects.get_namespaced_custom_object(GROUP, VERSION, key.namespace, PLURAL, key.name)
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise ObjectError(f"cannot read {key}: {error.status} {error.reason}") from error
        except (OSError, TimeoutError) as error:
            raise ObjectError(f"cannot read {key}: {str(error) or 'no answer'}") from error
        return parse(body)

    async def lives(self, owner: Owner) -> bool:
        """Whether that owner is an object that still exists; where nobody can say, it counts as there."""
        if self._objects is None or owner.cluster != self.id:
            return True
        found = await self.find(owner.key)
        return found is not None and found.uid == owner.uid


@contextlib.asynccontextmanager
async def reach(cluster_id: str | None) -> AsyncIterator[Cluster]:
    """Connect to the cluster in KUBECONFIG if there is one; `cluster_id` is its identity if it is known already."""
    logging.getLogger("kubernetes.aio.config.kube_config").setLevel(logging.ERROR)  # no file is no trouble here
    try:
        api = connect(await configuration(), connections=8)
    except ObjectError as error:
        yield Cluster(None, cluster_id, str(error))
        return
    try:
        yield await _greet(api, cluster_id)
    finally:
        await api.close()  # type: ignore[no-untyped-call]


async def _greet(api: client.ApiClient, cluster_id: str | None) -> Cluster:
    try:
        found = await _patiently(cluster_uid(api))
    except (OSError, TimeoutError) as error:
        return Cluster(None, cluster_id, f"the cluster in KUBECONFIG does not answer: {str(error) or 'no answer'}")
    except ObjectError as error:  # it answers, but its kube-system is not ours to read
        return Cluster(api, cluster_id, None if cluster_id else str(error))
    return Cluster(api, cluster_id or found)


async def _patiently(answer: Awaitable[_Answer]) -> _Answer:
    return await asyncio.wait_for(answer, _PATIENCE)
