"""What holds of every conversation, whatever the object is and whatever AWS and the cluster answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given as generate
from hypothesis import settings
from hypothesis import strategies as st

from controller.domain.actions import Action, AddTags, CreatePlan, DeletePlan, StartStage
from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.attempt import attempt
from controller.domain.changes import new_references
from controller.domain.circumstances import Circumstances
from controller.domain.conversation import Announce, Answer, Ask, Exists, Finalizer, Look, Request, Result, TagsOf
from controller.domain.desired import Desired, Reference
from controller.domain.failures import Failure, FailureKind
from controller.domain.observed import Created, ObservedPlan
from controller.domain.outcomes import Gone, Next, Queued, Retrying, Stalled, Waiting
from controller.domain.ownership import Owner, Reach, Rights
from controller.domain.quota import Place
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.schedule import LONGEST
from controller.domain.summarize import summarize
from tests.unit.builders import (
    ACCOUNT,
    ARN,
    MINUTE,
    NAME,
    NOON,
    OWNER,
    PROCESS,
    REFUSED_FOR_QUOTA,
    condition,
    given,
    observed,
    observed_stage,
    plan,
    retry,
    rollout,
    settling,
    stage,
    status,
)
from tests.unit.dialogue import word
from tests.unit.test_decide import OWNERS, STATUSES

MOST_REQUESTS = 60
SETTLE = timedelta(seconds=60)

FAILURES = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    st.just("AnyOperation"),
    st.sampled_from(["ResourceNotFound", "ResourceInUse", "ValidationException", "SomethingNew"]),
    st.just("no"),
    st.sampled_from(["request-1", None]),
    st.booleans(),
)
MOMENTS = st.integers(-90, 90).map(lambda seconds: NOON + timedelta(seconds=seconds))
SPANS = st.sampled_from([timedelta(0), timedelta(seconds=30), SETTLE])
STALLS = st.sampled_from([*Reason, "OfAnotherVersion"])


@st.composite
def plans_of_aws(draw: st.DrawFn) -> ObservedPlan:
    """Anything that a look can show."""
    stages = tuple(
        observed_stage(stage(name, draw(st.sampled_from([10, 20]))), draw(STATUSES), failed=draw(st.integers(0, 2)))
        for name in draw(st.lists(st.sampled_from(["canary", "fleet"]), unique=True))
    )
    owner = draw(OWNERS | st.sampled_from([Owner(*_identity, uid).tag_value for uid in ("uid-0", "uid-2")]))
    return observed().but(
        stages=stages,
        fleet=draw(st.sampled_from([NAME, "other"])),
        arn=draw(st.sampled_from([ARN, ARN.replace(ACCOUNT, "999999999999")])),
        tags={} if owner is None else {OWNER_TAG: owner, "team": "retail"},
        created=draw(MOMENTS),
        modified=draw(MOMENTS),
    )


_identity = (OWNER.cluster, OWNER.namespace, OWNER.name)


@st.composite
def objects(draw: st.DrawFn) -> Resource:
    """Anything that an object can be when an attempt begins."""
    policy = {
        name: draw(st.sampled_from(values))
        for name, values in {
            "management": ["Manage", "Manage", "Observe"],
            "adoption": ["Never", "Adopt"],
            "replacement": ["Never", "Recreate"],
            "deletion": ["Delete", "Delete", "Retain"],
        }.items()
    }
    stalled = draw(st.none() | STALLS)
    conditions = (condition("Ready", "False"), condition("Stalled", reason=stalled)) if stalled else ()
    before = status(
        arn=draw(st.sampled_from([None, ARN, ARN.replace("eu-west-1", "us-east-1")])),
        conditions=conditions,
        retry=retry(draw(st.integers(1, 9)), NOON) if draw(st.booleans()) else None,
        settling=draw(st.none() | st.builds(settling, MOMENTS, created_after=st.none() | MOMENTS)),
        owed=draw(st.sampled_from([None, ("Edit",), ("Edit", "Request")])),
    )
    fields: dict[str, Any] = {"rollout": rollout()} if draw(st.booleans()) else {}
    return plan(
        "canary",
        "fleet",
        status=draw(st.sampled_from([before, status(arn=None, generation=-1)])),
        generation=draw(st.integers(1, 2)),
        deleting=draw(st.sampled_from([False, False, False, True])),
        has_finalizer=draw(st.booleans()),
        requested=draw(st.sampled_from([None, "again"])),
        suspend=draw(st.sampled_from([False, False, False, True])),
        tags=draw(st.sampled_from([{}, {"team": "retail"}, {"crew": "retail"}])),
        policy=policy,
        **fields,
    )


NAMESAKES = st.sampled_from(
    [
        (),
        (plan(name="older", uid="uid-a", age=MINUTE, edgeDeploymentPlanName=NAME),),
        (plan(name="younger", uid="uid-z", age=-MINUTE, edgeDeploymentPlanName=NAME, status=status()),),
    ]
)
PLACES = st.sampled_from([Place(), Place(1, 2, REFUSED_FOR_QUOTA)])


@st.composite
def circumstances(draw: st.DrawFn, resource: Resource) -> Circumstances:
    """Anything that the reconciler can tell an attempt about that object."""
    owed = resource.status.owed or ()
    return given(
        draw(MOMENTS),
        before=resource.status,
        asked=resource.asked or "Request" in owed,
        edited=resource.edited or "Edit" in owed,
        wakes=draw(st.frozensets(st.sampled_from(Wake))),
        settling_for=draw(SPANS),
        starting_for=draw(SPANS),
        rights=Rights(draw(st.sampled_from(Reach)), draw(st.sampled_from(Reach)), draw(st.booleans())),
        namesakes=draw(NAMESAKES),
        place=draw(PLACES),
        untouched=draw(st.booleans()) and not resource.status.has_plan and resource.status.settling is None,
        dice=draw(st.sampled_from([0.0, 0.5, 0.999])),
    )


@dataclass
class Conversation:
    """What was asked and answered, and how it ended."""

    resource: Resource
    given: Circumstances
    said: list[tuple[Request, Answer]]
    result: Result

    def before(self, position: int) -> list[tuple[Request, Answer]]:
        return self.said[:position]

    @property
    def actions(self) -> list[tuple[int, Action, Answer]]:
        """The calls that change AWS, each with its place and its answer."""
        return [
            (place, request, answer)
            for place, (request, answer) in enumerate(self.said)
            if not isinstance(request, Look | TagsOf | Reference | Exists | Ask | Announce | Finalizer)
        ]


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A whole attempt, each request answered by anything that fits it."""
    resource = draw(objects())
    told = draw(circumstances(resource))
    talk, said = attempt(resource, told), list[tuple[Request, Answer]]()
    answer: Answer = None
    while True:
        try:
            request = talk.send(answer)
        except StopIteration as end:
            return Conversation(resource, told, said, end.value)
        answer = draw(_answers(request, resource))
        said.append((request, answer))
        assert len(said) < MOST_REQUESTS, [word(each) for each, _ in said]


