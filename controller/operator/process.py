"""The running operator: the parts put together, without Kopf. `handlers.py` feeds it, `cli.py` starts it."""

import asyncio
import logging
import random
import socket
from datetime import UTC, datetime, timedelta

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import read_accounts, read_own_account
from controller.cluster.objects import KubernetesObjects, cluster_uid, configuration, connect
from controller.domain.agenda import Wake
from controller.domain.resource import InvalidSpec, Key, Resource, Scope
from controller.engine.index import Index
from controller.engine.ports import ObjectError, TargetRefused
from controller.engine.queue import WorkQueue
from controller.engine.quotas import Quotas
from controller.engine.reconciler import Reconciler
from controller.engine.sweeper import Sweeper
from controller.operator.settings import Settings

logger = logging.getLogger(__name__)

_WATCH_CHECK = timedelta(seconds=10)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Operator:
    """Index, queue, reconciler and sweeper of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.index = Index()
        self.last_event = utc_now()
        self.deaf = asyncio.Event()  # not a thread's: Kopf would wait for that in a thread that outlives a SIGTERM
        """Set when the watch brings no news any more: whoever runs this operator stops it and starts another."""

    async def start(self) -> None:
        """Connect to the cluster and begin to work.

        Raises:
            ObjectError: the cluster cannot be reached.
            ValueError: the accounts file is not of the form.

        """
        settings = self.settings
        self._api = connect(await configuration(), settings.concurrency + 4)
        cluster = settings.cluster_id or await cluster_uid(self._api)
        self._accounts = Accounts(
            region=settings.aws_region,
            accounts=read_accounts(settings.accounts_file),
            threads=settings.concurrency,
            timeout=settings.aws_timeout.total_seconds(),
            endpoint_url=settings.aws_endpoint_url,
            own=read_own_account(settings.own_account_file, regions=settings.aws_regions, region=settings.aws_region),
        )
        self._quotas = Quotas(self._wake)
        objects = KubernetesObjects(self._api, utc_now, socket.gethostname())
        reconciler = Reconciler(
            objects=objects,
            accounts=self._accounts,
            index=self.index,
            quotas=self._quotas,
            cluster=cluster,
            clock=utc_now,
            dice=random.random,
        )
        self.queue = WorkQueue(reconciler.reconcile, concurrency=settings.concurrency)
        sweeper = Sweeper(
            index=self.index,
            accounts=self._accounts,
            quotas=self._quotas,
            wake=self._wake,
            interval=settings.sweep_interval,
            audit_interval=settings.audit_interval,
        )
        self._sweeping = asyncio.create_task(sweeper.run(), name="drift sweeper")
        self._listening = asyncio.create_task(self._listen(objects), name="watch check")
        logger.info("cluster %s, region %s", cluster, settings.aws_region or "of each plan's target")

    async def stop(self) -> None:
        """Let AWS calls under way finish and their results be written, then let go of everything."""
        self._sweeping.cancel()
        self._listening.cancel()
        if not await self.queue.drain(self.settings.shutdown_patience):
            logger.warning(
                "AWS calls were still under way after %s; the next start takes them up", self.settings.shutdown_patience
            )
        self._accounts.close()
        await self._api.close()  # type: ignore[no-untyped-call]

    async def _listen(self, objects: KubernetesObjects) -> None:
        """Notice a watch that is deaf: an object there is, and after two checks no event has told of it.

        Kopf begins to watch a kind when its definition comes, but misses one that is not served yet at that moment.
        """
        plain = [name for name in self.settings.namespaces if name.isascii() and not set(name) & set("*?![],")]
        namespace = plain[0] if plain else None
        missed: Resource | None = None
        while not (self.settings.namespaces and namespace is None):
            await asyncio.sleep(_WATCH_CHECK.total_seconds())
            if missed is not None and self._behind(missed):
                logger.error("the watch told nothing of %s: starting anew", missed.key)
                self.deaf.set()
                return
            try:
                found = await objects.first(namespace)
            except ObjectError as error:
                logger.debug("watch check: %s", error)
                continue
            missed = found if found is not None and self._behind(found) else None

    def _behind(self, found: Resource) -> bool:
        known = self.index.get(found.key)
        return known is None or (known.uid == found.uid and int(known.resource_version) < int(found.resource_version))

    def _wake(self, key: Key, wake: Wake) -> None:
        self.queue.wake(key, wake)

    def seen(self, resource: Resource) -> None:
        """A watch event brought this version of an object."""
        self.last_event = utc_now()
        if not self.index.put(resource):
            return
        if not isinstance(resource.spec, InvalidSpec):
            try:
                scope = self._accounts.scope(resource.key.namespace, resource.spec.target)
            except TargetRefused:
                pass  # the reconciler tells the user
            else:
                self.index.place(resource, scope)
                self._quotas.resume(scope, resource)
                if not resource.spec.manages and resource.generation != resource.status.observed_generation:
                    self._offer(resource, scope)
        self.queue.wake(resource.key)

    def _offer(self, resource: Resource, scope: Scope) -> None:
        """Wake those that this object kept from their plan: it only observes from now on."""
        for key in self.index.namesakes(resource.plan_name, scope):
            other = self.index.get(key)
            stalled = other.status.condition("Stalled") if other else None
            if stalled is not None and stalled.reason == "NameConflict":
                self.queue.wake(key, Wake.NAME)

    def gone(self, resource: Resource) -> None:
        """A watch event said that the object is gone: its plan's name and its place in the queue are free."""
        self.last_event = utc_now()
        scope = self.index.scope(resource.key)
        if not self.index.remove(resource.key, resource.uid):
            return
        self._quotas.leave(resource.key)
        for key in self.index.namesakes(resource.plan_name, scope):
            self.queue.wake(key, Wake.NAME)
