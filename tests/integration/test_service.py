"""The operator against the Edge Manager service: signed calls, an operator's key, devices that answer by heartbeats."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from edge_manager.domain.access import Role
from playground.cluster import Cluster
from tests.edge_manager.processes import Served, s3_client, s3_server, served, sqlite
from tests.edge_manager.teams import Shop
from tests.integration.operators import Objects, condition, wait_until

ACCOUNTS = itertools.count(200_000_000_000)
DEVICES = ("canary-1", "till-1", "till-2", "till-3")
SECOND = timedelta(seconds=1)
SPEC = {
    "modelConfigs": [{"modelHandle": "counter", "edgePackagingJobName": "counter"}],
    "deviceFleetName": "shops",
    "tags": [{"key": "team", "value": "retail"}],
}
STAGES = [
    {
        "stageName": "canary",
        "deviceSelectionConfig": {"deviceSubsetType": "NAMECONTAINS", "deviceNameContains": "canary"},
    },
    {"stageName": "rest", "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": 100}},
]


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def service(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(sqlite(tmp_path_factory.mktemp("store")), s3=s3_url, arguments=("--quota", "2")) as running:
        yield running.start()


@pytest.fixture
def shop(service: Served, s3_url: str) -> Iterator[Shop]:
    """An account with four devices and a package, in its administrator's hands."""
    s3, account = s3_client(s3_url), str(next(ACCOUNTS))
    shop = Shop(service, s3, account, service.key(Role.ADMIN, account))
    shop.fleet(*DEVICES)
    shop.package("counter")
    yield shop
    service.close_clients()
    s3.close()


@pytest.fixture
def objects(installed: Cluster, namespace: str, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A namespace, and an operator that has an operator's key."""
    key = shop.key(Role.OPERATOR)
    monkeypatch.setenv("KUBECONFIG", str(installed.kubeconfig))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", shop.service.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.principal.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
    return Objects(installed, namespace, shop.service.url)


@contextmanager
def living(shop: Shop, failing: set[str]) -> Iterator[None]:
    """Devices that ask with keys of their own what they have to run, and say how it went."""
    over = threading.Event()
    edges = {device: shop.service.client("sagemaker-edge", shop.device_key(device)) for device in DEVICES}

    def play() -> None:
        done: set[tuple[str, str]] = set()
        while not over.wait(0.2):
            for device, edge in edges.items():
                offer = shop.ask(device, edge)
                if offer is not None and (device, offer["DeploymentName"]) not in done:
                    status = "FAIL" if device in failing else "SUCCESS"
                    result = {"DeploymentName": offer["DeploymentName"], "DeploymentStatus": status}
                    me = {"AgentVersion": "1.0", "DeviceName": device, "DeviceFleetName": "shops"}
                    edge.send_heartbeat(**me, DeploymentResult=result)
                    done.add((device, offer["DeploymentName"]))

    players = threading.Thread(target=play, name="devices")
    players.start()
    yield
    over.set()
    players.join(60)
    assert not players.is_alive()


def tags(shop: Shop, plan: str) -> dict[str, str]:
    arn = shop.described(plan)["EdgeDeploymentPlanArn"]
    return {tag["Key"]: tag["Value"] for tag in shop.sagemaker.list_tags(ResourceArn=arn)["Tags"]}


def plans(shop: Shop) -> list[str]:
    found = shop.sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"]
    return sorted(plan["EdgeDeploymentPlanName"] for plan in found)


def statuses(objects: Objects, name: str) -> list[str]:
    return [stage["status"] for stage in objects.status(name).get("stages", [])]


def test_a_model_goes_from_an_object_to_the_devices_stage_by_stage(objects: Objects, shop: Shop) -> None:
    with living(shop, failing=set()), objects.operator(sweep_interval=SECOND, settle=SECOND, audit_interval=SECOND):
        objects.create("tills", **SPEC, stages=STAGES, rollout={"strategy": "Sequential"})
        objects.wait_for("tills", "Ready", reason="RolloutComplete", seconds=60)
        status = objects.status("tills")
        assert status["devices"] == {"succeeded": 4, "pending": 0, "failed": 0}
        assert status["edgeDeploymentPlanArn"].endswith(f":{shop.account}:edge-deployment/tills")
        assert set(tags(shop, "tills")) == {"team", "edgeplan.dev/owner"}

        shop.sagemaker.delete_tags(ResourceArn=status["edgeDeploymentPlanArn"], TagKeys=["team"])
        wait_until(lambda: tags(shop, "tills").get("team") == "retail", seconds=60)
        objects.edit("tills", tags=[])
        wait_until(lambda: set(tags(shop, "tills")) == {"edgeplan.dev/owner"}, seconds=60)

        shop.sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName="tills")
        wait_until(lambda: plans(shop) == ["tills"], seconds=60)
        objects.wait_for("tills", "Ready", reason="RolloutComplete", seconds=60)
        objects.delete("tills")
        objects.wait_gone("tills", seconds=60)
        assert plans(shop) == []


