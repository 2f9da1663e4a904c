"""Starting the stages one after the other: what to start, to stop, or to wait for, from what AWS and status say.

No time is kept in memory: a stage's start comes from AWS, the moment it was first seen DEPLOYED from status.
"""

from datetime import datetime, timedelta
from typing import assert_never

from controller.domain.actions import Action, StartStage, StopStage
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.outcomes import IN_SYNC, Decision, Done, Stalled, Waiting
from controller.domain.schedule import STAGE_POLL, stage_poll
from controller.domain.spec import Rollout, duration
from controller.domain.status import EdgeDeploymentPlanStatus

RETRY_HINT = "change the spec, or annotate edgeplan.dev/reconcile-requested-at to try the stage again"


def roll_out(
    desired: Desired,
    observed: ObservedPlan,
    status: EdgeDeploymentPlanStatus,
    now: datetime,
    *,
    asked: bool,
    edited: bool,
) -> Decision:
    """The next step of the rollout.

    `asked`: somebody asked for a reconcile by annotation, which starts a FAILED or STOPPED stage once more.
    `edited`: the spec changed since the last reconcile, which resumes a STOPPED stage that crosses no bound any more.
    """
    rollout = desired.spec.rollout
    if rollout is None:
        return Decision((), IN_SYNC)
    order = [stage.stage_name for stage in desired.stages]
    through = order.index(rollout.through_stage) if rollout.through_stage else len(order) - 1
    for name in order[: through + 1]:
        stage = observed.stage(name)
        if stage is None:  # just created, not yet listed
            return _wait("RolloutProgressing", f"waiting for stage {name} to appear at AWS")
        step = _stage_step(
            stage, rollout, status, now, plan=observed.name, asked=asked, edited=edited, last=name == order[through]
        )
        if step is not None:
            return step
    if through + 1 < len(order):
        return Decision(
            (),
            Done("WaitingForPromotion", f"stages through {order[through]} are DEPLOYED; next is {order[through + 1]}"),
        )
    return Decision((), Done("RolloutComplete", f"all {len(order)} stages are DEPLOYED"))


def _stage_step(  # noqa: C901 - a case per stage status
    stage: ObservedStage,
    rollout: Rollout,
    status: EdgeDeploymentPlanStatus,
    now: datetime,
    *,
    plan: str,
    asked: bool,
    edited: bool,
    last: bool,
) -> Decision | None:
    """What this stage needs, or None when it is done and the next may start."""
    breach = _breach(stage, rollout, now)
    match stage.status:
        case "CREATING":
            return _wait("RolloutProgressing", f"waiting for stage {stage.name} to become READYTODEPLOY")
        case "READYTODEPLOY":
            return _act(StartStage(plan, stage.name), "RolloutProgressing", f"starting stage {stage.name}")
        case "STARTING" | "INPROGRESS":
            if breach is not None:
                return _act(StopStage(plan, stage.name), "StoppingStage", f"stopping stage {stage.name}: {breach}")
            message = f"stage {stage.name} is {stage.status}: {_counts(stage)}"
            return Decision((), Waiting(stage_poll(stage.started, now), "RolloutProgressing", message))
        case "STOPPING":
            return _wait("StoppingStage", f"stage {stage.name} is STOPPING: {breach or 'stopped at AWS'}")
        case "STOPPED":
            if asked or (edited and breach is None):
                return _act(StartStage(plan, stage.name), "RolloutProgressing", f"starting stage {stage.name} again")
            return _stall(
                "RolloutStopped", f"stage {stage.name} is STOPPED: {breach or 'stopped at AWS'}; {RETRY_HINT}"
            )
        case "FAILED":
            if asked:
                return _act(StartStage(plan, stage.name), "RolloutProgressing", f"starting stage {stage.name} again")
            text = breach or stage.message or _counts(stage)
            return _stall("StageFailed", f"stage {stage.name} is FAILED: {text}; {RETRY_HINT}")
        case "DEPLOYED":
            failures = _failed_bound(stage, rollout)
            if failures is not None:
                return _stall(
                    "RolloutStopped", f"stage {stage.name} is DEPLOYED, but {failures}; raise the bound to go on"
                )
            return None if last else _bake(stage, rollout, status, now)
        case _:
            assert_never(stage.status)


def _bake(stage: ObservedStage, rollout: Rollout, status: EdgeDeploymentPlanStatus, now: datetime) -> Decision | None:
    if rollout.bake_time is None:
        return None
    left = (status.deployed_since(stage.name) or now) + duration(rollout.bake_time) - now
    if left <= timedelta(0):
        return None
    return Decision(
        (),
        Waiting(
            left, "Baking", f"stage {stage.name} is DEPLOYED and bakes for {rollout.bake_time} before the next one"
        ),
    )


def _breach(stage: ObservedStage, rollout: Rollout, now: datetime) -> str | None:
    return _failed_bound(stage, rollout) or _overdue(stage, rollout, now)


def _failed_bound(stage: ObservedStage, rollout: Rollout) -> str | None:
    """The bound on failed devices that the stage crossed, in words with both numbers, or None."""
    finished = stage.succeeded + stage.failed
    if rollout.max_failed_percent is None or finished < (rollout.min_devices or 1):
        return None
    if stage.failed * 100 <= rollout.max_failed_percent * finished:
        return None
    return (
        f"{stage.failed} of {finished} finished devices failed ({stage.failed * 100 / finished:.1f}%), "
        f"over maxFailedPercent {rollout.max_failed_percent}"
    )


def _overdue(stage: ObservedStage, rollout: Rollout, now: datetime) -> str | None:
    if rollout.progress_deadline is None or stage.started is None:
        return None
    if now - stage.started <= duration(rollout.progress_deadline):
        return None
    return f"not DEPLOYED within progressDeadline {rollout.progress_deadline} of its start at {stage.started:%FT%TZ}"


def _counts(stage: ObservedStage) -> str:
    return f"{stage.succeeded} succeeded, {stage.pending} pending, {stage.failed} failed"


def _wait(reason: str, message: str) -> Decision:
    return Decision((), Waiting(STAGE_POLL, reason, message))


def _act(action: Action, reason: str, message: str) -> Decision:
    return Decision((action,), Waiting(STAGE_POLL, reason, message))


def _stall(reason: str, message: str) -> Decision:
    return Decision((), Stalled(reason, message))
