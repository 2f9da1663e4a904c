"""What a user sees when AWS refuses or does not answer: condition, message, retry time; and that the loop stays calm."""

import re
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.operators import World, stage, wait_until

CREATE = "CreateEdgeDeploymentPlan"


def _retry_in(world: World, name: str) -> float:
    """Seconds until the retry that the status announces."""
    due = datetime.fromisoformat(world.status(name)["retry"]["nextAttemptTime"])
    return (due - datetime.now(UTC)).total_seconds()


def _lease(world: World) -> str:
    """Who holds one knows what was created, as nobody else acts."""
    return f"{world.namespace}/edgeplan"


def test_throttled_plan_waits_without_counting_the_attempt(world: World) -> None:
    world.sandbox.fault(CREATE, error="ThrottlingException", times=3)  # it has three turns
    with world.operator():
        world.create("plan")
        said = world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        words = r"AWS throttles this account: ThrottlingException: Rate exceeded \(request id "
        assert re.match(rf"next try \d\d:\d\d:\d\d UTC: {words}", said["message"])
        retry = world.status("plan")["retry"]
        assert (retry["attempts"], retry["lastError"]["code"]) == (0, "ThrottlingException")
        assert 0 < _retry_in(world, "plan") <= 15
        assert world.condition("plan", "Ready")["status"] == "False"
        world.wait_for("plan", "Ready", seconds=25)
        assert "retry" not in world.status("plan")
        assert world.condition("plan", "Reconciling") == {}


def test_server_errors_back_off_and_count(world: World) -> None:
    world.sandbox.fault(CREATE, error="InternalFailure", status=500, times=3)
    with world.operator():
        world.create("plan")
        said = world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        assert f"UTC: {CREATE} failed: InternalFailure: " in said["message"]
        assert world.status("plan")["retry"]["attempts"] >= 1
        world.wait_for("plan", "Ready", seconds=25)
        assert world.creates() == 4


def test_lost_answer_makes_no_second_plan(world: World) -> None:
    world.sandbox.fault(CREATE, mode="drop_after", times=1)
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready", seconds=20)
    codes = world.sandbox.requests(CREATE)
    assert [request["code"] for request in codes] == ["drop_after"]  # the next look finds it
    assert world.sandbox.plans() == ["plan"]


def test_slow_answer_is_a_timeout_that_is_retried(world: World) -> None:
    world.sandbox.fault(CREATE, mode="slow", seconds=3, times=1)
    with world.operator(aws_timeout=timedelta(seconds=1)):
        world.create("plan")
        said = world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        assert "ReadTimeoutError" in said["message"]
        world.wait_for("plan", "Ready", seconds=20)
    assert world.sandbox.plans() == ["plan"]


def test_refused_connection_is_named_and_retried(world: World) -> None:
    with socket.socket() as probe:  # a port on which nobody listens
        probe.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with world.operator(aws_endpoint_url=nowhere, lease=_lease(world)):
        world.create("plan")
        said = world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        assert "EndpointConnectionError: Could not connect to the endpoint URL" in said["message"]
        wait_until(lambda: world.status("plan")["retry"]["attempts"] >= 2, seconds=20)
        assert _retry_in(world, "plan") <= 300
        # Never created in AWS: it goes although AWS cannot be asked.
        world.delete("plan")
        world.wait_gone("plan", seconds=3)


def test_expired_credentials_retry_slowly(world: World) -> None:
    world.sandbox.settings(expired_access_keys=["*"])
    with world.operator():
        world.create("plan")
        said = world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        assert "ExpiredToken" in said["message"]
        assert "ask whoever runs the operator whether it has credentials that are valid" in said["message"]
        assert 240 < _retry_in(world, "plan") <= 330
        assert world.creates() == 1


def test_denied_access_names_the_iam_action(world: World) -> None:
    world.sandbox.fault(CREATE, error="AccessDeniedException")
    with world.operator():
        world.create("plan")
        said = world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        assert "is not authorized to perform: sagemaker:CreateEdgeDeploymentPlan" in said["message"]
        assert said["message"].endswith(f"allows sagemaker:{CREATE}")
        assert 240 < _retry_in(world, "plan") <= 330
        world.sandbox.clear_faults()
        world.ask("plan", "now")  # need not wait for five minutes
        world.wait_for("plan", "Ready")
        assert world.status("plan")["lastHandledReconcileAt"] == "now"


