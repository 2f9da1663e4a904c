"""The quota queues of all accounts and regions, and who to wake when one moves. Who waits for what: `domain/quota.py`."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from controller.domain.actions import Action, CreatePlan, DeletePlan
from controller.domain.agenda import Wake
from controller.domain.failures import Failure
from controller.domain.outcomes import Outcome, Queued, Waiting
from controller.domain.quota import Place, Ticket, remembered_refusal
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope

# Beyond these, a plan in the queue learns of its new place when it looks again by itself (30 to 60 s): with a thousand
# in the queue, each admission would otherwise cost a thousand status writes.
_TELL_AT_ONCE = 20


class QuotaQueue:
    """Who waits in one account and region, or for a namespace's share, in order of age. One join costs log N comparisons.

    Only who is kept out by quota alone stands in it, so that nobody else's trouble holds the others up.
    """

    def __init__(self) -> None:
        self.waiting: list[Ticket] = []
        self.refusal: Failure | None = None
        """AWS's last one."""
        self._tickets: dict[Key, Ticket] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._tickets

    def join(self, ticket: Ticket, refusal: Failure | None = None) -> None:
        """A plan was refused for quota, or wants to be created while others wait."""
        if self._tickets.get(ticket.key) != ticket:
            self.leave(ticket.key)
            insort(self.waiting, ticket)
            self._tickets[ticket.key] = ticket
        self.refusal = refusal

    def leave(self, key: Key) -> Sequence[Ticket]:
        """A plan was let in, deleted, suspended, or is kept out by something else than quota; the first that move up."""
        behind = self.behind(key)
        if (ticket := self._tickets.pop(key, None)) is not None:
            del self.waiting[bisect_left(self.waiting, ticket)]
            self.refusal = self.refusal if self.waiting else None
        return behind

    def place(self, ticket: Ticket) -> Place:
        """The place that a plan has, or would have."""
        return Place(bisect_left(self.waiting, ticket), len(self.waiting) + (ticket.key not in self), self.refusal)

    def behind(self, key: Key) -> Sequence[Ticket]:
        """The first of those that come after this one."""
        if (ticket := self._tickets.get(key)) is None:
            return ()
        after = bisect_left(self.waiting, ticket) + 1
        return self.waiting[after : after + _TELL_AT_ONCE]

    @property
    def probe(self) -> Ticket | None:
        """The one plan that asks AWS."""
        return self.waiting[0] if self.waiting else None


class Quotas:
    """One queue per account and region. Mutable, but without I/O: `wake` is the only way out."""

    def __init__(self, wake: Callable[[Key, Wake], None]) -> None:
        self._wake = wake
        self._queues: defaultdict[Scope, QuotaQueue] = defaultdict(QuotaQueue)
        self._over_share: defaultdict[str, QuotaQueue] = defaultdict(QuotaQueue)  # by namespace

    def queue(self, scope: Scope) -> QuotaQueue:
        """The queue of that account and region."""
        return self._queues[scope]

    def resume(self, scope: Scope, resource: Resource) -> None:
        """Put a plan back that waited for quota when the operator stopped; let one go that another operator served."""
        refusal, queue = remembered_refusal(resource), self.queue(scope)
        if refusal is None:
            self.leave(resource.key)
        elif resource.key not in queue:
            queue.join(Ticket.of(resource), refusal)
            self._tell(queue.behind(resource.key))  # a watch lists in no order: who looked already has miscounted

    def settle(self, scope: Scope, resource: Resource, outcome: Outcome, done: Sequence[Action]) -> None:
        """What an attempt means for the queue: who is not kept out by quota alone leaves it."""
        key, ticket = resource.key, Ticket.of(resource)
        queue, sharers = self.queue(scope), self._over_share[key.namespace]
        if isinstance(outcome, Waiting) and outcome.reason is Reason.SHARE_USED:
            if key not in sharers:  # a place may have become free before it stood here
                self._wake(key, Wake.QUOTA)
            sharers.join(ticket)
        elif key in sharers:
            sharers.leave(key)
            self._move_up(key.namespace)  # a place that became free meanwhile woke this one, as the first
        if isinstance(outcome, Queued):
            comes = key not in queue
            queue.join(ticket, outcome.failure)
            if queue.place(ticket).ahead != outcome.ahead:  # others came while AWS was asked
                self._wake(key, Wake.QUOTA)
            if comes:
                self._tell(queue.behind(key))
        elif key in queue:
            self.leave(key)
        if any(isinstance(action, DeletePlan) for action in done) and not any(isinstance(a, CreatePlan) for a in done):
            self.freed(scope)

    def leave(self, key: Key) -> None:
        """The object is gone; those behind it move up."""
        self._over_share[key.namespace].leave(key)
        self._move_up(key.namespace)
        for queue in self._queues.values():
            self._tell(queue.leave(key))

    def _move_up(self, namespace: str) -> None:
        """The first of those that wait for their namespace's share looks whether it is its turn."""
        if (first := self._over_share[namespace].probe) is not None:
            self._wake(first.key, Wake.QUOTA)

    def freed(self, scope: Scope) -> None:
        """A plan went from AWS: the probe asks at once."""
        if (probe := self.queue(scope).probe) is not None:
            self._wake(probe.key, Wake.QUOTA)

    def _tell(self, behind: Iterable[Ticket]) -> None:
        """Those move up; the first of them asks AWS if it is now the first of all."""
        for ticket in behind:
            self._wake(ticket.key, Wake.QUOTA)
