"""The running operator: the parts put together, without Kopf. `handlers.py` feeds it, `cli.py` starts it."""

import asyncio
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from aiohttp.web import AppRunner

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import OWN_ACCOUNT, read_accounts, read_own_account
from controller.aws.errors import credentials_trouble
from controller.aws.sagemaker import Change, NotLeading
from controller.aws.tenancy import on_behalf_of
from controller.aws.throttle import in_turn
from controller.cluster.connection import cluster_uid, configuration, connect
from controller.cluster.lease import Election
from controller.cluster.namespaces import Namespaces
from controller.cluster.objects import KubernetesObjects
from controller.cluster.shards import Shards
from controller.cluster.shares import shard_of
from controller.domain.agenda import Wake, patience
from controller.domain.failures import Failure
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope, parse
from controller.engine.acting import ACTING
from controller.engine.index import Index
from controller.engine.news import News
from controller.engine.ports import EdgePlanError, ObjectError
from controller.engine.queue import WorkQueue
from controller.engine.quotas import Quotas
from controller.engine.reconciler import Reconciler, soonest
from controller.engine.sweeper import Sweeper
from controller.engine.turns import in_turns
from controller.operator.audit import AuditLog
from controller.operator.census import Census
from controller.operator.clock import utc_now
from controller.operator.definition import watch_definition
from controller.operator.exposition import serve
from controller.operator.logs import own_version
from controller.operator.metrics import MeasuredSweeper, Metrics
from controller.operator.outages import Outages
from controller.operator.settings import Settings
from controller.operator.tasks import supervised
from controller.operator.tracing import open_tracing
from controller.operator.watch import WatchCheck

logger = logging.getLogger(__name__)

_PATIENCE = 30.0  # seconds for one read of the Kubernetes API
_FAREWELL = timedelta(seconds=2)  # for events that wait to be published; for spans too, at the least


