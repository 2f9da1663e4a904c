"""The running operator: the parts put together, without Kopf. `handlers.py` feeds it, `cli.py` starts it."""

import asyncio
import logging
import random
import socket
from datetime import UTC, datetime
from uuid import uuid4

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import read_accounts, read_own_account
from controller.cluster.connection import cluster_uid, configuration, connect
from controller.cluster.objects import KubernetesObjects
from controller.domain.agenda import Wake
from controller.domain.resource import Key, Resource
from controller.engine.index import Index
from controller.engine.news import News
from controller.engine.queue import WorkQueue
from controller.engine.quotas import Quotas
from controller.engine.reconciler import Reconciler
from controller.engine.sweeper import Sweeper
from controller.operator.settings import Settings
from controller.operator.tasks import supervised
from controller.operator.watch import WatchCheck

logger = logging.getLogger(__name__)

_PATIENCE = 30.0  # seconds for one read of the Kubernetes API


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
        objects = KubernetesObjects(self._api, utc_now, socket.gethostname(), _PATIENCE)
        self.news = News(index=self.index, accounts=self._accounts, quotas=self._quotas, wake=self._wake)
        reconciler = Reconciler(
            objects=objects,
            accounts=self._accounts,
            index=self.index,
            news=self.news,
            quotas=self._quotas,
            cluster=cluster,
            process=f"{socket.gethostname()}/{uuid4()}",
            settle=settings.settle,
            clock=utc_now,
            dice=random.random,
        )
        self.queue = WorkQueue(reconciler.reconcile, concurrency=settings.concurrency, lane=self.index.scope)
        sweeper = Sweeper(
            index=self.index,
            accounts=self._accounts,
            objects=objects,
            quotas=self._quotas,
            wake=self._wake,
            cluster=cluster,
            interval=settings.sweep_interval,
            audit_interval=settings.audit_interval,
        )
        self._watch = WatchCheck(
            objects=objects, index=self.index, gone=self.gone, deaf=self.deaf, namespaces=settings.namespaces
        )
        self._tasks = [supervised(sweeper.run, "drift sweeper"), supervised(self._watch.run, "watch check")]
        logger.info("cluster %s, region %s", cluster, settings.aws_region or "of each plan's target")

    async def stop(self) -> None:
        """Let AWS calls under way finish and their results be written, then let go of everything."""
        for task in self._tasks:
            task.cancel()
        if not await self.queue.drain(self.settings.shutdown_patience):
            logger.warning(
                "AWS calls were still under way after %s; the next start takes them up", self.settings.shutdown_patience
            )
        self._accounts.close()
        await self._api.close()  # type: ignore[no-untyped-call]

    def _wake(self, key: Key, *wakes: Wake) -> None:
        self.queue.wake(key, *wakes)

    def listed(self, resource: Resource) -> None:
        """The watch began with a list in which this object is, which is no news where it is known: the watch had a gap."""
        if self.index.get(resource.key) is not None:
            self._watch.take_stock()

    def seen(self, resource: Resource) -> None:
        """The watch brought this version of an object."""
        self.news.seen(resource)

    def gone(self, resource: Resource) -> None:
        """The object is gone, by a watch event or for want of one."""
        self.news.gone(resource)
