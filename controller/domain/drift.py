"""Which plans a sweep of ListEdgeDeploymentPlans gives reason to look at."""

from collections.abc import Iterable, Mapping

from controller.domain.observed import PlanSummary
from controller.domain.resource import Key, Plan


def suspects(plans: Iterable[Plan], rows: Mapping[str, PlanSummary]) -> frozenset[Key]:
    """Objects whose plan vanished from AWS, or was modified since their status was written.

    `rows` is a full listing by plan name. Objects without an ARN are not at AWS yet, and not judged.
    """
    found = set()
    for plan in plans:
        if plan.status.edge_deployment_plan_arn is None or plan.deleting:
            continue
        row = rows.get(plan.plan_name)
        if row is None or row.modified != plan.status.last_modified_time:
            found.add(plan.key)
    return frozenset(found)