def test_failing_devices_stop_the_rollout_until_they_are_mended(objects: Objects, shop: Shop) -> None:
    failing = {"canary-1"}
    with living(shop, failing), objects.operator():
        objects.create("tills", **SPEC, stages=STAGES, rollout={"strategy": "Sequential"})
        said = objects.wait_for("tills", "Stalled", seconds=60)
        assert said["reason"] in {"RolloutStopped", "StageFailed"}
        assert statuses(objects, "tills") == ["FAILED", "READYTODEPLOY"]
        failing.clear()
        objects.ask("tills", "again")
        objects.wait_for("tills", "Ready", reason="RolloutComplete", seconds=60)
        assert statuses(objects, "tills") == ["DEPLOYED", "DEPLOYED"]


def test_plans_over_the_quota_wait_until_one_goes(objects: Objects, shop: Shop) -> None:
    def ready() -> list[str]:
        return [body["metadata"]["name"] for body in objects.all() if condition(body, "Ready").get("status") == "True"]

    with objects.operator():
        for number in range(3):
            objects.create(f"plan-{number}", **SPEC)
        wait_until(lambda: len(ready()) == 2, seconds=60)
        [waiting] = {f"plan-{number}" for number in range(3)} - set(ready())
        said = objects.wait_for(waiting, "ResourceLimitExceeded", seconds=60)
        assert "The account-level service limit" in said["message"]
        gone = ready()[0]
        objects.delete(gone)
        objects.wait_for(waiting, "Ready", seconds=60)
        assert plans(shop) == sorted({f"plan-{number}" for number in range(3)} - {gone})


def test_a_plan_stands_until_the_one_that_replaces_it_can_be_made(objects: Objects, shop: Shop) -> None:
    with objects.operator():
        objects.create("tills", **SPEC | {"policy": {"replacement": "Recreate"}})
        objects.wait_for("tills", "Ready", seconds=60)
        arn = objects.status("tills")["edgeDeploymentPlanArn"]
        objects.edit("tills", modelConfigs=[{"modelHandle": "detector", "edgePackagingJobName": "later"}])
        said = objects.wait_for("tills", "Ready", "False", reason="ReferenceNotFound", seconds=60)
        assert "(create it, or correct edgePackagingJobName; the plan stays as it is until then)" in said["message"]
        assert "Edge packaging job later does not exist." in said["message"]
        assert (plans(shop), objects.status("tills")["edgeDeploymentPlanArn"]) == (["tills"], arn)
        shop.package("later")
        named = {"deviceSubsetType": "SELECTION", "deviceNames": [DEVICES[0], "shop-0"]}
        objects.edit("tills", stages=[{"stageName": "named", "deviceSelectionConfig": named}])
        wait_until(
            lambda: "Device shop-0 does not exist" in objects.condition("tills", "Ready").get("message", ""), seconds=60
        )
        assert (plans(shop), objects.status("tills")["edgeDeploymentPlanArn"]) == (["tills"], arn)
        named["deviceNames"] = [DEVICES[0]]
        objects.edit("tills", stages=[{"stageName": "named", "deviceSelectionConfig": named}])
        objects.ask("tills", "now")
        objects.wait_for("tills", "Ready", seconds=60)
        deleted = "Deleted plan tills, to create it again as the spec has it"  # events are published beside the work
        wait_until(lambda: deleted in [event["note"] for event in objects.events("tills")], seconds=60)


def test_a_plan_waits_for_what_it_refers_to(objects: Objects, shop: Shop) -> None:
    with objects.operator():
        models = [{"modelHandle": "detector", "edgePackagingJobName": "detector"}]
        objects.create("tills", **SPEC | {"modelConfigs": models})
        said = objects.wait_for("tills", "Reconciling", reason="ProgressingWithRetry", seconds=60)
        assert "Edge packaging job detector does not exist." in said["message"]
        assert objects.condition("tills", "Ready")["reason"] == "ReferenceNotFound"
        shop.package("detector")
        objects.ask("tills", "now")
        objects.wait_for("tills", "Ready", seconds=60)
