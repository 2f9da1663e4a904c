"""Decide: desired x observed -> the next calls and the outcome. Any state in, the right next step out.

nothing in AWS          create it, tagged as ours
not ours                refuse, or adopt by tagging
immutable field differs refuse, or stop, delete and create again
stages, tags differ     bring them in step
all as specified        roll out, or done
"""

from controller.domain.actions import Action, AddTags, DeletePlan, StopStage
from controller.domain.api import OWNER_TAG
from controller.domain.changes import immutable_changes, stage_changes, tag_changes
from controller.domain.circumstances import Circumstances
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import IN_SYNC, Decision, Gone, Next, Stalled, Waiting
from controller.domain.ownership import Owner, reach_needed, tagged_owner
from controller.domain.reasons import Reason
from controller.domain.relation import Relation, relation
from controller.domain.resource import Key, Resource
from controller.domain.rollout import halt, roll_out
from controller.domain.schedule import STAGE_POLL
from controller.domain.stage import MEANING

_ANOTHER_NAME = "delete this object and create one with another edgeDeploymentPlanName"


def decide(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Decision:
    """The next step towards `desired` under Manage."""
    if observed is None:
        rolling = Next(Reason.ROLLOUT_PROGRESSING, "plan created; its stages come next")
        return Decision((desired.creation(),), IN_SYNC if desired.spec.rollout is None else rolling)
    refusal = _refuse_foreign(desired, observed, given)
    if refusal is not None:
        return Decision((), refusal)
    changes = immutable_changes(desired, observed)
    halted = halt(desired, observed, given)
    if halted is not None and (not changes or relation(observed, desired, given.status).is_ours):
        return halted
    if changes:
        return _replace(desired, observed, changes, given)
    tags = tag_changes(desired, observed.arn, observed.tags, given.applied_tag_keys)
    stages = stage_changes(desired, observed)
    if isinstance(stages, Waiting | Stalled):
        return Decision(tags, stages)
    if stages:
        return Decision(tags + stages, Next(Reason.CHANGING_STAGES, "stages are brought in step with the spec"))
    rollout = roll_out(desired, observed, given)
    return Decision(tags + rollout.actions, rollout.outcome)


def may_observe(desired: Desired, observed: ObservedPlan, given: Circumstances) -> Stalled | None:
    """Why an object must not read this plan into its status, or None when it may."""
    ours = relation(observed, desired, given.status).is_ours
    if ours or given.rights.observe.covers(reach_needed(observed, desired.owner)):
        return None
    return Stalled(
        Reason.NOT_PERMITTED,
        f"spec.policy.management Observe: an AWS plan {observed.name} exists, which namespace "
        f"{desired.owner.namespace} is not permitted to observe; {_ANOTHER_NAME}, or ask who runs "
        "the operator",
    )


def name_conflict(desired: Desired, holder: Resource) -> Stalled:
    """Another object holds the AWS plan that this one names."""
    text = f"the AWS plan {desired.name} is held by {_who(desired, holder.key, str(holder.key))}; {_ANOTHER_NAME}"
    return Stalled(Reason.NAME_CONFLICT, text)


def _who(desired: Desired, holder: Key, name: str) -> str:
    """An object by its name; of another namespace it is not told, which may be another tenant's."""
    return f"the object {name}" if holder.namespace == desired.owner.namespace else "an object of another namespace"


def _refuse_foreign(desired: Desired, observed: ObservedPlan, given: Circumstances) -> Stalled | None:
    """Why this plan must not be touched, or None when it is ours or may be taken over."""
    related = relation(observed, desired, given.status)
    if given.adopting or related.is_ours:
        return None
    other = tagged_owner(observed)
    for namesake in given.namesakes:
        if other is not None and (namesake.uid, namesake.key.namespace) == (other.uid, other.namespace):
            return name_conflict(desired, namesake)
    # Never take back what was taken from us: two objects with Adopt would take turns for ever.
    lost = related is Relation.FOREIGN and OWNER_TAG in (given.status.applied_tag_keys or ())
    permitted = given.rights.adopt.covers(reach_needed(observed, desired.owner))
    if desired.spec.adopts and permitted and not lost and not _lives_here(desired, other, given):
        return None
    if not desired.spec.adopts:
        way_out = "set policy.adoption to Adopt to take it over"
    elif not permitted:
        way_out = (
            f"spec.policy.adoption Adopt: namespace {desired.owner.namespace} is not permitted to take it over, which needs "
            f"`adopt` for plans `{reach_needed(observed, desired.owner)}`; ask who runs the operator"
        )
    else:
        way_out = "delete the object that it belongs to"
    if related is Relation.UNOWNED:
        whose = "which this object did not create"
    else:
        owner = _who(desired, other.key, str(other)) if other is not None else "an unknown owner"
        whose = f"which belongs to {owner}, as its tag {OWNER_TAG} says"
    if lost:
        text = f"the AWS plan {observed.name} was taken over: it is one {whose}; delete this object, the plan stays"
        return Stalled(Reason.OWNERSHIP_LOST, text)
    return Stalled(
        Reason.NOT_PERMITTED if desired.spec.adopts and not permitted else Reason.NOT_OWNED,
        f"AWS already has a plan {observed.name}, {whose}; {way_out}, or {_ANOTHER_NAME}",
    )


def _lives_here(desired: Desired, other: Owner | None, given: Circumstances) -> bool:
    """Whether the other owner is an object of this cluster that still exists: it keeps its plan whatever we adopt."""
    return other is not None and other.cluster == desired.owner.cluster and given.other_owner_lives


def _replace(desired: Desired, observed: ObservedPlan, changes: tuple[str, ...], given: Circumstances) -> Decision:
    """What to do about changed fields that AWS cannot change."""
    differences = "; ".join(changes)
    back = "Put it back" if given.status.has_plan else "Set it as the plan has it"
    gate = "; its rollout starts over, through rollout.throughStage as it stands" if desired.spec.rollout else ""
    if not desired.spec.recreates:
        return Decision(
            (),
            Stalled(
                Reason.IMMUTABLE_FIELD_CHANGED,
                f"AWS cannot change {differences}. {back}, or set policy.replacement to Recreate to have the plan "
                f"deleted and created again{gate}",
            ),
        )
    if not given.rights.recreate:
        text = f"spec.policy.replacement Recreate is not permitted to namespace {desired.owner.namespace}, and AWS "
        text += f"cannot change {differences}. {back}, or ask who runs the operator"
        return Decision((), Stalled(Reason.NOT_PERMITTED, text))
    # The tag first: were we to stop between adoption and deletion, the plan must be known as ours.
    adoption: tuple[Action, ...] = ()
    if observed.tags is not None and relation(observed, desired, given.status) is not Relation.OURS:
        adoption = (AddTags(observed.arn, {OWNER_TAG: desired.owner.tag_value}),)
    stopping = _stop_stages(observed)
    if stopping is not None:
        return Decision(adoption + stopping.actions, stopping.outcome)
    return Decision(
        (*adoption, DeletePlan(observed.name)),
        Next(Reason.RECREATING, f"the plan is deleted and created again for {differences}{gate}"),
    )


def _stop_stages(observed: ObservedPlan) -> Decision | None:
    """Stop what is active, or wait for it; None when AWS lets the plan be deleted."""
    active = [stage for stage in observed.stages if stage.active]
    if not active:
        return None
    stops = tuple(StopStage(observed.name, stage.name) for stage in active if MEANING[stage.status].stoppable)
    names = ", ".join(f"{stage.name} ({stage.status})" for stage in active)
    return Decision(
        stops, Waiting(STAGE_POLL, Reason.STOPPING_STAGES, f"AWS deletes no plan with active stages: {names}")
    )


def decide_deletion(desired: Desired, observed: ObservedPlan | None, given: Circumstances) -> Decision:
    """The next step towards nothing: the object is being deleted and its plan goes with it."""
    if observed is None:
        return Decision((), Gone(Reason.DELETED, f"no plan {desired.name} is left in AWS"))
    if not relation(observed, desired, given.status).is_ours:
        return Decision((), Gone(Reason.KEPT, f"the AWS plan {desired.name} is not this object's and stays"))
    stopping = _stop_stages(observed)
    if stopping is not None:
        return stopping
    return Decision((DeletePlan(desired.name),), deleted(desired.name))


def deleted(name: str) -> Gone:
    """Nothing is left, as we have just deleted it."""
    return Gone(Reason.DELETED, f"deleted the AWS plan {name}")
