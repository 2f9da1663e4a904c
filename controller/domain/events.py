"""Events: what a person wants to read in `kubectl describe`, one per transition and never one per retry."""

from collections.abc import Iterator, Sequence
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
from controller.domain.failures import Failure
from controller.domain.reasons import Reason
from controller.domain.status import EdgeDeploymentPlanStatus as Status
from controller.domain.wording import counts, lasting


@dataclass(frozen=True)
class Event:
    """One event on the object."""

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


def transitions(
    before: Status, after: Status, done: Sequence[Action], failure: Failure | None = None, *, deleting: bool = False
) -> tuple[Event, ...]:
    """The calls that were made, the stages that moved, and conditions that came up for a new reason, or ended.

    `failure` is what the attempt ended with, if a call of it failed.
    """
    ready, was = after.condition("Ready"), before.condition("Ready")
    suspended, earlier = (each is not None and each.reason == Reason.SUSPENDED for each in (ready, was))
    events = []
    if suspended and not earlier:
        events.append(Event("Normal", "Suspended", "Suspending", "nothing is reconciled while spec.suspend is true"))
    elif earlier and not suspended and not deleting:
        events.append(Event("Normal", "Resumed", "Resuming", "spec.suspend is gone: the plan is reconciled again"))
    troubles = tuple(_troubles(before, after, failure))
    told = {event.reason for event in troubles}  # a stage that ends the rollout: its stall says more
    stages = (event for event in _stages(before, after) if event.reason not in told)
    events += [*_told(before, after, done, deleting=deleting), *stages, *troubles]
    trouble = _trouble(before)
    over = not suspended and not deleting and not after.is_true("ResourceLimitExceeded") and _trouble(after) is None
    if trouble is not None and over:
        events.append(Event("Normal", "Recovered", "Reconciling", f"{trouble} has ended"))
    if not done and ready is not None and ready.status == "True" and (was is None or was.reason != ready.reason):
        events.append(Event("Normal", ready.reason, "Reconciling", ready.message))
    return tuple(events)


def _trouble(status: Status) -> str | None:
    """What fails or stalls, by the name that it was told by when it began."""
    ready, stalled = status.condition("Ready"), status.condition("Stalled")
    unready = ready.reason if ready is not None and ready.status == "False" else None
    if status.retry is not None:
        # What is Ready stays so while calls fail, and so does not tell why they do.
        return unready or status.retry.last_error.code
    if stalled is not None:
        return stalled.reason
    # What is there and not finished yet is waited for under the name that it was missed by.
    return unready if unready == Reason.REFERENCE_NOT_FOUND else None


def _stages(before: Status, after: Status) -> Iterator[Event]:
    """The stages that ended."""
    for stage in after.stages or ():
        earlier = before.stage(stage.stage_name)
        if earlier is None or earlier.status == stage.status or stage.status not in {"DEPLOYED", "FAILED", "STOPPED"}:
            continue
        tally = counts(stage.devices_succeeded, stage.devices_pending, stage.devices_failed)
        note = f"stage {stage.stage_name} is {stage.status}: {tally}" + (f"; {stage.message}" if stage.message else "")
        kind: Literal["Normal", "Warning"] = "Normal" if stage.status == "DEPLOYED" else "Warning"
        yield Event(kind, f"Stage{stage.status.capitalize()}", "RollingOut", note)


def _troubles(before: Status, after: Status, failure: Failure | None) -> Iterator[Event]:
    """What stalls, waits for quota, or begins to fail, by the reason that Ready gives; once, however often it is tried."""
    for now in after.conditions:
        then = before.condition(now.type)
        came = then is None or (then.status, then.reason) != (now.status, now.reason)
        if now.type == "Reconciling" and failure is not None:
            was = before.condition("Ready")
            # What is Ready stays so while calls fail, and so does not tell why they did.
            if came or was is None or (was.status != "True" and was.reason != failure.reason):
                yield Event("Warning", failure.reason, "Reconciling", lasting(now.message))
        elif now.type in {"Stalled", "ResourceLimitExceeded"} and now.status == "True" and came:
            yield Event("Warning", now.reason, "Reconciling", lasting(now.message))
        elif now.type == "Ready" and now.reason == Reason.REFERENCE_NOT_FOUND and failure is None and came:
            yield Event("Normal", now.reason, "Reconciling", lasting(now.message))


def _told(before: Status, after: Status, done: Sequence[Action], *, deleting: bool) -> Iterator[Event]:
    """The calls in words. Nobody but the operator has cause to change what was in sync: then it sets right others' work."""
    settled = before.is_true("Ready") and before.observed_generation == after.observed_generation
    replaced = not deleting and any(isinstance(action, DeletePlan) for action in done)
    for action in done:
        reason, doing, note = _words(action)
        if replaced and isinstance(action, DeletePlan):
            note += ", to create it again as the spec has it"
        if isinstance(action, CreatePlan) and before.has_plan and not replaced:
            note = f"somebody deleted the plan {action.name} in AWS, it is not known who. {note}"
            yield Event("Warning", "DriftCorrected", doing, note)
        elif settled and not replaced and not isinstance(action, CreatePlan | StartStage | StopStage):
            note = f"the plan was changed in AWS, it is not known by whom. {note}"
            yield Event("Warning", "DriftCorrected", doing, note)
        else:
            yield Event("Normal", reason, doing, note)


def _words(action: Action) -> tuple[str, str, str]:
    """Reason, action and note of the event that a call is."""
    match action:
        case CreatePlan(name, fleet, _, stages):
            names = ", ".join(stage.stage_name for stage in stages)
            note = f"Created plan {name} on fleet {fleet}" + (f", stages: {names}" if names else "")
            return "Created", "Creating", note
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
