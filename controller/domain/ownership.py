"""Whose an AWS plan is: the ownership tag, and how far an object may reach for a plan that is not its own."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Self

from controller.domain.api import OWNER_TAG
from controller.domain.observed import ObservedPlan
from controller.domain.resource import Key, Resource

_LONGEST_NAME = 80  # cluster id (63), namespace (63), uid (36) and three slashes leave 91 of a tag value's 256


@dataclass(frozen=True)
class Owner:
    """The object that an AWS plan belongs to, as its ownership tag names it."""

    cluster: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, resource: Resource, cluster: str) -> Self:
        """The owner that an object of that cluster is."""
        return cls(cluster, resource.key.namespace, resource.key.name, resource.uid)

    @property
    def tag_value(self) -> str:
        """The value of the ownership tag: `cluster/namespace/name/uid`, long names cut and made unique by a hash."""
        return f"{self.cluster}/{self.namespace}/{self.short_name}/{self.uid}"

    @property
    def short_name(self) -> str:
        """The name as the tag has it."""
        if len(self.name) <= _LONGEST_NAME:
            return self.name
        return f"{self.name[:_LONGEST_NAME]}.{sha256(self.name.encode()).hexdigest()[:8]}"

    @classmethod
    def parse(cls, value: str) -> Self | None:
        """The owner that a tag value names, or None for a value that is not of that form."""
        parts = value.split("/")
        return cls(*parts) if len(parts) == len(("cluster", "namespace", "name", "uid")) else None

    def same_object(self, other: "Owner") -> bool:
        """Whether both name one object. A name is unique at a time, so an older uid is a former life of it."""
        return (self.cluster, self.namespace, self.short_name) == (other.cluster, other.namespace, other.short_name)

    @property
    def shortened(self) -> bool:
        """Whether the name is a tag's, cut: then no object can be looked up by it."""
        return len(self.name) > _LONGEST_NAME

    @property
    def key(self) -> Key:
        """Namespace and name of the object."""
        return Key(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name} (cluster {self.cluster}, uid {self.uid})"


def tagged_owner(observed: ObservedPlan | None) -> Owner | None:
    """The owner that the plan's tag names, if there is a plan, its tags are known and one names an owner."""
    return Owner.parse((observed.tags or {}).get(OWNER_TAG, "")) if observed is not None else None


class Reach(StrEnum):
    """Which plans that are not its own an object may reach for; each includes those before it."""

    OWN = "own"  # none but those of the same namespace
    UNOWNED = "unowned"  # those without an ownership tag: made by hand
    CLUSTER = "cluster"  # those of other namespaces, if their object is gone
    ANY = "any"  # those of other clusters

    def covers(self, needed: "Reach") -> bool:
        """Whether what needs that reach is within this one."""
        order = tuple(Reach)
        return order.index(needed) <= order.index(self)


@dataclass(frozen=True)
class Rights:
    """What the administrator lets a namespace do in an account: with plans that its objects did not make, and its own."""

    observe: Reach = Reach.UNOWNED
    adopt: Reach = Reach.UNOWNED
    recreate: bool = True
    share: int | None = None
    """How many plans its objects may have in each region there."""


def reach_needed(observed: ObservedPlan, owner: Owner) -> Reach:
    """How far an object must be allowed to reach for a plan that is not its own."""
    value = (observed.tags or {}).get(OWNER_TAG)
    if value is None:
        return Reach.UNOWNED
    other = Owner.parse(value)
    if other is None or other.cluster != owner.cluster:
        return Reach.ANY
    return Reach.OWN if other.namespace == owner.namespace else Reach.CLUSTER
