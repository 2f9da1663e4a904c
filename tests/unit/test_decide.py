"""What holds of every decision, whatever is desired and observed. Single cases: test_lifecycle.py."""

from dataclasses import replace
from typing import Any

from hypothesis import given as generate
from hypothesis import strategies as st

from controller.domain.actions import AddTags, CreatePlan, DeletePlan, StartStage, StopStage
from controller.domain.api import OWNER_TAG
from controller.domain.circumstances import Circumstances
from controller.domain.decide import decide, decide_deletion
from controller.domain.desired import Desired
from controller.domain.forecast import pending
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Done, Gone, Next, Pending, Stalled, Waiting
from controller.domain.ownership import Owner
from controller.domain.relation import Relation, relation
from controller.domain.stage import StageStatus
from tests.unit.builders import MINUTE, NOON, OWNER, desired, given, observed, observed_stage, rollout, stage, status

NAMES = st.sampled_from(["canary", "tenth", "fleet"])
STATUSES: st.SearchStrategy[StageStatus] = st.sampled_from(
    ["CREATING", "READYTODEPLOY", "STARTING", "INPROGRESS", "DEPLOYED", "FAILED", "STOPPING", "STOPPED"]
)
TAGS = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["1", "2"]))
OWNERS = st.sampled_from([OWNER.tag_value, Owner("cluster-2", "retail", "z", "uid-z").tag_value, "by hand", None])
POLICY = {
    "adoption": ["Never", "Adopt"],
    "replacement": ["Never", "Recreate"],
}
POLICIES = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in POLICY.items()})


@st.composite
def desires(draw: st.DrawFn) -> Desired:
    """Anything that an object can ask for."""
    stages = [stage(name, draw(st.sampled_from([10, 20]))) for name in draw(st.lists(NAMES, unique=True))]
    fields: dict[str, Any] = {
        "policy": draw(POLICIES),
        "deviceFleetName": draw(st.sampled_from(["store-cameras", "b"])),
    }
    gate = draw(st.sampled_from([None, *(each.stage_name for each in stages)]))
    if gate is not None:
        fields["rollout"] = rollout(throughStage=gate, **draw(st.sampled_from([{}, {"maxFailedPercent": 10}])))
    return desired(*stages, tags=draw(TAGS), **fields)


@st.composite
def plans(draw: st.DrawFn) -> ObservedPlan:
    """Anything that AWS can hold under the plan's name."""
    stages = tuple(
        observed_stage(
            stage(name, draw(st.sampled_from([10, 20]))), draw(STATUSES), succeeded=5, failed=draw(st.integers(0, 5))
        )
        for name in draw(st.lists(NAMES, unique=True))
    )
    owner = draw(OWNERS)
    tags = draw(TAGS) | ({} if owner is None else {OWNER_TAG: owner})
    return observed().but(stages=stages, tags=tags, created=draw(st.sampled_from([NOON, NOON + MINUTE])))


CIRCUMSTANCES = st.builds(
    given,
    before=st.sampled_from([status(), status(arn=None), status(applied_tag_keys=(OWNER_TAG, "team"))]),
    asked=st.booleans(),
    edited=st.booleans(),
    other_owner_lives=st.booleans(),
)


@generate(desires(), st.none() | plans(), CIRCUMSTANCES)
def test_observe_ends_without_a_promise_or_lists_calls_that_manage_would_begin_with(
    want: Desired, held: ObservedPlan | None, circumstances: Circumstances
) -> None:
    outcome = pending(want, held, circumstances)
    assert isinstance(outcome, Done | Waiting | Stalled | Pending)
    first = decide(want, held, replace(circumstances, adopting=True)).actions
    if isinstance(outcome, Pending):
        assert outcome.actions[: len(first)] == first
        assert outcome.actions


@generate(desires(), st.none() | plans(), CIRCUMSTANCES)
def test_every_decision_ends_in_an_outcome_that_a_look_can_have(
    want: Desired, held: ObservedPlan | None, circumstances: Circumstances
) -> None:
    outcome = decide(want, held, circumstances).outcome
    assert isinstance(outcome, Done | Waiting | Stalled | Next)


@generate(desires(), plans(), CIRCUMSTANCES)
def test_plan_that_is_not_ours_is_tagged_first_or_left_alone(
    want: Desired, held: ObservedPlan, circumstances: Circumstances
) -> None:
    decision = decide(want, held, circumstances)
    if relation(held, want, circumstances.status) is Relation.OURS or not decision.actions:
        return
    first = decision.actions[0]
    assert isinstance(first, AddTags)
    assert first.tags[OWNER_TAG] == OWNER.tag_value


@generate(desires(), plans(), CIRCUMSTANCES)
def test_plan_is_deleted_only_to_be_replaced(want: Desired, held: ObservedPlan, circumstances: Circumstances) -> None:
    actions = decide(want, held, circumstances).actions
    replaced = want.spec.recreates and want.spec.device_fleet_name != held.fleet
    assert replaced or not any(isinstance(action, DeletePlan) for action in actions)
    if any(isinstance(action, DeletePlan) for action in actions):
        assert not any(each.active for each in held.stages)


@generate(desires(), plans(), CIRCUMSTANCES)
def test_stages_are_started_and_stopped_only_where_somebody_wants_it(
    want: Desired, held: ObservedPlan, circumstances: Circumstances
) -> None:
    actions = decide(want, held, circumstances).actions
    assert want.spec.rollout is not None or not any(isinstance(action, StartStage) for action in actions)
    wanted = want.spec.rollout is not None or want.spec.recreates
    assert wanted or not any(isinstance(action, StopStage) for action in actions)


@generate(desires(), st.none() | plans(), CIRCUMSTANCES)
def test_plan_is_created_only_where_none_is(
    want: Desired, held: ObservedPlan | None, circumstances: Circumstances
) -> None:
    created = any(isinstance(action, CreatePlan) for action in decide(want, held, circumstances).actions)
    assert created == (held is None)


@generate(desires(), st.none() | plans(), CIRCUMSTANCES)
def test_deletion_ends_and_touches_only_what_is_ours(
    want: Desired, held: ObservedPlan | None, circumstances: Circumstances
) -> None:
    decision = decide_deletion(want, held, circumstances)
    assert isinstance(decision.outcome, Gone | Waiting)
    if decision.actions:
        assert held is not None
        assert relation(held, want, circumstances.status) in {Relation.OURS, Relation.OURS_TO_TAG}
    if isinstance(decision.outcome, Waiting):
        assert held is not None
        assert any(each.active for each in held.stages)
