"""What an outage looks like from outside: the reason in Ready, the log for machines, the audit log, events."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3

from tests.integration.operators import REGION, World, stage, wait_until

CREATE = "CreateEdgeDeploymentPlan"
SECOND = timedelta(seconds=1)
FAST = {"start_duration": 0.2, "deploy_duration_per_stage": 0.5, "stop_duration": 0.2}


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log for machines, but for Kopf's own first ones, written before anything can be set."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def test_outage_is_told_by_reason_and_its_end_wakes_all_that_wait_for_it(world: World, tmp_path: Path) -> None:
    """Credentials are tried again every five minutes: who gets its plan in less was woken."""
    fault = {"error": "ExpiredTokenException"}
    world.sandbox.fault(CREATE, **fault)
    world.sandbox.fault("ListEdgeDeploymentPlans", **fault)
    log, audit = tmp_path / "log", tmp_path / "audit"
    names = [f"plan-{number}" for number in range(3)]
    with world.process(log, "--log-format=json", f"--audit-log={audit}", "--sweep-interval=1s") as operator:
        for name in names:
            world.create(name)
        for name in names:
            world.wait_for(name, "Ready", "False", reason="NoCredentials", seconds=60)
        world.sandbox.clear_faults()
        for name in names:
            world.wait_for(name, "Ready", seconds=150)
        assert operator.stop() == 0
    said = lines(log)
    (introduction,) = [line for line in said if "acts for cluster test; AWS identity" in line["message"]]
    assert "arn:aws:iam::123456789012:user/sandbox" in introduction["message"]
    assert introduction["version"]
    trouble = [(line["severity"], line["message"]) for line in said if "AWS account default" in line["message"]]
    assert [severity for severity, _ in trouble] == ["warn", "info"], trouble
    assert "work again: NoCredentials has ended" in trouble[1][1]
    created = {line["object"]["name"]: line for line in said if line.get("action") == CREATE and "object" in line}
    assert set(created) >= set(names)
    for line in created.values():
        assert (line["account"], line["region"], line["generation"]) == ("default", REGION, 1)
        assert line["requestId"]

    entries = lines(audit)
    assert {entry["operation"] for entry in entries} == {CREATE}
    done = [entry for entry in entries if entry["outcome"] == "done"]
    assert sorted(entry["object"]["name"] for entry in done) == names
    assert all(entry["requestId"] and entry["object"]["fieldManagers"] for entry in done)
    refused = [entry for entry in entries if entry["outcome"] == "refused"]
    assert {entry["errorCode"] for entry in refused} == {"ExpiredTokenException"}


def test_devices_that_failed_are_named_in_status_condition_and_event(world: World) -> None:
    world.sandbox.settings(**FAST)
    world.sandbox.seed_fleet("store-cameras", 20, region=REGION)
    world.sandbox.fail_devices("plan", "canary", percent=50, message="model does not load")
    with world.operator():
        world.create("plan", stages=[stage("canary")], rollout={"strategy": "Sequential", "maxFailedPercent": 5})
        said = world.wait_for("plan", "Stalled", seconds=60)
        assert "; device " in said["message"]
        assert "model does not load" in said["message"]
        status = world.status("plan")
        named = status["stages"][0]["failedDevices"]
        assert 1 <= len(named) <= 5
        assert all(device["message"].startswith("model does not load") for device in named)
        devices = status["devices"]
        assert status["devicesDeployed"] == f"{devices['succeeded']}/{sum(devices.values())}"
        assert (status["account"], status["region"]) == ("123456789012", REGION)
    shown = world.cluster.kubectl("get", "edp", "plan", "-n", world.namespace, "-o", "wide")
    assert {"MESSAGE", "ACCOUNT", "REGION"} <= set(shown.stdout.splitlines()[0].split())
    assert status["devicesDeployed"] in shown.stdout.split()


def test_plan_that_somebody_deleted_is_told_as_drift(world: World) -> None:
    with world.operator(sweep_interval=SECOND, settle=SECOND):
        world.create("plan")
        world.wait_for("plan", "Ready", seconds=60)
        before = world.creates()
        client = boto3.client("sagemaker", endpoint_url=world.sandbox.url, region_name=REGION)
        with closing(client):
            client.delete_edge_deployment_plan(EdgeDeploymentPlanName="plan")
        wait_until(lambda: world.creates() > before, seconds=200)
        wait_until(lambda: "DriftCorrected" in [event["reason"] for event in world.events("plan")], seconds=60)
    (event,) = [event for event in world.events("plan") if event["reason"] == "DriftCorrected"]
    assert "somebody deleted the plan plan in AWS, it is not known who. Created plan plan on fleet" in event["note"]
