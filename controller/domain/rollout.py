"""Starting the stages one after the other: what to start, to stop, or to wait for, from what AWS and status say.

No time is kept in memory: a stage's start comes from AWS, the moment it was first seen DEPLOYED from status.
"""

from datetime import datetime, timedelta
from typing import assert_never

from controller.domain.actions import Action, StartStage, StopStage
from controller.domain.circumstances import Circumstances
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.outcomes import IN_SYNC, Decision, Done, Stalled, Waiting
from controller.domain.reasons import Reason
from controller.domain.schedule import STAGE_POLL, stage_poll
from controller.domain.spec import Rollout, duration
from controller.domain.stage import MEANING
from controller.domain.wording import a_failed_device, counts, until

RETRY_HINT = "have it tried again, by `edgeplan retry` or the annotation edgeplan.dev/reconcile-requested-at, or change the stage"
_BY_HAND = "stopped in AWS"


def halt(desired: Desired, observed: ObservedPlan, given: Circumstances) -> Decision | None:
    """Stop the stages that run and have crossed a bound of the rollout; None where none has.

    Whatever else keeps the plan from being brought in step with the spec: the bounds hold for what runs.
    """
    rollout = desired.spec.rollout
    if rollout is None:
        return None
    running = (stage for stage in observed.stages if MEANING[stage.status].stoppable)
    over = {stage.name: _failed_bound(stage, rollout) or _overdue(stage, rollout, given.now) for stage in running}
    why = "; ".join(f"stopping stage {name}: {breach}" for name, breach in over.items() if breach is not None)
    stops = tuple(StopStage(observed.name, name) for name, breach in over.items() if breach is not None)
    return Decision(stops, Waiting(STAGE_POLL, Reason.STOPPING_STAGE, why)) if stops else None


def roll_out(desired: Desired, observed: ObservedPlan, given: Circumstances) -> Decision:
    """The next step of the rollout."""
    rollout = desired.spec.rollout
    if rollout is None:
        return Decision((), IN_SYNC)
    order = [stage.stage_name for stage in desired.stages]
    through = order.index(rollout.through_stage) if rollout.through_stage else len(order) - 1
    for name in order[: through + 1]:
        stage = observed.stage(name)
        if stage is None:  # just created, not yet listed
            return _wait(Reason.ROLLOUT_PROGRESSING, f"waiting for stage {name} to appear in AWS")
        step = _stage_step(stage, rollout, given, plan=observed.name, last=name == order[through])
        if step is not None:
            return step
    if through + 1 < len(order):
        text = f"stages through {order[through]} are DEPLOYED; next is {order[through + 1]}"
        return Decision((), Done(Reason.WAITING_FOR_PROMOTION, text))
    which = f"all {len(order)} stages are" if len(order) > 1 else f"stage {order[0]} is"
    return Decision((), Done(Reason.ROLLOUT_COMPLETE, f"{which} DEPLOYED"))


def _stage_step(
    stage: ObservedStage, rollout: Rollout, given: Circumstances, *, plan: str, last: bool
) -> Decision | None:
    """What this stage needs, or None when it is done and the next may start."""
    breach = _failed_bound(stage, rollout) or _overdue(stage, rollout, given.now)
    start = StartStage(plan, stage.name)
    match stage.status:
        case "CREATING":
            return _wait(Reason.ROLLOUT_PROGRESSING, f"waiting for stage {stage.name} to become READYTODEPLOY")
        case "READYTODEPLOY":
            return _act(start, Reason.ROLLOUT_PROGRESSING, f"starting stage {stage.name}")
        case "STARTING" | "INPROGRESS":
            text = f"stage {stage.name} is {stage.status}: {counts(stage.succeeded, stage.pending, stage.failed)}"
            return Decision((), Waiting(_until_a_look(stage, rollout, given), Reason.ROLLOUT_PROGRESSING, text))
        case "STOPPING":
            return _wait(Reason.STOPPING_STAGE, f"stage {stage.name} is STOPPING: {breach or _BY_HAND}")
        case "STOPPED" | "FAILED":
            return _ended(stage, given, start, breach)
        case "DEPLOYED":
            failures = _failed_bound(stage, rollout)
            if failures is not None:
                text = (
                    f"stage {stage.name} is DEPLOYED, but {failures}{a_failed_device(stage)}; raise the bound to go on"
                )
                return Decision((), Stalled(Reason.ROLLOUT_STOPPED, text))
            return None if last else _bake(stage, rollout, given)
        case _:
            assert_never(stage.status)


def _until_a_look(stage: ObservedStage, rollout: Rollout, given: Circumstances) -> timedelta:
    poll = stage_poll(stage.started, given.now, given.crowd)
    if rollout.progress_deadline is None or stage.started is None:
        return poll
    return min(poll, max(STAGE_POLL, stage.started + duration(rollout.progress_deadline) - given.now))


def _ended(stage: ObservedStage, given: Circumstances, start: StartStage, breach: str | None) -> Decision:
    """A stage that did not succeed: started once more where somebody asks, or lifts the bound that stopped it."""
    stopped = stage.status == "STOPPED"
    if given.asked or (stopped and given.edited and breach is None):
        return _act(start, Reason.ROLLOUT_PROGRESSING, f"starting stage {stage.name} again")
    tally = counts(stage.succeeded, stage.pending, stage.failed)
    why = breach or (_BY_HAND if stopped else stage.message or tally)
    why += a_failed_device(stage, why)
    reason = Reason.ROLLOUT_STOPPED if stopped else Reason.STAGE_FAILED
    hint = f"{RETRY_HINT} or the bound" if stopped else RETRY_HINT
    return Decision((), Stalled(reason, f"stage {stage.name} is {stage.status}: {why}; {hint}"))


def _bake(stage: ObservedStage, rollout: Rollout, given: Circumstances) -> Decision | None:
    if rollout.bake_time is None:
        return None
    # A moment to come is the clock's doing: it was set back since.
    since = min(given.status.deployed_since(stage.name) or given.now, given.now)
    end = since + duration(rollout.bake_time)
    if end <= given.now:
        return None
    text = f"stage {stage.name} is DEPLOYED and bakes for {rollout.bake_time} before the next one{until(end)}"
    return Decision((), Waiting(end - given.now, Reason.BAKING, text))


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


def _wait(reason: Reason, message: str) -> Decision:
    return Decision((), Waiting(STAGE_POLL, reason, message))


def _act(action: Action, reason: Reason, message: str) -> Decision:
    return Decision((action,), Waiting(STAGE_POLL, reason, message))
