"""The quota queue of one account and region: after a refusal, one plan probes and the others wait in order of age."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from controller.domain.failures import CREATE, QUOTA_CODES, Failure, FailureKind
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource


@dataclass(frozen=True, order=True)
class Ticket:
    """A plan's place in the queue: by age of the object, then by uid."""

    created: datetime
    uid: str
    key: Key

    @classmethod
    def of(cls, resource: Resource) -> Self:
        """The ticket of an object."""
        return cls(resource.created, resource.uid, resource.key)


@dataclass(frozen=True)
class QuotaQueue:
    """Who waits for quota. A value: each change makes a new one.

    Only who is kept out by quota alone stands in it, so that nobody else's trouble holds the others up. `refusal` is
    AWS's last refusal.
    """

    waiting: tuple[Ticket, ...] = ()
    refusal: Failure | None = None
    tickets: Mapping[Key, Ticket] = field(default_factory=dict, compare=False)

    def joined(self, ticket: Ticket, refusal: Failure) -> "QuotaQueue":
        """A plan was refused for quota, or wants to be created while others wait."""
        if self.tickets.get(ticket.key) == ticket:
            return replace(self, refusal=refusal)
        others = self.left(ticket.key)
        place = others.ahead_of(ticket)
        waiting = (*others.waiting[:place], ticket, *others.waiting[place:])
        return QuotaQueue(waiting, refusal, {**others.tickets, ticket.key: ticket})

    def left(self, key: Key) -> "QuotaQueue":
        """A plan was let in, deleted, suspended, or is kept out by something else than quota."""
        if (ticket := self.tickets.get(key)) is None:
            return self
        place = self.ahead_of(ticket)
        waiting = (*self.waiting[:place], *self.waiting[place + 1 :])
        others = {**self.tickets}
        del others[key]
        return QuotaQueue(waiting, self.refusal if waiting else None, others)

    def ahead_of(self, ticket: Ticket) -> int:
        """How many plans go before this one: 0 means that it may ask AWS now, as the probe or because nobody waits."""
        return bisect_left(self.waiting, ticket)

    def size_with(self, key: Key) -> int:
        """How many wait, that one among them."""
        return len(self.waiting) + (key not in self)

    def behind(self, key: Key) -> tuple[Ticket, ...]:
        """Those that move up when this one goes."""
        ticket = self.tickets.get(key)
        return self.waiting[self.ahead_of(ticket) + 1 :] if ticket is not None else ()

    @property
    def probe(self) -> Ticket | None:
        """The one plan that asks AWS."""
        return self.waiting[0] if self.waiting else None

    def __contains__(self, key: Key) -> bool:
        return key in self.tickets


def goes_before(other: Resource, resource: Resource, *, on_its_way: bool) -> bool:
    """Whether another object's plan comes before that of `resource` in the share of quota that their namespace has.

    So does a plan that exists, or may: `on_its_way` where it may be created just now. Of those that wait, the older come
    before the younger, but not before one that has, or just had, a plan itself.
    """
    holds = other.status.has_plan or other.status.settling is not None or on_its_way
    holding = resource.status.has_plan or resource.status.settling is not None
    waits = other.wants_a_plan and _kept_out_by_quota_alone(other) and other.seniority < resource.seniority
    return other.readable_spec.manages and (holds or (waits and not holding))


def _kept_out_by_quota_alone(resource: Resource) -> bool:
    last = resource.status.retry.last_error if resource.status.retry is not None else None
    return not resource.status.is_true("Stalled") and (last is None or last.code in QUOTA_CODES)


def remembered_refusal(resource: Resource) -> Failure | None:
    """AWS's refusal for quota that alone keeps an object out, as its status says."""
    condition = resource.status.condition("ResourceLimitExceeded")
    last = resource.status.retry.last_error if resource.status.retry is not None else None
    waits = resource.wants_a_plan and not resource.status.has_plan and (last is None or last.code in QUOTA_CODES)
    if condition is None or condition.status != "True" or condition.reason == Reason.SHARE_USED or not waits:
        return None
    message = last.message if last is not None else condition.message.partition(": ")[2]
    request_id = last.request_id if last is not None else None
    return Failure(FailureKind.QUOTA, CREATE, "ResourceLimitExceeded", message, request_id, harmless=True)
