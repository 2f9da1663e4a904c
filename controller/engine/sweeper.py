"""The drift poller: one per account and region, not one timer per object.

A full sweep lists all plans there (100 a call) and wakes the objects whose plan changed, vanished or appeared. Tags, which
no listing shows, are audited on a slow cycle, a share of the objects in each full sweep. Plans that no object names are
looked at once: who their tag names may be gone. Where that takes many calls, or many stages are under way, sweeps that list
only what was modified come in between.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.drift import changed_since, following_interval, full_sweep_interval, is_due_again, suspects
from controller.domain.observed import PlanSummary
from controller.domain.ownership import Owner
from controller.domain.resource import Key, Resource, Scope
from controller.domain.schedule import CROWD_POLL, FEW
from controller.engine.index import Index
from controller.engine.ports import Accounts, AwsError, Clock, EdgePlanError, Objects
from controller.engine.quotas import Quotas
from controller.engine.turns import in_turns

logger = logging.getLogger(__name__)

_STRANGERS_PER_SWEEP = 10

_Mark = tuple[datetime | None, int | None]


@dataclass(frozen=True)
class _Told:
    """An object that was woken for a difference: what it was, in which sweep first, and how often since."""

    mark: _Mark | None
    sweep: int
    times: int = 1


@dataclass
class _Course:
    """How far the sweeps of one account and region are. Moments are seconds of the event loop's clock."""

    sweeps: int = 0
    rows: int = 0
    changed: int = 0
    """How many rows the last listing of what changed had."""
    full: float = 0.0
    """When the last full one began that succeeded."""
    tried: float = 0.0
    """When the last full one began."""
    latest: float = 0.0
    """When the last one began."""
    spread: float = 1.0
    since: datetime | None = None
    """From which LastModifiedTime on a listing shows what changed after the last one; None before a full one."""
    known: frozenset[str] = frozenset()
    told: dict[Key, _Told] = field(default_factory=dict)
    judged: set[PlanSummary] = field(default_factory=set)

    def waits(self, now: float, interval: timedelta, since: float) -> bool:
        """Whether the interval since that moment is not over; with a tenth of jitter."""
        return now < since + interval.total_seconds() * self.spread


