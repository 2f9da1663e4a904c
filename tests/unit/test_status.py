"""The status on the wire, and objects as they come from the API server."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.api import FINALIZER, RECONCILE_ANNOTATION
from controller.domain.reasons import Reason
from controller.domain.resource import InvalidSpec, Key, parse
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.status import EdgeDeploymentPlanStatus, StageState
from tests.bad_manifests import BAD, Bad, good_spec
from tests.unit.builders import ARN, NOON, retry

WIRE: dict[str, Any] = {
    "observedGeneration": 3,
    "edgeDeploymentPlanArn": ARN,
    "edgeDeploymentPlanName": "store-cameras",
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "InSync",
            "message": "",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        }
    ],
    "stages": [
        {
            "stageName": "canary",
            "status": "DEPLOYED",
            "devicesSucceeded": 3,
            "devicesPending": 0,
            "devicesFailed": 1,
            "startTime": "2026-03-01T11:00:00Z",
            "deployedTime": "2026-03-01T12:00:00Z",
            "message": "1 failed",
            "failedDevices": [{"deviceName": "till-4", "message": "checksum"}],
        }
    ],
    "devices": {"succeeded": 3, "pending": 0, "failed": 1},
    "devicesDeployed": "3/4",
    "account": "123456789012",
    "region": "eu-west-1",
    "stagesDeployed": "1/1",
    "retry": {
        "attempts": 2,
        "nextAttemptTime": "2026-03-01T12:00:00.250000Z",
        "lastError": {"code": "InternalFailure", "message": "it broke", "requestId": "request-1"},
    },
    "pendingChanges": ["StartStage(canary)"],
    "lastHandledReconcileAt": "2026-03-01",
    "lastModifiedTime": "2026-03-01T12:00:00.123000Z",
    "creationTime": "2026-03-01T10:00:00.001000Z",
    "replacingSince": "2026-03-01T10:00:00Z",
    "appliedTagKeys": ["edgeplan.dev/owner"],
    "owed": ["Edit", "Request"],
    "settling": {
        "until": "2026-03-01T12:01:00.000000Z",
        "createdAfter": "2026-03-01T12:00:00.000000Z",
        "modifiedAfter": "2026-03-01T12:00:00.500000Z",
        "unanswered": "2026-03-01T12:01:00.000000Z",
        "untagged": True,
        "deleted": True,
    },
    "claim": {"by": "process-1", "until": "2026-03-01T12:01:00.000000Z"},
}


def test_status_goes_from_the_wire_and_back_unchanged() -> None:
    assert set(WIRE) == {field.alias for field in EdgeDeploymentPlanStatus.model_fields.values()}
    assert EdgeDeploymentPlanStatus.model_validate(WIRE).wire() == WIRE


def test_status_before_the_first_reconcile_is_the_default_of_the_crd() -> None:
    assert EdgeDeploymentPlanStatus.model_validate({"observedGeneration": -1}) == EdgeDeploymentPlanStatus()


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))]), min_value=datetime(1970, 1, 2)))  # noqa: DTZ001 - Hypothesis adds the zone
def test_times_mean_the_same_moment_whatever_zone_they_came_in(moment: datetime) -> None:
    wire = StageState(stage_name="canary", status="DEPLOYED", start_time=moment).wire()
    read = StageState.model_validate(wire).start_time
    assert read == moment.astimezone(UTC).replace(microsecond=0)


def test_retry_time_keeps_its_fraction_so_that_no_retry_comes_early() -> None:
    due = NOON + timedelta(milliseconds=250)
    wire = EdgeDeploymentPlanStatus(retry=retry(1, due)).wire()
    read = EdgeDeploymentPlanStatus.model_validate(wire).retry
    assert read is not None
    assert read.next_attempt_time == due


def body(**more: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "retail",
        "name": "store-cameras",
        "uid": "uid-1",
        "generation": 3,
        "resourceVersion": "42",
        "creationTimestamp": "2026-03-01T12:00:00Z",
    }
    return {"metadata": metadata | more.pop("metadata", {}), "spec": good_spec(), "status": WIRE} | more


def test_object_is_parsed_at_the_door() -> None:
    plan = parse(body())
    assert (plan.key, plan.uid, plan.generation, plan.created) == (Key("retail", "store-cameras"), "uid-1", 3, NOON)
    assert isinstance(plan.spec, EdgeDeploymentPlanSpec)
    assert plan.spec.wire() == good_spec()
    assert plan.status.wire() == WIRE
    assert (plan.deleting, plan.has_finalizer, plan.asked, plan.plan_name) == (False, False, False, "store-cameras")


def test_deletion_finalizer_and_request_are_seen() -> None:
    metadata = {
        "deletionTimestamp": "2026-03-01T12:00:00Z",
        "finalizers": ["other", FINALIZER],
        "annotations": {RECONCILE_ANNOTATION: "again"},
    }
    plan = parse(body(metadata=metadata))
    assert (plan.deleting, plan.has_finalizer, plan.asked) == (True, True, True)


def test_name_of_the_object_is_the_default_name_of_the_plan() -> None:
    spec = {key: value for key, value in good_spec().items() if key != "edgeDeploymentPlanName"}
    assert parse(body(spec=spec, metadata={"name": "parking"})).plan_name == "parking"


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_object_stored_under_an_older_definition_is_parsed_and_says_what_is_wrong(bad: Bad) -> None:
    plan = parse(body(spec=bad.spec, metadata={"name": bad.name}))
    if bad.id == "stages_null":
        return  # an API server never stores null
    assert isinstance(plan.spec, InvalidSpec)
    assert plan.plan_name == (plan.spec.salvaged.edge_deployment_plan_name or bad.name)
    if bad.field != "spec":
        assert bad.field in plan.spec.message


@pytest.mark.parametrize("broken", [{"conditions": "none"}, {"observedGeneration": "x"}, {"phase": "Ready"}])
def test_status_that_does_not_parse_is_dropped(broken: dict[str, Any]) -> None:
    assert parse(body(status=broken)).status == EdgeDeploymentPlanStatus()


@pytest.mark.parametrize("missing", [{"status": None}, {"spec": None}])
def test_object_without_spec_or_status_is_parsed(missing: dict[str, Any]) -> None:
    plan = parse(body(**missing))
    assert (plan.status == EdgeDeploymentPlanStatus()) == ("status" in missing)
    assert isinstance(plan.spec, InvalidSpec) == ("spec" in missing)


# -- the document -----------------------------------------------------------------------------------------------------


def documented(heading: str, column: int) -> list[str]:
    """The words in backticks of one column of the table under that heading of docs/status.md."""
    text = (Path(__file__).parents[2] / "docs" / "status.md").read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [word for row in rows[2:] for word in re.findall(r"`(\w+)`", row[column])]


def test_document_explains_every_reason_once() -> None:
    gone = {Reason.DELETED, Reason.KEPT, Reason.RETAINED}  # of the last event: nobody is left to have a condition
    explained = documented("Reasons", 1)
    assert len(explained) == len(set(explained))
    assert set(explained) == {str(reason) for reason in set(Reason) - gone}


def test_document_explains_every_field_of_the_status_once() -> None:
    assert sorted(documented("Fields", 0)) == sorted(WIRE)
