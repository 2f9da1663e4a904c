"""A team and its account: plain boto3 against the service, with devices that send heartbeats, or against the sandbox."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_manager.domain.access import Role
from tests.edge_manager.processes import REGION

if TYPE_CHECKING:
    from edge_manager.sandbox.server import Sandbox
    from edge_manager.store.keys import Key
    from tests.edge_manager.processes import Served

ROLE = "arn:aws:iam::123456789012:role/edge"
WAITING = ("READYTODEPLOY", "INPROGRESS")


class Team:
    """What a team does, whoever serves it."""

    sagemaker: Any
    account: str

    def upload(self, key: str, body: bytes) -> str:
        """Put a compiled model where the service finds it; the URI."""
        raise NotImplementedError

    def begin(self, plan: str, stage: str, *, answered: int = 0) -> None:
        """Start a stage; so many of its devices answer well."""
        raise NotImplementedError

    def finish(self, plan: str, stage: str) -> None:
        """All devices of a stage answer that have not yet."""
        raise NotImplementedError

    def roll_out(self, plan: str, stage: str, *, failing: int = 0, says: str = "no room") -> None:
        """Start a stage, and let all of its devices answer."""
        raise NotImplementedError

    def fleet(self, *devices: str, name: str = "shops") -> None:
        self.sagemaker.create_device_fleet(DeviceFleetName=name, OutputConfig={"S3OutputLocation": "s3://models/out"})
        self.sagemaker.register_devices(DeviceFleetName=name, Devices=[{"DeviceName": device} for device in devices])

    def compile(self, name: str, body: bytes = b"a model") -> None:
        """A compilation job that is COMPLETED."""
        self.sagemaker.create_compilation_job(
            CompilationJobName=name,
            RoleArn=ROLE,
            InputConfig={"S3Uri": self.upload(f"{self.account}/{name}.onnx", body), "Framework": "ONNX"},
            OutputConfig={"S3OutputLocation": "s3://models/out", "TargetDevice": "rasp4b"},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        wait(lambda: self.sagemaker.describe_compilation_job(CompilationJobName=name)["CompilationJobStatus"])

    def package(self, name: str, body: bytes = b"a model") -> None:
        """A packaging job that is COMPLETED."""
        self.compile(name, body)
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

    def plan(self, name: str, *stages: dict[str, Any], job: str = "counter", fleet: str = "shops", **more: Any) -> str:
        answer = self.sagemaker.create_edge_deployment_plan(
            EdgeDeploymentPlanName=name,
            DeviceFleetName=fleet,
            ModelConfigs=[{"ModelHandle": job, "EdgePackagingJobName": job}],
            Stages=list(stages),
            **more,
        )
        return str(answer["EdgeDeploymentPlanArn"])

    def start(self, plan: str, stage: str) -> None:
        self.sagemaker.start_edge_deployment_stage(EdgeDeploymentPlanName=plan, StageName=stage)

    def stop(self, plan: str, stage: str) -> None:
        self.sagemaker.stop_edge_deployment_stage(EdgeDeploymentPlanName=plan, StageName=stage)

    def described(self, plan: str) -> dict[str, Any]:
        return dict(self.sagemaker.describe_edge_deployment_plan(EdgeDeploymentPlanName=plan))

    def status(self, plan: str, stage: str) -> tuple[str, int, int, int]:
        """Status, succeeded, pending and failed devices."""
        stages = self.described(plan)["Stages"]
        found = next(each for each in stages if each["StageName"] == stage)["DeploymentStatus"]
        counts = (found[f"EdgeDeployment{outcome}InStage"] for outcome in ("Success", "Pending", "Failed"))
        return (found["StageStatus"], *counts)

    def devices(self, plan: str, stage: str, **more: Any) -> dict[str, tuple[str, str | None]]:
        """Status and message of each device of a stage."""
        pages = self.sagemaker.get_paginator("list_stage_devices")
        return {
            device["DeviceName"]: (device["DeviceDeploymentStatus"], device.get("DeviceDeploymentStatusMessage"))
            for page in pages.paginate(EdgeDeploymentPlanName=plan, StageName=stage, **more)
            for device in page["DeviceDeploymentSummaries"]
        }


@dataclass
class Rehearsal(Team):
    """An account of its own in the sandbox, whose clock stands still. References are strict, as in the service."""

    sandbox: Sandbox
    account: str
    sagemaker: Any

    def __post_init__(self) -> None:
        self.sandbox.settings(strict_references=True, start_duration=0, stop_duration=0, deploy_duration_per_stage=10)

    def upload(self, key: str, body: bytes) -> str:
        assert body
        return f"s3://models/{key}"

    def begin(self, plan: str, stage: str, *, answered: int = 0) -> None:
        total = len(self.devices(plan, stage))
        self.start(plan, stage)
        self.sandbox.clock.advance(10 * answered / max(total, 1) + 0.01)

    def finish(self, plan: str, stage: str) -> None:
        assert self.status(plan, stage)[0] == "INPROGRESS"
        self.sandbox.clock.advance(60)

    def roll_out(self, plan: str, stage: str, *, failing: int = 0, says: str = "no room") -> None:
        self.sandbox.fail_devices(plan, stage, devices=failing, message=says)
        self.start(plan, stage)
        self.finish(plan, stage)


@dataclass
class Shop(Team):
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

    def upload(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket="models", Key=key, Body=body)
        return f"s3://models/{key}"

    def begin(self, plan: str, stage: str, *, answered: int = 0) -> None:
        self.start(plan, stage)
        for device in self.waiting(plan, stage)[:answered]:
            self.deploy(device)

    def finish(self, plan: str, stage: str) -> None:
        for device in self.waiting(plan, stage):
            self.deploy(device)

    def roll_out(self, plan: str, stage: str, *, failing: int = 0, says: str = "no room") -> None:
        self.start(plan, stage)
        for device in self.waiting(plan, stage)[:failing]:
            self.deploy(device, "FAIL", says)
        self.finish(plan, stage)

    def waiting(self, plan: str, stage: str) -> list[str]:
        """Devices of a stage that have not answered."""
        return [device for device, (status, _) in self.devices(plan, stage).items() if status in WAITING]

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
    deadline = time.monotonic() + 60
    while (found := status()) == "INPROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert found == "COMPLETED"


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
