"""Bounds that an installation chooses."""

from __future__ import annotations

from dataclasses import dataclass

from edge_manager.errors import ApiError, invalid, quota_reached

TAGS_PER_RESOURCE = 50
STAGES_PER_PLAN = 10


@dataclass(frozen=True)
class Rules:
    """What may be had of everything, and after how many silent seconds a device counts as offline."""

    plans_per_scope: int = 1000
    connected_within: float = 600

    def check_quota(self, plans: int) -> None:
        """Refuse one plan more than an account may have in a region."""
        if plans >= self.plans_per_scope:
            unit = "EdgeDeploymentPlans"
            raise quota_reached("Number of edge deployment plans", unit, self.plans_per_scope, plans)


def tags_of(tags: list[dict[str, str]] | None) -> dict[str, str]:
    """Tags of a request as a mapping, refused where a key comes twice or belongs to AWS."""
    found = {tag["Key"]: tag["Value"] for tag in tags or ()}
    if len(found) != len(tags or ()):
        raise invalid("Duplicate tag keys found. Tag keys must be unique per resource.")
    if any(key.lower().startswith("aws:") for key in found):
        raise invalid("aws: prefixed tag key names are not allowed for external use.")
    return bounded(found)


def bounded(tags: dict[str, str]) -> dict[str, str]:
    """The tags themselves, refused where there are more than a resource may have."""
    if len(tags) > TAGS_PER_RESOURCE:
        raise invalid(f"The number of tags on a resource is limited to {TAGS_PER_RESOURCE}.")
    return tags


def exists(what: str, name: str, code: str = "ResourceInUse") -> ApiError:
    """A name that is taken."""
    return ApiError(code, f"{what} {name} already exists.")
