"""One attempt at one object, as a conversation of values: what it wants to know or have done, and what comes back.

An attempt is a generator. It yields a request, is sent the answer (a `Failure` where the call failed), and returns the
`Result`. Whoever runs it makes the calls and judges nothing; everything that affects the order of calls is here.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto

from controller.domain.actions import Action, AddTags, CreatePlan, DeletePlan, StartStage
from controller.domain.agenda import Wake
from controller.domain.circumstances import Circumstances
from controller.domain.decide import decide, decide_deletion, name_conflict
from controller.domain.desired import Desired
from controller.domain.failures import Failure, FailureKind
from controller.domain.findings import Findings
from controller.domain.forecast import pending
from controller.domain.observed import Created, ObservedPlan
from controller.domain.outcomes import Done, Gone, Next, Outcome, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.ownership import Owner, Relation, relation, tagged_owner
from controller.domain.quota import Ticket
from controller.domain.reasons import Reason
from controller.domain.resource import InvalidSpec, Resource, account_of, region_of
from controller.domain.schedule import BACKOFF_CAP, STAGE_POLL, queue_recheck, retry_after
from controller.domain.status import Claim, OwedWork, Settling

# An attempt that still finds something to do after so many looks lets others have their turn.
_MOST_LOOKS = 6


@dataclass(frozen=True)
class Look:
    """What AWS holds under the plan's name. Answer: the plan, None, or a Failure."""

    with_tags: bool


@dataclass(frozen=True)
class Exists:
    """Whether that object is there. Answer: a bool."""

    owner: Owner


@dataclass(frozen=True)
class Announce:
    """Write down what is about to be done, unless somebody changed the object. Answer: the object as it is then."""

    outcome: Outcome
    found: Findings
    owed: OwedWork
    claim: Claim


class Ask(Enum):
    """What needs no further words."""

    ACCOUNT = auto()
    """The id of the AWS account that answers: a str, or a Failure."""
    DEFINITION_GOING = auto()
    """Whether the CustomResourceDefinition is being deleted: a bool."""


class Finalizer(Enum):
    """What is done to the object itself. Answer: the object as it is then."""

    HOLD = auto()
    """Put the finalizer on."""
    RELEASE = auto()
    """Take the finalizer off."""


@dataclass(frozen=True)
class Result:
    """What an attempt came to."""

    outcome: Outcome
    found: Findings = field(default_factory=Findings)
    owed: OwedWork = ()
    """What was noticed and is still to be carried out."""
    untouched: bool = False
    """Whether the object certainly has nothing in AWS."""


Question = Look | Exists | Ask
Change = Announce | Finalizer
Request = Question | Change | Action
Answer = ObservedPlan | Created | Resource | Failure | bool | str | None
Talk = Generator[Request, Answer, Result]
_Step = Generator[Request, Answer, Findings | Result]


def attempt(resource: Resource, given: Circumstances) -> Talk:
    """Take one object one step further, whatever state it is in."""
    if resource.deleting:
        return (yield from take_away(resource, given))
    spec = resource.spec
    if isinstance(spec, InvalidSpec):
        return Result(Stalled(Reason.INVALID_SPEC, spec.message))
    if spec.suspend:
        return Result(Suspended())
    return (yield from keep(resource, given))


# -- towards nothing --------------------------------------------------------------------------------------------------


