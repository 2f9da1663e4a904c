"""One test for every row of the tables in docs/lifecycle.md, under the same name."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

from controller.domain.actions import (
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.agenda import Wake, Work, agenda
from controller.domain.api import OWNER_TAG
from controller.domain.decide import decide, decide_deletion
from controller.domain.desired import Desired
from controller.domain.drift import suspects
from controller.domain.findings import Findings
from controller.domain.forecast import pending
from controller.domain.observed import ObservedPlan, PlanSummary
from controller.domain.outcomes import Decision, Done, Gone, Next, Pending, Stalled, Waiting
from controller.domain.ownership import Owner, Reach, Rights
from controller.domain.reasons import Reason
from controller.domain.schedule import STAGE_POLL
from controller.domain.stage import StageStatus
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.domain.summarize import summarize
from controller.schema.crd import custom_resource_definition
from tests.unit.builders import (
    ARN,
    MINUTE,
    MODEL,
    NAME,
    NOON,
    OWNER,
    condition,
    desired,
    given,
    named,
    observed,
    plan,
    rollout,
    stage,
    state,
    status,
)

STOPPABLE: tuple[StageStatus, ...] = ("STARTING", "INPROGRESS")
ACTIVE: tuple[StageStatus, ...] = ("CREATING", "STARTING", "INPROGRESS", "STOPPING")
NOT_DEPLOYED: tuple[StageStatus, ...] = ("READYTODEPLOY", "STOPPED", "FAILED")
INACTIVE: tuple[StageStatus, ...] = (*NOT_DEPLOYED, "DEPLOYED")
EVERY: tuple[StageStatus, ...] = (*ACTIVE, *INACTIVE)
IN_SYNC = Done(Reason.IN_SYNC, "AWS holds the plan as specified")
OTHER = Owner(OWNER.cluster, "retail", "other-object", "uid-2")
ELSEWHERE = Owner("cluster-2", "retail", NAME, "uid-9")
RECREATE = {"replacement": "Recreate"}
ADOPT = {"adoption": "Adopt"}


def tagged(value: str | None) -> ObservedPlan:
    return observed().tagged({} if value is None else {OWNER_TAG: value})


def never_ours() -> EdgeDeploymentPlanStatus:
    return status(arn=None)


def reason(decision: Decision) -> str:
    assert isinstance(decision.outcome, Waiting | Stalled | Done | Gone | Next)
    return decision.outcome.reason


# -- creation ---------------------------------------------------------------------------------------------------------


def test_missing_plan_is_created_with_the_ownership_tag() -> None:
    decision = decide(desired("canary", tags={"team": "retail"}), None, given())
    tags = {"team": "retail", OWNER_TAG: OWNER.tag_value}
    assert decision == Decision((CreatePlan(NAME, NAME, (MODEL,), (stage("canary"),), tags),), IN_SYNC)


def test_plan_in_sync_is_left_alone() -> None:
    assert decide(desired("canary"), observed("canary"), given()) == Decision((), IN_SYNC)


# -- stages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage_status", EVERY)
def test_stage_added_at_the_end_is_appended(stage_status: StageStatus) -> None:
    decision = decide(desired("canary", "fleet"), observed().at("canary", stage_status), given())
    assert decision.actions == (CreateStages(NAME, (stage("fleet"),)),)


@pytest.mark.parametrize("stage_status", NOT_DEPLOYED)
def test_stage_added_before_others_recreates_those_that_are_not_deployed(stage_status: StageStatus) -> None:
    decision = decide(desired("canary", "fleet"), observed().at("fleet", stage_status), given())
    assert decision.actions == (DeleteStage(NAME, "fleet"), CreateStages(NAME, (stage("canary"), stage("fleet"))))


@pytest.mark.parametrize("stage_status", ACTIVE)
def test_stage_added_before_an_active_one_waits(stage_status: StageStatus) -> None:
    decision = decide(desired("canary", "fleet"), observed().at("fleet", stage_status), given())
    assert (decision.actions, reason(decision)) == ((), "StageActive")


def test_stage_added_before_a_deployed_one_stalls() -> None:
    decision = decide(desired("canary", "fleet"), observed().at("fleet", "DEPLOYED"), given())
    assert (decision.actions, reason(decision)) == ((), "DeployedStageChanged")


@pytest.mark.parametrize("stage_status", INACTIVE)
def test_stage_removed_is_deleted(stage_status: StageStatus) -> None:
    decision = decide(desired("fleet"), observed().at("canary", stage_status).at("fleet", "READYTODEPLOY"), given())
    assert decision.actions == (DeleteStage(NAME, "canary"),)


@pytest.mark.parametrize("stage_status", ACTIVE)
def test_stage_removed_while_active_waits(stage_status: StageStatus) -> None:
    decision = decide(desired("canary"), observed("canary").at("fleet", stage_status), given())
    assert decision.actions == ()
    assert isinstance(decision.outcome, Waiting)
    assert decision.outcome.reason == "StageActive"
    assert decision.outcome.after == STAGE_POLL


def test_all_stages_removed_leaves_a_plan_without_stages() -> None:
    decision = decide(desired(), observed("canary", "fleet"), given())
    assert decision.actions == (DeleteStage(NAME, "canary"), DeleteStage(NAME, "fleet"))


@pytest.mark.parametrize("stage_status", NOT_DEPLOYED)
def test_stages_reordered_are_recreated_from_the_first_that_moved(stage_status: StageStatus) -> None:
    held = observed("canary").at("tenth", stage_status).at("fleet", stage_status)
    decision = decide(desired("canary", "fleet", "tenth"), held, given())
    assert decision.actions == (DeleteStage(NAME, "tenth"), CreateStages(NAME, (stage("tenth"),)))


def test_stages_reordered_around_a_deployed_one_stalls() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "DEPLOYED")
    assert reason(decide(desired("fleet", "canary"), held, given())) == "DeployedStageChanged"


@pytest.mark.parametrize("stage_status", NOT_DEPLOYED)
def test_stage_changed_is_recreated(stage_status: StageStatus) -> None:
    decision = decide(desired(stage("canary", 20)), observed().at("canary", stage_status), given())
    assert decision.actions == (DeleteStage(NAME, "canary"), CreateStages(NAME, (stage("canary", 20),)))


def test_stages_behind_a_changed_one_are_recreated_to_keep_the_order() -> None:
    decision = decide(desired(stage("canary", 20), "fleet"), observed("canary", "fleet"), given())
    assert decision.actions == (
        DeleteStage(NAME, "canary"),
        DeleteStage(NAME, "fleet"),
        CreateStages(NAME, (stage("canary", 20), stage("fleet"))),
    )


@pytest.mark.parametrize("stage_status", ACTIVE)
def test_stage_changed_while_active_waits(stage_status: StageStatus) -> None:
    decision = decide(desired(stage("canary", 20)), observed().at("canary", stage_status), given())
    assert (decision.actions, reason(decision)) == ((), "StageActive")


def test_stage_changed_after_deployment_stalls() -> None:
    decision = decide(desired(stage("canary", 20)), observed().at("canary", "DEPLOYED"), given())
    assert isinstance(decision.outcome, Stalled)
    assert decision.outcome.reason == "DeployedStageChanged"
    assert "its settings changed" in decision.outcome.message


def test_failure_policy_changed_is_a_change_of_the_stage() -> None:
    want = stage("canary", policy="DO_NOTHING")
    decision = decide(desired(want), observed("canary"), given())
    assert decision.actions == (DeleteStage(NAME, "canary"), CreateStages(NAME, (want,)))


def test_failure_policy_left_out_takes_what_aws_has() -> None:
    held = observed(stage("canary", policy="DO_NOTHING"))
    assert decide(desired("canary"), held, given()) == Decision((), IN_SYNC)


def test_device_names_in_another_order_are_the_same() -> None:
    held = observed(named("canary", "till-1", "till-2"))
    assert decide(desired(named("canary", "till-2", "till-1")), held, given()) == Decision((), IN_SYNC)


@pytest.mark.parametrize("stage_status", INACTIVE)
def test_stage_added_at_aws_is_deleted(stage_status: StageStatus) -> None:
    decision = decide(desired("canary"), observed("canary").at("by-hand", stage_status), given())
    assert decision.actions == (DeleteStage(NAME, "by-hand"),)


def test_stage_deleted_at_aws_comes_back() -> None:
    decision = decide(desired("canary", "fleet"), observed("canary"), given())
    assert decision.actions == (CreateStages(NAME, (stage("fleet"),)),)


# -- tags -------------------------------------------------------------------------------------------------------------


def test_tag_added_is_put_on() -> None:
    decision = decide(desired(tags={"team": "retail"}), observed(), given())
    assert decision == Decision((AddTags(ARN, {"team": "retail"}),), IN_SYNC)


def test_tag_changed_is_overwritten() -> None:
    decision = decide(desired(tags={"team": "retail"}), observed(tags={"team": "stores"}), given())
    assert decision.actions == (AddTags(ARN, {"team": "retail"}),)


def test_tag_removed_is_taken_off() -> None:
    before = status(applied_tag_keys=(OWNER_TAG, "team"))
    decision = decide(desired(), observed(tags={"team": "retail"}), given(before=before))
    assert decision.actions == (DeleteTags(ARN, ("team",)),)


def test_tag_of_others_stays() -> None:
    assert decide(desired(), observed(tags={"cost-center": "7"}), given()) == Decision((), IN_SYNC)


def test_tag_swapped_is_removed_first_to_stay_under_50() -> None:
    before = status(applied_tag_keys=(OWNER_TAG, "team"))
    decision = decide(desired(tags={"crew": "retail"}), observed(tags={"team": "retail"}), given(before=before))
    assert decision.actions == (DeleteTags(ARN, ("team",)), AddTags(ARN, {"crew": "retail"}))


def test_tag_taken_off_at_aws_comes_back() -> None:
    before = status(applied_tag_keys=(OWNER_TAG, "team"))
    decision = decide(desired(tags={"team": "retail"}), observed(), given(before=before))
    assert decision.actions == (AddTags(ARN, {"team": "retail"}),)


def test_ownership_tag_taken_off_at_aws_comes_back() -> None:
    decision = decide(desired(), tagged(None), given())
    assert decision.actions == (AddTags(ARN, {OWNER_TAG: OWNER.tag_value}),)


def test_tags_are_changed_while_a_stage_is_active() -> None:
    held = observed().at("canary", "INPROGRESS")
    decision = decide(desired(stage("canary", 20), tags={"team": "retail"}), held, given())
    assert decision.actions == (AddTags(ARN, {"team": "retail"}),)
    assert reason(decision) == "StageActive"


def test_tags_are_changed_while_the_stages_stall() -> None:
    held = observed().at("canary", "DEPLOYED")
    decision = decide(desired(stage("canary", 20), tags={"team": "retail"}), held, given())
    assert decision.actions == (AddTags(ARN, {"team": "retail"}),)
    assert reason(decision) == "DeployedStageChanged"


# -- what AWS cannot change -------------------------------------------------------------------------------------------


def other_fleet(**policy: str) -> Desired:
    return desired(deviceFleetName="other-fleet", **({"policy": policy} if policy else {}))


def other_model(**policy: str) -> Desired:
    models = [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v8"}]
    return desired(modelConfigs=models, **({"policy": policy} if policy else {}))


def test_fleet_changed_under_never_stalls_with_both_values() -> None:
    decision = decide(other_fleet(), observed(), given())
    assert isinstance(decision.outcome, Stalled)
    assert (decision.actions, decision.outcome.reason) == ((), "ImmutableFieldChanged")
    assert f"deviceFleetName: {NAME} -> other-fleet" in decision.outcome.message
    assert "policy.replacement to Recreate" in decision.outcome.message


def test_what_an_adopted_plan_has_otherwise_is_to_be_set_as_it_is_there() -> None:
    adopting = other_fleet(adoption="Adopt")
    foreign = observed().but(tags={})
    decision = decide(adopting, foreign, given(before=EdgeDeploymentPlanStatus()))
    assert isinstance(decision.outcome, Stalled)
    assert f"deviceFleetName: {NAME} -> other-fleet. Set it as the plan has it, or set" in decision.outcome.message
    known = decide(other_fleet(), observed(), given())
    assert isinstance(known.outcome, Stalled)
    assert f"deviceFleetName: {NAME} -> other-fleet. Put it back, or set" in known.outcome.message


def test_models_changed_under_never_stalls_with_both_values() -> None:
    decision = decide(other_model(), observed(), given())
    assert isinstance(decision.outcome, Stalled)
    expected = "modelConfigs: people-counter=people-counter-v7 -> people-counter=people-counter-v8"
    assert expected in decision.outcome.message


def test_models_in_another_order_are_the_same() -> None:
    models = [{"modelHandle": "b", "edgePackagingJobName": "b-1"}, MODEL.wire()]
    held = observed().but(
        models=(MODEL, MODEL.model_copy(update={"model_handle": "b", "edge_packaging_job_name": "b-1"}))
    )
    assert decide(desired(modelConfigs=models), held, given()) == Decision((), IN_SYNC)


@pytest.mark.parametrize("stage_status", INACTIVE)
def test_immutable_field_changed_under_recreate_deletes_and_creates(stage_status: StageStatus) -> None:
    want = other_fleet(**RECREATE)
    decision = decide(want, observed().at("canary", stage_status), given())
    assert decision.actions == (DeletePlan(NAME),)
    assert isinstance(decision.outcome, Next)
    assert decision.outcome.reason == Reason.RECREATING
    (creation,) = decide(want, None, given()).actions
    assert isinstance(creation, CreatePlan)
    assert creation.fleet == "other-fleet"


def test_replacement_that_the_namespace_is_not_permitted_names_field_and_difference() -> None:
    circumstances = given(rights=Rights(recreate=False))
    decision = decide(other_fleet(**RECREATE), observed("canary"), circumstances)
    assert (decision.actions, reason(decision)) == ((), "NotPermitted")
    assert isinstance(decision.outcome, Stalled)
    refused, _, difference = decision.outcome.message.partition(", and AWS cannot change ")
    assert refused == "spec.policy.replacement Recreate is not permitted to namespace retail"
    assert difference.startswith("deviceFleetName")
    assert decide(desired("canary", policy=RECREATE), observed("canary"), circumstances).outcome == IN_SYNC


@pytest.mark.parametrize("stage_status", STOPPABLE)
def test_immutable_field_changed_under_recreate_stops_active_stages_first(stage_status: StageStatus) -> None:
    decision = decide(other_fleet(**RECREATE), observed().at("canary", stage_status), given())
    assert (decision.actions, reason(decision)) == ((StopStage(NAME, "canary"),), "StoppingStages")


@pytest.mark.parametrize("stage_status", ["CREATING", "STOPPING"])
def test_immutable_field_changed_under_recreate_waits_for_what_cannot_be_stopped(stage_status: StageStatus) -> None:
    decision = decide(other_fleet(**RECREATE), observed().at("canary", stage_status), given())
    assert (decision.actions, reason(decision)) == ((), "StoppingStages")


def _transitions() -> set[str]:
    (version,) = custom_resource_definition()["spec"]["versions"]
    rules = version["schema"]["openAPIV3Schema"]["x-kubernetes-validations"]
    return {rule["message"].split(":")[0] for rule in rules if "oldSelf" in rule["rule"]}


def test_plan_name_changed_is_refused_by_the_api_server() -> None:
    assert "edgeDeploymentPlanName cannot be changed" in _transitions()


def test_target_changed_is_refused_by_the_api_server() -> None:
    assert {"target.account cannot be changed", "target.region cannot be changed"} <= _transitions()


# -- ownership --------------------------------------------------------------------------------------------------------


def test_plan_made_by_hand_is_refused_under_never() -> None:
    decision = decide(desired(), tagged(None), given(before=never_ours()))
    assert (decision.actions, reason(decision)) == ((), "NotOwned")


def test_plan_made_by_hand_is_tagged_under_adopt() -> None:
    decision = decide(desired(policy=ADOPT), tagged(None), given(before=never_ours()))
    assert decision == Decision((AddTags(ARN, {OWNER_TAG: OWNER.tag_value}),), IN_SYNC)


def test_plan_adopted_under_recreate_is_tagged_before_it_is_deleted() -> None:
    decision = decide(other_fleet(**ADOPT, **RECREATE), tagged(None), given(before=never_ours()))
    assert decision.actions == (AddTags(ARN, {OWNER_TAG: OWNER.tag_value}), DeletePlan(NAME))


def test_plan_of_a_crashed_create_is_taken_over_silently() -> None:
    assert decide(desired(), tagged(OWNER.tag_value), given(before=never_ours())) == Decision((), IN_SYNC)


def test_plan_of_a_former_life_of_the_object_is_taken_over() -> None:
    former = Owner(OWNER.cluster, OWNER.namespace, OWNER.name, "uid-0")
    decision = decide(desired(), tagged(former.tag_value), given(before=never_ours()))
    assert decision == Decision((AddTags(ARN, {OWNER_TAG: OWNER.tag_value}),), IN_SYNC)


@pytest.mark.parametrize("policy", [{}, ADOPT])
def test_plan_of_a_living_object_is_never_taken(policy: dict[str, str]) -> None:
    decision = decide(desired(policy=policy), tagged(OTHER.tag_value), given(before=never_ours()))
    assert (decision.actions, reason(decision)) == ((), "NotOwned")


def test_plan_left_behind_by_a_deleted_object_is_refused_under_never() -> None:
    left = given(before=never_ours(), other_owner_lives=False)
    assert reason(decide(desired(), tagged(OTHER.tag_value), left)) == "NotOwned"


def test_plan_left_behind_by_a_deleted_object_is_tagged_under_adopt() -> None:
    left = given(before=never_ours(), other_owner_lives=False)
    decision = decide(desired(policy=ADOPT), tagged(OTHER.tag_value), left)
    assert decision.actions == (AddTags(ARN, {OWNER_TAG: OWNER.tag_value}),)


def test_plan_of_another_cluster_is_refused_under_never() -> None:
    assert reason(decide(desired(), tagged(ELSEWHERE.tag_value), given(before=never_ours()))) == "NotOwned"


def test_plan_of_another_cluster_needs_the_administrators_leave_to_be_adopted() -> None:
    for rights in (Rights(), Rights(adopt=Reach.CLUSTER)):
        decision = decide(desired(policy=ADOPT), tagged(ELSEWHERE.tag_value), given(before=never_ours(), rights=rights))
        assert (decision.actions, reason(decision)) == ((), "NotPermitted")
        assert isinstance(decision.outcome, Stalled)
        assert (
            "spec.policy.adoption Adopt: namespace retail is not permitted to take it over" in decision.outcome.message
        )


def test_plan_of_another_cluster_is_tagged_under_adopt() -> None:
    circumstances = given(before=never_ours(), rights=Rights(adopt=Reach.ANY))
    decision = decide(desired(policy=ADOPT), tagged(ELSEWHERE.tag_value), circumstances)
    assert decision.actions == (AddTags(ARN, {OWNER_TAG: OWNER.tag_value}),)


@pytest.mark.parametrize("policy", [{}, ADOPT])
def test_plan_that_another_cluster_took_is_not_taken_back(policy: dict[str, str]) -> None:
    decision = decide(desired(policy=policy), tagged(ELSEWHERE.tag_value), given())
    assert (decision.actions, reason(decision)) == ((), "OwnershipLost")


def test_plan_deleted_and_made_anew_by_hand_is_not_ours() -> None:
    reborn = observed().tagged({}).but(created=NOON + MINUTE)
    assert reason(decide(desired(), reborn, given())) == "NotOwned"


def test_foreign_plan_that_vanishes_lets_the_refused_object_in() -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=Reason.NOT_OWNED),))
    refused = plan(status=stalled)
    assert suspects([refused], {}) == {refused.key: Wake.DRIFT}
    assert isinstance(agenda(refused, frozenset({Wake.DRIFT}), NOON), Work)


def test_foreign_plan_that_stays_costs_no_look() -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=Reason.NOT_OWNED),))
    assert suspects([plan(status=stalled)], {NAME: PlanSummary(NAME, ARN, NOON)}) == {}


# -- Observe ----------------------------------------------------------------------------------------------------------

OBSERVE = {"management": "Observe"}


def test_observe_lists_the_creation_of_a_missing_plan() -> None:
    outcome = pending(desired(policy=OBSERVE), None, given(before=never_ours()))
    assert isinstance(outcome, Pending)
    assert [type(action) for action in outcome.actions] == [CreatePlan]


def test_observe_lists_the_start_of_a_stage_that_is_still_to_be_created() -> None:
    outcome = pending(desired("canary", policy=OBSERVE, rollout=rollout()), None, given(before=never_ours()))
    assert isinstance(outcome, Pending)
    assert [type(action) for action in outcome.actions] == [CreatePlan, StartStage]


def test_observe_lists_changes_in_the_order_in_which_manage_makes_them() -> None:
    outcome = pending(desired(stage("canary", 20), policy=OBSERVE), observed("canary"), given())
    assert isinstance(outcome, Pending)
    assert [str(action) for action in outcome.actions] == ["DeleteStage(canary)", "CreateStages(canary)"]
    assert outcome.differences == ("stage canary: percentage: 10 -> 20",)
    (ready,) = summarize(plan(), outcome, Findings(), NOON).conditions
    assert ready.message == (
        "AWS differs from the spec, in AWS -> in the spec: stage canary: percentage: 10 -> 20; "
        "Manage would call DeleteStage(canary), CreateStages(canary)"
    )


def test_observe_says_all_that_differs_and_what_to_correct_where_aws_cannot_change_it() -> None:
    want = desired(stage("canary", 20, "DO_NOTHING"), deviceFleetName="other", policy=OBSERVE)
    outcome = pending(want, observed("canary"), given())
    assert isinstance(outcome, Stalled)
    assert outcome.message == (
        f"what AWS cannot change differs, in AWS -> in the spec: deviceFleetName: {NAME} -> other; "
        "stage canary: percentage: 10 -> 20; "
        "stage canary: failureHandlingPolicy: ROLLBACK_ON_FAILURE -> DO_NOTHING. Correct the spec"
    )


def test_observe_reads_the_plan_of_anybody() -> None:
    for value, reach in ((None, Reach.UNOWNED), (OTHER.tag_value, Reach.OWN), (ELSEWHERE.tag_value, Reach.ANY)):
        circumstances = given(before=never_ours(), rights=Rights(observe=reach))
        outcome = pending(desired(policy=OBSERVE), tagged(value), circumstances)
        assert isinstance(outcome, Pending)
        assert [type(action) for action in outcome.actions] == [AddTags]


@pytest.mark.parametrize(
    ("value", "reach"),
    [
        (None, Reach.OWN),
        (Owner(OWNER.cluster, "stores", NAME, "uid-3").tag_value, Reach.UNOWNED),
        (ELSEWHERE.tag_value, Reach.CLUSTER),
        ("by another tool", Reach.CLUSTER),
    ],
)
def test_observe_tells_nothing_of_a_plan_that_the_namespace_may_not_see(value: str | None, reach: Reach) -> None:
    circumstances = given(before=never_ours(), rights=Rights(observe=reach))
    outcome = pending(desired(policy=OBSERVE), tagged(value), circumstances)
    assert isinstance(outcome, Stalled)
    assert outcome.reason is Reason.NOT_PERMITTED


def test_observe_starts_no_stage() -> None:
    want = desired("canary", policy=OBSERVE, rollout=rollout())
    assert pending(want, observed("canary"), given()) == Pending((StartStage(NAME, "canary"),))


def test_observe_stalls_where_manage_would() -> None:
    outcome = pending(desired(deviceFleetName="other", policy=OBSERVE), observed(), given())
    assert isinstance(outcome, Stalled)
    assert outcome.reason is Reason.IMMUTABLE_FIELD_CHANGED


# -- deletion ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage_status", INACTIVE)
def test_deletion_deletes_the_plan(stage_status: StageStatus) -> None:
    decision = decide_deletion(desired(), observed().at("canary", stage_status), given())
    assert decision == Decision((DeletePlan(NAME),), Gone(Reason.DELETED, f"deleted the AWS plan {NAME}"))


@pytest.mark.parametrize("stage_status", STOPPABLE)
def test_deletion_stops_active_stages_first(stage_status: StageStatus) -> None:
    decision = decide_deletion(desired(), observed().at("canary", stage_status), given())
    assert (decision.actions, reason(decision)) == ((StopStage(NAME, "canary"),), "StoppingStages")


@pytest.mark.parametrize("stage_status", ["CREATING", "STOPPING"])
def test_deletion_waits_for_what_cannot_be_stopped(stage_status: StageStatus) -> None:
    decision = decide_deletion(desired(), observed().at("canary", stage_status), given())
    assert (decision.actions, reason(decision)) == ((), "StoppingStages")


def test_deletion_of_what_is_gone_is_done() -> None:
    assert reason(decide_deletion(desired(), None, given())) == "Deleted"


@pytest.mark.parametrize("value", [None, OTHER.tag_value, ELSEWHERE.tag_value])
def test_deletion_leaves_the_plan_of_others(value: str | None) -> None:
    decision = decide_deletion(desired(), tagged(value), given(before=never_ours()))
    assert (decision.actions, reason(decision)) == ((), "Kept")


def test_deletion_leaves_a_plan_that_was_made_anew_by_hand() -> None:
    reborn = observed().tagged({}).but(created=NOON + MINUTE)
    assert reason(decide_deletion(desired(), reborn, given())) == "Kept"


def test_deletion_under_retain_needs_no_finalizer() -> None:
    assert not desired(policy={"deletion": "Retain"}).spec.deletes


def test_deletion_under_observe_needs_no_finalizer() -> None:
    assert not desired(policy={"management": "Observe", "deletion": "Delete"}).spec.deletes


# -- rollout ----------------------------------------------------------------------------------------------------------


def rolling(*stages: str, **fields: object) -> Desired:
    return desired(*stages, rollout=rollout(**fields))


def test_without_rollout_no_stage_is_started() -> None:
    assert decide(desired("canary"), observed("canary"), given()) == Decision((), IN_SYNC)


def test_first_stage_is_started() -> None:
    decision = decide(rolling("canary", "fleet"), observed("canary", "fleet"), given())
    assert (decision.actions, reason(decision)) == ((StartStage(NAME, "canary"),), "RolloutProgressing")


@pytest.mark.parametrize("stage_status", ["CREATING", "STARTING", "INPROGRESS"])
def test_next_stage_waits_for_the_one_before(stage_status: StageStatus) -> None:
    decision = decide(
        rolling("canary", "fleet"), observed().at("canary", stage_status).at("fleet", "READYTODEPLOY"), given()
    )
    assert (decision.actions, reason(decision)) == ((), "RolloutProgressing")


def test_next_stage_starts_once_the_one_before_is_deployed() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    assert decide(rolling("canary", "fleet"), held, given()).actions == (StartStage(NAME, "fleet"),)


def test_rollout_is_complete_once_all_stages_are_deployed() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "DEPLOYED")
    assert reason(decide(rolling("canary", "fleet"), held, given())) == "RolloutComplete"


def test_gate_holds_the_stages_behind_it() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    decision = decide(rolling("canary", "fleet", throughStage="canary"), held, given())
    assert (decision.actions, reason(decision)) == ((), "WaitingForPromotion")


def test_promotion_starts_the_next_stage() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    decision = decide(rolling("canary", "fleet", throughStage="fleet"), held, given(edited=True))
    assert decision.actions == (StartStage(NAME, "fleet"),)


def test_gate_moved_back_stops_nothing_that_runs() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "INPROGRESS")
    decision = decide(rolling("canary", "fleet", throughStage="canary"), held, given(edited=True))
    assert (decision.actions, reason(decision)) == ((), "WaitingForPromotion")


def test_bake_time_holds_the_next_stage() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    before = status(stages=(state("canary", "DEPLOYED", deployed_time=NOON - 10 * MINUTE),))
    decision = decide(rolling("canary", "fleet", bakeTime="30m"), held, given(before=before))
    assert isinstance(decision.outcome, Waiting)
    assert (decision.outcome.reason, decision.outcome.after) == ("Baking", timedelta(minutes=20))


def test_bake_time_over_starts_the_next_stage() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    before = status(stages=(state("canary", "DEPLOYED", deployed_time=NOON - 30 * MINUTE),))
    decision = decide(rolling("canary", "fleet", bakeTime="30m"), held, given(before=before))
    assert decision.actions == (StartStage(NAME, "fleet"),)


def test_last_stage_does_not_bake() -> None:
    held = observed().at("canary", "DEPLOYED")
    assert reason(decide(rolling("canary", bakeTime="30m"), held, given())) == "RolloutComplete"


@pytest.mark.parametrize("stage_status", STOPPABLE)
def test_stage_over_its_deadline_is_stopped(stage_status: StageStatus) -> None:
    held = observed().at("canary", stage_status, started=NOON - 61 * MINUTE)
    decision = decide(rolling("canary", progressDeadline="1h"), held, given())
    assert decision.actions == (StopStage(NAME, "canary"),)
    assert isinstance(decision.outcome, Waiting)
    assert "progressDeadline 1h" in decision.outcome.message


@pytest.mark.parametrize("stage_status", STOPPABLE)
def test_stage_over_its_failures_is_stopped_with_both_numbers(stage_status: StageStatus) -> None:
    held = observed().at("canary", stage_status, succeeded=18, failed=2)
    decision = decide(rolling("canary", maxFailedPercent=5), held, given())
    assert decision.actions == (StopStage(NAME, "canary"),)
    assert isinstance(decision.outcome, Waiting)
    assert "2 of 20 finished devices failed (10.0%), over maxFailedPercent 5" in decision.outcome.message


def test_failures_are_not_judged_before_min_devices() -> None:
    held = observed().at("canary", "INPROGRESS", succeeded=0, failed=9)
    decision = decide(rolling("canary", maxFailedPercent=5, minDevices=10), held, given())
    assert (decision.actions, reason(decision)) == ((), "RolloutProgressing")


def test_stage_being_stopped_is_waited_for() -> None:
    decision = decide(rolling("canary"), observed().at("canary", "STOPPING"), given())
    assert (decision.actions, reason(decision)) == ((), "StoppingStage")


def test_stopped_stage_stalls() -> None:
    decision = decide(rolling("canary"), observed().at("canary", "STOPPED"), given())
    assert (decision.actions, reason(decision)) == ((), "RolloutStopped")


def test_stopped_stage_goes_on_after_an_edit_that_lifts_the_bound() -> None:
    held = observed().at("canary", "STOPPED", succeeded=18, failed=2)
    assert decide(rolling("canary", maxFailedPercent=5), held, given(edited=True)).actions == ()
    decision = decide(rolling("canary", maxFailedPercent=20), held, given(edited=True))
    assert decision.actions == (StartStage(NAME, "canary"),)


@pytest.mark.parametrize("stage_status", ["STOPPED", "FAILED"])
def test_stage_that_did_not_succeed_starts_again_when_asked(stage_status: StageStatus) -> None:
    decision = decide(rolling("canary"), observed().at("canary", stage_status), given(asked=True))
    assert decision.actions == (StartStage(NAME, "canary"),)


def test_failed_stage_stalls_with_the_words_of_aws() -> None:
    held = observed().at("canary", "FAILED", message="2 of 20 devices failed")
    decision = decide(rolling("canary"), held, given())
    assert isinstance(decision.outcome, Stalled)
    assert decision.outcome.reason == "StageFailed"
    assert "2 of 20 devices failed" in decision.outcome.message


def test_failed_stage_is_not_started_again_by_an_edit_alone() -> None:
    decision = decide(rolling("canary"), observed().at("canary", "FAILED"), given(edited=True))
    assert (decision.actions, reason(decision)) == ((), "StageFailed")


def test_failed_stage_with_new_settings_is_created_and_started_anew() -> None:
    want = desired(stage("canary", 20), rollout=rollout())
    decision = decide(want, observed().at("canary", "FAILED"), given(edited=True))
    assert decision.actions == (DeleteStage(NAME, "canary"), CreateStages(NAME, (stage("canary", 20),)))
    assert decide(want, observed(stage("canary", 20)), given()).actions == (StartStage(NAME, "canary"),)


def test_deployed_stage_with_too_many_failures_holds_the_next() -> None:
    held = observed().at("canary", "DEPLOYED", succeeded=18, failed=2).at("fleet", "READYTODEPLOY")
    decision = decide(rolling("canary", "fleet", maxFailedPercent=5), held, given())
    assert (decision.actions, reason(decision)) == ((), "RolloutStopped")


def test_roll_back_by_commit_recreates_the_plan_with_the_former_models() -> None:
    old = [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v6"}]
    want = desired("canary", modelConfigs=old, policy=RECREATE, rollout=rollout())
    decision = decide(want, observed().at("canary", "INPROGRESS"), given(edited=True))
    assert decision.actions == (StopStage(NAME, "canary"),)
    decision = decide(want, observed().at("canary", "STOPPED"), given())
    assert decision.actions == (DeletePlan(NAME),)
    decision = decide(want, None, given())
    assert [type(action) for action in decision.actions] == [CreatePlan]
    assert isinstance(decision.outcome, Next)
    started = observed("canary").but(
        models=(MODEL.model_copy(update={"edge_packaging_job_name": "people-counter-v6"}),)
    )
    assert decide(want, started, given()).actions == (StartStage(NAME, "canary"),)


# -- the document -----------------------------------------------------------------------------------------------------

HERE = Path(__file__).parent


def rows() -> list[str]:
    """The last cell of every row of the tables in docs/lifecycle.md."""
    lines = (HERE.parents[1] / "docs" / "lifecycle.md").read_text(encoding="utf-8").splitlines()
    cells = [line.rstrip("| ").rpartition("|")[2].strip() for line in lines if line.startswith("|")]
    return [cell.strip("`") for cell in cells if cell.startswith("`")]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name.removeprefix("test_") for name in names if name.startswith("test_")}


ABOUT_THE_DOCUMENT = {"every_row_of_the_document_has_its_test", "every_test_here_has_its_row"}


def test_every_row_of_the_document_has_its_test() -> None:
    places = [*HERE.glob("test_*.py"), HERE.parent / "life" / "test_reconciler.py"]
    known = frozenset[str]().union(*map(functions, places))
    assert len(rows()) > 90
    assert set(rows()) <= known
    assert len(set(rows())) == len(rows())


def test_every_test_here_has_its_row() -> None:
    assert functions(Path(__file__)) - ABOUT_THE_DOCUMENT <= set(rows())
