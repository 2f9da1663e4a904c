"""Summarize: everything known -> the status. The only writer of conditions.

kstatus reads Reconciling and Stalled before Ready, and never wants both: each is in the list only while it is True.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from controller.domain.actions import DeletePlan
from controller.domain.findings import Findings
from controller.domain.outcomes import Done, Gone, Outcome, Pending, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.reasons import Reason
from controller.domain.resource import Resource, account_of, region_of
from controller.domain.status import (
    Claim,
    Condition,
    ConditionType,
    Devices,
    EdgeDeploymentPlanStatus,
    LastError,
    OwedWork,
    Retry,
    StageState,
    Truth,
)
from controller.domain.wording import UNWATCHED, explain, next_try, place_in_queue

_AWAY = "; the former plan was deleted to be created again"
_ORDER: tuple[ConditionType, ...] = ("Ready", "Reconciling", "Stalled", "ResourceLimitExceeded")


def summarize(
    resource: Resource,
    outcome: Outcome,
    found: Findings,
    now: datetime,
    *,
    owed: OwedWork = (),
    claim: Claim | None = None,
) -> EdgeDeploymentPlanStatus:
    """The status after an attempt, or in the middle of one that announces what it does (`claim`)."""
    before = resource.status
    stages = _stages(before, found, now)
    succeeded = sum(stage.devices_succeeded for stage in stages or ())
    pending = sum(stage.devices_pending for stage in stages or ())
    failed = sum(stage.devices_failed for stage in stages or ())
    deployed = sum(stage.status == "DEPLOYED" for stage in stages or ())
    observed = found.observed
    told = found.looked and (observed is None or found.recognised)
    created = (observed.created if observed is not None else None) if told else before.creation_time
    standing = before.settling if before.settling is not None and now < before.settling.until else None
    arn = found.arn if found.looked else before.edge_deployment_plan_arn
    away = arn is None and not resource.deleting
    replacing = now if any(isinstance(done, DeletePlan) for done in found.done) else before.replacing_since
    return EdgeDeploymentPlanStatus(
        observed_generation=resource.generation,
        edge_deployment_plan_arn=arn,
        edge_deployment_plan_name=resource.plan_name if arn is not None else None,
        conditions=_conditions(resource, found, outcome, now, replacing=away and replacing is not None),
        stages=stages,
        devices=Devices(succeeded=succeeded, pending=pending, failed=failed) if stages else None,
        devices_deployed=f"{succeeded}/{succeeded + pending + failed}" if stages else None,
        account=account_of(arn) if arn is not None else None,
        region=region_of(arn) if arn is not None else None,
        stages_deployed=f"{deployed}/{len(stages)}" if stages else None,
        retry=before.retry if claim is not None else _retry(before, outcome, now),
        pending_changes=tuple(str(action) for action in outcome.actions) if isinstance(outcome, Pending) else None,
        last_handled_reconcile_at=resource.reconcile_requested_at or before.last_handled_reconcile_at,
        last_modified_time=observed.modified if observed else before.last_modified_time if not found.looked else None,
        creation_time=created if arn is not None else None,
        replacing_since=replacing if away else None,
        applied_tag_keys=tuple(sorted(found.applied_tag_keys)) or None if found.looked else before.applied_tag_keys,
        owed=owed or None,
        settling=found.settling if found.looked or found.settling is not None else standing,
        claim=claim,
    )


def _stages(before: EdgeDeploymentPlanStatus, found: Findings, now: datetime) -> tuple[StageState, ...] | None:
    if not found.looked:
        return before.stages
    if found.observed is not None and not found.recognised:
        return None  # those of a plan that is not this object's
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
            # Never ahead of the clock, which may have been set back: the bake time would last until it comes round again.
            deployed_time=min(before.deployed_since(stage.name) or now, now) if stage.status == "DEPLOYED" else None,
            message=stage.message,
            failed_devices=stage.failed_devices or None,
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


def _say(
    before: EdgeDeploymentPlanStatus, generation: int, outcome: Outcome, now: datetime, *, deleting: bool
) -> Mapping[ConditionType, _Said]:
    """What the outcome says of each condition; what it does not mention leaves the list."""
    match outcome:
        case Done(reason, message):
            return {"Ready": ("True", reason, message)}
        case Waiting(_, reason, message):
            so: _Said = ("True", reason, message)
            share: Mapping[ConditionType, _Said] = {"ResourceLimitExceeded": so}
            return {
                "Ready": ("False", reason, message),
                "Reconciling": so,
                **(share if reason is Reason.SHARE_USED else {}),
            }
        case Retrying(failure, after, _):
            text = f"{next_try(now + after)}: {'the object is being deleted: ' if deleting else ''}{explain(failure)}"
            ready = before.condition("Ready")
            # No answer is no news: what was Ready for this very spec stays so while we ask again.
            stays = before.observed_generation == generation and not deleting
            if ready is not None and ready.status == "True" and stays:
                said: _Said = ("True", ready.reason, ready.message)
            else:
                said = ("False", failure.reason, text)
            return {"Ready": said, "Reconciling": ("True", Reason.PROGRESSING_WITH_RETRY, text)}
        case Queued(ahead, after, _, failure, waiting):
            place = place_in_queue(ahead + 1, waiting, failure.message)
            text = f"{place}: {failure.message}" if ahead else f"{place}, {next_try(now + after)}: {failure}"
            return {
                "Ready": ("False", Reason.RESOURCE_LIMIT_EXCEEDED, text),
                "Reconciling": ("True", Reason.PROGRESSING_WITH_RETRY, text),
                "ResourceLimitExceeded": ("True", Reason.WAITING_FOR_QUOTA, text),
            }
        case Stalled(reason, message, failure):
            text = f"{message}: {failure}" if failure else message
            return {"Ready": ("False", reason, text), "Stalled": ("True", reason, text)}
        case Pending(actions, differences):
            what = f", in AWS -> in the spec: {'; '.join(differences)}" if differences else ""
            text = f"AWS differs from the spec{what}; Manage would call " + ", ".join(str(action) for action in actions)
            return {"Ready": ("False", Reason.CHANGES_PENDING, text)}
        case Suspended(unwatched):
            text = "spec.suspend is true: nothing is reconciled" + (f"; {UNWATCHED}" if unwatched else "")
            return {"Ready": ("Unknown", Reason.SUSPENDED, text)}
        case Gone(reason, message):
            return {"Ready": ("False", reason, message)}
        case _:
            assert_never(outcome)


def _conditions(
    resource: Resource, found: Findings, outcome: Outcome, now: datetime, *, replacing: bool
) -> tuple[Condition, ...]:
    before = resource.status
    said = dict(_say(before, resource.generation, outcome, now, deleting=resource.deleting))
    if replacing and not (isinstance(outcome, Waiting) and outcome.reason is Reason.RECREATING):
        said = {kind: (truth, reason, message + _AWAY) for kind, (truth, reason, message) in said.items()}
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
        return ("False", Reason.QUOTA_AVAILABLE, "AWS let the plan in")
    # Once False it stays; and if something else failed since, quota is still what AWS last said.
    if standing.status != "True" or isinstance(outcome, Retrying):
        return (standing.status, standing.reason, standing.message)
    return ("False", Reason.NOT_WAITING, "the plan does not wait for quota any more")