def take_away(resource: Resource, given: Circumstances) -> Talk:
    """Take from AWS what goes with the object."""
    spec, name = resource.readable_spec, resource.plan_name
    if isinstance(resource.spec, InvalidSpec) and {"policy", "target"} & set(resource.spec.unreadable):
        # What cannot be read may be what says that the plan stays, or where it is.
        return Result(
            Stalled(Reason.INVALID_SPEC, f"cannot tell what to do with the AWS plan: {resource.spec.message}")
        )
    if not spec.deletes:
        return Result(Gone(Reason.RETAINED, f"the AWS plan {name} stays, as spec.policy says"))
    if (yield Ask.DEFINITION_GOING):
        return Result(Gone(Reason.RETAINED, "the CustomResourceDefinition is being deleted: what is in AWS stays"))
    if _untouched(resource, given):
        return Result(Gone(Reason.DELETED, "nothing of this object was ever created in AWS"))
    if (refusal := _place_refused(resource, given)) is not None:
        return Result(refusal)
    desired = Desired(name, spec, Owner.of(resource, given.cluster))
    known = Findings.of(given)
    found = yield from _look(resource, desired, given, known, tags=True)
    if isinstance(found, Result):
        return found
    decision = decide_deletion(desired, found.observed, given)
    doubt = _doubted_until(resource, given, found)
    if doubt > timedelta(0) and isinstance(decision.outcome, Gone) and not decision.actions:
        text = f"a create of the AWS plan {name} may still be under way; looking again until it cannot be"
        return Result(Waiting(min(doubt, STAGE_POLL), Reason.SETTLING, text), found)
    acted = yield from _carry_out(decision.actions, decision.outcome, resource, given, found)
    if isinstance(acted, Result):
        return acted
    assert isinstance(acted, Findings)  # noqa: S101 - a deletion looks again in its next attempt, not in this one
    return Result(_final(decision.outcome), acted)


def _doubted_until(resource: Resource, given: Circumstances, found: Findings) -> timedelta:
    """How long a look that finds nothing proves nothing: as long as a create can be under way."""
    left = found.settling.until - given.now if found.settling is not None else timedelta(0)
    return left if resource.status.has_plan else max(left, given.starting_for)


# -- towards the spec -------------------------------------------------------------------------------------------------


def keep(resource: Resource, given: Circumstances) -> Talk:
    """Keep AWS as the spec says, if the plan is this object's to keep."""
    spec = resource.readable_spec
    desired = Desired(resource.plan_name, spec, Owner.of(resource, given.cluster))
    if (refusal := _place_refused(resource, given)) is not None:
        return Result(refusal)
    given = replace(given, untouched=_untouched(resource, given))
    found = Findings.of(given)
    holder = _holder(resource, given)
    if holder is not None and given.untouched:
        return Result(name_conflict(desired, holder), untouched=True)
    if spec.deletes != resource.has_finalizer:
        held = yield Finalizer.HOLD if spec.deletes else Finalizer.RELEASE
        resource = held if isinstance(held, Resource) else resource
    if holder is not None:
        # Whoever the tag names holds: this object may have made the plan before its status said so.
        step = yield from _look(resource, desired, given, found, tags=True)
        if isinstance(step, Result):
            return step
        found = step
        ours = found.observed is not None and relation(found.observed, desired.owner, resource.status) is Relation.OURS
        if not ours:
            return Result(name_conflict(desired, holder))
    return (yield from _converge(resource, desired, given, found))


def _holder(resource: Resource, given: Circumstances) -> Resource | None:
    """The other object that goes before this one for the AWS plan that both name, if there is one."""
    if not resource.readable_spec.manages:
        return None
    first = min((resource, *given.namesakes), key=lambda each: (not each.status.has_plan, *each.seniority))
    return None if first is resource else first


def _looks_first(resource: Resource, desired: Desired, given: Circumstances) -> bool:
    """Create first, ask later: an object without a plan costs one call, not two, unless it was refused before."""
    status = resource.status
    return status.has_plan or not desired.spec.manages or status.is_true("Stalled") or Wake.DRIFT in given.wakes


