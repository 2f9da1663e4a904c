"""One operator's watch: it may be late, fall silent, or drop and list again, and then it tells nothing of what went."""

from __future__ import annotations

import random
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Any

from controller.domain.resource import Resource, parse

if TYPE_CHECKING:
    from controller.operator.process import Operator
    from tests.life.cluster import Cluster
    from tests.life.virtual import VirtualLoop

Body = dict[str, Any]


class Watch:
    """News on their way from the API server to one operator, in order."""

    def __init__(
        self, cluster: Cluster, operator: Operator, loop: VirtualLoop, context: Context, dice: random.Random
    ) -> None:
        self._cluster, self._operator, self._loop, self._dice = cluster, operator, loop, dice
        self._context = context
        self._news: deque[tuple[str, Body]] = deque()
        self._last = 0.0
        self.lag = 0.0
        self.silent = False
        self.told: set[str] = set()
        """Objects, by uid, of which the operator heard what they asked for last, and that they are gone."""

    def begin(self) -> None:
        """List all there is, and watch from there on."""
        self.resume()
        self._cluster.watches.append(self)

    def end(self) -> None:
        """No more news."""
        if self in self._cluster.watches:
            self._cluster.watches.remove(self)
        self._news.clear()

    def drop(self) -> None:
        """The connection is lost, and so is what was on its way."""
        self.end()

    def resume(self) -> None:
        """List again: what the list misses went meanwhile, and no event tells of it."""
        bodies = self._cluster.bodies()
        self._dice.shuffle(bodies)
        uids = {body["metadata"]["uid"] for body in bodies}
        missed = [resource for resource in self._operator.index if resource.uid not in uids]
        self._at(self._loop.time(), lambda: self._listed(bodies, missed))

    def tell(self, kind: str, body: Body) -> None:
        """Something happened."""
        self._news.append((kind, body))
        if not self.silent:
            self._at(max(self._last, self._loop.time() + self.lag), self._hear)

    def speak(self) -> None:
        """Tell what was held back while it was silent."""
        self.silent = False
        for _ in range(len(self._news)):
            self._at(self._loop.time(), self._hear)

    def _at(self, moment: float, act: Any) -> None:
        self._last = moment
        if moment <= self._loop.time():
            self._loop.call_soon(act, context=self._context)
        else:
            self._loop.call_at(moment, act, context=self._context)

    def _listed(self, bodies: list[Body], missed: list[Resource]) -> None:
        for resource in missed:
            self._gone(resource)
        for body in bodies:
            self._operator.heard(body)

    def _hear(self) -> None:
        if self.silent or not self._news:
            return
        kind, body = self._news.popleft()
        if kind == "DELETED":
            self._gone(parse(body))
        else:
            self._operator.heard(body, created=kind == "ADDED")

    def _gone(self, resource: Resource) -> None:
        # Who did not hear of the last edit, as it fell into a gap, cannot know what the object asked for.
        if resource.generation == self._cluster.departed[resource.uid].generation:
            self.told.add(resource.uid)
        self._operator.gone(resource)
