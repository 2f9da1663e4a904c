"""Events: one per transition, never one per retry."""

import pytest

from controller.domain.actions import (
    Action,
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.api import OWNER_TAG
from controller.domain.events import Event, transitions
from controller.domain.findings import Findings
from controller.domain.outcomes import Done, Outcome, Queued, Retrying, Stalled, Suspended
from controller.domain.reasons import Reason
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.domain.summarize import summarize
from tests.unit.builders import (
    ARN,
    MINUTE,
    MODEL,
    NAME,
    NOON,
    REFUSED_FOR_QUOTA,
    condition,
    failure,
    plan,
    stage,
    state,
    status,
)

RETRYING = Retrying(failure(), MINUTE, 1)


def after(outcome: Outcome, before: EdgeDeploymentPlanStatus | None = None) -> EdgeDeploymentPlanStatus:
    return summarize(plan(status=before or EdgeDeploymentPlanStatus()), outcome, Findings(), NOON)


def reasons(before: EdgeDeploymentPlanStatus, now: EdgeDeploymentPlanStatus) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in transitions(before, now, ())]


CREATE = CreatePlan(NAME, NAME, (MODEL,), (stage("canary"), stage("fleet")), {})


def test_each_call_is_one_event_that_says_what_happened() -> None:
    done = (
        CREATE,
        CreateStages(NAME, (stage("canary"),)),
        StartStage(NAME, "canary"),
        StopStage(NAME, "canary"),
        DeleteStage(NAME, "canary"),
        AddTags(ARN, {"team": "retail"}),
        DeleteTags(ARN, ("cost", "team")),
        DeletePlan(NAME),
    )
    assert transitions(EdgeDeploymentPlanStatus(), after(Done(Reason.IN_SYNC, "")), done) == (
        Event("Normal", "Created", "Creating", f"Created plan {NAME} on fleet {NAME}, stages: canary, fleet"),
        Event("Normal", "StagesCreated", "Creating", "Created stages canary"),
        Event("Normal", "StageStarted", "Starting", "Started stage canary"),
        Event("Normal", "StageStopped", "Stopping", "Stopped stage canary"),
        Event("Normal", "StageDeleted", "Deleting", "Deleted stage canary"),
        Event("Normal", "TagsChanged", "Tagging", "Set tags team=retail"),
        Event("Normal", "TagsChanged", "Tagging", "Removed tags cost, team"),
        Event("Normal", "Deleted", "Deleting", f"Deleted plan {NAME}"),
    )


def told(before: EdgeDeploymentPlanStatus, *done: Action) -> list[tuple[str, str]]:
    now = after(Done(Reason.IN_SYNC, ""), before)
    return [(event.reason, event.note) for event in transitions(before, now, done)]


READY = status(conditions=(condition("Ready"),))


def test_plan_that_is_taken_over_is_told_as_adopted() -> None:
    ((reason, note),) = told(EdgeDeploymentPlanStatus(), AddTags(ARN, {OWNER_TAG: "a/b/c"}))
    assert reason == "Adopted"
    assert note.startswith(f"Adopted plan {NAME}: it belongs to this object now")


def test_plan_that_somebody_deleted_is_told_as_drift() -> None:
    deleted = f"somebody deleted the plan {NAME} in AWS, it is not known who. Created plan {NAME} on fleet {NAME}"
    for before in (READY, status()):
        assert told(before, CREATE) == [("DriftCorrected", f"{deleted}, stages: canary, fleet")]
    assert [reason for reason, _ in told(READY, DeletePlan(NAME), CREATE)] == ["Deleted", "Created"]  # replaced by us


@pytest.mark.parametrize(
    "action",
    [
        AddTags(ARN, {"team": "retail"}),
        AddTags(ARN, {OWNER_TAG: "a/b/c"}),
        DeleteTags(ARN, ("team",)),
        DeleteStage(NAME, "canary"),
        CreateStages(NAME, (stage("canary"),)),
    ],
    ids=str,
)
def test_what_others_changed_in_aws_is_told_as_drift(action: Action) -> None:
    ((reason, note),) = told(READY, action)
    assert reason == "DriftCorrected"
    assert note.startswith("the plan was changed in AWS, it is not known by whom. ")