def _converge(resource: Resource, desired: Desired, given: Circumstances, found: Findings) -> Talk:
    """Observe, decide, apply, until there is nothing to do at once."""
    status, manages = resource.status, desired.spec.manages
    # After a failure nobody knows how far the last attempt came, so the retry looks at the tags too.
    tags = not (status.has_plan and manages) or _owes(given) != () or bool(given.wakes) or status.retry is not None
    look, refused = not found.looked and _looks_first(resource, desired, given), None
    outcome: Outcome | Next = Next(Reason.CHANGING_STAGES, "looking again")
    for _ in range(_MOST_LOOKS):
        if look:
            step = yield from _look(resource, desired, given, found, tags=tags, refused=refused)
            if isinstance(step, Result):
                return step
            found = step
        given = replace(given, applied_tag_keys=found.applied_tag_keys)
        if not manages:
            return _observed(desired, given, found)
        given = replace(given, other_owner_lives=(yield from _other_owner_lives(desired, found, given)))
        decision = decide(desired, found.observed, given)
        if decision.actions and _is_at_rest(resource, given, found):
            return _as_before(resource, found)
        outcome = decision.outcome
        acted = yield from _carry_out(decision.actions, outcome, resource, given, found, refused=refused)
        if isinstance(acted, Result):
            return acted
        if isinstance(acted, _Refused):
            found, refused, look, tags = acted.found, acted, True, True
            continue
        found = acted
        if not isinstance(outcome, Next):
            # A request that met a stage on its way out is carried out once that has ended.
            meets = isinstance(outcome, Waiting) and not decision.actions and outcome.reason in _KEEPS_WHAT_IS_OWED
            return _result(outcome, given, found, owed=_owes(given) if meets else ())
        refused, tags = None, False  # tags are in step by now
        look = not isinstance(decision.actions[-1], DeletePlan) if decision.actions else True
    return _result(outcome, given, found)


def _observed(desired: Desired, given: Circumstances, found: Findings) -> Result:
    outcome = pending(desired, found.observed, given)
    if isinstance(outcome, Stalled) and outcome.reason is Reason.NOT_PERMITTED:
        found = Findings(looked=True)  # nothing of that plan is for this status
    return _result(outcome, given, found)


def _is_at_rest(resource: Resource, given: Circumstances, found: Findings) -> bool:
    """Whether AWS refused what is to be done, and neither the object nor AWS changed since: no call, then, but reads."""
    status, stalled = resource.status, resource.status.condition("Stalled")
    reason = Reason.of(stalled.reason) if stalled is not None else None
    if reason is None or not reason.ends_when_the_plan_comes or _owes(given):
        return False
    if found.observed is None:
        return not status.has_plan
    return found.observed.modified is not None and found.observed.modified == status.last_modified_time


def _as_before(resource: Resource, found: Findings) -> Result:
    stalled = resource.status.condition("Stalled")
    assert stalled is not None  # noqa: S101 - for the type checker: `_is_at_rest` has seen it
    return Result(Stalled(Reason(stalled.reason), stalled.message), found)


# -- the parts of both ------------------------------------------------------------------------------------------------

_KEEPS_WHAT_IS_OWED = frozenset({Reason.STOPPING_STAGE, Reason.STOPPING_STAGES, Reason.STAGE_ACTIVE})


@dataclass(frozen=True)
class _Refused:
    """A refusal that may be old news: it counts only if a look confirms that there is still something to do."""

    action: Action
    failure: Failure
    found: Findings


def _look(
    resource: Resource,
    desired: Desired,
    given: Circumstances,
    found: Findings,
    *,
    tags: bool,
    refused: _Refused | None = None,
) -> _Step:
    """Look at AWS; a Result where the look failed, is not to be believed yet, or is at another place."""
    observed = yield Look(with_tags=tags)
    if isinstance(observed, Failure):
        return _failed(observed, resource, given, found)
    assert observed is None or isinstance(observed, ObservedPlan)  # noqa: S101 - what a Look is answered with
    if found.is_lag(observed, given.now) or _is_lag_of_tags(observed, desired, given, found):
        text = f"AWS confirmed a change of the plan {desired.name} that it does not show yet"
        return _result(Waiting(STAGE_POLL, Reason.SETTLING, text), given, found, owed=_owes(given))
    if found.arn is not None:
        account = account_of(observed.arn) if observed is not None else (yield Ask.ACCOUNT)
        if isinstance(account, Failure):
            return _failed(account, resource, given, found)
        if account != account_of(found.arn):
            return _result(_elsewhere(desired.name, found.arn, f"account {account}"), given, found, owed=_owes(given))
    found = found.seen(observed, desired, resource.status)
    if observed is None and refused is not None and isinstance(refused.action, CreatePlan):
        return _failed(refused.failure, resource, given, found, refused.action)
    return found


