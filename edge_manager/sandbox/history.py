"""What Describe and List knew a while ago: each plan as it was after its latest changes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edge_manager.sandbox.clock import later

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_manager.sandbox.state import Plan

# Nobody asks for what is older; so many changes of one plan are kept in that time.
MAX_LAG = 300.0
MAX_CHANGES = 100


@dataclass
class History:
    """The plans of one scope by name, each with the moments at which it changed; None where it was deleted."""

    changes: dict[str, list[tuple[float, Plan | None]]] = field(default_factory=dict)
    deletions: deque[tuple[float, str]] = field(default_factory=deque)

    def note(self, name: str, plan: Plan | None, now: float) -> None:
        """Keep a plan as it is by now."""
        known = self.changes.setdefault(name, [])
        known.append((now, None if plan is None else _copy(plan)))
        horizon = later(now, -MAX_LAG)
        while len(known) > MAX_CHANGES or (len(known) > 1 and known[1][0] <= horizon):
            del known[0]
        if plan is None:
            self.deletions.append((now, name))
        while self.deletions and self.deletions[0][0] <= horizon:
            moment, gone = self.deletions.popleft()
            if self.changes[gone][-1] == (moment, None):
                del self.changes[gone]

    def plan(self, name: str, then: float) -> Plan | None:
        """The plan as it was at that moment."""
        return next((plan for since, plan in reversed(self.changes.get(name, ())) if since <= then), None)

    def plans(self, then: float) -> Iterator[Plan]:
        """All plans as they were at that moment."""
        for name in self.changes:
            plan = self.plan(name, then)
            if plan is not None:
                yield plan


def _copy(plan: Plan) -> Plan:
    """A plan that no later call changes; its fleet is the living one."""
    stages = [replace(stage) for stage in plan.stages]
    return replace(plan, stages=stages, tags=dict(plan.tags), _allocation=None)
