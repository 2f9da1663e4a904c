"""The quota queues of all accounts and regions, and who to wake when one moves. Who waits for what: `domain/quota.py`."""

from collections.abc import Callable, Iterable, Sequence

from controller.domain.actions import Action, CreatePlan, DeletePlan
from controller.domain.agenda import Wake
from controller.domain.outcomes import Outcome, Queued, Waiting
from controller.domain.quota import QuotaQueue, Ticket, remembered_refusal
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope

# Beyond these, a plan in the queue learns of its new place when it looks again by itself (30 to 60 s): with a thousand
# in the queue, each admission would otherwise cost a thousand status writes.
_TELL_AT_ONCE = 20


class Quotas:
    """One queue per account and region. Mutable, but without I/O: `wake` is the only way out."""

    def __init__(self, wake: Callable[[Key, Wake], None]) -> None:
        self._wake = wake
        self._queues: dict[Scope, QuotaQueue] = {}
        self._over_share: dict[Key, Ticket] = {}

    def queue(self, scope: Scope) -> QuotaQueue:
        """The queue of that account and region."""
        return self._queues.get(scope, QuotaQueue())

    def resume(self, scope: Scope, resource: Resource) -> None:
        """Put a plan back that waited for quota when the operator stopped; let one go that another operator served."""
        refusal = remembered_refusal(resource)
        if refusal is None:
            self.leave(resource.key)
        elif resource.key not in self.queue(scope):
            self._queues[scope] = queue = self.queue(scope).joined(Ticket.of(resource), refusal)
            self._tell(queue.behind(resource.key))  # a watch lists in no order: who looked already has miscounted

    def settle(self, scope: Scope, resource: Resource, outcome: Outcome, done: Sequence[Action]) -> None:
        """What an attempt means for the queue: who is not kept out by quota alone leaves it."""
        queue = self.queue(scope)
        if isinstance(outcome, Waiting) and outcome.reason is Reason.SHARE_USED:
            if resource.key not in self._over_share:  # a place may have become free before it stood here
                self._wake(resource.key, Wake.QUOTA)
            self._over_share[resource.key] = Ticket.of(resource)
        elif self._over_share.pop(resource.key, None) is not None:
            self._move_up(resource.key.namespace)  # a place that became free meanwhile woke this one, as the first
        if isinstance(outcome, Queued):
            self._queues[scope] = joined = queue.joined(Ticket.of(resource), outcome.failure)
            if joined.ahead_of(Ticket.of(resource)) != outcome.ahead:  # others came while AWS was asked
                self._wake(resource.key, Wake.QUOTA)
            if resource.key not in queue:
                self._tell(joined.behind(resource.key))
        elif resource.key in queue:
            self.leave(resource.key)
        if any(isinstance(action, DeletePlan) for action in done) and not any(isinstance(a, CreatePlan) for a in done):
            self.freed(scope)

    def leave(self, key: Key) -> None:
        """The object is gone; those behind it move up."""
        self._over_share.pop(key, None)
        self._move_up(key.namespace)
        for scope, queue in tuple(self._queues.items()):
            if key in queue:
                self._queues[scope] = queue.left(key)
                self._tell(queue.behind(key))

    def _move_up(self, namespace: str) -> None:
        """The first of those that wait for their namespace's share looks whether it is its turn."""
        waiting = [ticket for ticket in self._over_share.values() if ticket.key.namespace == namespace]
        if waiting:
            self._wake(min(waiting).key, Wake.QUOTA)

    def freed(self, scope: Scope) -> None:
        """A plan went from AWS: the probe asks at once."""
        probe = self.queue(scope).probe
        if probe is not None:
            self._wake(probe.key, Wake.QUOTA)

    def _tell(self, behind: Iterable[Ticket]) -> None:
        """Those move up; the first of them asks AWS if it is now the first of all."""
        for ticket in tuple(behind)[:_TELL_AT_ONCE]:
            self._wake(ticket.key, Wake.QUOTA)