def _answers(request: Request, resource: Resource) -> st.SearchStrategy[Any]:
    match request:
        case Look(with_tags=with_tags):
            shown = plans_of_aws().map(lambda held: held if with_tags else replace(held, tags=None))
            return st.none() | shown | shown | FAILURES
        case TagsOf():
            return plans_of_aws().map(lambda held: held.tags or {}) | FAILURES
        case Exists() | Ask.DEFINITION_GOING:
            return st.booleans()
        case Reference():
            return st.sampled_from(["", "COMPLETED", "COMPLETED", "INPROGRESS", "FAILED"]) | FAILURES
        case Ask.ACCOUNT:
            return st.sampled_from([ACCOUNT, ACCOUNT, "999999999999"]) | FAILURES
        case Announce() | Finalizer():
            return st.just(resource)
        case CreatePlan():
            return st.builds(Created, st.just(ARN), st.none() | MOMENTS) | FAILURES
        case _:
            return st.none() | FAILURES


# -- the promises -----------------------------------------------------------------------------------------------------


def every_conversation_ends_in_an_outcome_with_a_wait_that_is_not_too_long(talk: Conversation) -> None:
    outcome = talk.result.outcome
    assert not isinstance(outcome, Next)
    if isinstance(outcome, Waiting | Retrying | Queued):
        assert timedelta(0) < outcome.after <= LONGEST


