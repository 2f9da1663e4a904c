"""The operator's process without its network: the real Operator's ears, Reconciler, Index, Quotas and Sweeper.

The queue is driven by hand: what is due is run, several objects side by side, on a clock that jumps.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from controller.domain.circumstances import SETTLE
from controller.domain.schedule import backoff
from controller.engine.news import News
from controller.engine.ports import AwsError, ObjectError
from controller.engine.quotas import Quotas
from controller.engine.reconciler import Reconciler
from controller.engine.sweeper import Sweeper
from controller.operator.process import Operator
from controller.operator.settings import Settings
from tests.life.crash import Crash

if TYPE_CHECKING:
    from controller.domain.agenda import Wake
    from controller.domain.resource import Key
    from controller.engine.queue import WorkQueue
    from tests.life.aws import Aws, Loop
    from tests.life.cluster import Cluster

from controller.domain.resource import parse

CLUSTER = "cluster-1"
NEVER = timedelta(days=365_000)


class HandQueue:
    """`WorkQueue` as a list of who is due."""

    def __init__(self, now: Aws) -> None:
        self._aws = now
        self.wakes: dict[Key, set[Wake]] = {}
        self.timers: dict[Key, datetime] = {}
        self.delayed: list[tuple[datetime, Key, frozenset[Wake]]] = []
        self.failures: dict[Key, int] = {}

    def wake(self, key: Key, *wakes: Wake) -> None:
        """As `WorkQueue.wake`."""
        self.wakes.setdefault(key, set()).update(wakes)
        self.timers.pop(key, None)

    def due(self) -> list[Key]:
        """Who is to be worked on now."""
        now = self._aws.now()
        for key in [key for key, moment in self.timers.items() if moment <= now]:
            self.wake(key)
        for entry in [entry for entry in self.delayed if entry[0] <= now]:
            self.delayed.remove(entry)
            self.wake(entry[1], *entry[2])
        return list(self.wakes)

    def next(self) -> datetime | None:
        """When somebody is due next."""
        return min([*self.timers.values(), *(moment for moment, _, _ in self.delayed)], default=None)


class Process:
    """One life of the operator's process."""

    def __init__(self, cluster: Cluster, aws: Aws, loop: Loop, dice: random.Random) -> None:
        self._cluster, self._aws, self._loop, self._dice = cluster, aws, loop, dice
        self.queue = HandQueue(aws)
        self.operator = Operator(Settings())
        self.operator.queue = cast("WorkQueue", self.queue)
        self.operator._accounts = aws.accounts
        self.operator._quotas = self.quotas = Quotas(self.queue.wake)
        self.index = self.operator.index
        self.reconciler = Reconciler(
            objects=cluster,
            accounts=aws.accounts,
            index=self.index,
            quotas=self.quotas,
            cluster=CLUSTER,
            process=str(uuid4()),
            settle=SETTLE,
            clock=aws.now,
            dice=dice.random,
        )
        self.operator.news = News(index=self.index, accounts=aws.accounts, quotas=self.quotas, wake=self.queue.wake)
        self.sweepers = [
            Sweeper(
                index=self.index,
                accounts=aws.accounts,
                objects=cluster,
                cluster=CLUSTER,
                quotas=self.quotas,
                wake=self.queue.wake,
                interval=timedelta(minutes=1),
                audit_interval=audit,
            )
            for audit in (NEVER, timedelta(minutes=1))
        ]

    def begin(self) -> None:
        """The watch lists all there is, in an order that nobody promised."""
        bodies = self._cluster.relist()
        self._dice.shuffle(bodies)
        for body in bodies:
            self.operator.seen(parse(body))

    def hear(self) -> None:
        """The watch brings its news."""
        news, self._cluster.news = self._cluster.news, []
        for kind, body in news:
            (self.operator.gone if kind == "DELETED" else self.operator.seen)(parse(body))

    def work(self, most: int = 1000) -> int:
        """Work on who is due, side by side; how many there were.

        Raises:
            Crash: the process was killed meanwhile.

        """
        keys = self.queue.due()[:most]
        wakes = {key: frozenset(self.queue.wakes.pop(key)) for key in keys}
        results = self._loop.run(*(self.reconciler.reconcile(key, wakes[key]) for key in keys))
        if any(isinstance(result, Crash) for result in results):
            raise Crash
        for key, result in zip(keys, results, strict=True):
            after = result
            if isinstance(result, ObjectError):
                self.queue.failures[key] = self.queue.failures.get(key, 0) + 1
                after = backoff(self.queue.failures[key], self._dice.random())
                if wakes[key]:
                    self.queue.delayed.append((self._aws.now() + after, key, wakes[key]))
            elif isinstance(result, BaseException):
                raise result
            else:
                self.queue.failures.pop(key, None)
            if after is not None and key not in self.queue.wakes:
                self.queue.timers[key] = self._aws.now() + max(after, timedelta(0))
        return len(keys)

    def sweep(self, *, audit: bool) -> None:
        """One sweep of every account and region; with `audit` of all tags too.

        Raises:
            Crash: the process was killed meanwhile.

        """
        for scope in sorted(self.index.scopes()):
            (result,) = self._loop.run(self.sweepers[audit].sweep(scope))
            if isinstance(result, BaseException) and not isinstance(result, AwsError):
                raise result
