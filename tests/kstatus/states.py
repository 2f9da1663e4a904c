"""One object for every kind of status that the operator writes, made by its own `decide`, `attempt` and `summarize`.

Also the source of the test data of the Argo CD health check.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.domain.agenda import Wake
from controller.domain.api import API_VERSION, FINALIZER, KIND, OWNER_TAG
from controller.domain.attempt import attempt
from controller.domain.circumstances import Circumstances
from controller.domain.conversation import Announce, Answer, Ask, Finalizer, Look
from controller.domain.decide import decide
from controller.domain.desired import Desired
from controller.domain.failures import Failure, FailureKind
from controller.domain.findings import Findings
from controller.domain.forecast import pending
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.outcomes import Next, Outcome, Queued, Stalled, Suspended, Waiting
from controller.domain.ownership import Owner
from controller.domain.reasons import Reason
from controller.domain.resource import Scope, parse
from controller.domain.schedule import STAGE_POLL
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.stage import StageStatus
from controller.domain.summarize import summarize

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/store-cameras"
OWNER = Owner("prod", "retail", "store-cameras", "6c3f5c9e-8a57-4b60-b3e1-0d4a4f1c7a2b")
_REQUEST = "0f3a1c52-9f0e-4f0d-8f4b-2c5d9d7e6b1a"
_FULL = "The account-level service limit 'Number of edge deployment plans' is 3"

Body = dict[str, Any]
ROLLOUT = {"strategy": "Sequential", "throughStage": "canary", "bakeTime": "30m", "maxFailedPercent": 10}


def failure(kind: FailureKind, operation: str, code: str, message: str) -> Failure:
    return Failure(kind, operation, code, message, request_id=_REQUEST, harmless=True)


QUOTA = failure(FailureKind.QUOTA, "CreateEdgeDeploymentPlan", "ResourceLimitExceeded", _FULL)
THROTTLED = failure(FailureKind.THROTTLED, "DescribeEdgeDeploymentPlan", "ThrottlingException", "Rate exceeded")
DENIED = failure(FailureKind.CREDENTIALS, "CreateEdgeDeploymentPlan", "AccessDeniedException", "not authorized")
BROKEN = failure(FailureKind.TRANSIENT, "DescribeEdgeDeploymentPlan", "InternalFailure", "try later")
REFUSED = failure(FailureKind.TERMINAL, "CreateEdgeDeploymentPlan", "ValidationException", "1 validation error")


def body(generation: int = 1, **spec: Any) -> Body:
    """The object before its first reconcile, as the API server stores it."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": OWNER.name,
            "namespace": OWNER.namespace,
            "uid": OWNER.uid,
            "generation": generation,
            "resourceVersion": "4711",
            "creationTimestamp": "2026-11-24T11:00:00Z",
            "finalizers": [FINALIZER],
        },
        "spec": {
            "modelConfigs": [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}],
            "deviceFleetName": "store-cameras",
            "stages": [
                {
                    "stageName": "canary",
                    "deviceSelectionConfig": {"deviceSubsetType": "NAMECONTAINS", "deviceNameContains": "canary"},
                },
                {"stageName": "fleet", "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": 100}},
            ],
        }
        | spec,
        "status": {"observedGeneration": -1},
    }


def at_aws(
    canary: StageStatus = "READYTODEPLOY", fleet: StageStatus = "READYTODEPLOY", *, failed: int = 0, **changes: Any
) -> ObservedPlan:
    """The AWS plan with its two stages in these statuses."""
    spec = EdgeDeploymentPlanSpec.model_validate(body()["spec"])
    counts = {"DEPLOYED": (20 - failed, 0, failed), "INPROGRESS": (5, 15 - failed, failed)}
    stages = []
    for wanted, status in zip(spec.stages or (), (canary, fleet), strict=True):
        succeeded, pending, bad = counts.get(status, (0, 20, failed))
        started = None if status == "READYTODEPLOY" else NOW - timedelta(minutes=5)
        stages.append(
            ObservedStage(
                wanted.stage_name, wanted.device_selection_config, None, status, succeeded, pending, bad, started
            )
        )
    plan = ObservedPlan(
        arn=ARN,
        name="store-cameras",
        fleet="store-cameras",
        models=spec.model_configs,
        stages=tuple(stages),
        tags={OWNER_TAG: OWNER.tag_value},
        created=NOW - timedelta(hours=1),
        modified=NOW - timedelta(minutes=5),
    )
    return replace(plan, **changes)


def after(before: Body, outcome: Outcome, observed: ObservedPlan | None = None, now: datetime = NOW) -> Body:
    """The object once a reconcile came to this outcome, having seen that plan (None: AWS was not asked)."""
    plan, found = parse(before), Findings()
    if observed is not None:
        assert isinstance(plan.spec, EdgeDeploymentPlanSpec)
        found = found.seen(observed, Desired(plan.plan_name, plan.spec, OWNER), plan.status)
    status = summarize(plan, outcome, found, now)
    return {**before, "status": status.wire()}