def test_validation_refused_by_aws_stalls_until_the_spec_changes(world: World) -> None:
    world.sandbox.fault(CREATE, error="ValidationException", message="no such thing", times=1)
    with world.operator():
        world.create("plan")
        said = world.wait_for("plan", "Stalled", reason="RefusedByAWS")
        assert "no such thing" in said["message"]
        assert world.condition("plan", "Reconciling") == {}
        assert world.condition("plan", "Ready")["status"] == "False"
        world.edit("plan", deviceFleetName="other")
        world.wait_for("plan", "Ready")
        assert world.condition("plan", "Stalled") == {}


def test_unknown_error_is_retried_as_transient(world: World) -> None:
    world.sandbox.fault(CREATE, error="NeverSeenBefore", message="hm", status=400, times=1)
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready", seconds=20)
    assert world.creates() == 2


def test_edit_during_a_retry_is_taken_up_at_once(world: World) -> None:
    world.sandbox.fault(CREATE, error="AccessDeniedException", times=1)
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        edited = time.monotonic()
        world.edit("plan", stages=[stage("fleet")])
        world.wait_for("plan", "Ready", seconds=5)
        assert time.monotonic() - edited < 3
    assert len(world.sandbox.plan("plan")["Stages"]) == 1


def test_object_deleted_before_it_was_created_goes_at_once(world: World) -> None:
    world.sandbox.fault(CREATE, error="AccessDeniedException")
    world.sandbox.fault("DescribeEdgeDeploymentPlan", error="AccessDeniedException")
    with world.operator(lease=_lease(world)):
        world.create("plan")
        world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        world.delete("plan")
        world.wait_gone("plan", seconds=3)
    assert world.calls() == {CREATE: 1}


def test_without_a_lease_an_object_that_was_never_created_goes_after_a_look(world: World) -> None:
    world.sandbox.fault(CREATE, error="AccessDeniedException")
    world.sandbox.fault("DescribeEdgeDeploymentPlan", error="AccessDeniedException")
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
        world.delete("plan")
        wait_until(lambda: "DescribeEdgeDeploymentPlan" in world.condition("plan", "Ready")["message"])
        world.sandbox.clear_faults()
        world.ask("plan", "now")
        world.wait_gone("plan", seconds=5)
    assert world.sandbox.plans() == []


def test_retry_time_survives_a_restart(world: World) -> None:
    world.sandbox.fault(CREATE, error="AccessDeniedException")
    world.create("plan")
    with world.operator():
        world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry")
    before = world.status("plan")["retry"]
    with world.operator():
        world.create("other")
        world.wait_for("other", "Reconciling", reason="ProgressingWithRetry")
    assert world.status("plan")["retry"] == before
    assert world.creates() == 2


def test_a_storm_of_faults_is_no_hot_loop(world: World) -> None:
    world.sandbox.fault("*", error="InternalFailure", status=500)
    with world.operator():
        for number in range(20):
            world.create(f"plan-{number}")
        time.sleep(8)
        # 20 plans with base 1 s, doubling: far under 8 calls each.
        assert sum(world.sandbox.counts().values()) <= 20 * 8
        world.sandbox.clear_faults()
        for number in range(20):
            world.ask(f"plan-{number}", "now")
        for number in range(20):
            world.wait_for(f"plan-{number}", "Ready")


def test_shutdown_lets_a_call_under_way_finish_and_writes_its_result(world: World, tmp_path: Path) -> None:
    world.sandbox.fault(CREATE, mode="slow", seconds=2, times=1)
    world.create("plan")
    with world.process(tmp_path / "operator.log") as operator:
        wait_until(lambda: any(write.code == 200 for write in world.writes("edgedeploymentplans")), seconds=30)
        time.sleep(0.7)  # the create is under way
        assert operator.stop() == 0
    assert world.condition("plan", "Ready")["status"] == "True"
    assert world.status("plan")["edgeDeploymentPlanArn"]
    assert world.creates() == 1


@pytest.mark.parametrize("flag", ["--sweep-interval=soon", "--concurrency=0", "--aws-timeout=0s"])
def test_wrong_flags_are_refused_with_the_value(world: World, tmp_path: Path, flag: str) -> None:
    log = tmp_path / "operator.log"
    operator = world.process(log, flag).start()
    assert operator.process is not None
    assert operator.process.wait(30) == 2
    assert flag.partition("=")[2].rstrip("s") in log.read_text()
