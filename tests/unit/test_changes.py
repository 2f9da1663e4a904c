"""Stages and tags: whatever the spec and AWS hold, the calls lead from one to the other."""

from dataclasses import replace

from hypothesis import given as generate
from hypothesis import strategies as st

from controller.domain.actions import Action, AddTags, CreateStages, DeleteStage, DeleteTags
from controller.domain.api import OWNER_TAG
from controller.domain.changes import immutable_changes, stage_changes, tag_changes
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Stalled, Waiting
from controller.domain.spec import Stage
from controller.domain.stage import StageStatus
from tests.unit.builders import ARN, OWNER, desired, observed, observed_stage, stage

NAMES = st.sampled_from("abcde")
WANTED = st.lists(st.tuples(NAMES, st.integers(1, 2)), unique_by=lambda each: each[0], max_size=5)
STATUS = st.sampled_from(("READYTODEPLOY", "STOPPED", "FAILED", "DEPLOYED", "INPROGRESS"))
HELD = st.lists(st.tuples(NAMES, st.integers(1, 2), STATUS), unique_by=lambda each: each[0], max_size=5)
TAGS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"))


def stages(wanted: list[tuple[str, int]]) -> list[Stage]:
    return [stage(name, percentage) for name, percentage in wanted]


def plan_of(held: list[tuple[str, int, StageStatus]]) -> ObservedPlan:
    return observed().but(stages=tuple(observed_stage(stage(name, share), how) for name, share, how in held))


def after(plan: ObservedPlan, actions: tuple[Action, ...]) -> ObservedPlan:
    """What AWS holds after the calls: it appends, and refuses what is active."""
    for action in actions:
        if isinstance(action, DeleteStage):
            doomed = plan.stage(action.stage)
            assert doomed is not None
            assert not doomed.active
            plan = replace(plan, stages=tuple(each for each in plan.stages if each.name != action.stage))
        elif isinstance(action, CreateStages):
            plan = replace(plan, stages=plan.stages + tuple(map(observed_stage, action.stages)))
        elif isinstance(action, AddTags):
            plan = plan.with_tags({**(plan.tags or {}), **action.tags})
        elif isinstance(action, DeleteTags):
            plan = plan.with_tags({key: value for key, value in (plan.tags or {}).items() if key not in action.keys})
    return plan


@generate(wanted=WANTED, held=HELD)
def test_stages_reach_the_spec_or_say_why_not(
    wanted: list[tuple[str, int]], held: list[tuple[str, int, StageStatus]]
) -> None:
    want, plan = desired(*stages(wanted)), plan_of(held)
    changes = stage_changes(want, plan)
    if isinstance(changes, Waiting):
        assert any(each.active for each in plan.stages)
        return
    if isinstance(changes, Stalled):
        assert any(each.status == "DEPLOYED" and each.name in dict(wanted) for each in plan.stages)
        return
    reached = after(plan, changes)
    assert [each.name for each in reached.stages] == [name for name, _ in wanted]
    assert stage_changes(want, reached) == ()


@generate(wanted=WANTED, held=HELD)
def test_deployed_stage_that_the_spec_has_is_never_deleted(
    wanted: list[tuple[str, int]], held: list[tuple[str, int, StageStatus]]
) -> None:
    changes = stage_changes(desired(*stages(wanted)), plan_of(held))
    deployed = {name for name, _, how in held if how == "DEPLOYED"} & {name for name, _ in wanted}
    if isinstance(changes, tuple):
        assert not deployed & {action.stage for action in changes if isinstance(action, DeleteStage)}


@generate(wanted=WANTED)
def test_stages_in_sync_cost_no_call(wanted: list[tuple[str, int]]) -> None:
    held = observed(*stages(wanted))
    assert stage_changes(desired(*stages(wanted)), held) == ()


@generate(wanted=TAGS, have=TAGS, applied=st.sets(st.sampled_from("abcd")))
def test_tags_reach_the_spec_and_leave_those_of_others(
    wanted: dict[str, str], have: dict[str, str], applied: set[str]
) -> None:
    want, plan = desired(tags=wanted), observed(tags=have)
    reached = after(plan, tag_changes(want, ARN, plan.tags, sorted(applied)))
    others = {key: value for key, value in have.items() if key not in applied and key not in wanted}
    assert reached.tags == others | wanted | {OWNER_TAG: OWNER.tag_value}
    assert tag_changes(want, ARN, reached.tags, sorted(applied | wanted.keys())) == ()


def test_tags_that_were_not_fetched_are_not_judged() -> None:
    assert tag_changes(desired(tags={"team": "retail"}), ARN, None, ()) == ()


def test_both_immutable_fields_are_named() -> None:
    want = desired(deviceFleetName="other", modelConfigs=[])
    changes = immutable_changes(want, observed())
    assert changes == (
        "deviceFleetName: store-cameras -> other",
        "modelConfigs: people-counter=people-counter-v7 -> none",
    )


def test_nothing_immutable_differs_in_a_plan_as_specified() -> None:
    assert immutable_changes(desired("canary"), observed("canary")) == ()
