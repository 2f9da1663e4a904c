"""Which plans a sweep of ListEdgeDeploymentPlans gives reason to look at."""

from collections.abc import Iterable, Mapping

from controller.domain.observed import PlanSummary
from controller.domain.resource import Key, Resource


def suspects(resources: Iterable[Resource], rows: Mapping[str, PlanSummary]) -> frozenset[Key]:
    """Objects whose plan vanished from AWS, appeared there, or was modified since their status was written.

    `rows` is a full listing by plan name.
    """
    return frozenset(
        resource.key
        for resource in resources
        if not resource.deleting and _suspect(resource, rows.get(resource.plan_name))
    )


def _suspect(resource: Resource, row: PlanSummary | None) -> bool:
    status = resource.status
    if status.edge_deployment_plan_arn is not None:
        return row is None or row.modified != status.last_modified_time
    stalled = status.condition("Stalled")
    if stalled is not None:
        # The name was somebody else's; now it is free.
        return row is None and stalled.reason == "NotOwned"
    return row is not None and status.pending_changes is not None  # only observed, and it was not there
