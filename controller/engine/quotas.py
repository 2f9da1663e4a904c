"""The quota queues of all accounts and regions, and who to wake when one moves."""

from collections.abc import Callable

from controller.domain.agenda import Wake
from controller.domain.failures import Failure, FailureKind
from controller.domain.quota import QuotaQueue, Ticket
from controller.domain.resource import Key, Resource, Scope
from controller.domain.spec import EdgeDeploymentPlanSpec

# Beyond these, a plan in the queue learns of its new place when it looks again by itself (30 to 60 s): with a thousand
# in the queue, each admission would otherwise cost a thousand status writes.
_TELL_AT_ONCE = 20


class Quotas:
    """One queue per account and region. Mutable, but without I/O: `wake` is the only way out."""

    def __init__(self, wake: Callable[[Key, Wake], None]) -> None:
        self._wake = wake
        self._queues: dict[Scope, QuotaQueue] = {}

    def queue(self, scope: Scope) -> QuotaQueue:
        """The queue of that account and region."""
        return self._queues.get(scope, QuotaQueue())

    def resume(self, scope: Scope, resource: Resource) -> None:
        """Put a plan back that waited for quota when the operator stopped, as its status says."""
        condition = resource.status.condition("ResourceLimitExceeded")
        if (
            condition is None
            or condition.status != "True"
            or not _wants_in(resource)
            or resource.key in self.queue(scope)
        ):
            return
        retry = resource.status.retry
        if retry is not None:
            message, request_id = retry.last_error.message, retry.last_error.request_id
        else:
            message, request_id = condition.message.partition(": ")[2], None
        failure = Failure(
            FailureKind.QUOTA, "CreateEdgeDeploymentPlan", "ResourceLimitExceeded", message, request_id, harmless=True
        )
        self._queues[scope] = self.queue(scope).refused(_ticket(resource), failure)

    def join_behind(self, scope: Scope, resource: Resource) -> tuple[int, Failure | None]:
        """How many plans go before this one, and why they wait; it takes its place when there are any."""
        queue = self.queue(scope)
        ticket = _ticket(resource)
        ahead = queue.ahead_of(ticket)
        if ahead:
            self._queues[scope] = queue.joined(ticket)
        return ahead, queue.refusal

    def refused(self, scope: Scope, resource: Resource, failure: Failure) -> int:
        """AWS refused this plan for quota; how many plans now go before it."""
        ticket = _ticket(resource)
        queue = self.queue(scope).refused(ticket, failure)
        self._queues[scope] = queue
        return queue.ahead_of(ticket)

    def admitted(self, scope: Scope, key: Key) -> None:
        """AWS let this plan in: the next one asks, the others move up."""
        if key in self.queue(scope):
            self._remove(scope, key)

    def leave(self, key: Key) -> None:
        """A plan does not want to be created any more; those behind it move up."""
        for scope, queue in tuple(self._queues.items()):
            if key in queue:
                self._remove(scope, key)

    def freed(self, scope: Scope) -> None:
        """A plan went from AWS: the probe asks at once."""
        probe = self.queue(scope).probe
        if probe is not None:
            self._wake(probe.key, Wake.QUOTA)

    def _remove(self, scope: Scope, key: Key) -> None:
        """Take it out and tell those behind it; the first of them asks AWS if it is now the first of all."""
        queue = self._queues[scope]
        place = [ticket.key for ticket in queue.waiting].index(key)
        self._queues[scope] = queue.left(key)
        for ticket in queue.waiting[place + 1 :][:_TELL_AT_ONCE]:
            self._wake(ticket.key, Wake.QUOTA)


def _wants_in(resource: Resource) -> bool:
    """Whether the object is to be created at all: who only stands in the queue would keep all behind it waiting."""
    spec = resource.spec
    return not resource.deleting and isinstance(spec, EdgeDeploymentPlanSpec) and spec.manages and not spec.suspend


def _ticket(resource: Resource) -> Ticket:
    return Ticket(resource.created, resource.uid, resource.key)