def conversation_can_always_be_written_down(talk: Conversation) -> None:
    moment: datetime = talk.given.now
    after = summarize(talk.resource, talk.result.outcome, talk.result.found, moment, owed=talk.result.owed)
    assert type(after).model_validate(after.wire()).wire() == after.wire()
    for request, _ in talk.said:
        if isinstance(request, Announce):
            middle = summarize(
                talk.resource, request.outcome, request.found, moment, owed=request.owed, claim=request.claim
            )
            assert middle.claim is not None
            assert middle.claim.by == PROCESS
            assert timedelta(0) < middle.claim.until - moment <= SETTLE


def plan_is_never_created_while_another_object_holds_its_name(talk: Conversation) -> None:
    older = any(other.uid == "uid-a" for other in talk.given.namesakes)
    for place, action, _ in talk.actions:
        if isinstance(action, CreatePlan) and older and not talk.resource.status.has_plan:
            shown = [answer for _, answer in talk.before(place) if isinstance(answer, ObservedPlan)]
            assert any(held.tags and held.tags.get(OWNER_TAG) == OWNER.tag_value for held in shown)


def plan_is_created_only_where_the_last_look_found_none(talk: Conversation) -> None:
    for place, action, _ in talk.actions:
        if isinstance(action, CreatePlan):
            looks = [
                (at, answer) for at, (request, answer) in enumerate(talk.before(place)) if isinstance(request, Look)
            ]
            deleted = [at for at, each, _ in talk.actions if isinstance(each, DeletePlan) and at < place]
            assert not looks or looks[-1][1] is None or (deleted and deleted[-1] > looks[-1][0])


def what_must_not_be_done_twice_is_announced_first(talk: Conversation) -> None:
    if talk.resource.deleting:
        return
    for place, action, _ in talk.actions:
        notes = [request for request, _ in talk.before(place) if isinstance(request, Announce)]
        if isinstance(action, StartStage | DeletePlan):
            assert notes
        if isinstance(action, CreatePlan) and any(isinstance(each, DeletePlan) for _, each, _ in talk.actions[:-1]):
            assert notes
        if isinstance(action, AddTags):
            known = set(talk.resource.status.applied_tag_keys or ())
            for note in notes:
                known |= note.found.applied_tag_keys
            seen = [answer for _, answer in talk.before(place) if isinstance(answer, ObservedPlan)]
            known |= set(seen[-1].tags or ()) | {OWNER_TAG}
            assert action.tags.keys() <= known


def plan_is_taken_down_only_for_one_that_can_be_made(talk: Conversation) -> None:
    if talk.resource.deleting:
        return
    for place, action, _ in talk.actions:
        if not isinstance(action, DeletePlan):
            continue
        shown = [answer for _, answer in talk.before(place) if isinstance(answer, ObservedPlan)][-1]
        told = {request: answer for request, answer in talk.before(place) if isinstance(request, Reference)}
        for reference in new_references(Desired(NAME, talk.resource.readable_spec, OWNER), shown):
            assert told[reference] in {"", "COMPLETED"}


def first_failed_call_is_followed_by_nothing_but_looks_until_it_is_judged(talk: Conversation) -> None:
    for place, (_, answer) in enumerate(talk.said[:-1]):
        if isinstance(answer, Failure):
            assert isinstance(talk.said[place + 1][0], Look)