def _is_lag_of_tags(observed: ObservedPlan | None, desired: Desired, given: Circumstances, found: Findings) -> bool:
    """Whether a plan that we have just made is shown with other tags than ours: it is a former one of that name."""
    if observed is None or found.arn is None or found.settling is None or given.now >= found.settling.until:
        return False
    return relation(observed, desired.owner, given.status) in {Relation.UNOWNED, Relation.FOREIGN}


def _other_owner_lives(desired: Desired, found: Findings, given: Circumstances) -> Generator[Request, Answer, bool]:
    """Whether the object that a foreign tag names is there; asked only where the answer can matter."""
    other = tagged_owner(found.observed)
    if other is None or not desired.spec.adopts or other.cluster != given.cluster or other.shortened:
        return True  # what cannot be looked up is as good as there
    return True if other.same_object(desired.owner) else bool((yield Exists(other)))


def _carry_out(
    actions: tuple[Action, ...],
    outcome: Outcome | Next,
    resource: Resource,
    given: Circumstances,
    found: Findings,
    *,
    refused: _Refused | None = None,
) -> Generator[Request, Answer, Findings | Result | _Refused]:
    """Make the calls in order; the first that fails ends it."""
    for action in actions:
        if isinstance(action, CreatePlan) and (queued := _behind_others(resource, given)) is not None:
            return _result(queued, given, found, owed=_owes(given))
        if not resource.deleting and _must_be_announced(action, found):
            found = found.claiming(action)
            claim = Claim(by=given.process, until=given.now + min(given.settle, BACKOFF_CAP))
            yield Announce(_announced(outcome, action), found, _owes(given), claim)
        answer = yield action
        if not isinstance(answer, Failure):
            made = answer if isinstance(answer, Created) else None
            found = found.after(action, made, given.now, given.settle)
            continue
        if isinstance(action, CreatePlan) and not answer.harmless:
            found = found.settled_by(given.now + given.settle)
        if refused is None and not resource.deleting and _asks_for_a_look(answer, action, given):
            return _Refused(action, answer, found)
        return _failed(answer, resource, given, found, action)
    return found


def _must_be_announced(action: Action, found: Findings) -> bool:
    """Whether a second operator must be kept from the same call, or a crash from forgetting what it left behind."""
    match action:
        case StartStage() | DeletePlan():
            return not found.claimed
        case CreatePlan():
            return any(isinstance(done, DeletePlan) for done in found.done)
        case AddTags(arn=arn, tags=tags):
            return arn != found.arn or bool(tags.keys() - found.applied_tag_keys)
        case _:
            return False


def _announced(outcome: Outcome | Next, action: Action) -> Outcome:
    if isinstance(action, CreatePlan):
        return Waiting(STAGE_POLL, Reason.RECREATING, "the plan is deleted and is created again")
    if isinstance(outcome, Done):
        return Waiting(STAGE_POLL, Reason.CHANGING_TAGS, "tags are brought in step with the spec")
    return _final(outcome)


def _asks_for_a_look(failure: Failure, action: Action, given: Circumstances) -> bool:
    """Whether a refused call should be followed by a look before its failure counts.

    A refused create may mean that the plan exists: what AWS answers to a second create of a name is not documented, and
    it may look at the quota before it looks at the name. A refused change may mean that somebody else made it first.
    """
    if not isinstance(action, CreatePlan):
        return failure.code == "ResourceNotFound" or failure.kind is FailureKind.TERMINAL
    if failure.kind is FailureKind.QUOTA:
        return not given.untouched
    refusals = {FailureKind.TERMINAL, FailureKind.TRANSIENT, FailureKind.UNKNOWN}
    return failure.harmless and failure.request_id is not None and failure.kind in refusals


