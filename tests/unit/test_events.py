"""Events: one per transition, never one per retry."""

from dataclasses import replace
from datetime import datetime

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
from controller.domain.failures import Failure, FailureKind
from controller.domain.findings import Findings
from controller.domain.outcomes import Done, Outcome, Queued, Retrying, Stalled, Suspended, Waiting
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
    desired,
    failure,
    given,
    observed,
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
        Event("Normal", "Deleted", "Deleting", f"Deleted plan {NAME}, to create it again as the spec has it"),
    )
    (last,) = transitions(EdgeDeploymentPlanStatus(), EdgeDeploymentPlanStatus(), done[-1:], deleting=True)
    assert last.note == f"Deleted plan {NAME}"


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


def fails(before: EdgeDeploymentPlanStatus, failed: Failure, at: datetime = NOON) -> list[Event]:
    """What is told of an attempt that ends with a failed call."""
    now = summarize(plan(status=before), Retrying(failed, MINUTE, 1), Findings(), at)
    return list(transitions(before, now, (), failed))


THROTTLED = failure(FailureKind.THROTTLED, "ThrottlingException")
MISSING = failure(
    code="ResourceNotFound", operation="CreateEdgeDeploymentPlan", message="Device fleet x does not exist."
)


@pytest.mark.parametrize(
    ("failed", "reason", "words"),
    [
        (failure(), "AWSUnavailable", "DescribeEdgeDeploymentPlan failed: InternalFailure: it broke"),
        (THROTTLED, "Throttled", "AWS throttles this account: ThrottlingException: it broke"),
        (MISSING, "ReferenceNotFound", "AWS does not have what the spec names (create it, or correct deviceFleetName, edgePackagingJobName or deviceNames): ResourceNotFound: Device fleet x does not exist."),
        (failure(code="ResourceInUse"), "ProgressingWithRetry", "DescribeEdgeDeploymentPlan failed: ResourceInUse: it broke"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [EdgeDeploymentPlanStatus(), READY], ids=["new", "ready"])
def test_first_failure_is_a_warning_by_its_name_and_the_next_ones_are_not_told(
    before: EdgeDeploymentPlanStatus, failed: Failure, reason: str, words: str
) -> None:
    assert fails(before, failed) == [Event("Warning", reason, "Reconciling", words)]
    assert fails(after(Retrying(failed, MINUTE, 1), before), failed) == []


def test_failure_that_comes_again_later_is_the_same_event_and_so_counted() -> None:
    later = replace(failure(), request_id="request-2")
    assert fails(EdgeDeploymentPlanStatus(), failure()) == fails(EdgeDeploymentPlanStatus(), later, NOON + MINUTE)


def test_another_kind_of_failure_is_told_where_ready_gives_its_reason() -> None:
    throttled = after(Retrying(THROTTLED, MINUTE, 1))
    assert [event.reason for event in fails(throttled, MISSING)] == ["ReferenceNotFound"]
    queued = after(Queued(0, MINUTE, 1, REFUSED_FOR_QUOTA))
    assert [event.reason for event in fails(queued, THROTTLED)] == ["Throttled"]


def test_note_of_a_wait_for_quota_holds_no_time_and_no_request_id() -> None:
    now = after(Queued(0, MINUTE, 1, replace(REFUSED_FOR_QUOTA, request_id="request-7")))
    (event,) = transitions(EdgeDeploymentPlanStatus(), now, ())
    assert event.note == f"1st of 1 waiting for quota (limit 3): {REFUSED_FOR_QUOTA.code}: {REFUSED_FOR_QUOTA.message}"


def test_suspending_and_resuming_are_told_once_each() -> None:
    suspended = after(Suspended(), READY)
    assert reasons(READY, suspended) == [("Normal", "Suspended")]
    assert reasons(suspended, after(Suspended(), suspended)) == []
    resumed = after(Done(Reason.IN_SYNC, ""), suspended)
    assert reasons(suspended, resumed) == [("Normal", "Resumed"), ("Normal", "InSync")]
    assert reasons(resumed, after(Done(Reason.IN_SYNC, ""), resumed)) == []


def test_suspending_is_no_end_of_a_trouble_and_a_deletion_does_not_resume() -> None:
    for trouble in (after(RETRYING), after(Stalled(Reason.NOT_OWNED, ""))):
        assert reasons(trouble, after(Suspended(), trouble)) == [("Normal", "Suspended")]
    suspended = after(Suspended(), READY)
    going = after(Waiting(MINUTE, Reason.STOPPING_STAGES, ""), suspended)
    assert transitions(suspended, going, (), deleting=True) == ()


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


def test_end_of_a_stall_is_told() -> None:
    stalled = after(Stalled(Reason.NOT_OWNED, ""))
    told = transitions(stalled, after(Done(Reason.IN_SYNC, "")), ())
    assert (told[0].reason, told[0].note) == ("Recovered", "NotOwned has ended")
    denied = after(Retrying(failure(FailureKind.CREDENTIALS, "AccessDeniedException"), MINUTE, 1))
    told = transitions(denied, after(Done(Reason.IN_SYNC, "")), ())
    assert (told[0].reason, told[0].note) == ("Recovered", "AccessDenied has ended")
    assert reasons(stalled, after(Stalled(Reason.NAME_CONFLICT, ""))) == [("Warning", "NameConflict")]


def test_what_is_missing_has_not_ended_while_it_is_waited_for() -> None:
    missing = after(Retrying(MISSING, MINUTE, 1))
    waits = after(Waiting(MINUTE, Reason.REFERENCE_NOT_FOUND, "the packaging job is INPROGRESS"), missing)
    assert reasons(missing, waits) == []
    assert reasons(READY, waits) == [("Normal", "ReferenceNotFound")]
    assert reasons(waits, after(Done(Reason.IN_SYNC, ""), waits)) == [("Normal", "Recovered"), ("Normal", "InSync")]


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


def test_a_stage_that_ends_the_rollout_is_one_event() -> None:
    """The stall says more: why, and what to do."""
    before = plan("canary", status=status(stages=(state("canary", "INPROGRESS"),)))
    failed = observed().at("canary", "FAILED")
    stalled = Stalled(Reason.STAGE_FAILED, "stage canary is FAILED: change the spec")
    now = summarize(
        before, stalled, Findings.of(given(before=before.status)).seen(failed, desired("canary"), before.status), NOON
    )
    told = [(event.reason, event.note) for event in transitions(before.status, now, ())]
    assert told == [("StageFailed", "stage canary is FAILED: change the spec")]


def test_stages_found_in_an_adopted_plan_are_no_news() -> None:
    now = status(stages=(state("canary", "DEPLOYED"),))
    assert transitions(EdgeDeploymentPlanStatus(), now, ()) == ()
