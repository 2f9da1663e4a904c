"""What the controller would do, call by call: `decide` asked again and again, each answer taken as done.

Pure. The forecast is the good case: AWS does what it is asked, every stage that is under way ends DEPLOYED.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

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
from controller.domain.changes import immutable_changes, stage_differences
from controller.domain.circumstances import Circumstances
from controller.domain.decide import decide, may_observe
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.outcomes import IN_SYNC, Next, Outcome, Pending, Stalled, Suspended, Waiting
from controller.domain.reasons import Reason
from controller.domain.spec import Stage
from controller.domain.stage import MEANING, StageStatus
from controller.domain.status import EdgeDeploymentPlanStatus, StageState
from controller.domain.wording import lasting

# Ten stages, each created, started, deployed and baked, after a replacement: well under this.
_MOST_STEPS = 64


@dataclass(frozen=True)
class Call:
    """A call to AWS."""

    action: Action


@dataclass(frozen=True)
class Wait:
    """The controller waits for something before it goes on."""

    text: str


@dataclass(frozen=True)
class End:
    """How it ends."""

    outcome: Outcome


Step = Call | Wait | End


def differs(steps: tuple[Step, ...]) -> bool:
    """Whether AWS is not as the spec says: there are calls to make, or calls that cannot be made."""
    return any(
        isinstance(step, Call) or (isinstance(step, End) and isinstance(step.outcome, Stalled)) for step in steps
    )


def forecast(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> tuple[Step, ...]:
    """Every step from here to the end, in order."""
    if desired.spec.suspend:
        return (End(Suspended()),)
    if desired.spec.manages:
        return tuple(_steps(desired, observed, given))
    outcome = pending(desired, observed, given)
    calls = outcome.actions if isinstance(outcome, Pending) else ()
    return (*map(Call, calls), End(outcome))


def pending(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Outcome:
    """How an attempt under Observe ends: with all the calls that Manage would make, one after the other.

    The plan of anybody is shown as if it were taken over: listed is what adoption would change.
    """
    if observed is not None and (refusal := may_observe(desired, observed, given)):
        return refusal
    given = replace(given, adopting=True)
    first = decide(desired, observed, given)
    differences = stage_differences(desired, observed) if observed is not None else ()
    if observed is not None and isinstance(first.outcome, Stalled) and (fixed := immutable_changes(desired, observed)):
        text = f"what AWS cannot change differs, in AWS -> in the spec: {'; '.join((*fixed, *differences))}. Correct the spec"
        return replace(first.outcome, message=text)
    if isinstance(first.outcome, Stalled) or (isinstance(first.outcome, Waiting) and not first.actions):
        return first.outcome
    calls = tuple(step.action for step in _steps(desired, observed, given) if isinstance(step, Call))
    return Pending(calls, differences) if calls else IN_SYNC


def _steps(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Iterator[Step]:
    for _ in range(_MOST_STEPS):
        given = replace(given, status=_remember(given.status, observed, given.now))
        decision = decide(desired, observed, given)
        outcome = decision.outcome
        for action in decision.actions:
            yield Call(action)
            observed = _after(observed, action, given.now)
        # As in an attempt: one request by annotation is one more start.
        given = replace(given, asked=given.asked and not any(isinstance(each, StartStage) for each in decision.actions))
        if isinstance(outcome, Next):
            if outcome.reason is Reason.RECREATING:
                yield Wait(outcome.message)
            continue
        if not isinstance(outcome, Waiting):
            yield End(outcome)
            return
        given = replace(given, now=given.now + outcome.after)
        observed, changed = _settle(observed)
        if changed:
            yield Wait(f"until {', '.join(changed)}")
        elif outcome.reason is Reason.BAKING:
            yield Wait(lasting(outcome.message))
        elif not decision.actions:  # nothing that we can foresee moves
            yield End(outcome)
            return


def _remember(
    status: EdgeDeploymentPlanStatus, observed: ObservedPlan | None, now: datetime
) -> EdgeDeploymentPlanStatus:
    """The status with the moment at which each DEPLOYED stage was first seen so: bakeTime counts from there."""
    states = []
    for stage in observed.stages if observed else ():
        deployed = (status.deployed_since(stage.name) or now) if stage.status == "DEPLOYED" else None
        states.append(StageState(stage_name=stage.name, status=stage.status, deployed_time=deployed))
    return status.model_copy(update={"stages": tuple(states)})


def _settle(observed: ObservedPlan | None) -> tuple[ObservedPlan | None, tuple[str, ...]]:
    """What is under way has ended; and what changed by it, in words."""
    if observed is None:
        return None, ()
    stages, changed = list[ObservedStage](), list[str]()
    for stage in observed.stages:
        status = MEANING[stage.status].ends_as
        changed += [f"{stage.name} is {status}"] if status is not None else []
        done = stage.pending if status == "DEPLOYED" else 0
        after = replace(
            stage, status=status or stage.status, succeeded=stage.succeeded + done, pending=stage.pending - done
        )
        stages.append(after)
    return replace(observed, stages=tuple(stages)), tuple(changed)


def _after(observed: ObservedPlan | None, action: Action, now: datetime) -> ObservedPlan | None:
    """The plan once AWS has done as asked."""
    if isinstance(action, CreatePlan):
        return ObservedPlan(
            arn="",
            name=action.name,
            fleet=action.fleet,
            models=action.models,
            stages=tuple(map(_created, action.stages)),
            tags=action.tags,
            created=now,
        )
    if observed is None or isinstance(action, DeletePlan):
        return None
    return _changed(observed, action, now)


def _changed(
    observed: ObservedPlan,
    action: CreateStages | DeleteStage | StartStage | StopStage | AddTags | DeleteTags,
    now: datetime,
) -> ObservedPlan:
    tags = observed.tags or {}
    match action:
        case CreateStages(_, stages):
            return replace(observed, stages=observed.stages + tuple(map(_created, stages)))
        case DeleteStage(_, name):
            return replace(observed, stages=tuple(stage for stage in observed.stages if stage.name != name))
        case StartStage(_, name):
            return _with_status(observed, name, "INPROGRESS", started=now)
        case StopStage(_, name):
            return _with_status(observed, name, "STOPPING")
        case AddTags(_, added):
            return observed.with_tags({**tags, **added})
        case DeleteTags(_, keys):
            return observed.with_tags({key: value for key, value in tags.items() if key not in keys})
        case _:
            assert_never(action)


def _created(stage: Stage) -> ObservedStage:
    return ObservedStage(stage.stage_name, stage.device_selection_config, stage.deployment_config, "READYTODEPLOY")


def _with_status(
    observed: ObservedPlan, name: str, status: StageStatus, started: datetime | None = None
) -> ObservedPlan:
    return replace(
        observed,
        stages=tuple(
            replace(stage, status=status, started=started or stage.started) if stage.name == name else stage
            for stage in observed.stages
        ),
    )
