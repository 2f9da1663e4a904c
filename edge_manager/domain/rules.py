"""Bounds that an installation chooses, and the words in which they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_manager.errors import ApiError, in_use, invalid, quota_reached

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Rules:
    """What may be had of everything, after how many silent seconds a device counts as offline, and what AWS leaves open.

    What AWS leaves open has one answer in the service; the sandbox can give the others too.
    """

    plans_per_scope: int | None = 1000
    connected_within: float = 600
    stages_per_plan: int = 10
    tags_per_resource: int = 50
    page_size: int | None = None
    duplicate_code: str = "ValidationException"
    missing_code: str = "ResourceNotFound"
    quota_before_name: bool = False
    restart_failed_stages: bool = True

    def check_quota(self, plans: int) -> None:
        """Refuse one plan more than an account may have in a region."""
        if self.plans_per_scope is not None and plans >= self.plans_per_scope:
            raise plans_reached(self.plans_per_scope, plans)

    def tags_of(self, tags: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
        """Tags of a request as a mapping, refused where a key comes twice or belongs to AWS."""
        found = {tag["Key"]: tag["Value"] for tag in tags or ()}
        if len(found) != len(tags or ()):
            raise invalid("Duplicate tag keys found. Tag keys must be unique per resource.")
        if any(key.lower().startswith("aws:") for key in found):
            raise invalid("aws: prefixed tag key names are not allowed for external use.")
        return self.bounded(found)

    def bounded(self, tags: dict[str, str]) -> dict[str, str]:
        """The tags themselves, refused where there are more than a resource may have."""
        if len(tags) > self.tags_per_resource:
            raise invalid(f"The number of tags on a resource is limited to {self.tags_per_resource}.")
        return tags

    def taken(self, plan: str) -> ApiError:
        """A second plan of a name."""
        return ApiError(self.duplicate_code, f"Edge deployment plan already exists: {plan}")

    def missing(self, what: str, name: str) -> ApiError:
        """A name that this account and region do not hold, to every call but Describe."""
        return ApiError(self.missing_code, f"{what} {name} does not exist.")


def plans_reached(maximum: int, used: int) -> ApiError:
    """The quota of plans is used up."""
    return quota_reached("Number of edge deployment plans", "EdgeDeploymentPlans", maximum, used)


def exists(what: str, name: str) -> ApiError:
    """A name that is taken."""
    return in_use(f"{what} {name} already exists.")


def fleet_in_use(fleet: str, plan: str) -> ApiError:
    """A fleet that cannot be deleted."""
    return in_use(f"Device fleet {fleet} is used by edge deployment plan {plan}.")
