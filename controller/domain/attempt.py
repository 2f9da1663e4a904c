"""One attempt at one object, as a conversation of values: what it wants to know or have done, and what comes back.

An attempt is a generator. It yields a request, is sent the answer (a `Failure` where the call failed), and returns the
`Result` (`conversation.py`). Whoever runs it makes the calls and judges nothing; everything that affects the order of
calls is here and in `steps.py`.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from controller.domain.actions import DeletePlan
from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.changes import tag_changes
from controller.domain.circumstances import Circumstances
from controller.domain.conversation import Answer, Ask, Finalizer, Request, Result, TagsOf, Talk
from controller.domain.decide import decide, decide_deletion, deleted, may_observe, name_conflict
from controller.domain.desired import Desired
from controller.domain.failures import Failure
from controller.domain.findings import Findings
from controller.domain.forecast import pending
from controller.domain.outcomes import Decision, Done, Gone, Next, Outcome, Stalled, Suspended, Waiting
from controller.domain.ownership import Owner
from controller.domain.reasons import Reason
from controller.domain.relation import Relation, relation
from controller.domain.resource import InvalidSpec, Resource, account_of
from controller.domain.schedule import DOUBT_POLL
from controller.domain.stage import MEANING
from controller.domain.steps import (
    Refused,
    apply,
    failed,
    final,
    is_refusal,
    not_replaceable,
    observe,
    other_owner_lives,
    owes,
    result,
    scope_refused,
    unless_unfinished,
)
from controller.domain.wording import until

# An attempt that still finds something to do after so many looks lets others have their turn.
_MOST_LOOKS = 6
_KEEPS_WHAT_IS_OWED = frozenset({Reason.STOPPING_STAGE, Reason.STOPPING_STAGES, Reason.STAGE_ACTIVE})


def attempt(resource: Resource, given: Circumstances) -> Talk:
    """Take one object one step further, whatever state it is in."""
    if resource.deleting:
        return (yield from take_away(resource, given))
    spec = resource.spec
    if isinstance(spec, InvalidSpec):
        return Result(Stalled(Reason.INVALID_SPEC, spec.message), untouched=given.untouched)
    if spec.suspend:
        return Result(Suspended(resource.status.unfinished), untouched=given.untouched)
    return (yield from keep(resource, given))


# -- towards nothing --------------------------------------------------------------------------------------------------


def take_away(resource: Resource, given: Circumstances) -> Talk:
    """Take from AWS what goes with the object."""
    spec, name = resource.readable_spec, resource.plan_name
    invalid = resource.spec if isinstance(resource.spec, InvalidSpec) and not given.untouched else None
    if invalid is not None and {"policy", "target"} & set(invalid.unreadable):
        # What cannot be read may be what says that the plan stays, or where it is.
        return Result(Stalled(Reason.INVALID_SPEC, f"cannot tell what to do with the AWS plan: {invalid.message}"))
    if not spec.deletes:
        return Result(Gone(Reason.RETAINED, f"the AWS plan {name} stays, as spec.policy says"))
    if (yield Ask.DEFINITION_GOING):
        return Result(Gone(Reason.RETAINED, "the CustomResourceDefinition is being deleted: what is in AWS stays"))
    # Where another operator may have made one, a look is not spared, if one can be had.
    if _untouched(resource, given) and (given.alone or given.scope is None):
        return Result(Gone(Reason.DELETED, "nothing of this object was ever created in AWS"))
    if (refusal := scope_refused(resource, given)) is not None:
        text = f"the object is being deleted, and waits until it can be told what is left in AWS: {refusal.message}. "
        text += "To let it go and leave AWS as it is, set policy.deletion to Retain"
        return Result(replace(refusal, message=text))
    desired = Desired(name, spec, Owner.of(resource, given.cluster))
    known = Findings.of(given)
    if (done := (yield from _delete_what_is_tagged(resource, desired, given, known))) is not None:
        return done
    found = yield from observe(resource, desired, given, known, tags=True)
    if isinstance(found, Result):
        return found
    decision = decide_deletion(desired, found.observed, given)
    if (doubted := _doubted(decision, resource, given, found)) is not None:
        return doubted
    acted = yield from apply(decision.actions, decision.outcome, resource, given, found)
    assert not isinstance(acted, Refused)  # noqa: S101 - a deletion looks again in its next attempt, not in this one
    late = _unanswered_for(given)
    if isinstance(acted, Findings) and isinstance(decision.outcome, Gone) and late > timedelta(0):
        # One that was tried before the one that made what is deleted now.
        return Result(_may_still_come(f"another create of the AWS plan {name}", late, given.now), acted)
    return acted if isinstance(acted, Result) else Result(final(decision.outcome), acted)


def _doubted(decision: Decision, resource: Resource, given: Circumstances, found: Findings) -> Result | None:
    """The wait for what the look may not have shown yet."""
    if decision.actions:
        return _untagged(resource, given, found)
    doubt = _doubted_until(resource, given, found)
    if doubt > timedelta(0) and isinstance(decision.outcome, Gone):
        return Result(_may_still_come(f"a create of the AWS plan {resource.plan_name}", doubt, given.now), found)
    return None


def _untagged(resource: Resource, given: Circumstances, found: Findings) -> Result | None:
    """The wait for reads that may be behind: tags are read as they are, so somebody may have replaced the plan just now."""
    if found.observed is None or found.observed.tags is None or OWNER_TAG in found.observed.tags:
        return None
    seen = resource.status.settling
    begun = seen is not None and seen.untagged
    left = min(seen.until - given.now, given.settle) if seen is not None and begun else given.settle
    if left <= timedelta(0):
        return None
    text = f"the AWS plan {found.observed.name} has lost its ownership tag, and may be another one than AWS shows yet"
    text += f"; looked for until it cannot be{until(given.now + left)}"
    after = found if begun else found.settled_by(given.now + given.settle, untagged=True)
    return Result(Waiting(min(left, DOUBT_POLL), Reason.SETTLING, text), after)


def _may_still_come(what: str, doubt: timedelta, now: datetime) -> Waiting:
    text = f"{what} may still be under way; looked for until it cannot be{until(now + doubt)}"
    return Waiting(min(doubt, DOUBT_POLL), Reason.SETTLING, text)


def _delete_what_is_tagged(
    resource: Resource, desired: Desired, given: Circumstances, found: Findings
) -> Generator[Request, Answer, Result | None]:
    """Delete a plan that is tagged as the object's own: a call less than to look. None where it must be looked at.

    AWS itself deletes no plan with active stages; here it is only asked where none is known.
    """
    status, action = resource.status, DeletePlan(desired.name)
    active = any(MEANING[each.status].active for each in status.stages or ())
    doubtful = active or status.retry is not None or _unanswered_for(given) > timedelta(0)
    if found.arn is None or doubtful or (yield Ask.ACCOUNT) != account_of(found.arn):
        return None
    answer = yield TagsOf(found.arn)
    own = isinstance(answer, Mapping) and answer.get(OWNER_TAG) == desired.owner.tag_value
    answer = (yield action) if own else answer
    if isinstance(answer, Failure):
        return None if is_refusal(answer) else failed(answer, resource, given, found, action if own else None)
    return Result(deleted(desired.name), found.after(action, None, given.now, given.settle)) if own else None


def _unanswered_for(given: Circumstances) -> timedelta:
    """How long a create that AWS did not answer may still be carried out, as this process or the status knows."""
    known = given.status.settling
    left = known.unanswered - given.now if known is not None and known.unanswered is not None else timedelta(0)
    return max(given.unanswered_for, min(left, given.settle))


def _doubted_until(resource: Resource, given: Circumstances, found: Findings) -> timedelta:
    """How long a look that finds nothing proves nothing: as long as a create can be under way."""
    settling = found.settling
    # Since our own deletion no create was left open.
    answered = settling is not None and settling.deleted and given.alone
    left = timedelta(0) if settling is None or answered else settling.until - given.now
    return left if resource.status.has_plan or _untouched(resource, given) else max(left, given.starting_for)


# -- towards the spec -------------------------------------------------------------------------------------------------


def keep(resource: Resource, given: Circumstances) -> Talk:
    """Keep AWS as the spec says, if the plan is this object's to keep."""
    spec = resource.readable_spec
    desired = Desired(resource.plan_name, spec, Owner.of(resource, given.cluster))
    given = replace(given, untouched=_untouched(resource, given))
    if (refusal := scope_refused(resource, given)) is not None:
        if given.untouched and resource.has_finalizer:
            yield Finalizer.RELEASE  # the chart's policy put it on: with nothing in AWS the object may go when it likes
        return Result(refusal, untouched=given.untouched)
    found = Findings.of(given)
    holder = _holder(resource, given)
    if holder is not None and given.untouched:
        return Result(name_conflict(desired, holder), untouched=True)
    if spec.deletes != resource.has_finalizer:
        held = yield Finalizer.HOLD if spec.deletes else Finalizer.RELEASE
        resource = held if isinstance(held, Resource) else resource
    if holder is not None:
        # Whoever the tag names holds: this object may have made the plan before its status said so.
        step = yield from observe(resource, desired, given, found, tags=True)
        if isinstance(step, Result):
            return step
        found = step
        if found.observed is None or relation(found.observed, desired, resource.status) is not Relation.OURS:
            return Result(name_conflict(desired, holder))
    if (audited := (yield from _audit(resource, desired, given, found))) is not None:
        return audited
    return (yield from unless_unfinished((yield from _converge(resource, desired, given, found)), desired))


