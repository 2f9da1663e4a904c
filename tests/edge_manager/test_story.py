"""What a team does with the service, in plain boto3: from a model in S3 to devices that run it."""

from __future__ import annotations

import gzip
import hashlib
import io
import sqlite3
import tarfile
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.edge_manager.processes import served
from tests.edge_manager.teams import named, share

if TYPE_CHECKING:
    from pathlib import Path

    from tests.edge_manager.teams import Shop


def code(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


def test_a_model_goes_from_s3_to_all_devices_stage_by_stage(shop: Shop) -> None:
    shop.fleet("canary-1", "till-1", "till-2")
    shop.package("counter", b"weights")
    arn = shop.plan("tills", named("canary", "canary"), share("rest", 100))
    assert shop.status("tills", "canary") == ("READYTODEPLOY", 0, 1, 0)
    assert shop.status("tills", "rest") == ("READYTODEPLOY", 0, 2, 0)
    assert shop.ask("canary-1") is None

    shop.start("tills", "canary")
    assert shop.status("tills", "canary") == ("INPROGRESS", 0, 1, 0)
    assert shop.devices("tills", "canary") == {"canary-1": ("READYTODEPLOY", None)}
    offer = shop.ask("canary-1")
    assert offer is not None
    assert offer["FailureHandlingPolicy"] == "ROLLBACK_ON_FAILURE"
    [model] = offer["Definitions"]
    assert (model["ModelHandle"], model["State"]) == ("counter", "DEPLOY")
    assert shop.devices("tills", "canary") == {"canary-1": ("INPROGRESS", None)}
    assert shop.ask("till-1") is None

    bucket, _, key = model["S3Url"].removeprefix("s3://").partition("/")
    package = shop.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    assert model["Checksum"] == {"Type": "SHA1", "Sum": hashlib.sha1(package, usedforsecurity=False).hexdigest()}
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(package))) as archive:
        file = archive.extractfile("counter.onnx")
        assert file is not None
        assert file.read() == b"weights"

    shop.tell("canary-1", offer["DeploymentName"])
    assert shop.status("tills", "canary") == ("DEPLOYED", 1, 0, 0)
    shop.start("tills", "rest")
    for device in ("till-1", "till-2"):
        shop.deploy(device)
    assert shop.status("tills", "rest") == ("DEPLOYED", 2, 0, 0)
    summary = shop.sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"]
    assert [(plan["EdgeDeploymentPlanArn"], plan["EdgeDeploymentSuccess"]) for plan in summary] == [(arn, 3)]

    shop.sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName="tills")
    shop.sagemaker.deregister_devices(DeviceFleetName="shops", DeviceNames=["canary-1", "till-1", "till-2"])
    shop.sagemaker.delete_device_fleet(DeviceFleetName="shops")
    assert shop.sagemaker.list_device_fleets()["DeviceFleetSummaries"] == []


def test_a_failing_device_fails_its_stage_and_is_not_offered_it_again(shops: Shop) -> None:
    shops.plan("tills", named("all", "till"))
    shops.start("tills", "all")
    shops.deploy("till-1")
    shops.deploy("till-2", "FAIL", "checksum differs")
    assert shops.status("tills", "all") == ("INPROGRESS", 1, 1, 1)
    assert shops.devices("tills", "all") == {
        "till-1": ("DEPLOYED", None),
        "till-2": ("FAILED", "checksum differs"),
        "till-3": ("READYTODEPLOY", None),
    }
    shops.deploy("till-3")
    assert shops.status("tills", "all") == ("FAILED", 2, 0, 1)
    [stage] = shops.sagemaker.describe_edge_deployment_plan(EdgeDeploymentPlanName="tills")["Stages"]
    message = "1 of 3 devices failed the deployment: checksum differs"
    assert stage["DeploymentStatus"]["EdgeDeploymentStatusMessage"] == message
    assert shops.ask("till-2") is None


def test_starting_a_failed_stage_again_goes_to_the_devices_that_did_not_succeed(shops: Shop) -> None:
    shops.plan("tills", named("all", "till"))
    shops.start("tills", "all")
    first = shops.deploy("till-1")
    failed = shops.deploy("till-2", "FAIL")
    shops.deploy("till-3")
    shops.start("tills", "all")
    assert shops.status("tills", "all") == ("INPROGRESS", 2, 1, 0)
    shops.tell("till-2", failed, "FAIL")  # of the attempt that is over
    shops.tell("till-1", first, "FAIL")
    assert shops.status("tills", "all") == ("INPROGRESS", 2, 1, 0)
    assert shops.deploy("till-2") != failed
    assert shops.status("tills", "all") == ("DEPLOYED", 3, 0, 0)


