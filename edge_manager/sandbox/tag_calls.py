"""The operations on tags of plans, fleets and packaging jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.domain.paging import page
from edge_manager.errors import ApiError
from edge_manager.sandbox.calls import Call, Result, check_tag_count, operation, tags_of
from edge_manager.sandbox.state import Plan

if TYPE_CHECKING:
    from edge_manager.sandbox.state import Fleet, Job


@operation
def add_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """Add or overwrite tags."""
    resource = _resource(call, wanted["ResourceArn"])
    tags = resource.tags | tags_of(wanted["Tags"], call.settings)
    check_tag_count(tags, call.settings)
    resource.tags = tags
    _touch(call, resource)
    return {"Tags": _listed(tags)}


@operation
def list_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """List the tags of a resource."""
    tags = _listed(_resource(call, wanted["ResourceArn"]).tags)
    found, token = page(tags, lambda tag: [tag["Key"]], wanted, size=50, cap=call.settings.page_size)
    return {"Tags": found, "NextToken": token}


@operation
def delete_tags(call: Call, wanted: dict[str, Any]) -> Result:
    """Delete tags; keys that are not there are ignored."""
    resource = _resource(call, wanted["ResourceArn"])
    resource.tags = {key: value for key, value in resource.tags.items() if key not in wanted["TagKeys"]}
    _touch(call, resource)
    return {}


def _resource(call: Call, arn: str) -> Plan | Fleet | Job:
    kind, _, name = arn.split(":", 5)[-1].partition("/")
    kinds: dict[str, dict[str, Any]] = {
        "edge-deployment": call.holdings.plans,
        "device-fleet": call.holdings.fleets,
        "edge-packaging-job": call.holdings.jobs,
    }
    resource: Plan | Fleet | Job | None = kinds.get(kind, {}).get(name)
    if resource is None or resource.arn != arn:  # the ARN of another account or region is nobody's here
        raise ApiError(call.settings.missing_code, f"Resource {arn} does not exist.")
    return resource


def _touch(call: Call, resource: Plan | Fleet | Job) -> None:
    if call.settings.last_modified_with_tags and isinstance(resource, Plan):
        resource.modified = call.now
        call.holdings.note(resource.name, call.now)


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
