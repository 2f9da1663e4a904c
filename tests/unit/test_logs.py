"""The log and the audit log: what each line tells beside its words."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kopf
import pytest

from controller.aws.requests import request_of
from controller.aws.sagemaker import Change
from controller.domain.actions import Action, AddTags, CreatePlan, StartStage
from controller.domain.failures import Failure
from controller.domain.resource import parse
from controller.engine.acting import ACTING, Acting
from controller.operator.audit import AuditLog
from controller.operator.logs import ContextFilter, own_version
from tests.unit.builders import ARN, MODEL, NAME, NOON, SCOPE, failure, plan, stage

OBJECT = {"apiVersion": "edgeplan.dev/v1alpha1", "kind": "EdgeDeploymentPlan", "namespace": "retail", "name": NAME}


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger with a handler as the operator has it, for machines."""
    from kopf._core.actions.loggers import make_formatter  # noqa: PLC0415 - what kopf.configure uses

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(log_format=kopf.LogFormat.JSON))
    handler.addFilter(ContextFilter())
    logger = logging.getLogger("controller.test")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


@pytest.fixture
def acting() -> Iterator[None]:
    token = ACTING.set(Acting(plan(generation=7), SCOPE))
    yield
    ACTING.reset(token)


@pytest.mark.usefixtures("acting")
def test_line_for_machines_says_of_which_object_and_place_it_is(log: tuple[logging.Logger, io.StringIO]) -> None:
    log[0].info("started", extra={"action": "StartEdgeDeploymentStage", "requestId": "request-1"})
    said = json.loads(log[1].getvalue())
    assert said["object"] == OBJECT | {"uid": "uid-1"}
    assert (said["generation"], said["account"], said["region"]) == (7, "default", "eu-west-1")
    assert (said["action"], said["requestId"]) == ("StartEdgeDeploymentStage", "request-1")
    assert (said["version"], said["severity"], said["message"]) == (own_version(), "info", "started")


def test_line_about_no_object_has_none(log: tuple[logging.Logger, io.StringIO]) -> None:
    log[0].warning("calls fail", extra={"account": "shops", "region": "us-east-1"})
    said = json.loads(log[1].getvalue())
    assert "object" not in said
    assert (said["account"], said["region"], said["version"]) == ("shops", "us-east-1", own_version())


# -- the audit log ----------------------------------------------------------------------------------------------------


def audited(path: Path, action: Action, failed: Failure | None = None) -> dict[str, Any]:
    """What the audit log says of a call."""
    log = AuditLog(str(path), lambda: NOON)
    operation, parameters = request_of(action)
    request_id = failed.request_id if failed else "request-1"
    log.changed(Change(SCOPE, action, operation, parameters, failed, request_id))
    log.close()
    (*_, line) = path.read_text().splitlines()
    return dict(json.loads(line))


@pytest.mark.usefixtures("acting")
def test_change_is_a_line_that_says_who_asked_for_what_and_what_became_of_it(tmp_path: Path) -> None:
    create = CreatePlan(NAME, "fleet", (MODEL,), (stage("canary"),), {"team": "retail"})
    assert audited(tmp_path / "audit", create) == {
        "time": "2026-03-01T12:00:00.000Z",
        "object": {
            "namespace": "retail",
            "name": NAME,
            "uid": "uid-1",
            "generation": 7,
            "deleting": False,
            "fieldManagers": [],
        },
        "operation": "CreateEdgeDeploymentPlan",
        "account": "default",
        "region": "eu-west-1",
        "parameters": request_of(create)[1],
        "outcome": "done",
        "requestId": "request-1",
    }


@pytest.mark.parametrize(("harmless", "outcome"), [(True, "refused"), (False, "unknown")])
def test_call_that_failed_is_told_with_what_is_known_of_it(tmp_path: Path, outcome: str, *, harmless: bool) -> None:
    said = audited(tmp_path / "audit", StartStage(NAME, "canary"), failure(code="InternalFailure", harmless=harmless))
    assert (said["outcome"], said["errorCode"], said["errorMessage"]) == (outcome, "InternalFailure", "it broke")
    assert said["object"] is None


def test_secrets_stay_out_of_the_audit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-somebody")
    said = audited(tmp_path / "audit", AddTags(ARN, {"note": "a-token-of-somebody"}))
    assert said["parameters"]["Tags"] == [{"Key": "note", "Value": "[redacted]"}]


def test_file_is_appended_to_and_one_that_was_moved_away_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    for _ in range(2):
        audited(path, StartStage(NAME, "canary"))
    assert len(path.read_text().splitlines()) == 2
    log = AuditLog(str(path), lambda: NOON)
    path.rename(tmp_path / "audit.1")
    log.changed(Change(SCOPE, StartStage(NAME, "canary"), "StartEdgeDeploymentStage", {}, None, None))
    log.close()
    assert len(path.read_text().splitlines()) == 1


def test_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--audit-log .*/none/audit: No such file or directory"):
        AuditLog(str(tmp_path / "none" / "audit"))


def test_managers_of_the_spec_are_known_and_those_of_the_status_are_not() -> None:
    fields = [
        {"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:deviceFleetName": {}}}},
        {"manager": "edgeplan", "fieldsV1": {"f:status": {}}},
        {"manager": "kubectl-edit", "fieldsV1": {"f:metadata": {}, "f:spec": {}}},
    ]
    metadata = {
        "namespace": "retail", "name": NAME, "uid": "uid-1", "resourceVersion": "1",
        "creationTimestamp": "2026-03-01T12:00:00Z", "managedFields": fields,
    }  # fmt: skip
    assert parse({"metadata": metadata}).managers == ("argocd-controller", "kubectl-edit")
