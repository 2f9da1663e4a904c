"""Events: what a person wants to read in `kubectl describe`, one per transition and never one per retry."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

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
from controller.domain.api import OWNER_TAG
from controller.domain.status import EdgeDeploymentPlanStatus


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
    """The calls that were made, the stages that moved, and conditions that came up for a new reason, or ended."""
    events = _told(before, after, done)
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
    goes_on = after.retry is None and not after.is_true("ResourceLimitExceeded") and not after.is_true("Stalled")
    stalled = before.condition("Stalled")
    trouble = (
        before.retry.last_error.code if before.retry is not None else stalled.reason if stalled is not None else None
    )
    if trouble is not None and goes_on:
        events.append(Event("Normal", "Recovered", "Reconciling", f"{trouble} has ended"))
    ready, was = after.condition("Ready"), before.condition("Ready")
    if not done and ready is not None and ready.status == "True" and (was is None or was.reason != ready.reason):
        events.append(Event("Normal", ready.reason, "Reconciling", ready.message))
    return tuple(events)


def _told(before: EdgeDeploymentPlanStatus, after: EdgeDeploymentPlanStatus, done: Sequence[Action]) -> list[Event]:
    """The calls in words. Nobody but the operator has cause to change what was in sync: then it sets right others' work."""
    settled = before.is_true("Ready") and before.observed_generation == after.observed_generation
    replaced = any(isinstance(action, DeletePlan) for action in done)
    events = []
    for action in done:
        reason, doing, note = _words(action)
        if isinstance(action, CreatePlan) and before.has_plan and not replaced:
            note = f"somebody deleted the plan {action.name} in AWS, it is not known who. {note}"
            events.append(Event("Warning", "DriftCorrected", doing, note))
        elif settled and not replaced and not isinstance(action, CreatePlan | StartStage | StopStage):
            note = f"the plan was changed in AWS, it is not known by whom. {note}"
            events.append(Event("Warning", "DriftCorrected", doing, note))
        else:
            events.append(Event("Normal", reason, doing, note))
    return events


def _words(action: Action) -> tuple[str, str, str]:
    """Reason, action and note of the event that a call is."""
    match action:
        case CreatePlan(name, fleet, _, stages):
            names = ", ".join(stage.stage_name for stage in stages)
            return (
                "Created",
                "Creating",
                f"Created plan {name} on fleet {fleet}" + (f", stages: {names}" if names else ""),
            )
        case DeletePlan(name):
            return "Deleted", "Deleting", f"Deleted plan {name}"
        case CreateStages(_, stages):
            return "StagesCreated", "Creating", f"Created stages {', '.join(stage.stage_name for stage in stages)}"
        case DeleteStage(_, stage):
            return "StageDeleted", "Deleting", f"Deleted stage {stage}"
        case StartStage(_, stage):
            return "StageStarted", "Starting", f"Started stage {stage}"
        case StopStage(_, stage):
            return "StageStopped", "Stopping", f"Stopped stage {stage}"
        case AddTags(arn, tags):
            note = f"Set tags {', '.join(f'{key}={value}' for key, value in tags.items())}"
            taken = f"Adopted plan {arn.rpartition('/')[2]}: it belongs to this object now. {note}"
            return ("Adopted", "Adopting", taken) if OWNER_TAG in tags else ("TagsChanged", "Tagging", note)
        case DeleteTags(_, keys):
            return "TagsChanged", "Tagging", f"Removed tags {', '.join(keys)}"
        case _:
            assert_never(action)
