"""Group commit: what many devices write at about the same time shares one transaction, and so one fsync."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from edge_manager.store.engine import Store

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST = 512
LOG = logging.getLogger(__name__)


class Group(Generic[Item, Result]):
    """A thread that commits what came in while it was busy with the last commit; nobody waits for a timer.

    `work` gives each item its result or the exception that its caller gets; what it raises fails the transaction.
    """

    def __init__(
        self,
        store: Store,
        work: Callable[[Connection, Sequence[Item]], list[Result | Exception]],
        committed: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`committed` is told the size of each group that is on disk."""
        self._store, self._work, self._committed = store, work, committed
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Result]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> Future[Result]:
        """Have an item written; the future is done when it is on disk."""
        future: Future[Result] = Future()
        self._waiting.put((item, future))
        return future

    def close(self) -> None:
        """Write what is waiting, then end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        over = False
        while not over:
            entries = [self._waiting.get()]
            with contextlib.suppress(queue.Empty):
                while len(entries) < LARGEST:
                    entries.append(self._waiting.get_nowait())
            over = None in entries
            if batch := [entry for entry in entries if entry is not None]:
                self._commit(batch)

    def _commit(self, batch: Sequence[tuple[Item, Future[Result]]]) -> None:
        try:
            results = self._store.write(
                lambda connection: self._work(connection, [item for item, _ in batch]), isolation="READ COMMITTED"
            )
        except Exception as error:  # each caller gets it
            if len(batch) > 1:  # one of them may have spoilt it for all
                LOG.exception("A group of %d writes failed, each is tried alone", len(batch))
                for entry in batch:
                    self._commit([entry])
            else:
                batch[0][1].set_exception(error)
            return
        self._committed(len(batch))
        for (_, future), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
