"""Decide: desired x observed -> the next calls and the outcome. Any state in, the right next step out.

nothing at AWS          create it, tagged as ours
not ours                refuse, or adopt by tagging
immutable field differs refuse, or stop, delete and let the next look create
stages, tags differ     bring them in step
all as specified        roll out, or done
"""

from dataclasses import dataclass
from datetime import datetime

from controller.domain.actions import Action, AddTags, DeletePlan, StopStage
from controller.domain.api import OWNER_TAG
from controller.domain.changes import immutable_changes, stage_changes, tag_changes
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import IN_SYNC, Decision, Gone, Pending, Stalled, Waiting
from controller.domain.ownership import Owner, Relation, relation, tagged_owner
from controller.domain.rollout import roll_out
from controller.domain.schedule import AT_ONCE, STAGE_POLL
from controller.domain.status import EdgeDeploymentPlanStatus


@dataclass(frozen=True)
class Circumstances:
    """What the decision needs beside desired and observed."""

    status: EdgeDeploymentPlanStatus
    now: datetime
    asked: bool = False
    edited: bool = False
    other_owner_lives: bool = True
    """Whether the object that a foreign ownership tag names is there. Another cluster's counts as there."""


def decide(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Decision:
    """The next step towards `desired`, under Observe as pending changes instead of calls."""
    decision = _decide(desired, observed, given)
    if desired.spec.manages:
        return decision
    if isinstance(decision.outcome, Stalled):
        return Decision((), decision.outcome)
    if decision.actions:
        return Decision((), Pending(decision.actions))
    if isinstance(decision.outcome, Waiting):
        return decision
    return Decision((), IN_SYNC)


def _decide(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Decision:
    if observed is None:
        after_creation = (
            IN_SYNC
            if desired.spec.rollout is None
            else Waiting(AT_ONCE, "RolloutProgressing", "plan created; its stages come next")
        )
        return Decision((desired.creation(),), after_creation)
    refusal = _refuse_foreign(desired, observed, given)
    if refusal is not None:
        return Decision((), refusal)
    changes = immutable_changes(desired, observed)
    if changes:
        return _replace(desired, observed, changes, given)
    tags = tag_changes(desired, observed, given.status.applied_tag_keys or ())
    stages = stage_changes(desired, observed)
    if isinstance(stages, Waiting | Stalled):
        return Decision(tags, stages)
    if stages:
        return Decision(tags + stages, Waiting(AT_ONCE, "ChangingStages", "stages are brought in step with the spec"))
    rollout = roll_out(desired, observed, given.status, given.now, asked=given.asked, edited=given.edited)
    return Decision(tags + rollout.actions, rollout.outcome)


def _refuse_foreign(desired: Desired, observed: ObservedPlan, given: Circumstances) -> Stalled | None:
    """Why this plan must not be touched, or None when it is ours or may be taken over."""
    match relation(observed, desired.owner, given.status):
        case Relation.OURS | Relation.OURS_TO_TAG:
            return None
        case Relation.UNOWNED:
            if desired.spec.adopts or not desired.spec.manages:
                return None
            return Stalled(
                "NotOwned",
                f"AWS already has a plan {observed.name}, which this object did not create; set policy.adoption to "
                "Adopt to take it over, or choose another edgeDeploymentPlanName",
            )
        case Relation.FOREIGN:
            other = tagged_owner(observed)
            if not desired.spec.manages:
                return None
            held_before = given.status.edge_deployment_plan_arn is not None
            # Never take back what was taken from us: two objects with Adopt would take turns for ever.
            if desired.spec.adopts and not held_before and (other is None or not _lives_here(desired, other, given)):
                return None
            return Stalled(
                "OwnershipLost" if held_before else "NotOwned",
                f"the AWS plan {observed.name} belongs to {other or 'an unknown owner'}, as its tag {OWNER_TAG} says; "
                "delete or rename one of the two objects"
                + ("" if desired.spec.adopts else ", or set policy.adoption to Adopt to take over a plan left behind"),
            )


def _lives_here(desired: Desired, other: Owner, given: Circumstances) -> bool:
    """Whether the other owner is an object of this cluster that still exists: it keeps its plan whatever we adopt."""
    return other.cluster == desired.owner.cluster and given.other_owner_lives


def _replace(desired: Desired, observed: ObservedPlan, changes: tuple[str, ...], given: Circumstances) -> Decision:
    """What to do about changed fields that AWS cannot change."""
    differences = "; ".join(changes)
    if not desired.spec.recreates:
        return Decision(
            (),
            Stalled(
                "ImmutableFieldChanged",
                f"AWS cannot change {differences}. Put it back, or set policy.replacement to Recreate to have the plan "
                "deleted and created anew",
            ),
        )
    # The tag first: were we to stop between adoption and deletion, the plan must be known as ours.
    adoption: tuple[Action, ...] = ()
    if observed.tags is not None and relation(observed, desired.owner, given.status) is not Relation.OURS:
        adoption = (AddTags(observed.arn, {OWNER_TAG: desired.owner.tag_value}),)
    stopping = _stop_stages(observed)
    if stopping is not None:
        return Decision(adoption + stopping.actions, stopping.outcome)
    return Decision(
        (*adoption, DeletePlan(observed.name)),
        Waiting(AT_ONCE, "Recreating", f"the plan is deleted and created anew for {differences}"),
    )


def _stop_stages(observed: ObservedPlan) -> Decision | None:
    """Stop what is active, or wait for it; None when AWS lets the plan be deleted."""
    active = [stage for stage in observed.stages if stage.active]
    if not active:
        return None
    stops = tuple(
        StopStage(observed.name, stage.name) for stage in active if stage.status in {"STARTING", "INPROGRESS"}
    )
    names = ", ".join(f"{stage.name} ({stage.status})" for stage in active)
    return Decision(stops, Waiting(STAGE_POLL, "StoppingStages", f"AWS deletes no plan with active stages: {names}"))


def decide_deletion(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Decision:
    """The next step towards nothing: the object is being deleted and its plan goes with it."""
    if observed is None:
        return Decision((), Gone("Deleted", f"no plan {desired.name} is left at AWS"))
    if relation(observed, desired.owner, given.status) not in {Relation.OURS, Relation.OURS_TO_TAG}:
        return Decision((), Gone("Kept", f"the AWS plan {desired.name} is not this object's and stays"))
    stopping = _stop_stages(observed)
    if stopping is not None:
        return stopping
    return Decision((DeletePlan(desired.name),), Gone("Deleted", f"deleted the AWS plan {desired.name}"))
