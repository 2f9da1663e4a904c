"""Which devices of a fleet: a set of row numbers, kept as ranges, since a fleet is mostly registered in one go.

A set of a hundred thousand devices is then a few numbers to store, to intersect with others and to look a device up in.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain, compress, islice
from operator import sub
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Numbers:
    """An immutable set, in ascending order. `bounds` has the first and the last number of each range in turn."""

    __slots__ = ("_firsts", "_lasts", "_size")

    def __init__(self, bounds: Sequence[int] = ()) -> None:
        self._firsts, self._lasts = bounds[::2], bounds[1::2]
        self._size: int = sum(map(sub, self._lasts, self._firsts)) + len(self._firsts)

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Numbers:
        """The set of any numbers."""
        found = sorted(set(numbers))
        if not found:
            return cls()
        if found[-1] - found[0] == len(found) - 1:
            return cls((found[0], found[-1]))
        # Where a number is not one more than the one before; by C alone, which the length of `found` calls for.
        breaks = list(compress(range(1, len(found)), map((1).__ne__, map(sub, found[1:], found))))
        firsts = (found[place] for place in (0, *breaks))
        lasts = (found[place - 1] for place in (*breaks, len(found)))
        return cls(list(chain.from_iterable(zip(firsts, lasts, strict=True))))

    @property
    def bounds(self) -> list[int]:
        """What makes the same set again."""
        return list(chain.from_iterable(zip(self._firsts, self._lasts, strict=True)))

    @property
    def weight(self) -> int:
        """How much memory it takes, in numbers."""
        return 2 * len(self._firsts) + 1

    def __len__(self) -> int:
        return self._size

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self._lasts, number)
        return place < len(self._firsts) and self._firsts[place] <= number

    def __iter__(self) -> Iterator[int]:
        return self.after(-1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Numbers) and self.bounds == other.bounds

    def __hash__(self) -> int:
        return hash(tuple(self.bounds))

    def __repr__(self) -> str:
        return f"Numbers({self.bounds})"

    def after(self, number: int) -> Iterator[int]:
        """Those that are larger, in order."""
        place = bisect_left(self._lasts, number + 1)
        firsts = islice(self._firsts, place, None)
        ranges = (range(first, last + 1) for first, last in zip(firsts, islice(self._lasts, place, None), strict=True))
        return chain.from_iterable(range(max(each.start, number + 1), each.stop) for each in ranges)

    def first(self, count: int) -> Numbers:
        """The smallest so many."""
        bounds: list[int] = []
        for first, last in zip(self._firsts, self._lasts, strict=True):
            if count <= 0:
                break
            bounds += (first, min(last, first + count - 1))
            count -= last - first + 1
        return Numbers(bounds)

    def __or__(self, other: Numbers) -> Numbers:
        bounds: list[int] = []
        ranges = [*zip(self._firsts, self._lasts, strict=True), *zip(other._firsts, other._lasts, strict=True)]
        for first, last in sorted(ranges):
            if bounds and first <= bounds[-1] + 1:
                bounds[-1] = max(bounds[-1], last)
            else:
                bounds += (first, last)
        return Numbers(bounds)

    def __sub__(self, other: Numbers) -> Numbers:
        bounds: list[int] = []
        for first, last in zip(self._firsts, self._lasts, strict=True):
            begin, place = first, bisect_left(other._lasts, first)
            while place < len(other._firsts) and other._firsts[place] <= last:
                if begin < other._firsts[place]:
                    bounds += (begin, other._firsts[place] - 1)
                begin, place = other._lasts[place] + 1, place + 1
            if begin <= last:
                bounds += (begin, last)
        return Numbers(bounds)
