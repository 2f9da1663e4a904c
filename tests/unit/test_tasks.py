"""Background tasks: no exception ends one unnoticed."""

import asyncio
import logging
from datetime import timedelta

import pytest

from controller.operator.tasks import supervised

SOON = timedelta(milliseconds=1)


def test_task_that_fails_is_logged_with_its_traceback_and_restarts(caplog: pytest.LogCaptureFixture) -> None:
    runs = list[int]()

    async def work() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            raise KeyError("Stages")

    async def story() -> None:
        await supervised(work, "drift sweeper", SOON)

    asyncio.run(story())
    assert len(runs) == 3
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in failures] == [
        "drift sweeper failed in a way that is not known; it restarts in 0:00:00.001000"
    ] * 2
    assert all(record.exc_info and record.exc_info[0] is KeyError for record in failures)


def test_task_that_is_done_is_not_run_again_and_a_cancelled_one_ends() -> None:
    runs = list[str]()

    async def work() -> None:
        runs.append("done")

    async def endless() -> None:
        runs.append("begun")
        await asyncio.Event().wait()

    async def story() -> None:
        await supervised(work, "short", SOON)
        task = supervised(endless, "endless", SOON)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert runs == ["done", "begun"]
