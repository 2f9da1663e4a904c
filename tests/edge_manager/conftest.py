"""One service and one S3 per test process; every test works in an account of its own."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from edge_manager.domain.access import Role
from tests.edge_manager.databases import create_database, postgresql
from tests.edge_manager.processes import REGION, served, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_manager.store.keys import Key
    from tests.edge_manager.processes import Served

ACCOUNTS = itertools.count(100_000_000_000)
DATABASES = itertools.count()
ROLE = "arn:aws:iam::123456789012:role/edge"


@dataclass
class Shop:
    """An account of its own on the service, with an administrator's clients."""

    service: Served
    s3: Any
    account: str
    admin: Key

    def __post_init__(self) -> None:
        self.sagemaker = self.service.client("sagemaker", self.admin)
        self.edge = self.service.client("sagemaker-edge", self.admin)

    def key(self, role: Role, **more: Any) -> Key:
        return self.service.key(role, self.account, **more)

    def device_key(self, device: str, fleet: str = "shops") -> Key:
        return self.key(Role.DEVICE, fleet=fleet, device=device, region=REGION)

    def fleet(self, *devices: str, name: str = "shops") -> None:
        self.sagemaker.create_device_fleet(DeviceFleetName=name, OutputConfig={"S3OutputLocation": "s3://models/out"})
        self.sagemaker.register_devices(DeviceFleetName=name, Devices=[{"DeviceName": device} for device in devices])

    def package(self, name: str, body: bytes = b"a model") -> None:
        """A packaging job that is COMPLETED."""
        self.s3.put_object(Bucket="models", Key=f"{self.account}/{name}.onnx", Body=body)
        self.sagemaker.create_compilation_job(
            CompilationJobName=name,
            RoleArn=ROLE,
            InputConfig={"S3Uri": f"s3://models/{self.account}/{name}.onnx", "Framework": "ONNX"},
            OutputConfig={"S3OutputLocation": "s3://models/out", "TargetDevice": "rasp4b"},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        wait(lambda: self.sagemaker.describe_compilation_job(CompilationJobName=name)["CompilationJobStatus"])
        self.sagemaker.create_edge_packaging_job(
            EdgePackagingJobName=name,
            CompilationJobName=name,
            ModelName=name,
            ModelVersion="1.0",
            RoleArn=ROLE,
            OutputConfig={"S3OutputLocation": f"s3://models/{self.account}/packages"},
        )
        describe = self.sagemaker.describe_edge_packaging_job
        wait(lambda: describe(EdgePackagingJobName=name)["EdgePackagingJobStatus"])

    def plan(self, name: str, *stages: dict[str, Any], job: str = "counter", fleet: str = "shops") -> str:
        answer = self.sagemaker.create_edge_deployment_plan(
            EdgeDeploymentPlanName=name,
            DeviceFleetName=fleet,
            ModelConfigs=[{"ModelHandle": job, "EdgePackagingJobName": job}],
            Stages=list(stages),
        )
        return str(answer["EdgeDeploymentPlanArn"])

    def start(self, plan: str, stage: str) -> None:
        self.sagemaker.start_edge_deployment_stage(EdgeDeploymentPlanName=plan, StageName=stage)

    def stop(self, plan: str, stage: str) -> None:
        self.sagemaker.stop_edge_deployment_stage(EdgeDeploymentPlanName=plan, StageName=stage)

    def status(self, plan: str, stage: str) -> tuple[str, int, int, int]:
        """Status, succeeded, pending and failed devices."""
        stages = self.sagemaker.describe_edge_deployment_plan(EdgeDeploymentPlanName=plan)["Stages"]
        found = next(each for each in stages if each["StageName"] == stage)["DeploymentStatus"]
        counts = (found[f"EdgeDeployment{outcome}InStage"] for outcome in ("Success", "Pending", "Failed"))
        return (found["StageStatus"], *counts)

    def devices(self, plan: str, stage: str) -> dict[str, tuple[str, str | None]]:
        """Status and message of each device of a stage."""
        pages = self.sagemaker.get_paginator("list_stage_devices")
        return {
            device["DeviceName"]: (device["DeviceDeploymentStatus"], device.get("DeviceDeploymentStatusMessage"))
            for page in pages.paginate(EdgeDeploymentPlanName=plan, StageName=stage)
            for device in page["DeviceDeploymentSummaries"]
        }

    def ask(self, device: str, edge: Any = None) -> dict[str, Any] | None:
        """What a device has to run."""
        answer = (edge or self.edge).get_deployments(DeviceName=device, DeviceFleetName="shops")
        found = answer.get("Deployments", [])
        assert len(found) <= 1
        return found[0] if found else None

    def tell(self, device: str, deployment: str | None, status: str = "SUCCESS", message: str | None = None) -> None:
        """A heartbeat, with a result if there is a deployment."""
        result: dict[str, Any] = {"DeploymentName": deployment, "DeploymentStatus": status}
        if message is not None:
            result["DeploymentStatusMessage"] = message
        self.edge.send_heartbeat(
            AgentVersion="1.0",
            DeviceName=device,
            DeviceFleetName="shops",
            **({"DeploymentResult": result} if deployment is not None else {}),
        )

    def deploy(self, device: str, status: str = "SUCCESS", message: str | None = None) -> str:
        """A device asks, works and answers; the name of the deployment."""
        offer = self.ask(device)
        assert offer is not None
        self.tell(device, offer["DeploymentName"], status, message)
        return str(offer["DeploymentName"])


def wait(status: Any) -> None:
    """Until a job is over, well."""
    deadline = time.monotonic() + 30
    while (found := status()) == "INPROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found == "COMPLETED"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    return create_database(request.getfixturevalue("postgresql_server"), f"db{next(DATABASES)}")


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104
    server.stop()


@pytest.fixture(scope="session")
def s3(s3_url: str) -> Iterator[Any]:
    keys = {"aws_access_key_id": "s3", "aws_secret_access_key": "s3"}
    client = boto3.client("s3", endpoint_url=s3_url, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="models")
    yield client
    client.close()


@pytest.fixture(scope="session")
def service(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(sqlite(tmp_path_factory.mktemp("store")), s3=s3_url) as running:
        yield running.start()


@pytest.fixture
def shop(service: Served, s3: Any) -> Iterator[Shop]:
    account = str(next(ACCOUNTS))
    yield Shop(service, s3, account, service.key(Role.ADMIN, account))
    service.close_clients()


@pytest.fixture
def shops(shop: Shop) -> Shop:
    """With a fleet of four devices and a package."""
    shop.fleet("canary-1", "till-1", "till-2", "till-3")
    shop.package("counter")
    return shop


def named(name: str, part: str, policy: str = "ROLLBACK_ON_FAILURE") -> dict[str, Any]:
    """A stage that goes to the devices with this in their names."""
    return {
        "StageName": name,
        "DeviceSelectionConfig": {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": part},
        "DeploymentConfig": {"FailureHandlingPolicy": policy},
    }


def share(name: str, percentage: int) -> dict[str, Any]:
    """A stage that goes to a share of the fleet."""
    selection = {"DeviceSubsetType": "PERCENTAGE", "Percentage": percentage}
    return {"StageName": name, "DeviceSelectionConfig": selection}
