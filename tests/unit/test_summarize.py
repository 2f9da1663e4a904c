"""The only writer of conditions, against what kstatus and the Kubernetes API conventions ask of it."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given as generate
from hypothesis import strategies as st

from controller.domain.actions import DeletePlan, StartStage
from controller.domain.failures import FailureKind
from controller.domain.findings import Findings
from controller.domain.outcomes import Done, Gone, Outcome, Pending, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.domain.summarize import summarize
from tests.unit.builders import (
    ARN,
    MINUTE,
    NAME,
    NOON,
    REFUSED_FOR_QUOTA,
    condition,
    failure,
    observed,
    plan,
    retry,
    state,
    status,
)

SECONDS = st.integers(0, 300).map(lambda number: timedelta(seconds=number))
REASON = st.sampled_from(Reason)
FAILURES = st.builds(failure, st.sampled_from(FailureKind))
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Done, REASON, st.text(max_size=9)),
    st.builds(Waiting, SECONDS, REASON, st.text(max_size=9)),
    st.builds(Retrying, FAILURES, SECONDS, st.integers(0, 9)),
    st.builds(Queued, st.integers(0, 9), SECONDS, st.integers(0, 9), st.just(REFUSED_FOR_QUOTA)),
    st.builds(Stalled, REASON, st.text(max_size=9), st.none() | FAILURES),
    st.just(Pending((DeletePlan(NAME),))),
    st.just(Suspended()),
    st.builds(Gone, REASON, st.text(max_size=9)),
)
FINDINGS = st.sampled_from(
    [
        Findings(),
        Findings(looked=True),
        Findings(looked=True, arn=ARN),
        Findings(looked=True, arn=ARN, created_stages=("canary",)),
        Findings(looked=True, arn=ARN, recognised=True, observed=observed("canary").at("canary", "INPROGRESS")),
        Findings(
            looked=True, arn=ARN, recognised=True, observed=observed("canary").at("canary", "DEPLOYED", succeeded=3)
        ),
    ]
)


def said(after: EdgeDeploymentPlanStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in after.conditions}


def summary(
    outcome: Outcome, before: Resource | None = None, found: Findings | None = None
) -> EdgeDeploymentPlanStatus:
    return summarize(before or plan(), outcome, found or Findings(), NOON)


@generate(st.lists(st.tuples(OUTCOMES, FINDINGS, st.booleans()), min_size=1, max_size=6))
def test_conditions_are_what_kstatus_reads(steps: list[tuple[Outcome, Findings, bool]]) -> None:
    """Over any history: each step starts from the status that the one before it left."""
    generation, now = 1, NOON
    current = EdgeDeploymentPlanStatus()
    for outcome, found, edit in steps:
        generation += edit
        now += MINUTE
        before = current
        current = summarize(plan(generation=generation, status=before), outcome, found, now)
        kinds = [each.type for each in current.conditions]
        assert kinds == [each for each in ("Ready", "Reconciling", "Stalled", "ResourceLimitExceeded") if each in kinds]
        assert "Ready" in kinds
        assert not {"Reconciling", "Stalled"} <= set(kinds)
        ready = current.condition("Ready")
        assert ready is not None
        if "Stalled" in kinds:
            assert ready.status == "False"
        for each in current.conditions:
            if each.type in {"Reconciling", "Stalled"}:
                assert each.status == "True"
            assert re.fullmatch(r"([A-Z][a-z0-9]*|[A-Z]+)+", each.reason)
            assert each.observed_generation == current.observed_generation == generation
            earlier = before.condition(each.type)
            unchanged = earlier is not None and earlier.status == each.status
            assert each.last_transition_time == (earlier.last_transition_time if unchanged and earlier else now)
        waits = isinstance(outcome, Retrying) or (isinstance(outcome, Queued) and outcome.attempts > 0)
        assert (current.retry is not None) == waits


@generate(OUTCOMES, FINDINGS)
def test_same_news_leave_the_same_status(outcome: Outcome, found: Findings) -> None:
    once = summarize(plan(), outcome, found, NOON)
    twice = summarize(plan(status=once), outcome, found, NOON)
    if not isinstance(outcome, Retrying):  # its retry time moves on
        assert twice == once


@generate(OUTCOMES, FINDINGS)
def test_status_survives_the_wire(outcome: Outcome, found: Findings) -> None:
    wire = summarize(plan(), outcome, found, NOON).wire()
    assert EdgeDeploymentPlanStatus.model_validate(wire).wire() == wire


@pytest.mark.parametrize(
    ("outcome", "conditions"),
    [
        (Done(Reason.IN_SYNC, ""), {"Ready": ("True", "InSync")}),
        (
            Waiting(MINUTE, Reason.ROLLOUT_PROGRESSING, ""),
            {"Ready": ("False", "RolloutProgressing"), "Reconciling": ("True", "RolloutProgressing")},
        ),
        (
            Retrying(failure(), MINUTE, 1),
            {"Ready": ("False", "AWSUnavailable"), "Reconciling": ("True", "ProgressingWithRetry")},
        ),
        (
            Queued(2, MINUTE, 0, REFUSED_FOR_QUOTA),
            {
                "Ready": ("False", "ResourceLimitExceeded"),
                "Reconciling": ("True", "ProgressingWithRetry"),
                "ResourceLimitExceeded": ("True", "WaitingForQuota"),
            },
        ),
        (Stalled(Reason.NOT_OWNED, ""), {"Ready": ("False", "NotOwned"), "Stalled": ("True", "NotOwned")}),
        (Pending((StartStage(NAME, "canary"),)), {"Ready": ("False", "ChangesPending")}),
        (Suspended(), {"Ready": ("Unknown", "Suspended")}),
    ],
)
def test_each_outcome_has_its_conditions(outcome: Outcome, conditions: dict[str, tuple[str, str]]) -> None:
    assert said(summary(outcome)) == conditions


def test_ready_stays_while_an_answer_is_missing() -> None:
    before = plan(status=status(conditions=(condition("Ready", reason="InSync"),)))
    after = summary(Retrying(failure(), MINUTE, 1), before)
    assert said(after) == {"Ready": ("True", "InSync"), "Reconciling": ("True", "ProgressingWithRetry")}


def test_ready_of_a_former_generation_does_not_stay() -> None:
    before = plan(generation=2, status=status(conditions=(condition("Ready"),)))
    assert said(summary(Retrying(failure(), MINUTE, 1), before))["Ready"] == ("False", "AWSUnavailable")


def test_throttling_keeps_the_count_of_real_failures() -> None:
    before = plan(status=status(retry=retry(4, NOON)))
    after = summary(Retrying(failure(FailureKind.THROTTLED), MINUTE, 0), before)
    assert after.retry is not None
    assert after.retry.attempts == 4
    assert after.retry.next_attempt_time == NOON + MINUTE


def test_success_clears_the_retry() -> None:
    assert summary(Done(Reason.IN_SYNC, ""), plan(status=status(retry=retry(4, NOON)))).retry is None


IS_FULL = (
    "The account-level service limit 'Number of edge deployment plans' is 3 Plans, with current utilization of 2 Plans "
    "and a request delta of 1 Plans."
)


@pytest.mark.parametrize(
    ("ahead", "waiting", "message", "words"),
    [
        (0, 2, IS_FULL, "1st of 2 waiting for quota (2 of 3 used), next try 12:01:00 UTC: ResourceLimitExceeded: The "),
        (1, 2, IS_FULL, "2nd of 2 waiting for quota (2 of 3 used): The account-level"),
        (2, 30, "The limit is 3", "3rd of 30 waiting for quota (limit 3): The limit is 3"),
        (3, 30, "No more plans", "4th of 30 waiting for quota: No more plans"),
        (10, 30, "No more plans", "11th of 30 waiting"),
        (20, 30, "No more plans", "21st of 30 waiting"),
        (111, 130, "No more plans", "112th of 130 waiting"),
    ],
)
def test_queue_message_tells_place_and_numbers_before_the_words_of_aws(
    ahead: int, waiting: int, message: str, words: str
) -> None:
    refusal = replace(REFUSED_FOR_QUOTA, message=message)
    after = summary(Queued(ahead, MINUTE, 0, refusal, waiting)).condition("ResourceLimitExceeded")
    assert after is not None
    assert after.message.startswith(words)
    assert message in after.message


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (FailureKind.CREDENTIALS, "AccessDeniedException", Reason.ACCESS_DENIED),
        (FailureKind.CREDENTIALS, "ExpiredTokenException", Reason.NO_CREDENTIALS),
        (FailureKind.CREDENTIALS, "NoCredentialsError", Reason.NO_CREDENTIALS),
        (FailureKind.THROTTLED, "ThrottlingException", Reason.THROTTLED),
        (FailureKind.TRANSIENT, "ConnectTimeoutError", Reason.AWS_UNAVAILABLE),
        (FailureKind.TRANSIENT, "HTTP 403", Reason.AWS_UNAVAILABLE),
        (FailureKind.TRANSIENT, "ResourceInUse", Reason.PROGRESSING_WITH_RETRY),
        (FailureKind.UNKNOWN, "SomethingNew", Reason.PROGRESSING_WITH_RETRY),
    ],
)
def test_ready_tells_outages_apart_and_every_message_when_the_next_try_is(
    kind: FailureKind, code: str, reason: Reason
) -> None:
    after = summary(Retrying(failure(kind, code), MINUTE, 1))
    assert said(after) == {"Ready": ("False", reason), "Reconciling": ("True", "ProgressingWithRetry")}
    assert {each.message.partition(": ")[0] for each in after.conditions} == {"next try 12:01:00 UTC"}


def test_what_a_new_plan_names_and_aws_does_not_have_is_told_apart_from_a_plan_that_is_gone() -> None:
    missing = failure(
        code="ResourceNotFound", operation="CreateEdgeDeploymentPlan", message="Device fleet x is unknown"
    )
    ready = summary(Retrying(missing, MINUTE, 1)).condition("Ready")
    assert ready is not None
    assert ready.reason == "ReferenceNotFound"
    assert " or deviceNames): ResourceNotFound: Device fleet x is unknown" in ready.message
    gone = replace(missing, operation="StartEdgeDeploymentStage")
    assert said(summary(Retrying(gone, MINUTE, 1)))["Ready"] == ("False", "ProgressingWithRetry")


QUOTA = (condition("ResourceLimitExceeded", reason="WaitingForQuota"),)


def test_quota_condition_turns_false_when_the_plan_gets_in() -> None:
    before = plan(status=status(arn=None, conditions=QUOTA))
    after = summary(Done(Reason.IN_SYNC, ""), before, Findings(looked=True, arn=ARN))
    assert said(after)["ResourceLimitExceeded"] == ("False", "QuotaAvailable")
    again = summary(Done(Reason.IN_SYNC, ""), plan(status=after), Findings(looked=True, arn=ARN))
    assert said(again)["ResourceLimitExceeded"] == ("False", "QuotaAvailable")


def test_quota_condition_stays_while_another_failure_hides_the_answer() -> None:
    before = plan(status=status(arn=None, conditions=QUOTA))
    after = summary(Retrying(failure(), MINUTE, 1), before, Findings(looked=False))
    assert said(after)["ResourceLimitExceeded"] == ("True", "WaitingForQuota")


def test_suspended_rollout_says_that_what_has_begun_goes_on() -> None:
    (ready,) = summary(Suspended(unwatched=True)).conditions
    assert ready.message.startswith(
        "spec.suspend is true: nothing is reconciled; a stage that has begun goes on in AWS"
    )


@pytest.mark.parametrize("outcome", [Suspended(), Stalled(Reason.NAME_CONFLICT, ""), Pending((DeletePlan(NAME),))])
def test_quota_condition_turns_false_when_the_plan_does_not_want_in_any_more(outcome: Outcome) -> None:
    before = plan(status=status(arn=None, conditions=QUOTA))
    assert said(summary(outcome, before))["ResourceLimitExceeded"] == ("False", "NotWaiting")


def test_message_names_the_iam_action_where_rights_are_missing() -> None:
    denied = failure(FailureKind.CREDENTIALS, "AccessDeniedException", operation="AddTags")
    after = summary(Retrying(denied, MINUTE, 1)).condition("Reconciling")
    assert after is not None
    assert after.message.endswith("its IAM policy allows sagemaker:AddTags")
    assert "AccessDeniedException: it broke (request id request-1)" in after.message


def test_old_report_stands_where_aws_was_not_asked() -> None:
    before = status(
        stages=(state("canary", "DEPLOYED", devices_succeeded=3, deployed_time=NOON),), last_modified_time=NOON
    )
    after = summary(Suspended(), plan(status=before))
    kept = ("stages", "edge_deployment_plan_arn", "last_modified_time", "creation_time", "applied_tag_keys")
    assert all(getattr(after, name) == getattr(before, name) for name in kept)
    assert after.stages_deployed == "1/1"


def test_stages_and_sums_are_reported() -> None:
    held = observed().at("canary", "DEPLOYED", succeeded=2).at("fleet", "FAILED", succeeded=5, failed=1, pending=3)
    after = summary(Done(Reason.IN_SYNC, ""), found=Findings(looked=True, arn=ARN, recognised=True, observed=held))
    assert after.stages_deployed == "1/2"
    assert after.devices is not None
    assert (after.devices.succeeded, after.devices.pending, after.devices.failed) == (7, 3, 1)
    assert after.edge_deployment_plan_name == NAME


def test_stages_of_a_plan_that_is_not_the_objects_own_are_not_reported() -> None:
    before = status(stages=(state("canary", "DEPLOYED", devices_succeeded=3),))
    held = observed().at("canary", "DEPLOYED", succeeded=2)
    found = Findings(looked=True, observed=held)
    after = summary(Stalled(Reason.NOT_OWNED, "it is another's"), plan(status=before), found=found)
    assert (after.stages, after.devices, after.devices_deployed, after.stages_deployed) == (None, None, None, None)


def test_moment_of_deployment_is_kept_and_belongs_to_one_deployment() -> None:
    held = Findings(looked=True, arn=ARN, recognised=True, observed=observed().at("canary", "DEPLOYED"))
    first = summarize(plan(), Done(Reason.IN_SYNC, ""), held, NOON)
    second = summarize(plan(status=first), Done(Reason.IN_SYNC, ""), held, NOON + MINUTE)
    assert deployed(second) == deployed(first) == NOON
    moving = Findings(looked=True, arn=ARN, recognised=True, observed=observed().at("canary", "INPROGRESS"))
    third = summarize(plan(status=second), Done(Reason.IN_SYNC, ""), moving, NOON + 2 * MINUTE)
    assert deployed(third) is None
    fourth = summarize(plan(status=third), Done(Reason.IN_SYNC, ""), held, NOON + 3 * MINUTE)
    assert deployed(fourth) == NOON + 3 * MINUTE
    # The clock was set back: a bake time that counts from the future would last until the clock is there again.
    fifth = summarize(plan(status=fourth), Done(Reason.IN_SYNC, ""), held, NOON)
    assert deployed(fifth) == NOON


def deployed(after: EdgeDeploymentPlanStatus) -> datetime | None:
    stage = after.stage("canary")
    assert stage is not None
    return stage.deployed_time


def test_request_is_echoed() -> None:
    assert summary(Done(Reason.IN_SYNC, ""), plan(requested="2026-03-01")).last_handled_reconcile_at == "2026-03-01"
    kept = plan(status=status(last_handled_reconcile_at="2026-03-01"))
    assert summary(Done(Reason.IN_SYNC, ""), kept).last_handled_reconcile_at == "2026-03-01"


def test_pending_changes_are_listed_and_cleared() -> None:
    after = summary(Pending((StartStage(NAME, "canary"), DeletePlan(NAME))))
    assert after.pending_changes == ("StartStage(canary)", f"DeletePlan({NAME})")
    assert summary(Done(Reason.IN_SYNC, ""), plan(status=after)).pending_changes is None


def test_plan_that_is_gone_leaves_no_arn() -> None:
    after = summary(Stalled(Reason.NOT_OWNED, ""), plan(status=status()), Findings(looked=True))
    assert after.edge_deployment_plan_arn is None
    assert after.edge_deployment_plan_name is None


def test_deletion_that_fails_says_that_it_is_one_and_the_plan_is_not_ready_any_more() -> None:
    before = status(conditions=(condition("Ready"),))
    denied = failure(FailureKind.CREDENTIALS, "ExpiredToken", operation="DeleteEdgeDeploymentPlan")
    going = plan(deleting=True, status=before)
    after = summarize(going, Retrying(denied, MINUTE, 1), Findings(), NOON)
    ready = after.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "NoCredentials")
    assert "the object is being deleted: " in ready.message
    assert ready.message.endswith("ask whoever runs the operator whether it has credentials that are valid")
