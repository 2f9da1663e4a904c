"""The drift poller: one per account and region, not one timer per object.

Each sweep lists all plans there (100 a call) and wakes the objects whose plan changed or vanished; tags, which no
listing shows, are audited on a slow cycle, a share of the objects each sweep.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from controller.domain.agenda import Wake
from controller.domain.drift import suspects
from controller.domain.observed import PlanSummary
from controller.domain.resource import InvalidSpec, Key, Scope
from controller.engine.index import Index
from controller.engine.ports import Accounts, AwsError, TargetRefused
from controller.engine.quotas import Quotas

logger = logging.getLogger(__name__)


class Sweeper:
    """Looks for drift at AWS, every `interval` with a tenth of jitter."""

    def __init__(
        self,
        *,
        index: Index,
        accounts: Accounts,
        quotas: Quotas,
        wake: Callable[[Key, Wake], None],
        interval: timedelta,
        audit_interval: timedelta,
    ) -> None:
        self._index = index
        self._accounts = accounts
        self._quotas = quotas
        self._wake = wake
        self._interval = interval
        self._audit_share = min(1.0, interval / audit_interval)
        self._known: dict[Scope, frozenset[str]] = {}
        self._told: dict[Scope, dict[Key, datetime | None]] = {}

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(self._interval.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            for scope in self._index.scopes():
                try:
                    await self.sweep(scope)
                except (AwsError, TargetRefused) as error:
                    logger.warning("drift sweep of %s in %s failed: %s", *scope, error)

    async def sweep(self, scope: Scope) -> None:
        """List what is there, wake what differs.

        Raises:
            AwsError: the listing failed; the next sweep comes all the same.

        """
        plans = self._index.within(scope)
        sample = next((plan for plan in plans if not isinstance(plan.spec, InvalidSpec)), None)
        if sample is None or isinstance(sample.spec, InvalidSpec):
            return
        rows = await self._accounts.plans(scope).list_plans()
        # Judged as they are now, not as they were when the listing began.
        present = self._index.within(scope)
        found = suspects(present, rows)
        # What was said of the same state before is being looked at, or waits for its retry: once is enough.
        marks = {plan.key: _mark(rows.get(plan.plan_name)) for plan in present if plan.key in found}
        told = self._told.get(scope, {})
        for key, mark in marks.items():
            if key not in told or told[key] != mark:
                self._wake(key, Wake.DRIFT)
        self._told[scope] = marks
        if self._known.get(scope, frozenset()) - rows.keys():
            self._quotas.freed(scope)
        self._known[scope] = frozenset(rows)
        for plan in plans:
            if plan.key not in found and random.random() < self._audit_share:  # noqa: S311 - spreads the audits
                self._wake(plan.key, Wake.AUDIT)


def _mark(row: PlanSummary | None) -> datetime | None:
    return row.modified if row is not None else None