def decided(before: Body, observed: ObservedPlan) -> Body:
    """The object once `decide` has had its say about that plan; in the middle of an attempt, where it goes on."""
    plan = parse(before)
    assert isinstance(plan.spec, EdgeDeploymentPlanSpec)
    given = Circumstances(plan.status, NOW, edited=plan.edited)
    desired = Desired(plan.plan_name, plan.spec, OWNER)
    if not plan.spec.manages:
        return after(before, pending(desired, observed, given), observed)
    outcome = decide(desired, observed, given).outcome
    if isinstance(outcome, Next):
        outcome = Waiting(STAGE_POLL, outcome.reason, outcome.message)
    return after(before, outcome, observed)


def failed_with(before: Body, error: Failure) -> Body:
    """The object once an attempt met that failure; AWS holds no plan."""
    plan = parse(before)
    looks = error.operation == "DescribeEdgeDeploymentPlan"
    given = Circumstances(
        plan.status,
        NOW,
        wakes=frozenset({Wake.DRIFT} if looks else ()),
        cluster=OWNER.cluster,
        scope=Scope("default", "eu-west-1"),
        untouched=not plan.deleting,
    )
    talk = attempt(plan, given)
    answer: Answer = None
    while True:
        try:
            request = talk.send(answer)
        except StopIteration as end:
            return {**before, "status": summarize(plan, end.value.outcome, end.value.found, NOW).wire()}
        if request is Ask.DEFINITION_GOING:
            answer = False
        elif isinstance(request, Announce | Finalizer):
            answer = plan
        else:
            answer = error if isinstance(request, Look) == looks else None


def deleting(before: Body) -> Body:
    """The object after `kubectl delete`: the finalizer keeps it, the generation is one more."""
    gone = {"deletionTimestamp": "2026-11-24T11:59:00Z", "deletionGracePeriodSeconds": 0}
    return {**before, "metadata": {**before["metadata"], **gone, "generation": before["metadata"]["generation"] + 1}}


def edited(before: Body, **spec: Any) -> Body:
    """The object after an edit that the operator has not seen."""
    metadata = {**before["metadata"], "generation": before["metadata"]["generation"] + 1}
    return {**before, "metadata": metadata, "spec": {**before["spec"], **spec}}


def objects() -> Mapping[str, Body]:
    """Every kind of status by name."""
    return dict(_objects())


def _objects() -> Iterator[tuple[str, Body]]:
    new, gated = body(), body(rollout=ROLLOUT)
    ready = decided(new, at_aws())
    queued = after(new, Queued(0, timedelta(seconds=8), 3, QUOTA))
    yield "new", new
    yield "in-sync", ready
    yield "changing-stages", decided(new, at_aws(stages=at_aws().stages[:1]))
    yield "rollout-progressing", decided(gated, at_aws("INPROGRESS"))
    yield "baking", decided(body(rollout=ROLLOUT | {"throughStage": "fleet"}), at_aws("DEPLOYED"))
    yield "waiting-for-promotion", decided(gated, at_aws("DEPLOYED"))
    yield "rollout-complete", decided(body(rollout={"strategy": "Sequential"}), at_aws("DEPLOYED", "DEPLOYED"))
    yield "rollout-stopped", decided(gated, at_aws("STOPPED", failed=5))
    yield "stage-failed", decided(gated, at_aws("FAILED", failed=20))
    yield "immutable-field-changed", decided(edited(ready, deviceFleetName="kiosks"), at_aws())
    yield "recreating", decided(edited(ready, deviceFleetName="kiosks", policy={"replacement": "Recreate"}), at_aws())
    yield "not-owned", decided(new, at_aws(tags={}))
    yield "refused-by-aws", failed_with(new, REFUSED)
    yield (
        "invalid-spec",
        after(body(stages=[{"stageName": "canary"}]), Stalled(Reason.INVALID_SPEC, "spec.stages[0]: no")),
    )
    yield "retrying", failed_with(new, BROKEN)
    yield "retrying-while-ready", failed_with(ready, BROKEN)
    yield "throttled", failed_with(new, THROTTLED)
    yield "access-denied", failed_with(new, DENIED)
    yield "quota-exceeded", queued
    yield "quota-behind-others", after(new, Queued(2, timedelta(seconds=45), 0, QUOTA))
    yield "quota-then-broken", failed_with(queued, BROKEN)
    yield "quota-then-refused", failed_with(queued, REFUSED)
    yield "quota-available", decided(queued, at_aws())
    yield "observed-in-sync", decided(body(policy={"management": "Observe"}), at_aws())
    yield "changes-pending", decided(body(policy={"management": "Observe"}), at_aws(stages=at_aws().stages[:1]))
    yield "suspended", after(edited(ready, suspend=True), Suspended())
    yield "suspended-not-seen", edited(ready, suspend=True)
    yield "edited-not-seen", edited(ready, tags=[{"key": "team", "value": "retail"}])
    yield "stalled-then-edited", edited(decided(new, at_aws(tags={})), policy={"adoption": "Adopt"})
    yield "deleting", deleting(ready)
    yield "deleting-retrying", failed_with(deleting(ready), BROKEN)
