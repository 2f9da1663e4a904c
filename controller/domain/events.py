"""Events: what a person wants to read in `kubectl describe`, one per transition and never one per retry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controller.domain.actions import (
    Action,
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.status import EdgeDeploymentPlanStatus

_REASONS: dict[type[Action], tuple[str, str]] = {
    CreatePlan: ("Created", "Creating"),
    DeletePlan: ("Deleted", "Deleting"),
    CreateStages: ("StagesCreated", "Creating"),
    DeleteStage: ("StageDeleted", "Deleting"),
    StartStage: ("StageStarted", "Starting"),
    StopStage: ("StageStopped", "Stopping"),
    AddTags: ("TagsChanged", "Tagging"),
    DeleteTags: ("TagsChanged", "Tagging"),
}


@dataclass(frozen=True)
class Event:
    """One event on the object."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


def transitions(
    before: EdgeDeploymentPlanStatus, after: EdgeDeploymentPlanStatus, done: Sequence[Action]
) -> tuple[Event, ...]:
    """The calls that were made, the stages that moved, and conditions that came up for a new reason."""
    events = [Event("Normal", *_REASONS[type(action)], str(action)) for action in done]
    for stage in after.stages or ():
        earlier = before.stage(stage.stage_name)
        if earlier is None or earlier.status == stage.status or stage.status not in {"DEPLOYED", "FAILED", "STOPPED"}:
            continue
        counts = f"{stage.devices_succeeded} succeeded, {stage.devices_pending} pending, {stage.devices_failed} failed"
        kind: Literal["Normal", "Warning"] = "Normal" if stage.status == "DEPLOYED" else "Warning"
        note = f"stage {stage.stage_name} is {stage.status}: {counts}" + (f"; {stage.message}" if stage.message else "")
        events.append(Event(kind, f"Stage{stage.status.capitalize()}", "RollingOut", note))
    for name in ("Stalled", "ResourceLimitExceeded", "Reconciling"):
        now = after.condition(name)
        then = before.condition(name)
        if now is None or now.status != "True" or (name == "Reconciling" and now.reason != "ProgressingWithRetry"):
            continue
        if name == "Reconciling" and after.is_true("ResourceLimitExceeded"):
            continue  # said already
        if then is None or then.status != "True" or then.reason != now.reason:
            events.append(Event("Warning", now.reason, "Reconciling", now.message))
    ready, was = after.condition("Ready"), before.condition("Ready")
    if not done and ready is not None and ready.status == "True" and (was is None or was.reason != ready.reason):
        events.append(Event("Normal", ready.reason, "Reconciling", ready.message))
    return tuple(events)
