"""Who waits for quota, and who goes before whom: after a refusal one plan probes, the others wait in order of age."""

from dataclasses import dataclass
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
class Place:
    """The place in the quota queue that a plan has, or would have."""

    ahead: int = 0
    """How many plans go before this one: 0 means that it may ask AWS now, as the probe or because nobody waits."""
    waiting: int = 1
    """How many wait, this one among them."""
    refusal: Failure | None = None
    """AWS's last refusal, where somebody waits."""


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
