"""What the demo happens in: a Kubernetes API, the SageMaker sandbox and the operator, each a real one of its kind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import yaml

from edge_manager.sandbox.server import Sandbox
from edge_manager.sandbox.settings import Settings
from playground.cluster import ApiError, LocalCluster
from playground.programs.process import spawn, stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from playground.cluster import Cluster
    from playground.programs import Progress

QUOTA: Final = 3
NAMESPACE: Final = "retail"
REGION: Final = "eu-west-1"
_GROUP: Final = "/apis/edgeplan.dev/v1alpha1"
_PLANS: Final = f"{_GROUP}/namespaces/{NAMESPACE}/edgedeploymentplans"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_APPLY: Final = "application/apply-patch+yaml"
_OPERATOR_GRACE: Final = 15.0


class DemoFailedError(Exception):
    """Something that the demo promises did not happen."""


@dataclass(frozen=True)
class PlanView:
    """One EdgeDeploymentPlan as a user of kubectl sees it."""

    name: str
    ready: str
    reason: str
    message: str
    arn: str
    limited: bool
    """Whether the condition ResourceLimitExceeded is True."""

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """Read what the operator wrote to the object's status."""
        status = body.get("status", {})
        conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
        ready = conditions.get("Ready", {})
        return cls(
            name=body["metadata"]["name"],
            ready=ready.get("status", "-"),
            reason=ready.get("reason", ""),
            message=ready.get("message", ""),
            arn=status.get("edgeDeploymentPlanArn", ""),
            limited=conditions.get("ResourceLimitExceeded", {}).get("status") == "True",
        )


@dataclass(frozen=True)
class DeviceView:
    """One device as its owner sees it: what it runs, and what became of its latest deployment."""

    name: str
    runs: str
    status: str
    message: str


@dataclass(frozen=True)
class Snapshot:
    """Both sides at one moment: the objects in Kubernetes, as they came, and the plans in AWS; devices, if there are."""

    plans: tuple[PlanView, ...]
    at_aws: tuple[str, ...]
    caption: str
    devices: tuple[DeviceView, ...] = ()

    def plan(self, name: str) -> PlanView | None:
        """The plan of that name, if there is one."""
        return next((plan for plan in self.plans if plan.name == name), None)


class Aws(Protocol):
    """What stands in for AWS."""

    @property
    def url(self) -> str:
        """Its endpoint, for SageMaker and STS both."""

    def plans(self) -> Iterable[str]:
        """The names of the edge deployment plans that it holds."""


class World:
    """The running parts, and what can be done with them."""

    def __init__(self, cluster: Cluster, aws: Aws, key: tuple[str, str] = ("demo", "demo")) -> None:
        self.cluster = cluster
        self.aws = aws
        self.key = key
        self._operator: subprocess.Popen[bytes] | None = None
        self._order: list[str] = []

    def start_operator(self) -> None:
        """Start the operator as any user would, with nothing but a kubeconfig and two endpoints."""
        access_key, secret = self.key
        environment = {
            **environment_without_aws(),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # the name that boto3 reads
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.aws.url,
            "AWS_ENDPOINT_URL_STS": self.aws.url,
            "KUBECONFIG": str(self.cluster.kubeconfig),
        }
        command = [sys.executable, "-m", "controller.cli", "run", "--cluster-id", "demo"]
        with (self.cluster.folder / "operator.log").open("wb") as log:
            self._operator = spawn(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def stop_operator(self) -> None:
        """Let the operator end by itself, as a Deployment would, or kill it after a while."""
        if self._operator is not None:
            stop(self._operator, grace=_OPERATOR_GRACE)
            self._operator = None

    def require_operator(self) -> None:
        """Fail if the operator has ended."""
        if self._operator is not None and (code := self._operator.poll()) is not None:
            raise DemoFailedError(f"the operator ended with code {code}")

    def operator_log(self, lines: int = 40) -> str:
        """The end of what the operator logged."""
        with contextlib.suppress(FileNotFoundError):
            return self.cluster.log("operator", lines)
        return ""

    def define(self) -> None:
        """Make the resource known to Kubernetes."""
        for file in sorted(shipped("crds").glob("*.yaml")):
            self._apply(file, _DEFINITIONS)

    def defined(self) -> bool:
        """Tell whether Kubernetes serves the resource."""
        try:
            resources = self.cluster.client.request("GET", _GROUP)["resources"]
        except ApiError:  # 404: not yet
            return False
        return any(resource["name"] == "edgedeploymentplans" for resource in resources)

    def make_namespace(self) -> None:
        """Make the namespace of the demo."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.cluster.client.request("POST", "/api/v1/namespaces", body)

    def apply(self, manifest: Path) -> None:
        """`kubectl apply`, or the same request without kubectl where it is not installed."""
        self._apply(manifest, _PLANS, f"--namespace={NAMESPACE}")

    def delete(self, name: str) -> None:
        """Ask for an object's deletion; the operator deletes the AWS plan, then lets the object go."""
        self.cluster.client.request("DELETE", f"{_PLANS}/{name}")

    def look(self) -> Snapshot:
        """See both sides as they are now."""
        return Snapshot(self.plans(), tuple(self.aws.plans()), "")

    def plans(self) -> tuple[PlanView, ...]:
        """The objects in Kubernetes, in the order in which they came."""
        items = self.cluster.client.request("GET", _PLANS)["items"]
        plans = {body["metadata"]["name"]: PlanView.of(body) for body in items}
        self._order.extend(name for name in plans if name not in self._order)
        return tuple(plans[name] for name in self._order if name in plans)

    def _apply(self, manifest: Path, collection: str, *flags: str) -> None:
        if self.cluster.has_kubectl():
            self.cluster.kubectl("apply", f"--filename={manifest}", *flags)
            return
        body = yaml.safe_load(manifest.read_text())
        path = f"{collection}/{body['metadata']['name']}?fieldManager=kubectl"
        self.cluster.client.request("PATCH", path, body, content_type=_APPLY)


class SandboxWorld(World):
    """The world of the first act: AWS is a sandbox with room for few plans."""

    def __init__(self, cluster: Cluster, sandbox: Sandbox) -> None:
        super().__init__(cluster, sandbox)
        self.sandbox = sandbox

    def look(self) -> Snapshot:
        """See both sides as they are now, and the calls so far."""
        held, calls = tuple(self.sandbox.plans()), self.sandbox.counts()
        counted = " · ".join(f"{operation} {count}" for operation, count in sorted(calls.items()) if count)
        caption = f"{len(held)} of {QUOTA} places taken in AWS. Calls so far: {counted or 'none'}"
        return Snapshot(self.plans(), held, caption)


@contextlib.contextmanager
def world(progress: Progress) -> Iterator[SandboxWorld]:
    """Bring everything up but the operator; take everything down in the opposite order."""
    with LocalCluster(progress=progress) as cluster, Sandbox(Settings(quota=QUOTA)) as sandbox:
        made = SandboxWorld(cluster, sandbox)
        try:
            yield made
        finally:
            made.stop_operator()


def environment_without_aws() -> dict[str, str]:
    """For child processes: nothing of the user's own AWS access, so that the demo cannot reach a real account."""
    root = str(Path(__file__).parents[2])
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
    }


def shipped(name: str) -> Path:
    """A folder at the top of the checkout."""
    return Path(__file__).parents[2] / name
