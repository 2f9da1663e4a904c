"""Waiting for AWS's throttle: in the event loop, so that a call which waits holds no thread. `pace.py` has the arithmetic.

Until AWS refuses a call for the first time, next to nothing waits: `opening.py` says for what. From then on calls go one
by one: those of the object that was taken up first, so that its attempt ends and makes room for another, and of what
nobody waits for, sweeps and audits, a little later. There is one throttle for each account and region: nobody waits for
another one's.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import NamedTuple

from controller.aws.opening import PATIENCE, Opening
from controller.aws.pace import FREE, Pace
from controller.domain.failures import Failure
from controller.domain.schedule import OWN_ACCORD
from controller.engine.ports import AwsError

LONGEST_WAIT = timedelta(seconds=30)
"""After that a call counts as refused, so that its object says what it waits for and others have its place."""
_MOST_PATIENCE = timedelta(seconds=10)  # well within the longest wait: an audit that gave up would tell of a failure

_turn: ContextVar[float | None] = ContextVar("turn", default=None)


@contextmanager
def in_turn(patience: timedelta) -> Iterator[None]:
    """AWS calls of this task come before those of tasks that began later, by more than their `patience` differs."""
    token = _turn.set(_now() + min(patience, _MOST_PATIENCE).total_seconds())
    try:
        yield
    finally:
        _turn.reset(token)


class Ticket(NamedTuple):
    """A call that may go."""

    moment: float
    number: int
    """Which one it is since AWS last refused one; 0 where it never did."""


class Throttle:
    """Lets calls to one account and region go, as fast as AWS takes them."""

    def __init__(self, waited: Callable[[float], None] = lambda _: None) -> None:
        self._waited = waited
        self._pace: Pace | None = None
        self._opening = Opening()
        self._recent: deque[float] = deque(maxlen=int(FREE))
        """When the latest calls went."""
        self._waiting: list[tuple[float, int, asyncio.Future[Ticket]]] = []  # a heap
        self._arrivals = count()
        self._timer: asyncio.TimerHandle | None = None
        self._latest: Failure | None = None
        self._heard = False

    @property
    def rate(self) -> float | None:
        """Calls a second that may go at present; None while AWS does not throttle."""
        rate = self._pace.allowed(_now()) if self._pace is not None else FREE
        return rate if rate < FREE else None

    async def turn(self, operation: str) -> Ticket:
        """Wait until the call may go. Whoever gets a ticket says when the call is `over`.

        Raises:
            AwsError: it did not come to its turn.

        """
        if self._pace is None and not self._waiting and self._opening.has_room(_now()):
            return self._go(_now())
        began, turn = _now(), _turn.get()
        ticket: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        order = turn if turn is not None else began + OWN_ACCORD.total_seconds()
        heapq.heappush(self._waiting, (order, next(self._arrivals), ticket))
        self._next()
        try:
            return await asyncio.wait_for(ticket, LONGEST_WAIT.total_seconds())
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self.over()
            raise
        except TimeoutError:
            assert self._latest is not None  # noqa: S101 - nobody waits as long unless AWS has refused a call
            raise AwsError(replace(self._latest, operation=operation, harmless=True, sent=False)) from None
        finally:
            if self._latest is not None:
                self._waited(_now() - began)

    def over(self) -> None:
        """A call that had a ticket is over, whatever came of it."""
        self._opening = self._opening.over()
        if self._pace is None:
            self._next()

    def heard(self) -> None:
        """A thread has heard of a refusal, of which the event loop will hear in a moment: `refused`."""
        self._heard = True

    def holds(self, ticket: Ticket) -> bool:
        """Whether the call was let go while AWS did not throttle, and had better wait by now. May be asked in a thread."""
        return ticket.number == 0 and (self._heard or self._pace is not None)

    def refused(self, ticket: Ticket, failure: Failure) -> None:
        """AWS has refused that call: the others go slower."""
        now, self._latest, self._heard = _now(), failure, False
        if self._pace is None:
            self._pace = Pace.guess(sum(moment > now - 1 for moment in self._recent), now)
        else:
            self._pace = self._pace.refused(ticket.moment, ticket.number, now)
        self._next()

    def _next(self, moment: float = 0.0) -> None:
        """Let those go whose time has come, and set the clock for the next one.

        `moment` is the timer's own: asyncio may call a little before it.
        """
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            if self._waiting[0][2].done():  # it waits no more
                heapq.heappop(self._waiting)
                continue
            now = max(loop.time(), moment)
            if self._pace is None and not self._opening.has_room(now):
                self._timer = loop.call_at(self._opening.latest + PATIENCE, self._open)
                return
            if self._pace is not None and self._pace.due > now:
                self._timer = loop.call_at(self._pace.due, self._next, self._pace.due)
                return
            heapq.heappop(self._waiting)[2].set_result(self._go(now))

    def _open(self) -> None:
        self._opening = self._opening.wide()
        self._next()

    def _go(self, now: float) -> Ticket:
        self._recent.append(now)
        self._opening = self._opening.sent(now)
        if self._pace is not None:
            self._pace = self._pace.sent(now) if self._pace.allowed(now) < FREE else None
            if self._pace is None:
                self._opening = self._opening.again()
        return Ticket(now, self._pace.calls if self._pace is not None else 0)


def _now() -> float:
    return asyncio.get_running_loop().time()
