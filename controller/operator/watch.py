"""What Kopf's watch does not tell: which objects went while it was away, and that it has gone deaf.

After a gap (410 Gone, a restart of the API server) Kopf lists all objects and tells of those that are there. What went in
the gap and had no finalizer is told by nobody: what a fresh list does not show is gone.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Protocol

from controller.cluster.listing import Glimpse, Item, Listing
from controller.domain.resource import Resource
from controller.engine.index import Index
from controller.engine.ports import ObjectError, ObjectGone
from controller.engine.turns import in_turns

logger = logging.getLogger(__name__)

_CHECK = timedelta(seconds=10)
_BREATH = timedelta(seconds=1)  # between two calls in any case; and a list of Kopf's comes as many events
_STOCK = timedelta(minutes=5)
_GLOB = set("*?![],")


class Lists(Protocol):
    """What is asked of the Kubernetes API. Both methods raise ObjectError."""

    async def listed(self, namespaces: Collection[str] | Collection[None]) -> Listing:
        """All objects of those namespaces, None standing for all of the cluster."""

    async def glimpse(self, namespace: str | None) -> Glimpse:
        """The first object of that namespace or of all, and how many there are."""


class WatchCheck:
    """Compares what the watch told with what there is: a glimpse every few seconds, a list of all where in doubt."""

    def __init__(
        self,
        *,
        objects: Lists,
        index: Index,
        gone: Callable[[Resource], None],
        deaf: asyncio.Event,
        namespaces: Collection[str],
    ) -> None:
        self._objects = objects
        self._index = index
        self._gone = gone
        self._deaf = deaf
        self._namespaces = namespaces
        self._doubt = asyncio.Event()
        self._stock_due = 0.0
        self._turn = 0
        self._missed: tuple[str | None, Item] | None = None
        self._answered = _now()

    @property
    def silent_for(self) -> timedelta:
        """How long the API server has given no answer that could tell what the watch may have missed."""
        return timedelta(seconds=_now() - self._answered)

    def take_stock(self) -> None:
        """The watch had a gap: objects may have gone in it."""
        self._doubt.set()

    async def run(self) -> None:
        """Check for ever, or until the watch is found to be deaf."""
        self._stock_due = _now() + _STOCK.total_seconds()
        while not self._deaf.is_set():
            await self._pause()
            try:
                if not self._doubt.is_set():
                    await self._glance()
                if self._doubt.is_set():
                    await self._take_stock()
                self._answered = _now()
            except ObjectGone as error:  # the kind is not served: the count will tell, once it is
                self._answered = _now()
                logger.debug("watch check: %s", error)
            except ObjectError as error:
                logger.debug("watch check: %s", error)
                self._doubt.set()  # nobody knows what went while the API server was away

    async def _pause(self) -> None:
        await asyncio.sleep(_BREATH.total_seconds())
        try:
            async with asyncio.timeout((_CHECK - 2 * _BREATH).total_seconds()):
                await self._doubt.wait()
        except TimeoutError:
            if _now() >= self._stock_due:
                self._doubt.set()

    async def _take_stock(self) -> None:
        """Compare with a list of all: what it does not show is gone."""
        self._doubt.clear()
        listing = await self._objects.listed(self._index.namespaces() if self._namespaces else [None])
        self._stock_due = _now() + _STOCK.total_seconds()
        async for some in in_turns(self._index):
            for resource in filter(listing.misses, some):
                logger.info("%s: the object went, and the watch told nothing of it", resource.key)
                self._gone(resource)

    async def _glance(self) -> None:
        """Look at the first object and the number of all, of one namespace at a time.

        Fewer than are known, but for those of which the watch tells a moment later: some went. And Kopf begins to watch a
        kind when its definition comes, but misses one that is not served yet at that moment: then an object is there, and
        two checks later no event has told of it.
        """
        namespace = self._missed[0] if self._missed else self._next_namespace()
        if namespace == "":
            return
        known, departed = self._index.count(namespace), self._index.departed
        found = await self._objects.glimpse(namespace)
        await asyncio.sleep(_BREATH.total_seconds())
        if found.count is not None and known - (self._index.departed - departed) > found.count:
            self._doubt.set()
        first = found.first
        if first is not None and self._missed is not None:
            before = self._missed[1]
            if (before.key, before.uid) == (first.key, first.uid) and self._behind(before):
                logger.error("the watch told nothing of %s: the operator restarts", first.key)
                self._deaf.set()
        self._missed = (namespace, first) if first is not None and self._behind(first) else None

    def _next_namespace(self) -> str | None:
        """Each watched namespace in turn; None for all of the cluster, "" where none can be named."""
        if not self._namespaces:
            return None
        plain = {name for name in self._namespaces if name.isascii() and not set(name) & _GLOB}
        names = sorted(plain | self._index.namespaces())
        self._turn += 1
        return names[self._turn % len(names)] if names else ""

    def _behind(self, found: Item) -> bool:
        known = self._index.get(found.key)
        return known is None or known.version < found.resource_version


def _now() -> float:
    return asyncio.get_running_loop().time()
