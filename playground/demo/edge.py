"""What the second act happens in: our Edge Manager on SQLite, an S3, and six devices with an agent each."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from moto.server import ThreadedMotoServer

from edge_manager.domain.access import Principal, Role
from edge_manager.store import keys
from edge_manager.store.engine import Store
from playground.cluster import LocalCluster
from playground.cluster.files import write_private
from playground.demo.world import REGION, DemoFailedError, DeviceView, Snapshot, World, environment_without_aws
from playground.programs.process import spawn, stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_manager.store.keys import Key
    from playground.cluster import Cluster
    from playground.programs import Progress

FLEET: Final = "tills"
DEVICES: Final = ("till-canary", "till-1", "till-2", "till-3", "till-4", "till-5")
PLAN: Final = "queue-counters"
_ACCOUNT: Final = "123456789012"
_ROLE: Final = f"arn:aws:iam::{_ACCOUNT}:role/edge"
_BUCKET: Final = "models"
_GRACE: Final = 10.0
_PATIENCE: Final = 60.0
# What an owner's check command may be: here a model works if its file says so.
_CHECK: Final = '#!/bin/sh\ngrep -q "^works" "$EDGE_MODEL_PATH"/* || { echo "the model counts nothing"; exit 1; }\n'


class EdgeManager:
    """The service as a process, with an administrator's client for people."""

    def __init__(self, folder: Path, s3: str) -> None:
        self._folder = folder
        self._store = f"sqlite:///{folder / 'edge-manager.db'}"
        self._secret = keys.Seal.new_key()
        self._s3 = s3
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start it as any user would; it chooses its port."""
        environment = environment_without_aws() | {
            "EDGE_MANAGER_STORE": self._store,
            "EDGE_MANAGER_SECRET_KEY": self._secret,
            "AWS_ENDPOINT_URL_S3": self._s3,
            "AWS_ACCESS_KEY_ID": "s3",
            "AWS_SECRET_ACCESS_KEY": "s3",
            "AWS_REGION": REGION,
        }
        said, log = self._folder / "edge-manager.out", self._folder / "edge-manager.log"
        with said.open("wb") as out, log.open("wb") as err:
            command = [sys.executable, "-m", "edge_manager", "serve", "--port", "0"]
            self._process = spawn(command, stdout=out, stderr=err, env=environment)
        deadline = time.monotonic() + _PATIENCE
        while "Edge Manager on " not in said.read_text(encoding="utf-8"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DemoFailedError(f"the Edge Manager did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.1)
        self.url = said.read_text(encoding="utf-8").splitlines()[0].split()[-1]
        self.sagemaker = self._client(self.key(Role.ADMIN))

    def stop(self) -> None:
        """Let it answer what it was asked, then end it."""
        if self._process is not None:
            stop(self._process, grace=_GRACE)

    def key(self, role: Role, device: str | None = None) -> Key:
        """What `edge-manager keys create` makes."""
        fleet, region = (FLEET, REGION) if device else (None, None)
        store, seal = Store(self._store), keys.Seal(self._secret)
        wanted = Principal("", _ACCOUNT, "", role, region, fleet, device)
        key = store.write(lambda db: keys.create(db, seal, round(time.time(), 3), wanted))
        store.close()
        return key

    def plans(self) -> list[str]:
        """The names of the edge deployment plans that it holds."""
        rows = self.sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"]
        return [row["EdgeDeploymentPlanName"] for row in rows]

    def _client(self, key: Key) -> Any:
        return boto3.client(
            "sagemaker",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key.principal.access_key,
            aws_secret_access_key=key.secret,
        )


@dataclass
class Device:
    """A folder that stands for a device: its key, its configuration, its agent's state."""

    name: str
    folder: Path
    agent: subprocess.Popen[bytes] | None = None

    def start(self, service: str, s3: str, key: Key) -> None:
        """Write what an owner writes, and start the agent."""
        self.folder.mkdir()
        self._write_key("key.json", key.principal.access_key, key.secret)
        self._write_key("s3.json", "s3", "s3")
        check = self.folder / "check"
        check.write_text(_CHECK, encoding="utf-8")
        check.chmod(0o755)
        config = self.folder / "agent.conf"
        config.write_text(
            f"[agent]\nfleet = {FLEET}\ndevice = {self.name}\nendpoint = {service}\nregion = {REGION}\n"
            f"key-file = {self.folder / 'key.json'}\nstate-dir = {self.folder / 'state'}\ncheck = {check}\n"
            f"poll = 1\nheartbeat = 5\nlongest-wait = 5\nkeep-free = 0\n"
            f"[s3]\nendpoint = {s3}\nkey-file = {self.folder / 's3.json'}\n",
            encoding="utf-8",
        )
        with (self.folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "edge_manager", "agent", "--config", str(config)]
            self.agent = spawn(command, stdout=log, stderr=subprocess.STDOUT, env=environment_without_aws())

    def runs(self) -> str:
        """The models that it runs, by name and version, as its state folder says."""
        try:
            release = json.loads((self.folder / "state" / "current" / "release.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "-"
        return ", ".join(f"{name} {version}" for _, name, version, *_ in release["models"])

    def _write_key(self, file: str, access_key: str, secret: str) -> None:
        text = json.dumps({"Version": 1, "AccessKeyId": access_key, "SecretAccessKey": secret})
        write_private(self.folder / file, text)


class EdgeWorld(World):
    """The world of the second act: AWS is our Edge Manager, the devices are processes."""

    def __init__(self, cluster: Cluster, manager: EdgeManager, s3: str) -> None:
        key = manager.key(Role.OPERATOR)
        super().__init__(cluster, manager, (key.principal.access_key, key.secret))
        self.manager = manager
        self._s3 = s3
        self.devices = [Device(name, cluster.folder / name) for name in DEVICES]

    def make_fleet(self) -> None:
        """Register the fleet and its devices."""
        sagemaker = self.manager.sagemaker
        sagemaker.create_device_fleet(
            DeviceFleetName=FLEET, OutputConfig={"S3OutputLocation": f"s3://{_BUCKET}/out"}, RoleArn=_ROLE
        )
        sagemaker.register_devices(DeviceFleetName=FLEET, Devices=[{"DeviceName": name} for name in DEVICES])

    def start_agents(self) -> None:
        """Start an agent for each device, with a key of its own."""
        for device in self.devices:
            device.start(self.manager.url, self._s3, self.manager.key(Role.DEVICE, device.name))

    def stop_agents(self) -> None:
        """End all agents."""
        for device in self.devices:
            if device.agent is not None:
                stop(device.agent, grace=_GRACE)

    def package(self, version: int, content: bytes) -> None:
        """Bring a model into S3, and have it packaged for devices."""
        client = boto3.client(
            "s3",
            endpoint_url=self._s3,
            region_name=REGION,
            aws_access_key_id="s3",
            aws_secret_access_key="s3",  # noqa: S106 - nobody's
        )
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        client.put_object(Bucket=_BUCKET, Key=f"counter-{version}.onnx", Body=content)
        sagemaker, job = self.manager.sagemaker, f"counter-v{version}"
        sagemaker.create_compilation_job(
            CompilationJobName=job,
            RoleArn=_ROLE,
            InputConfig={"S3Uri": f"s3://{_BUCKET}/counter-{version}.onnx", "Framework": "ONNX"},
            OutputConfig={"S3OutputLocation": f"s3://{_BUCKET}/compiled", "TargetDevice": "rasp4b"},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )
        _finished(lambda: sagemaker.describe_compilation_job(CompilationJobName=job)["CompilationJobStatus"], job)
        sagemaker.create_edge_packaging_job(
            EdgePackagingJobName=job,
            CompilationJobName=job,
            ModelName="counter",
            ModelVersion=str(version),
            RoleArn=_ROLE,
            OutputConfig={"S3OutputLocation": f"s3://{_BUCKET}/packages"},
        )
        _finished(
            lambda: sagemaker.describe_edge_packaging_job(EdgePackagingJobName=job)["EdgePackagingJobStatus"], job
        )

    def look(self) -> Snapshot:
        """See all sides as they are now: objects, plans, and what each device runs and reported."""
        plans, held = self.plans(), tuple(self.manager.plans())
        told = self._told() if PLAN in held else {}
        devices = [DeviceView(device.name, device.runs(), *told.get(device.name, ("-", ""))) for device in self.devices]
        return Snapshot(plans, held, "", tuple(devices))

    def _told(self) -> dict[str, tuple[str, str]]:
        """Status and message of each device's deployment."""
        sagemaker, found = self.manager.sagemaker, {}
        with contextlib.suppress(sagemaker.exceptions.ClientError):  # the plan is just being made again
            for stage in sagemaker.describe_edge_deployment_plan(EdgeDeploymentPlanName=PLAN)["Stages"]:
                rows = sagemaker.list_stage_devices(EdgeDeploymentPlanName=PLAN, StageName=stage["StageName"])
                for row in rows["DeviceDeploymentSummaries"]:
                    message = row.get("DeviceDeploymentStatusMessage", "")
                    found[row["DeviceName"]] = (row.get("DeviceDeploymentStatus", "-"), message)
        return found


def _finished(status: Any, job: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (found := status()) != "COMPLETED":
        if found in ("FAILED", "STOPPED") or time.monotonic() > deadline:
            raise DemoFailedError(f"the job {job} is {found}")
        time.sleep(0.1)


@contextlib.contextmanager
def edge_world(progress: Progress) -> Iterator[EdgeWorld]:
    """Bring up Kubernetes, the Edge Manager and an S3; take everything down in the opposite order."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with LocalCluster(progress=progress) as cluster:
        s3.start()
        host, port = s3.get_host_and_port()
        manager = EdgeManager(cluster.folder, f"http://{host}:{port}")
        try:
            manager.start()
            made = EdgeWorld(cluster, manager, f"http://{host}:{port}")
            try:
                yield made
            finally:
                made.stop_operator()
                made.stop_agents()
        finally:
            manager.stop()
            s3.stop()