def test_starts_are_told_apart_even_by_a_store_that_was_restored(shops: Shop, tmp_path: Path) -> None:
    """A device remembers names that a restored store never gave, so none of them may be given again."""
    shops.plan("tills", named("all", "till"))
    backup = tmp_path / "backup.db"
    database = sqlite3.connect(shops.service.store.removeprefix("sqlite:///"))
    database.execute("VACUUM INTO ?", (str(backup),))
    database.close()
    shops.start("tills", "all")
    offer = shops.ask("till-1")
    assert offer is not None
    with served(f"sqlite:///{backup}") as restored:
        restored.environment["EDGE_MANAGER_SECRET_KEY"] = shops.service.secret_key
        restored.start()
        sagemaker = restored.client("sagemaker", shops.admin)
        sagemaker.start_edge_deployment_stage(EdgeDeploymentPlanName="tills", StageName="all")
        edge = restored.client("sagemaker-edge", shops.admin)
        again = shops.ask("till-1", edge)
        assert again is not None
        assert again["DeploymentName"] != offer["DeploymentName"]
        assert restored.stop() == 0


def test_an_answer_counts_once_however_often_it_is_sent(shops: Shop) -> None:
    shops.plan("tills", named("all", "till"))
    shops.start("tills", "all")
    name = shops.deploy("till-1")
    for status in ("SUCCESS", "FAIL", "SUCCESS"):
        shops.tell("till-1", name, status)
    shops.tell("till-2", "made-up-12345", "FAIL")
    shops.tell("canary-1", name, "FAIL")  # which is not in the stage
    assert shops.status("tills", "all") == ("INPROGRESS", 1, 2, 0)


def test_an_answer_that_says_neither_success_nor_failure_is_no_answer(shops: Shop) -> None:
    shops.plan("tills", named("all", "till"))
    shops.start("tills", "all")
    name = shops.deploy("till-1", "DOWNLOADING")
    assert shops.status("tills", "all") == ("INPROGRESS", 0, 3, 0)
    model = {"ModelHandle": "counter", "Status": "FAIL", "StatusReason": "no room"}
    shops.edge.send_heartbeat(
        AgentVersion="1.0",
        DeviceName="till-1",
        DeviceFleetName="shops",
        DeploymentResult={"DeploymentName": name, "DeploymentModels": [model]},
    )
    assert shops.devices("tills", "all")["till-1"] == ("FAILED", "no room")


def test_a_stopped_stage_is_offered_to_nobody_who_had_not_fetched_it(shops: Shop) -> None:
    shops.plan("tills", named("all", "till"))
    shops.start("tills", "all")
    fetched = shops.ask("till-1")
    assert fetched is not None
    shops.stop("tills", "all")
    assert shops.status("tills", "all") == ("STOPPED", 0, 3, 0)
    assert shops.ask("till-2") is None
    assert shops.ask("till-1") == fetched
    assert shops.devices("tills", "all") == {
        "till-1": ("STOPPING", None),
        "till-2": ("STOPPED", None),
        "till-3": ("STOPPED", None),
    }
    shops.tell("till-1", fetched["DeploymentName"])
    assert shops.status("tills", "all") == ("STOPPED", 1, 2, 0)
    shops.start("tills", "all")
    assert shops.status("tills", "all") == ("INPROGRESS", 1, 2, 0)
    for device in ("till-2", "till-3"):
        shops.deploy(device)
    assert shops.status("tills", "all") == ("DEPLOYED", 3, 0, 0)


def test_the_later_start_wins_a_device_and_the_earlier_plan_says_so(shops: Shop) -> None:
    shops.package("detector")
    shops.plan("old", named("all", "till-1"))
    shops.plan("new", named("all", "till"), job="detector")
    shops.start("old", "all")
    old = shops.ask("till-1")
    shops.start("new", "all")
    new = shops.ask("till-1")
    assert old is not None
    assert new is not None
    assert [model["ModelHandle"] for model in new["Definitions"]] == ["detector"]
    message = "Superseded by stage all of edge deployment plan new, which was started later."
    assert shops.devices("old", "all") == {"till-1": ("STOPPED", message)}
    assert shops.status("old", "all") == ("INPROGRESS", 0, 1, 0)
    shops.tell("till-1", new["DeploymentName"])
    shops.tell("till-1", old["DeploymentName"])  # late, and true all the same
    assert shops.status("old", "all") == ("DEPLOYED", 1, 0, 0)
    assert shops.ask("till-1") == new