@dataclass(kw_only=True)
class Sweeper:
    """Looks for drift in AWS, every `interval` with a tenth of jitter; in all of it, at least every ten minutes."""

    index: Index
    accounts: Accounts
    objects: Objects
    quotas: Quotas
    wake: Callable[[Key, Wake], None]
    cluster: str
    clock: Clock
    interval: timedelta
    audit_interval: timedelta
    audits_per_minute: int
    mine: Callable[[Key], bool] = lambda _: True
    """Whether the object is looked after here."""
    judges: Callable[[], bool] = lambda: True
    """Whether it is found out here whose the plans are that no object names: of several sweepers one does."""
    orphans: dict[Scope, dict[str, Owner]] = field(default_factory=dict, init=False)
    """Plans tagged by this cluster whose object is gone, by name."""
    _under_way: dict[Scope, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _courses: dict[Scope, _Course] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Sweep for ever, each account and region at its own pace: one that does not answer holds up no other."""
        begun = _now()
        try:
            while True:
                await asyncio.sleep(min(self.interval, CROWD_POLL).total_seconds() * _spread())
                for scope in self.index.scopes() - self._under_way.keys():
                    course = self._courses.setdefault(scope, _Course(full=begun, tried=begun, latest=begun))
                    now, since, full = _now(), course.since, full_sweep_interval(self.interval, course.rows)
                    # One that failed comes again after one interval, however seldom the others come.
                    if not (course.waits(now, full, course.full) or course.waits(now, self.interval, course.tried)):
                        since, course.tried = None, now
                    elif since is None or course.waits(now, self._pace(scope, course), course.latest):
                        continue
                    course.latest, course.spread = now, _spread()
                    sweep = self._sweep(scope, since)
                    self._under_way[scope] = asyncio.create_task(sweep, name=f"drift sweep of {scope}")
        finally:
            for task in self._under_way.values():
                task.cancel()

    def _pace(self, scope: Scope, course: _Course) -> timedelta:
        """How long from one listing of what changed to the next. Rounds come as often as the shortest of these."""
        few = self.index.crowd(scope) <= FEW
        return self.interval if few else following_interval(course.changed) - CROWD_POLL / 2

    async def _sweep(self, scope: Scope, since: datetime | None) -> None:
        try:
            await self.sweep(scope, since)
        except EdgePlanError as error:
            logger.warning("drift sweep of %s in %s failed: %s", *scope, error)
        except Exception:
            logger.exception("drift sweep of %s in %s failed in an unknown way", *scope)
        finally:
            del self._under_way[scope]

    async def sweep(self, scope: Scope, since: datetime | None = None) -> None:
        """List what is there, or what was modified after `since`, and wake what differs.

        Raises:
            EdgePlanError: the listing failed; the next sweep comes all the same.

        """
        if not self.index.used(scope):
            return
        course = self._courses.setdefault(scope, _Course())
        course.sweeps += 1
        rows = await self.accounts.plans(scope).list_plans(since)
        if since is not None:
            course.changed = len(rows)
            named = {key for name in rows for key in self.index.namesakes(name, scope)}
            told = {key: told for key, told in course.told.items() if key not in named}
            course.told = told | await self._compare(scope, named, rows, course)
            course.since = max(since, changed_since(rows.values(), self.clock()) or since)
            return
        course.told = await self._compare(scope, self.index.keys(), rows, course, audit=self._share(len(rows)))
        course.full, course.rows, course.since = course.tried, len(rows), changed_since(rows.values(), self.clock())
        if course.known - rows.keys():
            self.quotas.freed(scope)
        course.known = frozenset(rows)
        unnamed: list[PlanSummary] = []
        async for names in in_turns(rows if self.judges() else ()):
            unnamed += [rows[name] for name in names if not self.index.namesakes(name, scope)]
        ghosts = {ghost.plan_name for ghost in self.index.ghosts()}
        await self._judge(scope, sorted((row for row in unnamed if row.name not in ghosts), key=lambda row: row.name))

    def _share(self, plans: int) -> float:
        """Which share of the plans is audited in one full sweep."""
        interval = full_sweep_interval(self.interval, plans)
        most = self.audits_per_minute * (interval / timedelta(minutes=1))
        return min(interval / self.audit_interval, most / max(1, plans))

    async def _compare(
        self, scope: Scope, keys: Iterable[Key], rows: Mapping[str, PlanSummary], course: _Course, *, audit: float = 0.0
    ) -> dict[Key, _Told]:
        """Wake the objects that differ from their rows, and that share of the others. Judged as they are by now."""
        told = {}
        async for some in in_turns(keys):
            there = (self.index.get(key) for key in some if self.index.scope(key) == scope and self.mine(key))
            objects = [resource for resource in there if resource is not None]
            found = suspects(objects, rows)
            for resource in objects:
                key = resource.key
                if (how := found.get(key)) is not None:
                    told[key] = self._tell(key, how, rows.get(resource.plan_name), course)
                elif _may_be_audited(resource) and random.random() < audit:  # noqa: S311 - spreads the audits
                    self.wake(key, Wake.AUDIT)
        return told

    def _tell(self, key: Key, how: Wake, row: PlanSummary | None, course: _Course) -> _Told:
        mark = (row.modified, row.failed) if row is not None else None
        told = course.told.get(key)
        if told is None or told.mark != mark:
            self.wake(key, how)
            return _Told(mark, course.sweeps)
        if not is_due_again(told.times, course.sweeps - told.sweep):
            return told
        self.wake(key, how)
        return _Told(mark, told.sweep, told.times + 1)

    async def _judge(self, scope: Scope, unnamed: Collection[PlanSummary]) -> None:
        """Find the plans that objects of this cluster left behind, a few at a time; each is looked at once."""
        judged = self._courses.setdefault(scope, _Course()).judged
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


def _may_be_audited(resource: Resource) -> bool:
    # What is under way is looked at anyway, and its tags before anything is done to it.
    return resource.status.has_plan and not resource.status.moving


def _spread() -> float:
    return random.uniform(0.9, 1.1)  # noqa: S311 - jitter


def _now() -> float:
    return asyncio.get_running_loop().time()
