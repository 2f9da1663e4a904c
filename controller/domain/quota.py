"""The quota queue of one account and region: after a refusal, one plan probes and the others wait in order of age."""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.failures import Failure
from controller.domain.resource import Key


@dataclass(frozen=True, order=True)
class Ticket:
    """A plan's place in the queue: by age of the object, then by uid."""

    created: datetime
    uid: str
    key: Key


@dataclass(frozen=True)
class QuotaQueue:
    """Who waits for quota. A value: each change makes a new one.

    `refusal` is AWS's last refusal; `attempts` counts the refusals of the present probe.
    """

    waiting: tuple[Ticket, ...] = ()
    refusal: Failure | None = None

    def refused(self, ticket: Ticket, failure: Failure) -> "QuotaQueue":
        """AWS refused this plan for quota."""
        return QuotaQueue(_add(self.waiting, ticket), failure)

    def joined(self, ticket: Ticket) -> "QuotaQueue":
        """A plan wants to be created while others wait."""
        return QuotaQueue(_add(self.waiting, ticket), self.refusal)

    def left(self, key: Key) -> "QuotaQueue":
        """A plan was let in, deleted, suspended or refused for another reason."""
        waiting = tuple(ticket for ticket in self.waiting if ticket.key != key)
        return QuotaQueue(waiting, self.refusal if waiting else None)

    def ahead_of(self, ticket: Ticket) -> int:
        """How many plans go before this one: 0 means that it may ask AWS now, as the probe or because nobody waits."""
        return sum(other < ticket for other in self.waiting)

    @property
    def probe(self) -> Ticket | None:
        """The one plan that asks AWS."""
        return self.waiting[0] if self.waiting else None

    def __contains__(self, key: Key) -> bool:
        return any(ticket.key == key for ticket in self.waiting)


def _add(waiting: tuple[Ticket, ...], ticket: Ticket) -> tuple[Ticket, ...]:
    return tuple(sorted({*(other for other in waiting if other.key != ticket.key), ticket}))