def test_models_of_the_plan_before_are_undeployed(shops: Shop) -> None:
    shops.package("detector")
    shops.plan("old", named("all", "till-1"))
    shops.start("old", "all")
    shops.deploy("till-1")
    shops.plan("new", named("all", "till-1"), job="detector")
    shops.start("new", "all")
    offer = shops.ask("till-1")
    assert offer is not None
    states = {model["ModelHandle"]: model["State"] for model in offer["Definitions"]}
    assert states == {"detector": "DEPLOY", "counter": "UNDEPLOY"}
    shops.tell("till-1", offer["DeploymentName"])
    offer = shops.ask("till-1")
    assert offer is not None
    assert {model["ModelHandle"]: model["State"] for model in offer["Definitions"]} == {"detector": "DEPLOY"}


def test_models_of_a_plan_that_is_gone_are_undeployed_too(shops: Shop) -> None:
    shops.package("detector")
    states: dict[str, str] = {}
    for plan, job in (("old", "counter"), ("new", "detector")):
        shops.plan(plan, named("all", "till-1"), job=job)
        shops.start(plan, "all")
        offer = shops.ask("till-1")
        assert offer is not None
        states = {model["ModelHandle"]: model["State"] for model in offer["Definitions"]}
        shops.tell("till-1", offer["DeploymentName"])
        shops.sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName=plan)
    assert states == {"detector": "DEPLOY", "counter": "UNDEPLOY"}


def test_no_device_goes_back_to_an_older_plan_when_the_newer_one_is_deleted(shops: Shop) -> None:
    shops.plan("old", named("all", "till"))
    shops.start("old", "all")
    shops.deploy("till-1")
    shops.plan("new", named("all", "till"))
    shops.start("new", "all")
    shops.deploy("till-1")
    shops.stop("new", "all")
    shops.sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName="new")
    assert shops.ask("till-1") is None
    assert shops.ask("till-2") is None
    message = "Superseded by stage all of edge deployment plan new, which was started later."
    assert shops.devices("old", "all")["till-2"] == ("STOPPED", message)


def test_the_selection_is_taken_once_at_the_first_start(shops: Shop) -> None:
    shops.plan("tills", named("all", "till"), share("rest", 50))
    shops.start("tills", "all")
    shops.sagemaker.register_devices(DeviceFleetName="shops", Devices=[{"DeviceName": "till-4"}])
    assert shops.status("tills", "all")[2] == 3
    assert shops.ask("till-4") is None
    assert shops.devices("tills", "rest") == {
        "canary-1": ("READYTODEPLOY", None),
        "till-4": ("READYTODEPLOY", None),
    }
    shops.sagemaker.deregister_devices(DeviceFleetName="shops", DeviceNames=["till-3"])
    assert shops.status("tills", "all")[2] == 3
    with pytest.raises(ClientError) as refusal:
        shops.ask("till-3")
    assert code(refusal) == "ResourceNotFound"


def test_a_device_is_described_with_what_it_reports(shops: Shop) -> None:
    models = [{"ModelName": "counter", "ModelVersion": "1.0", "LatestInference": 1_790_000_000.5}]
    shops.edge.send_heartbeat(AgentVersion="2.1", DeviceName="till-1", DeviceFleetName="shops", Models=models)
    device = shops.sagemaker.describe_device(DeviceFleetName="shops", DeviceName="till-1")
    assert device["AgentVersion"] == "2.1"
    assert device["Models"][0]["ModelName"] == "counter"
    assert device["LatestHeartbeat"] > device["RegistrationTime"]
    found = shops.sagemaker.list_devices(ModelName="counter")["DeviceSummaries"]
    assert [each["DeviceName"] for each in found] == ["till-1"]
    assert shops.sagemaker.list_devices(ModelName="count")["DeviceSummaries"] == []
    report = shops.sagemaker.get_device_fleet_report(DeviceFleetName="shops")
    assert report["DeviceStats"] == {"ConnectedDeviceCount": 1, "RegisteredDeviceCount": 4}
    assert report["AgentVersions"] == [{"Version": "2.1", "AgentCount": 1}]
    assert report["ModelStats"][0]["ConnectedDeviceCount"] == 1
    registration = shops.edge.get_device_registration(DeviceFleetName="shops", DeviceName="till-1")
    assert registration["DeviceRegistration"] == "REGISTERED"
    registration = shops.edge.get_device_registration(DeviceFleetName="shops", DeviceName="unknown")
    assert registration["DeviceRegistration"] == "NOT_REGISTERED"