@pytest.mark.parametrize("before", [status(), status(generation=7, conditions=(condition("Ready"),))])
def test_what_the_spec_asks_for_is_no_drift(before: EdgeDeploymentPlanStatus) -> None:
    """On the way to an edited spec the object is not ready, or ready for another generation."""
    assert ("TagsChanged", "Set tags team=retail") in told(before, AddTags(ARN, {"team": "retail"}))


def test_stage_that_is_started_is_no_drift() -> None:
    assert told(READY, StartStage(NAME, "canary")) == [("StageStarted", "Started stage canary")]


def test_end_of_a_failure_is_told_once() -> None:
    first = after(RETRYING, READY)
    second = after(Done(Reason.IN_SYNC, ""), first)
    assert reasons(first, second) == [("Normal", "Recovered")]
    assert reasons(second, after(Done(Reason.IN_SYNC, ""), second)) == []
    assert reasons(first, after(Stalled(Reason.NOT_OWNED, ""), first)) == [("Warning", "NotOwned")]


def test_first_failure_is_a_warning_and_the_next_ones_are_not_told() -> None:
    first = after(RETRYING)
    assert reasons(EdgeDeploymentPlanStatus(), first) == [("Warning", "ProgressingWithRetry")]
    assert reasons(first, after(Retrying(failure(), MINUTE, 2), first)) == []


def test_wait_for_quota_is_told_once_and_not_as_a_retry_too() -> None:
    first = after(Queued(3, MINUTE, 1, REFUSED_FOR_QUOTA))
    assert reasons(EdgeDeploymentPlanStatus(), first) == [("Warning", "WaitingForQuota")]
    assert reasons(first, after(Queued(2, MINUTE, 0, REFUSED_FOR_QUOTA), first)) == []


def test_stall_is_a_warning_once_per_reason() -> None:
    first = after(Stalled(Reason.NOT_OWNED, "not ours"))
    assert reasons(EdgeDeploymentPlanStatus(), first) == [("Warning", "NotOwned")]
    assert reasons(first, after(Stalled(Reason.NOT_OWNED, "still not ours"), first)) == []
    assert reasons(first, after(Stalled(Reason.STAGE_FAILED, ""), first)) == [("Warning", "StageFailed")]


def test_ready_for_a_new_reason_is_told() -> None:
    first = after(Done(Reason.WAITING_FOR_PROMOTION, ""))
    assert reasons(status(), first) == [("Normal", "WaitingForPromotion")]
    assert reasons(first, after(Done(Reason.WAITING_FOR_PROMOTION, ""), first)) == []
    assert reasons(first, after(Suspended(), first)) == []


def test_end_of_a_stall_is_told() -> None:
    stalled = after(Stalled(Reason.NOT_OWNED, ""))
    told = transitions(stalled, after(Done(Reason.IN_SYNC, "")), ())
    assert (told[0].reason, told[0].note) == ("Recovered", "NotOwned has ended")
    assert reasons(stalled, after(Stalled(Reason.NAME_CONFLICT, ""))) == [("Warning", "NameConflict")]


def test_stages_that_end_are_told_with_their_numbers() -> None:
    before = status(stages=(state("canary", "INPROGRESS"), state("fleet", "INPROGRESS"), state("rest", "STARTING")))
    now = status(
        stages=(
            state("canary", "DEPLOYED", devices_succeeded=20),
            state("fleet", "FAILED", devices_succeeded=18, devices_failed=2, message="2 of 20 devices failed"),
            state("rest", "INPROGRESS"),
        )
    )
    notes = [(event.type, event.reason, event.note) for event in transitions(before, now, ())]
    assert notes == [
        ("Normal", "StageDeployed", "stage canary is DEPLOYED: 20 succeeded, 0 pending, 0 failed"),
        (
            "Warning",
            "StageFailed",
            "stage fleet is FAILED: 18 succeeded, 0 pending, 2 failed; 2 of 20 devices failed",
        ),
    ]


def test_stages_found_in_an_adopted_plan_are_no_news() -> None:
    now = status(stages=(state("canary", "DEPLOYED"),))
    assert transitions(EdgeDeploymentPlanStatus(), now, ()) == ()