def unanswered_create_leaves_a_doubt_in_the_status(talk: Conversation) -> None:
    for place, action, answer in talk.actions:
        if isinstance(action, CreatePlan) and isinstance(answer, Failure) and not answer.harmless:
            found_after = any(isinstance(after, ObservedPlan | Created) for _, after in talk.said[place + 1 :])
            assert found_after or talk.result.found.settling is not None
            assert not talk.result.untouched


def created_plan_is_never_forgotten(talk: Conversation) -> None:
    if talk.actions and isinstance(talk.actions[-1][1], CreatePlan) and isinstance(talk.actions[-1][2], Created):
        assert talk.result.found.arn == ARN


def owed_work_survives_every_failure(talk: Conversation) -> None:
    outcome = talk.result.outcome
    if talk.resource.deleting or not talk.said or not isinstance(outcome, Retrying):
        return
    worked = any(not isinstance(answer, Failure) for _, _, answer in talk.actions)
    for kind, noticed in (("Edit", talk.given.edited), ("Request", talk.given.asked)):
        assert not noticed or kind in talk.result.owed or worked


def object_that_stands_back_changes_nothing(talk: Conversation) -> None:
    standing_back = {
        Reason.NAME_CONFLICT,
        Reason.NOT_OWNED,
        Reason.NOT_PERMITTED,
        Reason.OWNERSHIP_LOST,
        Reason.PLAN_ELSEWHERE,
        Reason.TARGET_REFUSED,
        Reason.INVALID_SPEC,
    }
    outcome = talk.result.outcome
    if isinstance(outcome, Stalled) and outcome.reason in standing_back:
        assert [action for _, action, answer in talk.actions if not isinstance(answer, Failure)] == []


def nothing_that_changes_aws_is_called_under_observe_or_suspend(talk: Conversation) -> None:
    spec = talk.resource.readable_spec
    if not spec.manages or (spec.suspend and not talk.resource.deleting):
        assert talk.actions == []


def object_goes_only_when_it_is_deleted_and_takes_nothing_of_others(talk: Conversation) -> None:
    outcome = talk.result.outcome
    assert not isinstance(outcome, Gone) or talk.resource.deleting
    if talk.resource.deleting:
        assert not isinstance(outcome, Stalled) or outcome.reason is Reason.PLAN_ELSEWHERE
        for place, action, _ in talk.actions:
            assert not isinstance(action, CreatePlan | AddTags | StartStage)
            shown = [answer for _, answer in talk.before(place) if isinstance(answer, ObservedPlan)]
            value = (shown[-1].tags or {}).get(OWNER_TAG)
            assert value is None or value.startswith("/".join(_identity))


def object_that_certainly_has_nothing_says_so_only_if_no_call_says_otherwise(talk: Conversation) -> None:
    if talk.result.untouched:
        assert not any(isinstance(answer, Created) for _, _, answer in talk.actions)
        assert talk.result.found.arn is None
        assert talk.result.found.settling is None


PROMISES: tuple[Callable[[Conversation], None], ...] = (
    every_conversation_ends_in_an_outcome_with_a_wait_that_is_not_too_long,
    conversation_can_always_be_written_down,
    plan_is_never_created_while_another_object_holds_its_name,
    plan_is_created_only_where_the_last_look_found_none,
    what_must_not_be_done_twice_is_announced_first,
    plan_is_taken_down_only_for_one_that_can_be_made,
    first_failed_call_is_followed_by_nothing_but_looks_until_it_is_judged,
    unanswered_create_leaves_a_doubt_in_the_status,
    created_plan_is_never_forgotten,
    owed_work_survives_every_failure,
    object_that_stands_back_changes_nothing,
    nothing_that_changes_aws_is_called_under_observe_or_suspend,
    object_goes_only_when_it_is_deleted_and_takes_nothing_of_others,
    object_that_certainly_has_nothing_says_so_only_if_no_call_says_otherwise,
)


@generate(conversations())
@settings(max_examples=300, deadline=None)
def test_every_conversation_keeps_every_promise(talk: Conversation) -> None:
    for promise in PROMISES:
        promise(talk)
