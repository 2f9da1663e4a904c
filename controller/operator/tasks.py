"""Background tasks that no exception ends unnoticed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

logger = logging.getLogger(__name__)

_PAUSE = timedelta(seconds=5)


def supervised(work: Callable[[], Awaitable[None]], name: str, pause: timedelta = _PAUSE) -> asyncio.Task[None]:
    """Run `work` as a task; after an exception that nobody foresaw, log it and run it again after a pause.

    Work that returns has done what it is for, and is not run again.
    """

    async def run() -> None:
        while True:
            try:
                return await work()
            except Exception:
                logger.exception("%s failed in a way that is not known; it restarts in %s", name, pause)
            await asyncio.sleep(pause.total_seconds())

    return asyncio.create_task(run(), name=name)
