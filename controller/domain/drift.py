"""What a sweep of ListEdgeDeploymentPlans gives reason to look at. `rows` are by plan name, and tell of all objects asked
about: a full listing, or the rows that changed and the objects that name those.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from controller.domain.agenda import Wake
from controller.domain.observed import PlanSummary
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource
from controller.domain.schedule import CROWD_POLL
from controller.domain.status import EdgeDeploymentPlanStatus

_LONGEST_FULL = timedelta(minutes=10)
_PAGE, _SECONDS_A_PAGE, _WHILE_FOLLOWING = 100, 2.0, 3.0
_LAG = timedelta(minutes=1)  # of the listing itself, and between the clocks of those who write what it shows


def suspects(resources: Iterable[Resource], rows: Mapping[str, PlanSummary]) -> dict[Key, Wake]:
    """Objects whose plan vanished from AWS, appeared there, or was modified since their status was written; and how."""
    found = {}
    for resource in resources:
        row = rows.get(resource.plan_name)
        if not resource.deleting and _suspect(resource, row):
            found[resource.key] = Wake.MOVED if _only_moved(resource.status, row) else Wake.DRIFT
    return found


def full_sweep_interval(interval: timedelta, rows: int) -> timedelta:
    """How long from one full listing to the next: a page every two seconds on average, and at least one in ten minutes."""
    return max(interval, min(_LONGEST_FULL, timedelta(seconds=rows / _PAGE * _SECONDS_A_PAGE)))


def following_interval(rows: int) -> timedelta:
    """How long from a listing of so many changed plans to the next, while many stages are under way: 3 s a page."""
    return max(CROWD_POLL, timedelta(seconds=rows / _PAGE * _WHILE_FOLLOWING))


def changed_since(rows: Iterable[PlanSummary], now: datetime) -> datetime | None:
    """From which LastModifiedTime on a listing shows all that changed after this one; None where none can tell."""
    latest = max((row.modified for row in rows if row.modified is not None), default=None)
    return min(latest, now) - _LAG if latest is not None else None


def is_due_again(times: int, sweeps: int) -> bool:
    """Whether an object that was told of a difference `sweeps` sweeps ago, `times` times since, is told once more.

    It is told until both reads agree, since one may lag behind the other; less and less often, since they may never.
    """
    return sweeps >= (1 << times) - 1


def _suspect(resource: Resource, row: PlanSummary | None) -> bool:
    status = resource.status
    if status.has_plan:
        return row is None or not (_as_it_was_made(status, row) or _as_it_was_seen(status, row))
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


def _as_it_was_made(status: EdgeDeploymentPlanStatus, row: PlanSummary) -> bool:
    """Whether our create made this plan and nothing changed it since: then a look would tell no more. Stages move on."""
    never_seen = status.last_modified_time is None and not status.stages
    untouched = row.arn == status.edge_deployment_plan_arn and row.modified is not None and row.modified == row.created
    return never_seen and untouched and status.knows_by(row.created)


def _as_it_was_seen(status: EdgeDeploymentPlanStatus, row: PlanSummary) -> bool:
    """Whether the plan is as the status has it. Devices that fail may stop a stage, and may not count as a change of it."""
    counted = status.devices.failed if status.devices is not None and status.moving else row.failed
    if row.modified != status.last_modified_time or row.failed not in {None, counted}:
        return False
    if row.succeeded is None:
        return True
    end = status.ends_with
    return end is None or row.succeeded < end


def _only_moved(status: EdgeDeploymentPlanStatus, row: PlanSummary | None) -> bool:
    """Whether a stage under way is all that need have changed: then whose the plan is was seen before."""
    return status.moving and row is not None and status.knows_by(row.created)
