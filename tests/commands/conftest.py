"""Fixtures: a sandbox on a manual clock, plans made there by plain boto3, and the command as a shell calls it."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from controller.cli import main
from edge_manager.sandbox.server import Sandbox
from playground.cluster import Cluster
from tests.argocd.system import wait_served
from tests.integration.operators import World

REGION = "eu-west-1"
GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(speed=0) as running:
        yield running


@pytest.fixture
def sandbox(server: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    """An empty sandbox that the environment names, and no cluster; the working directory is a fresh one."""
    server.reset()
    for name in [name for name in os.environ if name.startswith(("AWS_", "EDGEPLAN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-cluster"))
    monkeypatch.chdir(tmp_path)
    return server


@pytest.fixture
def sagemaker(sandbox: Sandbox) -> Iterator[Any]:
    with closing(boto3.client("sagemaker", region_name=REGION, endpoint_url=sandbox.url)) as client:
        yield client


@pytest.fixture
def at_aws(sagemaker: Any, sandbox: Sandbox) -> Callable[..., str]:
    """Make a plan in AWS by hand, tags as a mapping; the ARN. Calls count from there on."""

    def make(name: str = "store", tags: dict[str, str] | None = None, **more: Any) -> str:
        request = {
            "EdgeDeploymentPlanName": name,
            "DeviceFleetName": "store",
            "ModelConfigs": [{"ModelHandle": "counter", "EdgePackagingJobName": "counter-v7"}],
            "Stages": [
                {
                    "StageName": "canary",
                    "DeviceSelectionConfig": {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": "canary"},
                },
                {"StageName": "fleet", "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 100}},
            ],
            "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        }
        answer = sagemaker.create_edge_deployment_plan(**request | more)
        sandbox.reset_counts()
        return str(answer["EdgeDeploymentPlanArn"])

    return make


@pytest.fixture
def edgeplan(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `edgeplan ...` against the sandbox."""
    assert sandbox.url

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def world(cluster: Cluster, namespace: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> World:
    """The shared cluster with the CRD in it, named by KUBECONFIG."""
    cluster.kubectl("apply", "--server-side", "-f", str(Path(__file__).parents[2] / "crds"))
    wait_served(cluster, "edgeplan.dev/v1alpha1", {"edgedeploymentplans"})
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    return World(cluster, namespace, sandbox)


def golden(name: str, text: str) -> None:
    """Compare with a file of golden/; UPDATE_GOLDEN=1 writes it."""
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
