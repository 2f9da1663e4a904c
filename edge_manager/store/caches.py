"""What was read and reckoned already. A stamp that moves with what it was made of keeps it from being out of date."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from edge_manager.domain.numbers import Numbers

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """The values used last, at most one a key, as many as weigh so much together."""

    def __init__(self, size: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._size, self._weigh, self._lock = size, weigh, threading.Lock()
        self._found: OrderedDict[Hashable, tuple[Hashable, Value]] = OrderedDict()
        self._weight = 0

    def get(self, key: Hashable, stamp: Hashable, make: Callable[[], Value]) -> Value:
        """The value of this key and stamp."""
        with self._lock:
            known = self._found.get(key)
            if known is not None and known[0] == stamp:
                self._found.move_to_end(key)
                return known[1]
        value = make()
        with self._lock:
            self._drop(self._found.pop(key, None))
            self._found[key] = (stamp, value)
            self._weight += self._weigh(value)
            while self._weight > self._size and len(self._found) > 1:
                self._drop(self._found.popitem(last=False)[1])
        return value

    def _drop(self, entry: tuple[Hashable, Value] | None) -> None:
        if entry is not None:
            self._weight -= self._weigh(entry[1])


class Caches:
    """One set for a process. Numbers of rows are never used again, so they are keys over all scopes."""

    def __init__(self) -> None:
        weigh = lambda numbers: numbers.weight  # noqa: E731
        self.registered: Cache[Numbers] = Cache(2**22, weigh)  # by fleet and its version
        self.containing: Cache[Numbers] = Cache(2**22, weigh)  # the same, by a part of their names
        self.allocations: Cache[list[int]] = Cache(10_000)
        self.offered: Cache[Numbers] = Cache(2**22, weigh)  # by start, which never changes
        self.starts: Cache[Sequence[int]] = Cache(2**20, len)  # by fleet and its latest start, the latest first