def _audit(
    resource: Resource, desired: Desired, given: Circumstances, found: Findings
) -> Generator[Request, Answer, Result | None]:
    """All as before, where the tags of a plan at rest are in step: no listing shows those. None where it must be looked at."""
    ready, idle = resource.status.condition("Ready"), not (owes(given) or resource.status.is_true("Reconciling"))
    reason = Reason.of(ready.reason) if ready is not None and ready.status == "True" else None
    if ready is None or reason is None or found.arn is None or not idle or given.wakes != {Wake.AUDIT} or found.looked:
        return None
    tags = yield TagsOf(found.arn)
    if not isinstance(tags, Mapping) or tag_changes(desired, found.arn, tags, found.applied_tag_keys):
        return None
    return result(Done(reason, ready.message), given, found)


def _holder(resource: Resource, given: Circumstances) -> Resource | None:
    """The other object that goes before this one for the AWS plan that both name, if there is one."""
    if not resource.readable_spec.manages:
        return None
    first = min((resource, *given.namesakes), key=lambda each: (not each.status.has_the_name, *each.seniority))
    return None if first is resource else first


def _looks_first(resource: Resource, desired: Desired, given: Circumstances) -> bool:
    """Create first, ask later: an object without a plan costs one call, not two, unless one was refused or lost."""
    status = resource.status
    unanswered = status.settling is not None and not given.untouched
    doubtful = status.is_true("Stalled") or unanswered or Wake.DRIFT in given.wakes
    return status.has_plan or not desired.spec.manages or doubtful


