"""A manifest becomes a plan: apply, ARN, quota, cost."""

import re
import time
from typing import Any

from tests.integration.operators import World, condition, stage, wait_until


def test_applied_manifest_becomes_ready_with_its_arn(world: World) -> None:
    manifest = f"""
    apiVersion: edgeplan.dev/v1alpha1
    kind: EdgeDeploymentPlan
    metadata: {{name: store-cameras, namespace: {world.namespace}}}
    spec:
      modelConfigs:
        - {{modelHandle: people-counter, edgePackagingJobName: people-counter-v7}}
      deviceFleetName: store-cameras
      stages:
        - stageName: canary
          deviceSelectionConfig: {{deviceSubsetType: NAMECONTAINS, deviceNameContains: canary}}
          deploymentConfig: {{failureHandlingPolicy: ROLLBACK_ON_FAILURE}}
        - stageName: fleet
          deviceSelectionConfig: {{deviceSubsetType: PERCENTAGE, percentage: 100}}
      tags: [{{key: team, value: retail}}]
    """
    kubectl = world.cluster.kubectl
    with world.operator():
        kubectl("apply", "-f", "-", input=manifest)
        kubectl("wait", "-n", world.namespace, "--for=condition=Ready", "edp/store-cameras", "--timeout=120s")
        wide = kubectl("get", "-n", world.namespace, "edp", "-o", "wide").stdout
        described = kubectl("describe", "-n", world.namespace, "edp/store-cameras").stdout
        assert "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/store-cameras" in wide
        assert re.search(
            r"Created .*Created plan store-cameras on fleet store-cameras, stages: canary, fleet", described
        )
        held = world.sandbox.plan("store-cameras")
        assert held["Tags"]["team"] == "retail"
        assert held["Tags"]["edgeplan.dev/owner"].startswith(f"test/{world.namespace}/store-cameras/")
        assert [item["StageName"] for item in held["Stages"]] == ["canary", "fleet"]

        kubectl("delete", "-n", world.namespace, "edp/store-cameras", "--timeout=120s")
        assert world.sandbox.plans() == []


def test_objects_made_before_the_operator_starts_are_taken_up(world: World) -> None:
    world.create("early")
    with world.operator():
        world.wait_for("early", "Ready")


def test_restart_costs_no_aws_call(world: World) -> None:
    world.create("idle", stages=[stage("fleet")])
    with world.operator():
        world.wait_for("idle", "Ready")
        wait_until(lambda: "creationTime" in world.status("idle"))  # the early look at its stage has been taken
    before = world.calls()
    with world.operator():
        world.create("second")
        world.wait_for("second", "Ready")
    assert world.calls() == before | {"CreateEdgeDeploymentPlan": 2}


def test_a_hundred_happy_plans_cost_two_calls_each_and_four_writes(world: World) -> None:
    """The create, and one early look at the stages that it made; finalizer, event, and a status after each call."""
    with world.operator():
        for number in range(100):
            world.create(f"plan-{number:03}", stages=[stage("fleet")])
        wait_until(lambda: sum(_ready(body) for body in world.all()) == 100, seconds=60)
        wait_until(lambda: len(world.writes("events")) == 100)
        wait_until(lambda: all("creationTime" in body["status"] for body in world.all()))
    assert world.calls() == {"CreateEdgeDeploymentPlan": 100, "DescribeEdgeDeploymentPlan": 100}
    finalizers = world.writes("edgedeploymentplans")
    statuses = world.writes("edgedeploymentplans/status")
    events = world.writes("events")
    assert (len(finalizers), len(statuses), len(events)) == (100, 200, 100)


def test_quota_lets_in_in_order_and_only_one_plan_asks(world: World) -> None:
    world.sandbox.settings(quota=3)
    with world.operator():
        for number in range(10):
            world.create(f"plan-{number}")
        wait_until(lambda: len(_refused(world)) == 7, seconds=20)
        wait_until(lambda: sorted(_ahead(body) for body in _refused(world)) == list(range(7)), seconds=20)
        message = condition(_refused(world)[0], "ResourceLimitExceeded")["message"]
        assert "The account-level service limit" in message

        # 12 s of waiting cost what the probe's attempts count, and nothing else.
        probe = min(_refused(world), key=_ahead)["metadata"]["name"]
        calls, attempts = _calls_and_attempts(world, probe)
        time.sleep(12)
        calls_then, attempts_then = _calls_and_attempts(world, probe)
        assert calls_then - calls == attempts_then - attempts
        assert calls_then - calls <= 13  # the reads wait for a moment between two calls

        ready = next(body["metadata"]["name"] for body in world.all() if _ready(body))
        queue = [body["metadata"]["name"] for body in sorted(_refused(world), key=_ahead)]
        world.delete(ready)
        wait_until(lambda: _ready(world.get(queue[0]) or {}), seconds=20)
        wait_until(lambda: sorted(_ahead(body) for body in _refused(world)) == list(range(6)), seconds=20)
        assert [body["metadata"]["name"] for body in sorted(_refused(world), key=_ahead)] == queue[1:]
        admitted = condition(world.get(queue[0]) or {}, "ResourceLimitExceeded")
        assert (admitted["status"], admitted["reason"]) == ("False", "QuotaAvailable")


def test_quota_queue_survives_a_restart(world: World) -> None:
    world.sandbox.settings(quota=1)
    with world.operator():
        for number in range(4):
            world.create(f"plan-{number}")
        wait_until(lambda: sorted(_ahead(body) for body in _refused(world)) == [0, 1, 2])
    start = world.creates()
    with world.operator():
        time.sleep(3)
        assert world.creates() - start <= 5  # one probe with its backoff, not three
        assert sorted(_ahead(body) for body in _refused(world)) == [0, 1, 2]
        world.sandbox.settings(quota=10)
        wait_until(lambda: all(_ready(body) for body in world.all()), seconds=30)


def _ready(body: dict[str, Any]) -> bool:
    return condition(body, "Ready").get("status") == "True"


def _refused(world: World) -> list[dict[str, Any]]:
    return [body for body in world.all() if condition(body, "ResourceLimitExceeded").get("status") == "True"]


def _calls_and_attempts(world: World, probe: str) -> tuple[int, int]:
    """How often AWS was asked and how often the status says so, at a moment at which no call is under way."""

    def read() -> tuple[int, int]:
        return world.creates(), world.status(probe)["retry"]["attempts"]

    def unchanged() -> tuple[int, int] | None:
        before = read()
        time.sleep(0.5)
        return before if read() == before else None

    found = wait_until(unchanged)
    assert found is not None
    return found


def _ahead(body: dict[str, Any]) -> int:
    message = condition(body, "ResourceLimitExceeded")["message"]
    found = re.match(r"(\d+)(st|nd|rd|th) of \d+ waiting for quota", message)
    assert found, message
    return int(found[1]) - 1