def _behind_others(resource: Resource, given: Circumstances) -> Queued | None:
    """The wait of a plan that others go before, which therefore does not ask AWS."""
    ahead = given.queue.ahead_of(Ticket.of(resource))
    if not ahead or given.queue.refusal is None:
        return None
    return Queued(ahead, queue_recheck(given.dice), 0, given.queue.refusal)


def _failed(
    failure: Failure, resource: Resource, given: Circumstances, found: Findings, action: Action | None = None
) -> Result:
    """How an attempt ends with a failed call: the outcome of each kind of failure, in one place.

    An edited spec starts to count from one. While the object is being deleted nothing is terminal: AWS has the last word
    on what is left, so the loop goes on asking.
    """
    retry, owed = resource.status.retry, _owes(given)
    attempts = 1 if resource.edited or retry is None else retry.attempts + 1
    after = retry_after(failure, attempts, given.dice)
    outcome: Outcome = Retrying(failure, after, attempts)
    match failure.kind:
        case FailureKind.THROTTLED:
            outcome = Retrying(failure, after, attempts=0)
        case FailureKind.QUOTA if isinstance(action, CreatePlan):
            waiting = _behind_others(resource, given)
            outcome = replace(waiting, failure=failure) if waiting else Queued(0, after, attempts, failure)
        case FailureKind.TERMINAL if not resource.deleting:
            found, doubtful = _with_doubt(resource, given, found, action)
            if not doubtful:
                outcome, owed = Stalled(Reason.REFUSED_BY_AWS, f"AWS refuses {failure.operation}", failure), ()
        case _:
            pass
    return _result(outcome, given, found, owed=owed)


def _with_doubt(
    resource: Resource, given: Circumstances, found: Findings, action: Action | None
) -> tuple[Findings, bool]:
    """Whether a refusal may be due to what AWS does not show yet, a call of another operator say; for how long."""
    if (isinstance(action, CreatePlan) and given.untouched) or resource.status.settling is not None:
        return found, found.settling is not None and given.now < found.settling.until
    return replace(found, settling=Settling(until=given.now + given.settle)), True


def _place_refused(resource: Resource, given: Circumstances) -> Stalled | None:
    """Why there is no place where the object's plan may be looked for, or None."""
    if given.scope is None:
        return Stalled(Reason.TARGET_REFUSED, given.refusal)
    arn = resource.status.edge_deployment_plan_arn
    if arn is None or region_of(arn) in {None, given.scope.region}:
        return None
    return _elsewhere(resource.plan_name, arn, f"region {given.scope.region}")


def _elsewhere(name: str, arn: str, place: str) -> Stalled:
    return Stalled(
        Reason.PLAN_ELSEWHERE,
        f"the AWS plan {name} is {arn}, and the operator now works in {place}; nothing is created or deleted there while "
        "that plan may stand. Point the operator back, or delete the object under policy.deletion Retain and create it again",
    )


def _untouched(resource: Resource, given: Circumstances) -> bool:
    """Whether the object certainly has nothing in AWS: the finalizer comes before the first call."""
    # A later generation may have been managed without the finalizer, under Retain.
    fresh = resource.readable_spec.deletes and not resource.has_finalizer and resource.generation == 1
    return given.untouched or (fresh and not resource.status.has_plan and resource.status.settling is None)


def _owes(given: Circumstances) -> OwedWork:
    edit: OwedWork = ("Edit",) if given.edited else ()
    request: OwedWork = ("Request",) if given.asked else ()
    return edit + request


def _final(outcome: Outcome | Next) -> Outcome:
    return Waiting(STAGE_POLL, outcome.reason, outcome.message) if isinstance(outcome, Next) else outcome


def _result(outcome: Outcome | Next, given: Circumstances, found: Findings, *, owed: OwedWork = ()) -> Result:
    untouched = given.untouched and found.arn is None and found.settling is None
    return Result(_final(outcome), found, owed, untouched)
