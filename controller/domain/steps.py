"""The two halves of an attempt that talk to AWS, observe and apply, and how an attempt ends with a failed call."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.domain.actions import Action, AddTags, CreatePlan, DeletePlan, StartStage
from controller.domain.changes import immutable_changes, new_references, wanted_references
from controller.domain.circumstances import Circumstances
from controller.domain.conversation import Announce, Answer, Ask, Exists, Look, Request, Result
from controller.domain.desired import Desired
from controller.domain.failures import CREATE, UNKNOWN_OPERATION_CODES, Failure, FailureKind
from controller.domain.findings import Findings
from controller.domain.observed import Created, ObservedPlan
from controller.domain.outcomes import Done, Next, Outcome, Queued, Retrying, Stalled, Waiting
from controller.domain.ownership import tagged_owner
from controller.domain.reasons import Reason
from controller.domain.relation import Relation, relation
from controller.domain.resource import Resource, account_of, region_of
from controller.domain.schedule import BACKOFF_CAP, LONGEST, REFERENCE_POLL, STAGE_POLL, queue_recheck, retry_after
from controller.domain.status import Claim, OwedWork, Settling

_FINISHED = "COMPLETED"  # a packaging job's status; a fleet has none
_UNFINISHED = frozenset({"STARTING", "INPROGRESS"})
_USABLE = frozenset({"", _FINISHED})


@dataclass(frozen=True)
class Refused:
    """A refusal that may be old news: it counts only if a look confirms that there is still something to do."""

    action: Action
    failure: Failure
    found: Findings


def observe(
    resource: Resource,
    desired: Desired,
    given: Circumstances,
    found: Findings,
    *,
    tags: bool,
    refused: Refused | None = None,
) -> Generator[Request, Answer, Findings | Result]:
    """Look at AWS; a Result where the look failed, is not to be believed yet, or shows another account."""
    observed = yield Look(with_tags=tags)
    if isinstance(observed, Failure):
        return failed(observed, resource, given, found)
    assert observed is None or isinstance(observed, ObservedPlan)  # noqa: S101 - what a Look is answered with
    if found.is_lag(observed, desired, given.now) or _is_lag_of_tags(observed, desired, given, found):
        text = f"AWS confirmed a change of the plan {desired.name} that it does not show yet"
        return result(Waiting(STAGE_POLL, Reason.SETTLING, text), given, found, owed=owes(given))
    if found.arn is not None:
        account = account_of(observed.arn) if observed is not None else (yield Ask.ACCOUNT)
        if isinstance(account, Failure):
            return failed(account, resource, given, found)
        if account and account_of(found.arn) not in {None, account}:
            return result(_elsewhere(desired.name, found.arn, f"account {account}"), given, found, owed=owes(given))
    found = found.seen(observed, desired, resource.status)
    if observed is None and refused is not None and isinstance(refused.action, CreatePlan):
        return failed(refused.failure, resource, given, found, refused.action)
    return found


def _is_lag_of_tags(observed: ObservedPlan | None, desired: Desired, given: Circumstances, found: Findings) -> bool:
    """Whether a plan that we have just made is shown with other tags than ours: it is a former one of that name."""
    if observed is None or found.arn is None or found.settling is None or given.now >= found.settling.until:
        return False
    seen = given.status.model_copy(update={"settling": None})  # when it was made says nothing of tags that come later
    return relation(observed, desired, seen) in {Relation.UNOWNED, Relation.FOREIGN}


def other_owner_lives(desired: Desired, found: Findings, given: Circumstances) -> Generator[Request, Answer, bool]:
    """Whether the object that a foreign tag names is there; asked only where the answer can matter."""
    other = tagged_owner(found.observed)
    if other is None or not desired.spec.adopts or other.cluster != given.cluster or other.shortened:
        return True  # what cannot be looked up is as good as there
    return True if other.same_object(desired.owner) else bool((yield Exists(other)))


def not_replaceable(
    desired: Desired, resource: Resource, given: Circumstances, found: Findings
) -> Generator[Request, Answer, Result | None]:
    """Why a plan that is to be replaced stays as it is: what another one would be made of is missing, or not finished.

    Asked before anything is stopped or deleted for it. None where the plan is not replaced, or nothing speaks against it.
    """
    if found.observed is None or not immutable_changes(desired, found.observed):
        return None
    for reference in new_references(desired, found.observed):
        status = yield reference
        if not isinstance(status, Failure):
            if status in _USABLE:
                continue
            text = f"{reference} is {status}, not {_FINISHED}; the plan stays as it is until then"
            return result(Waiting(REFERENCE_POLL, Reason.REFERENCE_NOT_FOUND, text), given, found, owed=owes(given))
        if status.code not in UNKNOWN_OPERATION_CODES:  # who serves but part of the API cannot tell
            return failed(status, resource, given, found)
    return None


def unless_unfinished(ended: Result, desired: Desired) -> Generator[Request, Answer, Result]:
    """How an attempt ends: AWS refuses a plan of a packaging job that is not finished, but will not for ever."""
    outcome = ended.outcome
    if not isinstance(outcome, Stalled) or outcome.failure is None or outcome.failure.operation != CREATE:
        return ended
    _, *jobs = wanted_references(desired)
    for job in jobs:
        status = yield job
        if isinstance(status, str) and status in _UNFINISHED:
            text = f"{job} is {status}, and no plan can be made of it before it is {_FINISHED}"
            return replace(ended, outcome=Waiting(REFERENCE_POLL, Reason.REFERENCE_NOT_FOUND, text))
    return ended


def apply(
    actions: tuple[Action, ...],
    outcome: Outcome | Next,
    resource: Resource,
    given: Circumstances,
    found: Findings,
    *,
    refused: Refused | None = None,
) -> Generator[Request, Answer, Findings | Result | Refused]:
    """Make the calls in order; the first that fails ends it."""
    for action in actions:
        if isinstance(action, CreatePlan | DeletePlan) and (waiting := _over_share(resource, given)) is not None:
            return result(waiting, given, found, owed=owes(given))
        if isinstance(action, CreatePlan) and (queued := _behind_others(given)) is not None:
            return result(queued, given, found, owed=owes(given))
        if not resource.deleting and _must_be_announced(action, found):
            found = found.claiming(action)
            claim = Claim(by=given.process, until=given.now + min(given.settle, BACKOFF_CAP))
            yield Announce(_announced(outcome, action), found, owes(given), claim)
        answer = yield action
        if not isinstance(answer, Failure):
            made = answer if isinstance(answer, Created) else None
            found = found.after(action, made, given.now, given.settle)
            continue
        if isinstance(action, CreatePlan) and not answer.harmless:
            until = given.now + given.settle
            found = found.settled_by(until, unanswered=until)
        if refused is None and not resource.deleting and _asks_for_a_look(answer, action, given, found):
            return Refused(action, answer, found)
        return failed(answer, resource, given, found, action)
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
    return final(outcome)


def _asks_for_a_look(failure: Failure, action: Action, given: Circumstances, found: Findings) -> bool:
    """Whether a refused call should be followed by a look before its failure counts.

    A refused create may mean that the plan exists: what AWS answers to a second create of a name is not documented, and
    it may look at the quota before it looks at the name. A refused change may mean that somebody else made it first.
    """
    if not isinstance(action, CreatePlan):
        return failure.code == "ResourceNotFound" or failure.kind is FailureKind.TERMINAL
    if found.looked and not found.done:
        return False  # there was a look just before
    if failure.kind is FailureKind.QUOTA:
        return not given.untouched
    return is_refusal(failure)


def is_refusal(failure: Failure) -> bool:
    """Whether AWS answered that it does not do this, for what may be seen by a look."""
    refusals = {FailureKind.TERMINAL, FailureKind.TRANSIENT, FailureKind.UNKNOWN}
    return failure.harmless and failure.sent and failure.kind in refusals


def _over_share(resource: Resource, given: Circumstances) -> Waiting | None:
    """The wait of a plan that is not to be created, or not to be replaced, as its namespace has used its share of quota."""
    if resource.deleting or not given.over_share:
        return None
    text = (
        f"namespace {resource.key.namespace} may have {given.rights.share} plans in this account and region, and as many "
        "come before this one: a share that whoever runs the operator has set, not AWS's limit"
    )
    return Waiting(queue_recheck(given.dice), Reason.SHARE_USED, text)


def _behind_others(given: Circumstances) -> Queued | None:
    """The wait of a plan that others go before, which therefore does not ask AWS."""
    place = given.place
    if not place.ahead or place.refusal is None:
        return None
    return Queued(place.ahead, queue_recheck(given.dice), 0, place.refusal, place.waiting)


def failed(
    failure: Failure, resource: Resource, given: Circumstances, found: Findings, action: Action | None = None
) -> Result:
    """How an attempt ends with a failed call: the outcome of each kind of failure, in one place.

    An edited spec starts to count from one. While the object is being deleted nothing is terminal: AWS has the last word
    on what is left, so the loop goes on asking.
    """
    retry, owed, fresh = resource.status.retry, owes(given), resource.edited or resource.asked
    attempts = 1 if resource.edited or retry is None else retry.attempts + 1
    after = retry_after(failure, attempts, given.dice)
    left = retry.next_attempt_time - given.now if retry is not None else timedelta(0)
    if retry is not None and found.observed is not None and not fresh and STAGE_POLL < left < LONGEST:
        # Looked at early, for the sake of a stage that runs: the call has its time as before.
        attempts, after = retry.attempts, left
    outcome: Outcome = Retrying(failure, after, attempts)
    match failure.kind:
        case FailureKind.THROTTLED:
            outcome = Retrying(failure, after, attempts=0)
        case FailureKind.QUOTA if isinstance(action, CreatePlan):
            waiting = _behind_others(given)
            alone = Queued(0, after, attempts, failure, given.place.waiting)
            outcome = replace(waiting, failure=failure) if waiting else alone
        case FailureKind.TERMINAL if not resource.deleting:
            found, doubtful = _with_doubt(resource, given, found, action)
            if not doubtful:
                outcome, owed = Stalled(Reason.REFUSED_BY_AWS, f"AWS refuses {failure.operation}", failure), ()
        case _:
            pass
    return result(outcome, given, found, owed=owed)


def _with_doubt(
    resource: Resource, given: Circumstances, found: Findings, action: Action | None
) -> tuple[Findings, bool]:
    """Whether a refusal may be due to what AWS does not show yet, a call of another operator say; for how long."""
    before = resource.status
    doubted = before.settling is not None and before.retry is not None  # an older one has nothing to do with this
    if (isinstance(action, CreatePlan) and given.untouched) or doubted:
        return found, found.settling is not None and given.now < found.settling.until
    return replace(found, settling=Settling(until=given.now + given.settle)), True


def scope_refused(resource: Resource, given: Circumstances) -> Stalled | None:
    """Why the object's plan may not be looked for where the spec has it now, or None."""
    if given.scope is None:
        return Stalled(Reason.TARGET_REFUSED, given.refusal)
    arn = resource.status.edge_deployment_plan_arn
    if arn is None or region_of(arn) in {None, given.scope.region}:
        return None
    return _elsewhere(resource.plan_name, arn, f"region {given.scope.region}")


def _elsewhere(name: str, arn: str, scope: str) -> Stalled:
    return Stalled(
        Reason.PLAN_ELSEWHERE,
        f"the AWS plan {name} is {arn}, and the operator now works in {scope}; nothing is created or deleted there while "
        "that plan may stand. Point the operator back, or delete the object under policy.deletion Retain and create it again",
    )


def owes(given: Circumstances) -> OwedWork:
    """What was noticed and is still to be carried out."""
    edit: OwedWork = ("Edit",) if given.edited else ()
    request: OwedWork = ("Request",) if given.asked else ()
    return edit + request


def final(outcome: Outcome | Next) -> Outcome:
    """The outcome of an attempt that ends here although there is more to do."""
    return Waiting(STAGE_POLL, outcome.reason, outcome.message) if isinstance(outcome, Next) else outcome


def result(outcome: Outcome | Next, given: Circumstances, found: Findings, *, owed: OwedWork = ()) -> Result:
    """What an attempt came to that ends here."""
    untouched = given.untouched and found.arn is None and found.settling is None
    return Result(final(outcome), found, owed, untouched)
