"""The operations on tags of plans, fleets and jobs."""

from __future__ import annotations

from typing import Any

from edge_manager.api.calls import Call, Result, reads, writes
from edge_manager.domain.paging import page
from edge_manager.domain.rules import bounded, tags_of
from edge_manager.store.tags import find, put


@writes
def add_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """Add or overwrite tags."""
    resource = find(call.db, call.scope, wanted["ResourceArn"])
    tags = bounded(resource.tags | tags_of(wanted["Tags"]))
    put(call.db, resource, tags)
    return {"Tags": _listed(tags)}


@reads
def list_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """List the tags of a resource."""
    tags = _listed(find(call.db, call.scope, wanted["ResourceArn"]).tags)
    found, token = page(tags, lambda tag: [tag["Key"]], wanted, size=50, cap=None)
    return {"Tags": found, "NextToken": token}


@writes
def delete_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """Delete tags; keys that are not there are ignored."""
    resource = find(call.db, call.scope, wanted["ResourceArn"])
    put(call.db, resource, {key: value for key, value in resource.tags.items() if key not in wanted["TagKeys"]})
    return {}


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
