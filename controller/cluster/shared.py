"""One read for many who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SharedRead(Generic[_T]):
    """A read whose answer is given to all who asked before it began; who asks while it is under way gets the next one.

    So the answer is never older than the question, and however many ask there is one read at a time.
    """

    def __init__(self, read: Callable[[], Awaitable[_T]]) -> None:
        self._read = read
        self._under_way: asyncio.Task[_T] | None = None
        self._next: asyncio.Task[_T] | None = None

    async def __call__(self) -> _T:
        """The answer, or what the read raised."""
        if self._next is None:
            self._next = asyncio.create_task(self._begin_after(self._under_way))
        return await asyncio.shield(self._next)  # who asked may be cancelled, the others still wait

    async def _begin_after(self, former: asyncio.Task[_T] | None) -> _T:
        if former is not None:
            await asyncio.wait([former])
        self._under_way, self._next = self._next, None
        return await self._read()
