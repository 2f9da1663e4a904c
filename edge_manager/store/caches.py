"""What was read and reckoned already. A stamp that moves with what it was made of keeps it from being out of date."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

Value = TypeVar("Value")


class Directory(NamedTuple):
    """The registered devices of a fleet, in the order in which they were registered first."""

    ids: Mapping[str, int]
    names: Mapping[int, str]


class Cache(Generic[Value]):
    """The values used last, at most one a key."""

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self._found: OrderedDict[int, tuple[Hashable, Value]] = OrderedDict()

    def get(self, key: int, stamp: Hashable, make: Callable[[], Value]) -> Value:
        """The value of this key and stamp."""
        with self._lock:
            known = self._found.get(key)
            if known is not None and known[0] == stamp:
                self._found.move_to_end(key)
                return known[1]
        value = make()
        with self._lock:
            self._found[key] = (stamp, value)
            self._found.move_to_end(key)
            while len(self._found) > self._size:
                self._found.popitem(last=False)
        return value


class Caches:
    """One set for a process. Numbers of rows are never used again, so they are keys over all scopes."""

    def __init__(self) -> None:
        self.directories: Cache[Directory] = Cache(16)
        self.allocations: Cache[list[int]] = Cache(10_000)
