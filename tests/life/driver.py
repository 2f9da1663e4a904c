"""The operator's process without its network: the real Operator's ears, WorkQueue, Reconciler, Index, Quotas, Sweeper."""

from __future__ import annotations

import random
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from controller.domain.agenda import Wake
from controller.domain.circumstances import SETTLE
from controller.domain.resource import Key, Scope
from controller.engine.news import News
from controller.engine.ports import EdgePlanError
from controller.engine.queue import WorkQueue
from controller.engine.quotas import Quotas
from controller.engine.reconciler import Reconciler
from controller.engine.sweeper import Sweeper
from controller.operator.process import Operator
from controller.operator.settings import Settings
from tests.life.crash import Crash, Mortality
from tests.life.objects import LocalObjects
from tests.life.truth import CLUSTER
from tests.life.virtual import OWNER
from tests.life.watch import Watch
from tests.life.wire import LocalAccounts

if TYPE_CHECKING:
    from controller.engine.index import Index
    from tests.life.aws import Aws
    from tests.life.cluster import Cluster
    from tests.life.witness import Witness

_PROCESSES = count(1)
NEVER = timedelta(days=365_000)


class Process:
    """One life of an operator's process. There may be two at once over the same cluster and AWS."""

    def __init__(self, cluster: Cluster, aws: Aws, witness: Witness, dice: random.Random) -> None:
        self._aws, self._witness = aws, witness
        self.mortality = Mortality(aws.loop.halt)
        self.clock_error = timedelta(0)
        """How wrong this node's wall clock is."""
        self.context = copy_context()
        self.context.run(OWNER.set, self)
        self.operator = Operator(Settings())
        self.index: Index = self.operator.index
        accounts = LocalAccounts(aws, self)
        self.quotas = Quotas(self._wake)
        objects = LocalObjects(cluster, self.mortality, aws)
        self.operator.news = News(index=self.index, accounts=accounts, quotas=self.quotas, wake=self._wake)
        self.reconciler = Reconciler(
            objects=objects,
            accounts=accounts,
            index=self.index,
            news=self.operator.news,
            quotas=self.quotas,
            cluster=CLUSTER,
            process=str(next(_PROCESSES)),
            settle=SETTLE,
            clock=self.now,
            dice=dice.random,
            alone=False,
        )
        self.operator._reconcilers[0] = self.reconciler
        self.operator.serving = True
        self.leads = True
        """Whether its lease is renewed in time."""
        self.queue = WorkQueue(self._reconcile, concurrency=self.operator.settings.concurrency, lane=self.index.scope)
        self.operator.queue = self.queue
        self.sweepers = [
            Sweeper(
                index=self.index,
                accounts=accounts,
                objects=objects,
                cluster=CLUSTER,
                quotas=self.quotas,
                wake=self._wake,
                interval=timedelta(minutes=1),
                audit_interval=audit,
                audits_per_minute=1000,
                clock=self.now,
            )
            for audit in (NEVER, timedelta(minutes=1))
        ]
        self.watch = Watch(cluster, self.operator, aws.loop, self.context, dice)
        self.watch.begin()

    def now(self) -> datetime:
        """This node's wall clock."""
        return self._aws.now() + self.clock_error

    def end(self) -> None:
        """The process is killed, or was: nothing of it is left but the requests that AWS and the cluster have got."""
        self.mortality.kill()
        self.queue._closed = True
        self.watch.end()
        self._aws.loop.kill(self)
        self._aws.loop.run_ready()

    def sweep(self, *, audit: bool, full: bool = True) -> None:
        """One sweep of every account and region; with `audit` of all tags too, or of what changed since the last alone.

        Raises:
            Crash: the process was killed meanwhile.

        """
        for scope in sorted(self.index.scopes()):

            async def work(scope: Scope = scope) -> None:
                with suppress(EdgePlanError):  # the next sweep comes all the same
                    sweeper = self.sweepers[audit]
                    course = sweeper._courses.get(scope)
                    await sweeper.sweep(scope, course.since if course is not None and not full else None)

            self._aws.loop.run_to_end(work(), self.context)
            self.check()

    def check(self) -> None:
        """Look at what the last step led to.

        Raises:
            Crash: the process was killed.
            AssertionError: a call or a status was wrong, or a task ended by an exception that nobody heard of.

        """
        self._witness.check()
        if self._aws.loop.failed:
            raise AssertionError("a task ended by an exception") from self._aws.loop.failed[0]
        if self.mortality.dead:
            raise Crash

    def _wake(self, key: Key, *wakes: Wake) -> None:
        self.queue.wake(key, *wakes)

    async def _reconcile(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        """The operator's work; whatever is no error of the ports is a bug, which the queue would only log."""
        try:
            return await self.operator._work(key, wakes)
        except EdgePlanError:
            raise
        except Exception as error:
            self._aws.loop.failed.append(error)
            self._aws.loop.halt()
            raise