class Operator:
    """Index, queue, reconcilers and sweeper of one process.

    With a lease, whoever does not hold it stands by: the index follows the watch, and nothing else is done. A new term
    begins with nothing remembered but the index, like a start. With shards there are several leases, and so much is done
    as this process holds; all else of it is stand-by. One lease, or none, is one shard.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened = read_accounts(settings.accounts_file, settings.aws_extra_regions)
        self._own = read_own_account(
            settings.own_account_file,
            regions=settings.aws_regions,
            region=settings.aws_region,
            extra_regions=settings.aws_extra_regions,
        )
        self._by_namespace = any(bounds.share for bounds in (self._own, *self._opened.values()))
        self.index = Index()
        self.metrics = Metrics(self.index.scope)
        self.last_event = utc_now()
        self.restarts = False
        """Whether it stopped for another one to start: its watch brings no news any more."""
        self.deaf = asyncio.Event()  # not a thread's: Kopf would wait for that in a thread that outlives a SIGTERM
        """Set when the watch brings no news any more: whoever runs this operator stops it and starts another."""
        self._outages = Outages(
            self._credentials_work, lambda seconds, act: asyncio.get_running_loop().call_later(seconds, act)
        )
        self._audit = AuditLog(settings.audit_log) if settings.audit_log else None
        self._process = f"{socket.gethostname()}/{uuid4()}"
        self.serving = False
        """Whether it acts; otherwise it stands by."""
        self.term: Sweeper | None = None
        """The sweeper that it has while it acts."""
        self._reconcilers: dict[int, Reconciler] = {}
        """One a shard that is worked on here: what another process did there meanwhile, no memory of before tells."""
        self._busy: Counter[int] = Counter()
        self._election: Election | None = None
        self._shards: Shards | None = None
        self._exposition: AppRunner | None = None

    async def start(self) -> None:
        """Connect to the cluster and begin to work, or to stand by.

        Raises:
            ObjectError: the cluster cannot be reached.

        """
        settings = self.settings
        self._api = connect(await configuration(), settings.concurrency + 4)
        self._cluster = settings.cluster_id or await cluster_uid(self._api)
        if settings.tracing:
            self.metrics.tracing = open_tracing(self._cluster)
        if settings.lease and settings.shards > 1:
            parts = (self._api, settings.lease, self._process, settings.shards)
            cut = " by namespace" if self._by_namespace else ""
            self._shards = Shards(*parts, cut=cut, idle=lambda shard: not self._busy[shard], changed=self._hold)
        elif settings.lease:
            self._election = Election(self._api, settings.lease, self._process)
        self._namespaces = Namespaces(self._api, _PATIENCE)
        if self.selects_namespaces:
            await self._namespaces.learn_all()
        self._accounts = Accounts(
            region=settings.aws_region,
            accounts=self._opened,
            threads=settings.concurrency,
            timeout=settings.aws_timeout.total_seconds(),
            endpoint_url=settings.aws_endpoint_url,
            own=self._own,
            extra_regions=settings.aws_extra_regions,
            cluster=self._cluster,
            labels_of=self._namespaces.labels,
            may_call=self._leads,
            called=self._called,
            changed=self._changed,
            waited=self.metrics.waited,
            in_loop=True,
        )
        self._objects = KubernetesObjects(
            self._api, utc_now, socket.gethostname(), _PATIENCE, wrote=self.metrics.tracing.wrote
        )
        self.news = News(index=self.index, accounts=self._accounts, quotas=Quotas(self._wake), wake=self._wake)
        self.queue = WorkQueue(
            self.metrics.measured(self._work), concurrency=settings.concurrency, lane=self.index.scope
        )
        self._watch = WatchCheck(
            objects=self._objects, index=self.index, gone=self.gone, deaf=self.deaf, namespaces=settings.namespaces
        )
        self._tasks = [
            supervised(self._watch.run, "watch check"),
            supervised(lambda: watch_definition(self._objects.served), "definition"),
            supervised(self._lead, "leader"),
        ]
        await self._serve_metrics()

    async def stop(self) -> None:
        """Let AWS calls under way finish and their results be written, then let go of everything."""
        self.restarts, begun = self.deaf.is_set(), time.monotonic()
        self.deaf.set()  # Kopf waits five seconds for whoever waits for it
        if self._shards is not None:
            self._shards.retire()
        if not await self.queue.drain(self.settings.shutdown_patience):
            logger.warning(
                "AWS calls were still under way after %s; the next start takes them up", self.settings.shutdown_patience
            )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # one may have a call under way
        if self._exposition is not None:
            await self._exposition.cleanup()
        for leases in (self._election, self._shards):
            if leases is not None:
                await leases.release()
        await self._objects.drain(_FAREWELL)
        self._accounts.close()
        if self._audit is not None:
            self._audit.close()
        left = self.settings.shutdown_patience - timedelta(seconds=time.monotonic() - begun)
        await self.metrics.tracing.close(max(left, _FAREWELL))
        await self._api.close()  # type: ignore[no-untyped-call]

    async def _serve_metrics(self) -> None:
        port = self.settings.metrics_port
        if not port:
            return
        census = Census(self, per_object=self.settings.metrics_per_object)
        self.metrics.registry.register(census)
        self._tasks.append(supervised(self.metrics.loop.run, "watch of the event loop"))
        try:
            self._exposition = await serve(self.metrics.registry, port, census.refresh)
        except OSError as error:
            raise ValueError(f"--metrics-port {port}: {error.strerror or error}") from error

    # -- leading ----------------------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        """Do the work whenever it is this process's to do."""
        leases = self._election or self._shards
        if leases is not None:
            waits = (own_version(), self._cluster, leases.name)
            logger.info("edgeplan %s, cluster %s: standing by for the lease %s", *waits)
        if self._shards is not None:
            return await self._shards.run()
        if self._election is None:
            return await self._serve(asyncio.Event().wait())
        while True:
            await self._election.win()
            await self._serve(self._election.hold())

    async def _serve(self, term: Awaitable[object]) -> None:
        """Work on everything until the term ends."""
        self._hold(frozenset({0}))
        try:
            await term
        finally:
            self._hold(frozenset())

    def _hold(self, shards: frozenset[int]) -> None:
        """Work on these shards from now on: whatever else was done in new ones, the index knows, and all is looked at again."""
        begins = bool(shards) and not self.serving
        if begins:
            self._begin()
        gained = shards - self._reconcilers.keys()
        for shard in self._reconcilers.keys() - shards:
            del self._reconcilers[shard]
        self._reconcilers |= {shard: self._reconciler(shard) for shard in gained}
        if gained:
            looking = partial(self._look_again, gained, everywhere=begins)
            self._term_tasks.append(supervised(looking, "look at all objects"))
        for ghost in self.index.ghosts():
            if self.shard(ghost) in gained:
                self._wake(ghost.key)
        if self.serving and not shards:
            self._end()

    async def _look_again(self, gained: Collection[int], *, everywhere: bool) -> None:
        """Take in what is known of all objects of these shards, or of all there are."""
        async for keys in in_turns(self.index.keys()):
            for key in keys:
                resource = self.index.get(key)
                # At the beginning of a term who waits for quota in other shards counts as well.
                if resource is not None and (everywhere or self.shard(resource) in gained):
                    self.news.seen(resource)
                    self._ask_for_rights(resource)

    def _begin(self) -> None:
        settings = self.settings
        self.news.quotas = quotas = Quotas(self._wake)
        sweeper = MeasuredSweeper(
            index=self.index,
            accounts=self._accounts,
            objects=self._objects,
            quotas=quotas,
            wake=self._wake,
            cluster=self._cluster,
            interval=settings.sweep_interval,
            audit_interval=settings.audit_interval,
            audits_per_minute=settings.audits_per_minute,
            clock=utc_now,
            metrics=self.metrics,
            mine=self._holds,
            judges=lambda: 0 in self._reconcilers,
        )
        self.term = sweeper
        self.serving = True
        introducing = asyncio.create_task(self._introduce(), name="introduction")
        self._term_tasks = [supervised(sweeper.run, "drift sweeper"), introducing]

    def _end(self) -> None:
        self.serving, self.term = False, None
        for task in self._term_tasks:
            task.cancel()

    def _reconciler(self, shard: int) -> Reconciler:
        return Reconciler(
            objects=self._objects,
            accounts=self._accounts,
            index=self.index,
            news=self.news,
            quotas=self.news.quotas,
            cluster=self._cluster,
            process=self._process,
            settle=self.settings.settle,
            clock=utc_now,
            dice=random.random,
            attempted=self.metrics.attempted,
            mine=lambda resource: self.shard(resource) == shard,
            began=asyncio.get_running_loop().time(),
            alone=self._election is not None or self._shards is not None,
        )

    def shard(self, resource: Resource) -> int:
        """The shard of an object.

        Where namespaces have shares of quota, all objects of one are in one shard: who comes before whom is known for
        certain to none but who decides for all of them.
        """
        if self._shards is None:
            return 0
        return shard_of(resource.key.namespace if self._by_namespace else resource.uid, self.settings.shards)

    @property
    def shards(self) -> Mapping[int, bool]:
        """All shards, and whether each is worked on here; none where one process works on everything."""
        count = self.settings.shards if self._shards is not None else 0
        return {shard: shard in self._reconcilers for shard in range(count)}

    def works_on(self, resource: Resource) -> bool:
        """Whether the object is worked on here."""
        return self.shard(resource) in self._reconcilers

    def _holds(self, key: Key) -> bool:
        return self._shards is None or any(self.works_on(resource) for resource in self.index.at(key))

    def _leads(self) -> bool:
        """Whether this process may act. Asked before each AWS call, in whatever thread makes it."""
        if self._shards is not None:
            acting = ACTING.get()
            return self._shards.leads(self.shard(acting.resource) if acting is not None else None)
        return self._election is None or self._election.leads

    async def _work(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        if not self.serving:
            return None
        try:
            if self.selects_namespaces:
                await self._namespaces.catch_up(key.namespace)
            with on_behalf_of(key.namespace), in_turn(patience(wakes)):
                return await self._reconcile(key, wakes)
        except NotLeading as error:
            if self.serving and self._holds(key):
                raise  # the lease was renewed late, and may be this process's all the same: nobody else looks at it then
            logger.info("%s: %s", key, error)
            return None

    async def _reconcile(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        waits = []
        for shard in sorted({self.shard(resource) for resource in self.index.at(key)}):
            reconciler = self._reconcilers.get(shard)
            if reconciler is not None:
                self._busy[shard] += 1
                try:
                    waits.append(await reconciler.reconcile(key, wakes))
                finally:
                    self._busy[shard] -= 1
        return soonest(waits)

    def _wake(self, key: Key, *wakes: Wake) -> None:
        if self.serving and self._holds(key):
            self.metrics.waits.woken(key, wakes)
            self.queue.wake(key, *wakes)

    # -- what AWS's answers bring -----------------------------------------------------------------------------------

    def _called(
        self, scope: Scope, operation: str, failure: Failure | None, seconds: float, request_id: str | None
    ) -> None:
        self.metrics.called(scope, operation, failure, seconds)
        self.metrics.tracing.called(scope, operation, failure, seconds, request_id)
        self._outages.called(scope, operation, failure)

    def _changed(self, change: Change) -> None:
        acting = ACTING.get()
        if change.failure is None:
            key = acting.resource.key if acting is not None else "nobody"
            details = {"action": change.operation, "requestId": change.request_id}
            logger.info("%s: %s", key, change.action, extra=details)
        if self._audit is not None:
            self._audit.changed(change)

    def _credentials_work(self, account: str, ended: Reason) -> None:
        """AWS takes the account's credentials, or no longer denies a call: who waits for that need not wait for its time."""
        acting = ACTING.get()
        for resource in self.index:
            retry = resource.status.retry
            if retry is None or credentials_trouble(retry.last_error.code) is not ended:
                continue
            scope = self.index.scope(resource.key)
            mine = acting is not None and acting.resource.key == resource.key  # what works now is its own call
            if scope is not None and scope.account == account and not mine:
                self._wake(resource.key, Wake.CREDENTIALS)

    async def _introduce(self) -> None:
        """Say who acts, and as whom: in the background, for an STS that does not answer must hold up nothing."""
        region, identity = self.settings.aws_region, "not asked for, as there is no region of its own"
        own = self._accounts.plans(Scope(OWN_ACCOUNT, region)) if region is not None else None
        if own is not None:
            try:
                identity = await own.identity()
            except EdgePlanError as error:
                identity = f"not known: {error}"
        logger.info("edgeplan %s acts for cluster %s; AWS identity %s", own_version(), self._cluster, identity)
        if own is not None and self._own.enabled:
            await own.prepare()

    # -- what the watch brings --------------------------------------------------------------------------------------

    @property
    def silent_for(self) -> timedelta:
        """How long the API server has given no answer that could tell what the watch may have missed."""
        return self._watch.silent_for

    @property
    def rates(self) -> Mapping[Scope, float]:
        """Calls a second that go to AWS at present, where it throttles."""
        return self._accounts.rates()

    def check_health(self) -> None:
        """Find out whether this process can still do what it is for.

        Raises:
            ObjectError: it has heard nothing of the API server for so long that a new process may be better off.

        """
        silent = self.silent_for
        if silent > self.settings.watch_patience:
            raise ObjectError(f"the Kubernetes API has not answered for {silent.total_seconds():.0f} s")

    def heard(self, body: Mapping[str, Any], *, listed: bool = False, created: bool = False) -> None:
        """The watch brought this version of an object, or began with a list in which it is; or it was created just now.

        Where the object is known already, a list means that the watch had a gap. What our own write has just returned is
        no news: half of all events are that, and each would be parsed and looked into for nothing.
        """
        metadata, known = body["metadata"], self.known(body)
        if listed and known is not None:
            self._watch.take_stock()
        version = (metadata["uid"], metadata["resourceVersion"])
        if known is None or (known.uid, known.resource_version) != version or not _at_rest(known):
            resource = parse(body, known)
            if created and (reconciler := self._reconcilers.get(self.shard(resource))) is not None:
                reconciler.born(resource)
            self.news.seen(resource)
            if known is None:
                self._ask_for_rights(resource)

    def known(self, body: Mapping[str, Any]) -> Resource | None:
        """The newest version that is known of the object of that name."""
        metadata = body["metadata"]
        return self.index.get(Key(metadata["namespace"], metadata["name"]))

    @property
    def selects_namespaces(self) -> bool:
        """Whether the labels of namespaces decide what is open to them."""
        return any(bounds.selects for bounds in (self._own, *self._opened.values()))

    def namespace_heard(self, body: Mapping[str, Any]) -> None:
        """The watch brought this metadata of a namespace: other labels may open to its objects what was closed, or close it."""
        if self._namespaces.seen(body):
            for resource in self.index:
                if resource.key.namespace == body["name"]:
                    self._wake(resource.key, Wake.RIGHTS)

    def namespace_gone(self, name: str) -> None:
        """A namespace is there no more."""
        self._namespaces.gone(name)

    def _ask_for_rights(self, resource: Resource) -> None:
        """An earlier process had its own: the administrator may have opened since what was closed then, or closed it."""
        stalled = resource.status.condition("Stalled")
        reason = Reason.of(stalled.reason) if stalled is not None else None
        closed = self.index.scope(resource.key) is None
        if closed or (reason is not None and reason.ends_when_rights_are_given):
            self._wake(resource.key, Wake.RIGHTS)

    def gone(self, resource: Resource) -> None:
        """The object is gone, by a watch event or for want of one."""
        scope = self.index.scope(resource.key)
        self.news.gone(resource)
        if scope is not None and not self.works_on(resource):
            self.news.quotas.freed(scope)  # who took its plan away has told those of its own shards only


def _at_rest(resource: Resource) -> bool:
    """Whether nobody wants anything of us that this version tells: what we do by ourselves has timers."""
    return not (resource.edited or resource.asked or resource.deleting)
