"""Events: one per transition, never one per retry."""

from controller.domain.actions import AddTags, CreatePlan, StartStage
from controller.domain.events import Event, transitions
from controller.domain.findings import Findings
from controller.domain.outcomes import Done, Outcome, Queued, Retrying, Stalled, Suspended
from controller.domain.reasons import Reason
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.domain.summarize import summarize
from tests.unit.builders import ARN, MINUTE, MODEL, NAME, NOON, REFUSED_FOR_QUOTA, failure, plan, state, status

RETRYING = Retrying(failure(), MINUTE, 1)


def after(outcome: Outcome, before: EdgeDeploymentPlanStatus | None = None) -> EdgeDeploymentPlanStatus:
    return summarize(plan(status=before or EdgeDeploymentPlanStatus()), outcome, Findings(), NOON)


def reasons(before: EdgeDeploymentPlanStatus, now: EdgeDeploymentPlanStatus) -> list[tuple[str, str]]:
    return [(event.type, event.reason) for event in transitions(before, now, ())]


def test_each_call_is_one_event() -> None:
    done = (CreatePlan(NAME, NAME, (MODEL,), (), {}), AddTags(ARN, {"team": "retail"}), StartStage(NAME, "canary"))
    assert transitions(status(), after(Done(Reason.IN_SYNC, "")), done) == (
        Event("Normal", "Created", "Creating", f"CreatePlan({NAME} on fleet {NAME}: no stages)"),
        Event("Normal", "TagsChanged", "Tagging", "AddTags(team=retail)"),
        Event("Normal", "StageStarted", "Starting", "StartStage(canary)"),
    )


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
    assert reasons(after(Stalled(Reason.NOT_OWNED, "")), first) == [("Normal", "WaitingForPromotion")]
    assert reasons(first, after(Done(Reason.WAITING_FOR_PROMOTION, ""), first)) == []
    assert reasons(first, after(Suspended(), first)) == []


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
