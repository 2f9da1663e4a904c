"""Work on many objects in the event loop, which must have other turns in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import TypeVar

_AT_ONCE = 500  # objects: some milliseconds where each is only compared

_T = TypeVar("_T")


async def in_turns(items: Iterable[_T], at_once: int = _AT_ONCE) -> AsyncIterator[tuple[_T, ...]]:
    """So many items at a time, with room for others' work in between."""
    left = iter(items)
    while some := tuple(islice(left, at_once)):
        yield some
        await asyncio.sleep(0)
