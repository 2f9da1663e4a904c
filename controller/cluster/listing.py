"""What lists of objects tell, from metadata alone: which objects there are, and how many."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Self

from controller.domain.resource import Key, Resource
from controller.engine.ports import ObjectError


@dataclass(frozen=True)
class Item:
    """One object of a list."""

    key: Key
    uid: str
    resource_version: int


@dataclass(frozen=True)
class Page:
    """One page of a list."""

    resource_version: int
    items: tuple[Item, ...]
    left: int | None = 0
    """How many objects come after this page; None where the API server does not say."""

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """The page.

        Raises:
            ObjectError: the answer is no list.

        """
        try:
            head = body["metadata"]
            return cls(
                resource_version=int(head["resourceVersion"]),
                items=tuple(_item(each["metadata"]) for each in body["items"] or ()),  # null where there is none
                left=head.get("remainingItemCount", None if head.get("continue") else 0),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ObjectError("no answer of the Kubernetes API, as it is no list") from error


@dataclass(frozen=True)
class Listing:
    """Which objects there are in some namespaces, at one resourceVersion."""

    namespaces: frozenset[str | None]
    """None stands for all of the cluster."""
    resource_version: int
    """Of several lists the oldest: what is newer than that is not judged by it."""
    living: AbstractSet[tuple[Key, str]]
    """Key and uid of each."""

    def misses(self, resource: Resource) -> bool:
        """Whether the object is gone: of these namespaces, known at this version or before, and not there."""
        covered = None in self.namespaces or resource.key.namespace in self.namespaces
        older = int(resource.resource_version) <= self.resource_version
        return covered and older and (resource.key, resource.uid) not in self.living


@dataclass(frozen=True)
class Glimpse:
    """The first object of a list, and how many there are."""

    count: int | None
    """None where the API server does not say."""
    first: Item | None = None

    @classmethod
    def of(cls, page: Page) -> Self:
        """What the first page of a list tells."""
        count = None if page.left is None else len(page.items) + page.left
        return cls(count, page.items[0] if page.items else None)


def _item(metadata: Mapping[str, Any]) -> Item:
    return Item(Key(metadata["namespace"], metadata["name"]), metadata["uid"], int(metadata["resourceVersion"]))
