"""What a sweep of ListEdgeDeploymentPlans gives reason to look at. `rows` is always a full listing by plan name."""

from collections.abc import Iterable, Mapping

from controller.domain.observed import PlanSummary
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource


def suspects(resources: Iterable[Resource], rows: Mapping[str, PlanSummary]) -> frozenset[Key]:
    """Objects whose plan vanished from AWS, appeared there, or was modified since their status was written."""
    return frozenset(
        resource.key
        for resource in resources
        if not resource.deleting and _suspect(resource, rows.get(resource.plan_name))
    )


def strangers(resources: Iterable[Resource], rows: Mapping[str, PlanSummary]) -> tuple[PlanSummary, ...]:
    """Plans that no object names: made by hand, by another cluster, or left behind by an object that is gone."""
    named = {resource.plan_name for resource in resources}
    return tuple(row for name, row in sorted(rows.items()) if name not in named)


def is_due_again(times: int, sweeps: int) -> bool:
    """Whether an object that was told of a difference `sweeps` sweeps ago, `times` times since, is told once more.

    It is told until both reads agree, since one may lag behind the other; less and less often, since they may never.
    """
    return sweeps >= (1 << times) - 1


def _suspect(resource: Resource, row: PlanSummary | None) -> bool:
    status = resource.status
    if status.has_plan:
        return row is None or row.modified != status.last_modified_time
    stalled = status.condition("Stalled")
    reason = Reason.of(stalled.reason) if stalled is not None else None
    if row is None:
        return reason is not None and reason.ends_when_the_plan_goes
    # A create that was refused or is waited for, whose plan is there all the same; or only observed, and it was not there.
    came = reason is not None and reason.ends_when_the_plan_comes
    return (
        came
        or status.retry is not None
        or status.is_true("ResourceLimitExceeded")
        or status.pending_changes is not None
    )