def _converge(resource: Resource, desired: Desired, given: Circumstances, found: Findings) -> Talk:
    """Observe, decide, apply, until there is nothing to do at once."""
    status, manages = resource.status, desired.spec.manages
    # After a failure nobody knows how far the last attempt came, so the retry looks at the tags too.
    doubtful = owes(given) != () or not given.wakes <= {Wake.MOVED} or status.retry is not None
    tags = doubtful or not (status.has_plan and manages)
    look, refused, whose = not found.looked and _looks_first(resource, desired, given), None, found.looked
    outcome: Outcome | Next = Next(Reason.CHANGING_STAGES, "looking again")
    for _ in range(_MOST_LOOKS):
        if look:
            step = yield from observe(resource, desired, given, found, tags=tags, refused=refused)
            if isinstance(step, Result):
                return step
            found, whose = step, whose or tags
        given = replace(given, applied_tag_keys=found.applied_tag_keys)
        if not manages:
            return _observed(desired, given, found)
        given = replace(given, other_owner_lives=(yield from other_owner_lives(desired, found, given)))
        decision = decide(desired, found.observed, given)
        if (held := (yield from _held_back(decision, resource, desired, given, found))) is not None:
            return held
        if decision.actions and found.observed is not None and not whose:
            tags = True  # whose the plan is decides whether it may be changed, and a look without tags does not say
            continue
        outcome = decision.outcome
        acted = yield from apply(decision.actions, outcome, resource, given, found, refused=refused)
        if isinstance(acted, Result):
            return acted
        if isinstance(acted, Refused):
            found, refused, look, tags = acted.found, acted, True, True
            continue
        found = acted
        if not isinstance(outcome, Next):
            # A request that met a stage on its way out is carried out once that has ended.
            meets = isinstance(outcome, Waiting) and not decision.actions and outcome.reason in _KEEPS_WHAT_IS_OWED
            return result(outcome, given, found, owed=owes(given) if meets else ())
        refused, tags = None, False  # tags are in step by now
        look = not isinstance(decision.actions[-1], DeletePlan) if decision.actions else True
    return result(outcome, given, found)


def _observed(desired: Desired, given: Circumstances, found: Findings) -> Result:
    outcome = pending(desired, found.observed, given)
    hidden = found.observed is not None and may_observe(desired, found.observed, given) is not None
    return result(outcome, given, Findings(looked=True) if hidden else found)  # nothing of that plan is for this status


def _held_back(
    decision: Decision, resource: Resource, desired: Desired, given: Circumstances, found: Findings
) -> Generator[Request, Answer, Result | None]:
    """Why nothing is done although there is something to do, or None."""
    bound = isinstance(decision.outcome, Waiting) and decision.outcome.reason is Reason.STOPPING_STAGE
    if bound or not decision.actions:  # a bound of the rollout holds whatever else is held back
        return None
    rest = _at_rest(resource, given, found)
    return rest if rest is not None else (yield from not_replaceable(desired, resource, given, found))


def _at_rest(resource: Resource, given: Circumstances, found: Findings) -> Result | None:
    """As before, where AWS refused what is to be done and neither object nor AWS changed since: then no call but reads."""
    status, stalled = resource.status, resource.status.condition("Stalled")
    reason = Reason.of(stalled.reason) if stalled is not None else None
    if stalled is None or reason is None or not reason.ends_when_the_plan_comes or owes(given):
        return None
    modified = found.observed.modified if found.observed is not None else None
    same = modified == status.last_modified_time if modified is not None else not (status.has_plan or found.observed)
    return Result(Stalled(reason, stalled.message), found) if same else None


def _untouched(resource: Resource, given: Circumstances) -> bool:
    """Whether the object certainly has nothing in AWS: the finalizer comes before the first call."""
    # A later generation may have been managed without the finalizer, under Retain.
    fresh = resource.readable_spec.deletes and not resource.has_finalizer and resource.generation == 1
    return given.untouched or (fresh and not resource.status.has_plan and resource.status.settling is None)
