"""A call on its way through an operation, and the table that operations enter themselves in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_manager.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_manager.sandbox.settings import Settings
    from edge_manager.sandbox.state import Holdings, World

    Operation = Callable[["Call", dict[str, Any]], "Result | None"]

Result = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """Where and when an operation works."""

    world: World
    holdings: Holdings
    settings: Settings
    now: float


OPERATIONS: dict[str, Operation] = {}


def operation(function: Operation) -> Operation:
    """Enter a function as the operation of its name: `list_tags` is `ListTags`."""
    OPERATIONS[function.__name__.title().replace("_", "")] = function
    return function


def tags_of(tags: list[dict[str, str]] | None, settings: Settings) -> dict[str, str]:
    """Tags of a request as a mapping, refused where a key comes twice or belongs to AWS."""
    found = {tag["Key"]: tag["Value"] for tag in tags or ()}
    if len(found) != len(tags or ()):
        raise invalid("Duplicate tag keys found. Tag keys must be unique per resource.")
    if any(key.lower().startswith("aws:") for key in found):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    check_tag_count(found, settings)
    return found


def check_tag_count(tags: dict[str, str], settings: Settings) -> None:
    """Refuse more tags than a resource may have."""
    if len(tags) > settings.tags_per_resource:
        raise invalid(f"The number of tags on a resource is limited to {settings.tags_per_resource}.")
