"""The drift poller: one per account and region, not one timer per object.

Each sweep lists all plans there (100 a call) and wakes the objects whose plan changed, vanished or appeared; tags, which
no listing shows, are audited on a slow cycle, a share of the objects each sweep. Plans that no object names are looked at
once: who their tag names may be gone.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.drift import is_due_again, strangers, suspects
from controller.domain.observed import PlanSummary
from controller.domain.ownership import Owner
from controller.domain.resource import Key, Scope
from controller.engine.index import Index
from controller.engine.ports import Accounts, AwsError, EdgePlanError, Objects
from controller.engine.quotas import Quotas

logger = logging.getLogger(__name__)

_STRANGERS_PER_SWEEP = 10


@dataclass(frozen=True)
class _Told:
    """An object that was woken for a difference: what it was, in which sweep first, and how often since."""

    mark: datetime | None
    sweep: int
    times: int = 1


@dataclass(kw_only=True)
class Sweeper:
    """Looks for drift in AWS, every `interval` with a tenth of jitter."""

    index: Index
    accounts: Accounts
    objects: Objects
    quotas: Quotas
    wake: Callable[[Key, Wake], None]
    cluster: str
    interval: timedelta
    audit_interval: timedelta
    orphans: dict[Scope, dict[str, Owner]] = field(default_factory=dict, init=False)
    """Plans tagged by this cluster whose object is gone, by name."""
    _under_way: dict[Scope, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _sweeps: Counter[Scope] = field(default_factory=Counter, init=False)
    _known: dict[Scope, frozenset[str]] = field(default_factory=dict, init=False)
    _told: dict[Scope, dict[Key, _Told]] = field(default_factory=dict, init=False)
    _judged: dict[Scope, set[PlanSummary]] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Sweep for ever, each account and region at its own pace: one that does not answer holds up no other."""
        try:
            while True:
                await asyncio.sleep(self.interval.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
                for scope in self.index.scopes() - self._under_way.keys():
                    self._under_way[scope] = asyncio.create_task(self._sweep(scope), name=f"drift sweep of {scope}")
        finally:
            for task in self._under_way.values():
                task.cancel()

    async def _sweep(self, scope: Scope) -> None:
        try:
            await self.sweep(scope)
        except EdgePlanError as error:
            logger.warning("drift sweep of %s in %s failed: %s", *scope, error)
        except Exception:
            logger.exception("drift sweep of %s in %s failed in an unknown way", *scope)
        finally:
            del self._under_way[scope]

    async def sweep(self, scope: Scope) -> None:
        """List what is there, wake what differs.

        Raises:
            EdgePlanError: the listing failed; the next sweep comes all the same.

        """
        before = self.index.within(scope)
        if not before:
            return
        self._sweeps[scope] += 1
        rows = await self.accounts.plans(scope).list_plans()
        # Judged as they are now, not as they were when the listing began.
        present = self.index.within(scope)
        found = suspects(present, rows)
        told = self._told.get(scope, {})
        self._told[scope] = {
            resource.key: self._tell(scope, resource.key, rows.get(resource.plan_name), told.get(resource.key))
            for resource in present
            if resource.key in found
        }
        if self._known.get(scope, frozenset()) - rows.keys():
            self.quotas.freed(scope)
        self._known[scope] = frozenset(rows)
        for resource in before:
            audited = resource.status.has_plan and resource.key not in found
            if audited and random.random() < self.interval / self.audit_interval:  # noqa: S311 - spreads the audits
                self.wake(resource.key, Wake.AUDIT)
        await self._judge(scope, strangers((*present, *self.index.ghosts()), rows))

    def _tell(self, scope: Scope, key: Key, row: PlanSummary | None, told: _Told | None) -> _Told:
        mark = row.modified if row is not None else None
        if told is None or told.mark != mark:
            self.wake(key, Wake.DRIFT)
            return _Told(mark, self._sweeps[scope])
        if not is_due_again(told.times, self._sweeps[scope] - told.sweep):
            return told
        self.wake(key, Wake.DRIFT)
        return _Told(mark, told.sweep, told.times + 1)

    async def _judge(self, scope: Scope, unnamed: Collection[PlanSummary]) -> None:
        """Find the plans that objects of this cluster left behind, a few at a time; each is looked at once."""
        judged = self._judged.setdefault(scope, set())
        judged.intersection_update(unnamed)
        orphans = self.orphans.setdefault(scope, {})
        for name in orphans.keys() - {row.name for row in unnamed}:
            del orphans[name]
        for row in [row for row in unnamed if row not in judged][:_STRANGERS_PER_SWEEP]:
            judged.add(row)  # whatever becomes of it: one whose tags cannot be read must not hide the others
            try:
                tags = await self.accounts.plans(scope).tags(row.arn)
            except AwsError as error:
                logger.info("whose the AWS plan %s in %s, %s is cannot be told: %s", row.name, *scope, error)
                continue
            owner = Owner.parse(tags.get(OWNER_TAG, ""))
            if owner is None or owner.cluster != self.cluster or owner.shortened:
                continue
            if not await self.objects.exists(owner.key, owner.uid):
                orphans[row.name] = owner
                logger.warning("the AWS plan %s in %s, %s was left behind by the object %s", row.name, *scope, owner)
