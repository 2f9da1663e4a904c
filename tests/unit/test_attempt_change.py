"""Changing a plan, in every order of answers: stages, tags, replacement, rollout; and what another operator did first."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.domain.actions import CreatePlan, StartStage
from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.conversation import Announce
from controller.domain.failures import UNKNOWN_OPERATION_CODES, Failure, FailureKind
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import IN_SYNC, Done, Gone, Pending, Queued, Retrying, Stalled, Waiting
from controller.domain.ownership import Owner, Rights
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.schedule import LONGEST, STAGE_POLL
from controller.domain.spec import Stage
from controller.domain.stage import StageStatus
from controller.domain.status import Claim, Settling
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
    failure,
    named,
    observed,
    plan,
    retry,
    rollout,
    settling,
    stage,
    status,
)
from tests.unit.dialogue import (
    ANNOUNCED,
    BROKEN,
    DENIED,
    DID,
    LOST,
    MADE,
    NOT_FOUND,
    NOTHING,
    REFUSED,
    THERE,
    THROTTLED,
    Dialogue,
    attempted,
    reported,
)

SECOND = timedelta(seconds=1)
SETTLE = timedelta(seconds=60)
DRIFT, AUDIT = frozenset({Wake.DRIFT}), frozenset({Wake.AUDIT})
READY = (condition("Ready"),)


def known(*stages: str | Stage, **fields: object) -> Resource:
    """An object whose plan is known and in step, and whose spec somebody may have edited."""
    before = status(conditions=READY, last_modified_time=NOON)
    return plan(*(stages or ("canary",)), **{"status": before} | fields)  # type: ignore[arg-type]


def refusal(kind: FailureKind = FailureKind.TERMINAL, code: str = "ValidationException") -> Failure:
    return failure(kind, code, operation="Change", harmless=True)


def announced(talk: Dialogue) -> list[Announce]:
    return [request for request in talk.requests if isinstance(request, Announce)]


# -- looks ------------------------------------------------------------------------------------------------------------


def test_plan_in_step_costs_one_call() -> None:
    talk = attempted(known(), observed("canary"))
    assert (talk.words, talk.outcome) == (["look"], IN_SYNC)


@pytest.mark.parametrize(
    ("one", "wakes"),
    [
        (known(generation=2), frozenset[Wake]()),
        (known(requested="now"), frozenset[Wake]()),
        (known(), DRIFT),
        (known(status=status(conditions=READY, retry=retry(1, NOON))), frozenset[Wake]()),
    ],
    ids=["edited", "asked", "drift", "after a failure"],
)
def test_tags_are_looked_at_where_they_may_differ(one: Resource, wakes: frozenset[Wake]) -> None:
    assert attempted(one, observed("canary"), wakes=wakes).words == ["look at tags"]


OWN = {OWNER_TAG: OWNER.tag_value}
AT_REST = known(status=status(conditions=READY, applied_tag_keys=(OWNER_TAG, "team")), tags={"team": "x"})


@pytest.mark.parametrize(
    "tags", [OWN | {"team": "x"}, OWN | {"team": "x", "billing": "central"}], ids=["own", "others"]
)
def test_audit_of_a_plan_at_rest_costs_one_call_and_no_write(tags: dict[str, str]) -> None:
    talk = attempted(AT_REST, tags, wakes=AUDIT)
    assert (talk.words, talk.outcome) == (["tags"], Done(Reason.IN_SYNC, ""))
    one = reported(AT_REST, talk)
    assert reported(one, attempted(one, tags, wakes=AUDIT), NOON + MINUTE).status == one.status


@pytest.mark.parametrize(
    "told",
    [{"team": "x"}, OWN | {"team": "y"}, OWN, {OWNER_TAG: "other"}, NOT_FOUND, BROKEN],
    ids=["owner gone", "changed", "gone", "taken", "plan gone", "failed"],
)
def test_audit_that_finds_something_looks_at_the_plan(told: Mapping[str, str] | Failure) -> None:
    assert attempted(AT_REST, told, BROKEN, wakes=AUDIT).words == ["tags", "look at tags"]


@pytest.mark.parametrize(
    "one",
    [
        known(status=status(conditions=(condition("Ready", "False"), condition("Reconciling")))),
        known(status=status(conditions=(*READY, condition("Reconciling")), retry=retry(1, NOON))),
        known(generation=2),
    ],
    ids=["under way", "failing", "edited"],
)
def test_audit_of_what_is_not_at_rest_looks_at_the_plan(one: Resource) -> None:
    assert attempted(one, observed("canary"), wakes=AUDIT).words == ["look at tags"]


def test_attempt_that_always_finds_something_to_do_lets_others_have_their_turn() -> None:
    answers = [each for _ in range(6) for each in (observed("canary", "fleet"), DID)]
    talk = attempted(known("canary", generation=2), *answers)
    assert talk.words == ["look at tags", "DeleteStage(fleet)", *["look", "DeleteStage(fleet)"] * 5]
    assert talk.outcome == Waiting(STAGE_POLL, Reason.CHANGING_STAGES, "stages are brought in step with the spec")


# -- stages -----------------------------------------------------------------------------------------------------------


def test_changed_stages_are_looked_at_again_in_the_same_attempt() -> None:
    want = known("canary", generation=2)
    talk = attempted(want, observed("canary", "fleet"), DID, observed("canary"))
    assert (talk.words, talk.outcome) == (["look at tags", "DeleteStage(fleet)", "look"], IN_SYNC)


def test_stage_that_does_not_show_yet_is_lag_and_not_created_twice() -> None:
    want = known("canary", "fleet", generation=2)
    talk = attempted(want, observed("canary"), DID, observed("canary"))
    assert talk.words == ["look at tags", "CreateStages(fleet)", "look"]
    assert talk.reason is Reason.SETTLING
    assert talk.found.settling == Settling(until=NOON + SETTLE, modified_after=NOON)
    later = reported(want, talk)
    talk = attempted(later, observed("canary"), now=NOON + 5 * SECOND)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.SETTLING)
    talk = attempted(later, observed("canary", "fleet").but(modified=NOON + SECOND), now=NOON + 10 * SECOND)
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)
    talk = attempted(later, observed("canary"), DID, observed("canary", "fleet"), now=NOON + SETTLE)
    assert talk.words == ["look at tags", "CreateStages(fleet)", "look"]


@pytest.mark.parametrize("answer", [NOT_FOUND, refusal(), refusal(FailureKind.TRANSIENT, "ResourceNotFound")])
def test_change_that_another_operator_made_first_is_no_refusal(answer: Failure) -> None:
    talk = attempted(known("canary", generation=2), observed("canary", "fleet"), answer, observed("canary"))
    assert (talk.words, talk.outcome) == (["look at tags", "DeleteStage(fleet)", "look at tags"], IN_SYNC)


def test_refusal_that_still_stands_after_a_look_stalls_once_no_lag_can_explain_it() -> None:
    want, held = known("canary", "fleet", generation=2), observed("canary")
    talk = attempted(want, held, refusal(), held, refusal())
    assert talk.words == ["look at tags", "CreateStages(fleet)"] * 2
    assert talk.outcome == Retrying(refusal(), SECOND / 2, 1)
    assert talk.result.owed == ("Edit",)
    later = reported(want, talk)
    assert later.status.settling == Settling(until=NOON + SETTLE)
    talk = attempted(later, held, refusal(), held, refusal(), now=NOON + SETTLE)
    assert talk.outcome == Stalled(Reason.REFUSED_BY_AWS, "AWS refuses Change", refusal())
    assert talk.result.owed == ()


@pytest.mark.parametrize("answer", [LOST, BROKEN, DENIED, THROTTLED], ids=["lost", "broken", "denied", "throttled"])
def test_change_that_failed_is_owed_and_the_calls_after_it_are_not_made(answer: Failure) -> None:
    want = plan(stage("canary", 20), generation=2, status=status(conditions=READY))
    talk = attempted(want, observed("canary"), answer)
    assert talk.words == ["look at tags", "DeleteStage(canary)"]
    assert isinstance(talk.outcome, Retrying)
    assert talk.result.owed == ("Edit",)
    assert talk.found.done == ()


def test_plan_that_went_while_it_was_changed_is_created_again() -> None:
    want = known("canary", generation=2)
    talk = attempted(want, observed("canary", "fleet"), NOT_FOUND, NOTHING, ACCOUNT, MADE)
    assert talk.words == ["look at tags", "DeleteStage(fleet)", "look at tags", "account", "CreatePlan"]
    assert talk.outcome == IN_SYNC


# -- tags -------------------------------------------------------------------------------------------------------------


def test_new_tag_is_noted_before_it_is_put_on_so_that_it_goes_when_the_spec_drops_it() -> None:
    """Tag put on, process killed, tag dropped from the spec before the start."""
    want = known(generation=2, tags={"team": "retail"})
    talk = attempted(want, observed("canary"), ANNOUNCED, LOST)
    assert talk.words == ["look at tags", "announce ChangingTags", "AddTags(team=retail)"]
    (note,) = announced(talk)
    assert note.found.applied_tag_keys == {OWNER_TAG, "team"}
    dropped = reported(known(generation=3), talk)
    talk = attempted(dropped, observed("canary", tags={"team": "retail"}), DID)
    assert talk.words == ["look at tags", "DeleteTags(team)"]
    assert talk.found.applied_tag_keys == {OWNER_TAG}


def test_tag_that_is_ours_is_changed_without_another_note() -> None:
    before = status(conditions=READY, applied_tag_keys=(OWNER_TAG, "team"))
    want = plan("canary", generation=2, status=before, tags={"team": "retail"})
    talk = attempted(want, observed("canary", tags={"team": "stores"}), DID)
    assert (talk.words, talk.outcome) == (["look at tags", "AddTags(team=retail)"], IN_SYNC)


def test_tags_are_put_on_before_the_outcome_that_stalls() -> None:
    want = plan(stage("canary", 20), tags={"team": "retail"}, generation=2, status=status(conditions=READY))
    talk = attempted(want, observed().at("canary", "DEPLOYED"), ANNOUNCED, DID)
    assert talk.words == ["look at tags", "announce DeployedStageChanged", "AddTags(team=retail)"]
    assert talk.reason is Reason.DEPLOYED_STAGE_CHANGED


def test_adopted_plan_is_not_ours_before_its_tag_is_on() -> None:
    want = plan("canary", policy={"adoption": "Adopt"})
    talk = attempted(want, REFUSED, observed("canary").tagged({}), ANNOUNCED, LOST)
    assert talk.words == [
        "CreatePlan",
        "look at tags",
        "announce ChangingTags",
        f"AddTags({OWNER_TAG}={OWNER.tag_value})",
    ]
    (note,) = announced(talk)
    assert OWNER_TAG not in note.found.applied_tag_keys
    assert OWNER_TAG not in talk.found.applied_tag_keys


# -- rollout ----------------------------------------------------------------------------------------------------------

ROLLING = known("canary", "fleet", rollout=rollout())
READY_TO_ROLL = observed("canary", "fleet")


def test_start_of_a_stage_is_announced_first() -> None:
    talk = attempted(ROLLING, READY_TO_ROLL, READY_TO_ROLL, ANNOUNCED, DID)
    assert talk.words == ["look", "look at tags", "announce RolloutProgressing", "StartStage(canary)"]
    (note,) = announced(talk)
    assert note.claim == Claim(by=PROCESS, until=NOON + SETTLE)
    assert talk.reason is Reason.ROLLOUT_PROGRESSING
    assert talk.found.done == (StartStage(NAME, "canary"),)


def test_stage_whose_start_does_not_show_yet_is_not_started_twice() -> None:
    talk = attempted(ROLLING, READY_TO_ROLL, READY_TO_ROLL, ANNOUNCED, DID)
    assert talk.found.settling is not None
    assert talk.found.settling.started == "canary"
    later = reported(ROLLING, talk)
    talk = attempted(later, observed("canary", "fleet"), now=NOON + 2 * SECOND)
    assert talk.reason is Reason.SETTLING
    assert "StartStage(canary)" not in talk.words
    moved = observed("canary", "fleet").at("canary", "INPROGRESS")
    assert attempted(later, moved, now=NOON + 2 * SECOND).reason is Reason.ROLLOUT_PROGRESSING
    late = attempted(later, READY_TO_ROLL, READY_TO_ROLL, ANNOUNCED, DID, now=NOON + SETTLE)
    assert late.words[-1] == "StartStage(canary)"


def test_claim_is_never_further_away_than_any_wait_or_nobody_would_heed_it() -> None:
    talk = attempted(ROLLING, READY_TO_ROLL, READY_TO_ROLL, ANNOUNCED, DID, settle=10 * MINUTE)
    (note,) = announced(talk)
    assert note.claim.until - NOON < LONGEST


def test_stage_whose_start_was_lost_is_looked_at_before_it_is_started_again() -> None:
    talk = attempted(ROLLING, READY_TO_ROLL, READY_TO_ROLL, ANNOUNCED, LOST)
    assert talk.outcome == Retrying(LOST, SECOND / 2, 1)
    later = reported(ROLLING, talk)
    talk = attempted(later, observed("canary", "fleet").at("canary", "INPROGRESS"), now=NOON + SECOND)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.ROLLOUT_PROGRESSING)


def test_stage_that_another_operator_started_first_is_no_refusal() -> None:
    running = observed("canary", "fleet").at("canary", "STARTING")
    talk = attempted(ROLLING, READY_TO_ROLL, READY_TO_ROLL, ANNOUNCED, refusal(), running)
    assert talk.words[2:] == ["announce RolloutProgressing", "StartStage(canary)", "look at tags"]
    assert talk.reason is Reason.ROLLOUT_PROGRESSING


def test_later_stage_never_starts_on_what_the_status_says_alone() -> None:
    before = status(conditions=READY, last_modified_time=NOON)
    want = plan("canary", "fleet", rollout=rollout(), status=before)
    talk = attempted(want, observed("canary", "fleet").at("canary", "INPROGRESS"))
    assert "StartStage(fleet)" not in talk.words


def test_one_request_is_one_more_start() -> None:
    want = known("canary", rollout=rollout(), requested="again")
    failed = observed().at("canary", "FAILED")
    talk = attempted(want, failed, ANNOUNCED, DID)
    assert talk.words == ["look at tags", "announce RolloutProgressing", "StartStage(canary)"]
    assert talk.result.owed == ()
    talk = attempted(want, failed, ANNOUNCED, refusal(), failed, refusal())
    assert talk.words.count("StartStage(canary)") == 2
    assert talk.result.owed == ("Request",)


def test_stage_over_its_bound_is_stopped_without_an_announcement() -> None:
    want = known("canary", rollout=rollout(maxFailedPercent=5))
    over = observed().at("canary", "INPROGRESS", failed=9)
    talk = attempted(want, over, over, DID)
    assert (talk.words, talk.reason) == (["look", "look at tags", "StopStage(canary)"], Reason.STOPPING_STAGE)


def test_nothing_is_done_to_a_plan_that_somebody_took_before_it_is_known_whose_it_is() -> None:
    """The polls of a rollout look without tags."""
    over = observed().at("canary", "INPROGRESS", failed=9)
    elsewhere = Owner("cluster-2", "retail", "z", "uid-z").tag_value
    talk = attempted(known("canary", rollout=rollout(maxFailedPercent=5)), over, over.tagged({OWNER_TAG: elsewhere}))
    assert (talk.words, talk.reason) == (["look", "look at tags"], Reason.OWNERSHIP_LOST)
    talk = attempted(ROLLING, READY_TO_ROLL, READY_TO_ROLL.tagged({OWNER_TAG: elsewhere}))
    assert (talk.words, talk.reason) == (["look", "look at tags"], Reason.OWNERSHIP_LOST)


# -- replacement ------------------------------------------------------------------------------------------------------

OTHER = known(deviceFleetName="other", policy={"replacement": "Recreate"}, generation=2)


def test_replacement_is_announced_and_creates_at_once() -> None:
    talk = attempted(OTHER, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, MADE)
    assert [word for word in talk.words if "announce" not in word] == [
        "look at tags",
        "status of deviceFleetName other",
        f"DeletePlan({NAME})",
        "CreatePlan",
    ]
    assert [word.startswith("announce") for word in talk.words] == [False, False, True, False, True, False]
    assert talk.outcome == IN_SYNC
    first, second = announced(talk)
    assert first.found.arn == ARN
    assert second.found.arn is None
    assert isinstance(talk.requests[-1], CreatePlan)
    assert talk.requests[-1].fleet == "other"


@pytest.mark.parametrize("answer", [REFUSED_FOR_QUOTA, DENIED, refusal(FailureKind.TRANSIENT, "ResourceNotFound")])
def test_a_plan_that_went_and_cannot_be_made_again_is_told_until_it_is(answer: Failure) -> None:
    away = "; the former plan was deleted to be created again"
    looks = () if answer is DENIED else (NOTHING,)
    one = reported(OTHER, attempted(OTHER, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, answer, *looks))
    for later in (one, reported(one, attempted(one, NOTHING, answer, now=NOON + MINUTE), NOON + MINUTE)):
        assert later.status.replacing_since == NOON
        for each in later.status.conditions:
            assert each.message.endswith(away)
    made = reported(one, attempted(one, NOTHING, MADE, now=NOON + MINUTE), NOON + MINUTE)
    assert made.status.replacing_since is None
    assert away not in str(made.status.conditions)


def test_plan_that_was_replaced_and_still_shows_is_lag() -> None:
    talk = attempted(OTHER, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, MADE)
    assert talk.found.settling is not None
    assert talk.found.settling.created_after == NOON
    later = reported(OTHER, talk)
    talk = attempted(later, observed("canary"), now=NOON + 4 * SECOND, wakes=DRIFT)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.SETTLING)
    successor = observed("canary").but(fleet="other", created=NOON + SECOND, modified=NOON + SECOND)
    talk = attempted(later, successor, now=NOON + 4 * SECOND, wakes=DRIFT)
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)


def test_tags_of_the_former_plan_beside_the_new_one_are_lag() -> None:
    later = reported(OTHER, attempted(OTHER, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, MADE))
    successor = observed("canary").but(fleet="other", created=NOON + SECOND).tagged({})
    talk = attempted(later, successor, now=NOON + 4 * SECOND, wakes=DRIFT)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.SETTLING)


def test_deletion_that_was_lost_is_looked_at_before_anything_is_created() -> None:
    talk = attempted(OTHER, observed("canary"), THERE, ANNOUNCED, LOST)
    assert isinstance(talk.outcome, Retrying)
    later = reported(OTHER, talk)
    talk = attempted(later, NOTHING, ACCOUNT, MADE, now=NOON + SECOND)
    assert talk.words == ["look at tags", "account", "CreatePlan"]
    talk = attempted(later, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, MADE, now=NOON + SECOND)
    assert f"DeletePlan({NAME})" in talk.words


def test_replacement_that_meets_the_quota_waits_its_turn() -> None:
    talk = attempted(OTHER, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, REFUSED_FOR_QUOTA, NOTHING)
    assert talk.words[-2:] == ["CreatePlan", "look at tags"]
    assert talk.outcome == Queued(0, SECOND / 2, 1, REFUSED_FOR_QUOTA)
    assert talk.result.owed == ("Edit",)
    assert not talk.result.untouched
    assert talk.found.arn is None


def test_replacement_that_another_operator_has_just_made_is_not_made_twice() -> None:
    successor = observed("canary").but(fleet="other", created=NOON + SECOND, modified=NOON + SECOND)
    talk = attempted(OTHER, observed("canary"), THERE, ANNOUNCED, NOT_FOUND, successor)
    assert (talk.words[-2:], talk.outcome) == ([f"DeletePlan({NAME})", "look at tags"], IN_SYNC)


def test_replacement_stops_what_runs_and_waits() -> None:
    talk = attempted(OTHER, observed().at("canary", "INPROGRESS"), THERE, DID)
    assert (talk.words[2:], talk.reason) == (["StopStage(canary)"], Reason.STOPPING_STAGES)
    assert talk.result.owed == ()


RUNNING = observed().at("canary", "INPROGRESS")
JOB = known(
    modelConfigs=[{"modelHandle": "people-counter", "edgePackagingJobName": "v9"}],
    policy={"replacement": "Recreate"},
    generation=2,
)


@pytest.mark.parametrize("held", [observed("canary"), RUNNING], ids=["idle", "running"])
def test_nothing_is_stopped_or_deleted_for_a_plan_whose_fleet_or_job_is_missing(held: ObservedPlan) -> None:
    for one, asked in ((OTHER, "deviceFleetName other"), (JOB, "edgePackagingJobName v9")):
        operation = "DescribeDeviceFleet" if one is OTHER else "DescribeEdgePackagingJob"
        talk = attempted(one, held, replace(NOT_FOUND, operation=operation))
        assert talk.words == ["look at tags", f"status of {asked}"]
        ready = reported(one, talk).status.condition("Ready")
        assert ready is not None
        assert ready.reason == "ReferenceNotFound"
        assert f"correct {asked.partition(' ')[0]}; the plan stays as it is until then" in ready.message
        assert talk.found.arn == ARN
        assert talk.result.owed == ("Edit",)


@pytest.mark.parametrize("held", [observed("canary"), RUNNING], ids=["idle", "running"])
def test_replacement_waits_for_a_packaging_job_that_is_not_finished(held: ObservedPlan) -> None:
    talk = attempted(JOB, held, "INPROGRESS")
    assert talk.reason is Reason.REFERENCE_NOT_FOUND
    assert talk.message == "edgePackagingJobName v9 is INPROGRESS, not COMPLETED; the plan stays as it is until then"
    assert talk.result.owed == ("Edit",)
    later = reported(JOB, talk)
    talk = attempted(later, held, "COMPLETED", *((DID,) if held is RUNNING else (ANNOUNCED, DID, ANNOUNCED, MADE)))
    assert talk.reason in {Reason.STOPPING_STAGES, Reason.IN_SYNC}


def test_replacement_asks_for_the_devices_that_no_stage_named_before() -> None:
    held = observed(named("canary", "one"))
    one = known(named("canary", "one", "two"), generation=2, **CHANGES["models, Recreate"])
    gone = replace(NOT_FOUND, operation="DescribeDevice", message="Device two does not exist.")
    talk = attempted(one, held, "COMPLETED", gone)
    assert talk.words == ["look at tags", "status of edgePackagingJobName v9", "status of deviceNames two"]
    ready = reported(one, talk).status.condition("Ready")
    assert ready is not None
    assert ready.reason == "ReferenceNotFound"
    assert "register it, or correct deviceNames; the plan stays as it is until then" in ready.message


OVER = {"succeeded": 1, "failed": 1, "pending": 8}
BOUNDED = rollout(maxFailedPercent=20)
CHANGES: dict[str, dict[str, Any]] = {
    "models, Never": {"modelConfigs": JOB.readable_spec.wire()["modelConfigs"]},
    "models, Recreate": {
        "modelConfigs": JOB.readable_spec.wire()["modelConfigs"],
        "policy": {"replacement": "Recreate"},
    },
    "fleet, Recreate": {"deviceFleetName": "other", "policy": {"replacement": "Recreate"}},
    "nothing": {},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("running", ["STARTING", "INPROGRESS"])
def test_a_bound_stops_what_runs_whatever_else_keeps_the_plan_as_it_is(
    running: StageStatus, change: dict[str, Any]
) -> None:
    one = known(rollout=BOUNDED, generation=2, **change)
    talk = attempted(one, observed().at("canary", running, **OVER), DID)
    assert talk.words == ["look at tags", "StopStage(canary)"]
    assert talk.reason is Reason.STOPPING_STAGE
    assert "1 of 2 finished devices failed (50.0%), over maxFailedPercent 20" in talk.message


def test_a_bound_stops_a_stage_that_is_to_be_changed_or_removed() -> None:
    held = observed().at("canary", "INPROGRESS", **OVER)
    for wanted in (stage("canary", percentage=90), stage("fleet")):
        talk = attempted(known(wanted, rollout=BOUNDED, generation=2), held, DID)
        assert talk.words == ["look at tags", "StopStage(canary)"]


def test_a_bound_stops_no_stage_of_a_plan_that_is_not_ours() -> None:
    held = observed().at("canary", "INPROGRESS", **OVER).but(tags={})
    adopting = plan("canary", rollout=BOUNDED, policy={"adoption": "Adopt"}, **CHANGES["models, Never"])
    talk = attempted(adopting, replace(REFUSED, code="ResourceInUse"), held)
    assert not any("Stop" in word for word in talk.words)


def test_what_is_tried_early_for_a_running_stage_has_its_time_as_before() -> None:
    missing = replace(NOT_FOUND, operation="DescribeEdgePackagingJob")
    one = known(rollout=BOUNDED, generation=2, **CHANGES["models, Recreate"])
    held = observed().at("canary", "INPROGRESS")
    first = reported(one, attempted(one, held, missing))
    waits = first.status.model_copy(update={"retry": retry(4, NOON + MINUTE)})
    first = replace(first, status=waits)
    for now, attempts in ((NOON + SECOND, 4), (NOON + MINUTE - SECOND, 5)):
        again = reported(first, attempted(first, held, missing, now=now), now).status.retry
        assert again is not None
        assert (again.attempts, again.next_attempt_time == NOON + MINUTE) == (attempts, attempts == 4)


def test_replacement_that_may_not_look_at_the_job_says_which_right_is_missing() -> None:
    talk = attempted(JOB, observed("canary"), replace(DENIED, operation="DescribeEdgePackagingJob"))
    ready = reported(JOB, talk).status.condition("Ready")
    assert ready is not None
    assert ready.reason == "AccessDenied"
    assert "sagemaker:DescribeEdgePackagingJob" in ready.message


@pytest.mark.parametrize("code", sorted(UNKNOWN_OPERATION_CODES))
def test_service_that_does_not_know_fleets_or_jobs_is_not_asked_for_more_than_it_can_tell(code: str) -> None:
    cannot = failure(FailureKind.TERMINAL, code, operation="DescribeEdgePackagingJob", harmless=True)
    assert attempted(JOB, observed("canary"), cannot, ANNOUNCED, DID, ANNOUNCED, MADE).outcome == IN_SYNC


# -- Observe ----------------------------------------------------------------------------------------------------------

OBSERVING = known("canary", has_finalizer=False, policy={"management": "Observe"})


def test_observe_only_looks() -> None:
    talk = attempted(OBSERVING, observed())
    assert talk.words == ["look at tags"]
    assert isinstance(talk.outcome, Pending)
    assert talk.found.arn == ARN


def test_observe_of_what_it_may_not_see_leaves_nothing_of_it_in_the_status() -> None:
    before = status(arn=None, generation=1)
    one = plan("canary", has_finalizer=False, policy={"management": "Observe"}, status=before)
    foreign = observed("canary").tagged({OWNER_TAG: "another/retail/other/uid-9"})
    talk = attempted(one, foreign)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.NOT_PERMITTED)
    after = reported(one, talk).status
    assert (after.edge_deployment_plan_arn, after.stages, after.creation_time) == (None, None, None)


def test_observe_that_stalls_as_manage_would_still_shows_the_plan() -> None:
    one = known("canary", has_finalizer=False, policy={"management": "Observe"}, deviceFleetName="other")
    talk = attempted(one, observed("canary"))
    assert talk.reason is Reason.IMMUTABLE_FIELD_CHANGED
    assert talk.found.observed is not None
    assert talk.found.arn == ARN


def test_observe_that_stalls_as_a_manage_that_is_not_permitted_still_shows_the_plan() -> None:
    policy = {"management": "Observe", "replacement": "Recreate"}
    one = known("canary", has_finalizer=False, policy=policy, deviceFleetName="other")
    talk = attempted(one, observed("canary"), rights=Rights(recreate=False))
    assert talk.reason is Reason.NOT_PERMITTED
    assert talk.found.arn == ARN


def test_observe_of_a_plan_that_went_shows_its_creation() -> None:
    talk = attempted(OBSERVING, NOTHING, ACCOUNT)
    assert talk.words == ["look at tags", "account"]
    assert isinstance(talk.outcome, Pending)


def test_lag_ends_with_the_settling_time_of_the_status() -> None:
    said = status(conditions=READY, settling=settling(NOON + MINUTE, modified_after=NOON))
    assert attempted(known("canary", "fleet", status=said), observed("canary")).reason is Reason.SETTLING
    one = known("canary", status=said)  # as it should be, however coarse AWS's times are
    assert attempted(one, observed("canary")).outcome == IN_SYNC
    assert attempted(one, observed("canary"), now=NOON + MINUTE).outcome == IN_SYNC
    assert not isinstance(attempted(one, observed("canary"), now=NOON + MINUTE).outcome, Gone)
    assert isinstance(attempted(one, observed("canary").but(modified=NOON + SECOND)).outcome, Done)
