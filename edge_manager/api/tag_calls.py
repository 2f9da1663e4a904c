"""The operations on tags of plans, fleets and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Result, reads, writes
from edge_manager.domain.paging import page

if TYPE_CHECKING:
    from edge_manager.api.ports import Call


@writes
def add_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """Add or overwrite tags."""
    resource = call.tags.find(wanted["ResourceArn"])
    tags = call.rules.bounded(resource.tags | call.rules.tags_of(wanted["Tags"]))
    call.tags.put(resource, tags)
    return {"Tags": _listed(tags)}


@reads
def list_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """List the tags of a resource."""
    tags = _listed(call.tags.find(wanted["ResourceArn"]).tags)
    found, token = page(tags, lambda tag: [tag["Key"]], wanted, cap=call.rules.page_size)
    return {"Tags": found, "NextToken": token}


@writes
def delete_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """Delete tags; keys that are not there are ignored."""
    resource = call.tags.find(wanted["ResourceArn"])
    call.tags.put(resource, {key: value for key, value in resource.tags.items() if key not in wanted["TagKeys"]})
    return {}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
