"""One sandbox per test process, empty and on a manual clock for each test; boto3 clients that validate nothing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from edge_manager.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Connect = Callable[..., Any]

UNCHECKED = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=10)


@pytest.fixture(scope="session")
def server() -> Iterator[Sandbox]:
    with Sandbox(speed=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.reset()
    return server


@pytest.fixture(scope="session")
def connect(server: Sandbox) -> Iterator[Connect]:
    """A client for a service, region and credentials; made once each, since botocore takes its time."""
    clients: dict[tuple[str, str, str, str | None], Any] = {}

    def client(
        service: str = "sagemaker", *, region: str = "eu-west-1", key: str = "key", token: str | None = None
    ) -> Any:
        place = (service, region, key, token)
        if place not in clients:
            clients[place] = boto3.client(
                service,
                region_name=region,
                endpoint_url=server.url,
                aws_access_key_id=key,
                aws_secret_access_key="secret",  # noqa: S106
                aws_session_token=token,
                config=UNCHECKED,
            )
        return clients[place]

    yield client
    for each in clients.values():
        with closing(each):
            pass


@pytest.fixture
def sagemaker(sandbox: Sandbox, connect: Connect) -> Any:
    assert sandbox.plans() == []
    return connect()


@pytest.fixture
def create(sagemaker: Any) -> Callable[..., str]:
    """Create a plan with one stage per keyword: `create("plan", canary=stage(...))`; returns the ARN."""

    def plan(name: str = "plan", client: Any = None, fleet: str | None = None, **more: Any) -> str:
        response = (client or sagemaker).create_edge_deployment_plan(
            EdgeDeploymentPlanName=name,
            DeviceFleetName=fleet or name,
            ModelConfigs=[{"ModelHandle": "counter", "EdgePackagingJobName": "counter-v7"}],
            **more,
        )
        return str(response["EdgeDeploymentPlanArn"])

    return plan


@pytest.fixture
def percentage() -> Callable[..., dict[str, Any]]:
    """A stage that goes to a share of the fleet."""

    def stage(name: str, share: int, policy: str = "ROLLBACK_ON_FAILURE") -> dict[str, Any]:
        return {
            "StageName": name,
            "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": share},
            "DeploymentConfig": {"FailureHandlingPolicy": policy},
        }

    return stage


@pytest.fixture
def status(sandbox: Sandbox) -> Callable[..., tuple[str, int, int, int]]:
    """Status, succeeded, pending and failed devices of a stage."""

    def of(stage: str, plan: str = "plan") -> tuple[str, int, int, int]:
        found = next(each for each in sandbox.plan(plan)["Stages"] if each["StageName"] == stage)["DeploymentStatus"]
        counts = (found[f"EdgeDeployment{outcome}InStage"] for outcome in ("Success", "Pending", "Failed"))
        return (found["StageStatus"], *counts)

    return of
