"""Summarize: everything known -> the status. The only writer of conditions.

kstatus reads Reconciling and Stalled before Ready, and never wants both: each is in the list only while it is True.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from controller.domain.failures import Failure, FailureKind
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Done, Gone, Outcome, Pending, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.resource import Resource
from controller.domain.status import (
    Condition,
    ConditionType,
    Devices,
    EdgeDeploymentPlanStatus,
    LastError,
    Retry,
    StageState,
    Truth,
)

_ORDER: tuple[ConditionType, ...] = ("Ready", "Reconciling", "Stalled", "ResourceLimitExceeded")
_IAM_HINT = "check the controller's credentials and that its IAM policy allows"


@dataclass(frozen=True)
class Findings:
    """What this reconcile learned of AWS. `looked` is False where nothing was asked: the old report stands then."""

    looked: bool = False
    arn: str | None = None
    observed: ObservedPlan | None = None
    created_stages: tuple[str, ...] = ()
    applied_tag_keys: tuple[str, ...] | None = None


def summarize(resource: Resource, found: Findings, outcome: Outcome, now: datetime) -> EdgeDeploymentPlanStatus:
    """The status after this reconcile."""
    before = resource.status
    stages = _stages(before, found, now)
    succeeded = sum(stage.devices_succeeded for stage in stages or ())
    pending = sum(stage.devices_pending for stage in stages or ())
    failed = sum(stage.devices_failed for stage in stages or ())
    deployed = sum(stage.status == "DEPLOYED" for stage in stages or ())
    observed = found.observed
    arn = found.arn if found.looked else before.edge_deployment_plan_arn
    return EdgeDeploymentPlanStatus(
        observed_generation=resource.generation,
        edge_deployment_plan_arn=arn,
        edge_deployment_plan_name=resource.plan_name if arn is not None else None,
        conditions=_conditions(resource, found, outcome, now),
        stages=stages,
        devices=Devices(succeeded=succeeded, pending=pending, failed=failed) if stages else None,
        stages_deployed=f"{deployed}/{len(stages)}" if stages else None,
        retry=_retry(before, outcome, now),
        pending_changes=tuple(str(action) for action in outcome.actions) if isinstance(outcome, Pending) else None,
        last_handled_reconcile_at=resource.reconcile_requested_at or before.last_handled_reconcile_at,
        last_modified_time=observed.modified if observed else None if found.looked else before.last_modified_time,
        creation_time=observed.created if observed else None if found.looked else before.creation_time,
        applied_tag_keys=found.applied_tag_keys or (None if found.looked else before.applied_tag_keys),
    )


def _stages(before: EdgeDeploymentPlanStatus, found: Findings, now: datetime) -> tuple[StageState, ...] | None:
    if not found.looked:
        return before.stages
    if found.observed is None:
        return tuple(StageState(stage_name=name, status="CREATING") for name in found.created_stages) or None
    states = (
        StageState(
            stage_name=stage.name,
            status=stage.status,
            devices_succeeded=stage.succeeded,
            devices_pending=stage.pending,
            devices_failed=stage.failed,
            start_time=stage.started,
            deployed_time=(before.deployed_since(stage.name) or now) if stage.status == "DEPLOYED" else None,
            message=stage.message,
        )
        for stage in found.observed.stages
    )
    return tuple(states) or None


def _retry(before: EdgeDeploymentPlanStatus, outcome: Outcome, now: datetime) -> Retry | None:
    match outcome:
        case Retrying(failure, after, attempts):
            # Throttled calls are not counted, but the count of real failures stands.
            attempts = attempts or (before.retry.attempts if before.retry else 0)
        case Queued(_, after, attempts, failure) if attempts:
            pass
        case _:
            return None
    return Retry(
        attempts=attempts,
        next_attempt_time=now + after,
        last_error=LastError(code=failure.code, message=failure.message, request_id=failure.request_id),
    )


_Said = tuple[Truth, str, str]


def _say(before: EdgeDeploymentPlanStatus, generation: int, outcome: Outcome) -> Mapping[ConditionType, _Said]:
    """What the outcome says of each condition; what it does not mention leaves the list."""
    match outcome:
        case Done(reason, message):
            return {"Ready": ("True", reason, message)}
        case Waiting(_, reason, message):
            return {"Ready": ("False", reason, message), "Reconciling": ("True", reason, message)}
        case Retrying(failure, _, _):
            text = explain(failure)
            ready = before.condition("Ready")
            # No answer is no news: what was Ready for this very spec stays so while we ask again.
            if ready is not None and ready.status == "True" and before.observed_generation == generation:
                said: _Said = ("True", ready.reason, ready.message)
            else:
                said = ("False", "ProgressingWithRetry", text)
            return {"Ready": said, "Reconciling": ("True", "ProgressingWithRetry", text)}
        case Queued(ahead, _, _, failure):
            text = (
                f"waiting for quota behind {ahead} {'plan' if ahead == 1 else 'plans'}: {failure.message}"
                if ahead
                else f"first in the queue for quota: {failure}"
            )
            return {
                "Ready": ("False", "ResourceLimitExceeded", text),
                "Reconciling": ("True", "ProgressingWithRetry", text),
                "ResourceLimitExceeded": ("True", "WaitingForQuota", text),
            }
        case Stalled(reason, message, failure):
            text = f"{message}: {failure}" if failure else message
            return {"Ready": ("False", reason, text), "Stalled": ("True", reason, text)}
        case Pending(actions):
            text = "AWS differs from the spec; Manage would call " + ", ".join(str(action) for action in actions)
            return {"Ready": ("False", "ChangesPending", text)}
        case Suspended():
            return {"Ready": ("Unknown", "Suspended", "spec.suspend is true: nothing is reconciled")}
        case Gone(reason, message):
            return {"Ready": ("False", reason, message)}
        case _:
            assert_never(outcome)


def _conditions(resource: Resource, found: Findings, outcome: Outcome, now: datetime) -> tuple[Condition, ...]:
    before = resource.status
    said = dict(_say(before, resource.generation, outcome))
    standing = before.condition("ResourceLimitExceeded")
    if standing is not None:
        said.setdefault("ResourceLimitExceeded", _quota_said_before(standing, found, outcome))
    conditions = []
    for kind in _ORDER:
        if kind not in said:
            continue
        truth, reason, message = said[kind]
        earlier = before.condition(kind)
        moved = earlier is None or earlier.status != truth
        conditions.append(
            Condition(
                type=kind,
                status=truth,
                reason=reason,
                message=message,
                observed_generation=resource.generation,
                last_transition_time=now if moved or earlier is None else earlier.last_transition_time,
            )
        )
    return tuple(conditions)


def _quota_said_before(standing: Condition, found: Findings, outcome: Outcome) -> _Said:
    """What becomes of ResourceLimitExceeded under an outcome that does not speak of quota."""
    if standing.status == "True" and found.looked and found.arn is not None:
        return ("False", "QuotaAvailable", "AWS let the plan in")
    # Once False it stays; and if something else failed since, quota is still what AWS last said.
    if standing.status != "True" or isinstance(outcome, Retrying):
        return (standing.status, standing.reason, standing.message)
    return ("False", "NotWaiting", "the plan does not wait for quota any more")


def explain(failure: Failure) -> str:
    """The failure for people: what failed, AWS's own words, and what to do where we know."""
    match failure.kind:
        case FailureKind.CREDENTIALS:
            return f"{failure}; {_IAM_HINT} {failure.iam_action}"
        case FailureKind.THROTTLED:
            return f"AWS throttles this account: {failure}"
        case _:
            return f"{failure.operation} failed: {failure}"
