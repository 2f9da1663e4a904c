"""What a scrape of a real operator shows after some work, and what it shows while it stands by."""

import socket
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import boto3
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.operators import REGION, World, stage, wait_until
from tests.queries import asked_for

HERE = {"account": "default", "region": REGION}


@dataclass(frozen=True)
class Scrape:
    """Every sample by name and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    @classmethod
    def of(cls, port: int) -> Self:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return cls(
            {
                (sample.name, frozenset(sample.labels.items())): sample.value
                for family in families
                for sample in family.samples
            }
        )

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}

    def __call__(self, metric: str, /, **labels: str) -> float:
        """The sum over the series with these labels."""
        wanted = set(labels.items())
        return sum(
            value for (found, has), value in self.samples.items() if found == f"edgeplan_{metric}" and wanted <= has
        )


@pytest.fixture
def port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


def test_every_metric_of_dashboard_and_alerts_has_a_value_after_some_work(world: World, port: int) -> None:
    world.sandbox.settings(quota=3, default_devices_per_fleet=4, start_duration=0, deploy_duration_per_stage=0.2)
    world.sandbox.fail_devices("broken", "canary", percent=100)
    world.sandbox.fault("CreateEdgeDeploymentPlan", error="ThrottlingException", times=3)  # it has three turns
    rollout = {"stages": [stage("canary")], "rollout": {"strategy": "Sequential"}}
    with world.operator(
        metrics_port=port,
        metrics_per_object=True,
        sweep_interval=timedelta(seconds=1),
        settle=timedelta(seconds=1),
    ):
        world.create("plain")
        world.wait_for("plain", "Ready", seconds=60)
        world.create("rolled", **rollout)
        world.create("broken", **rollout)
        world.wait_for("rolled", "Ready", seconds=60)
        world.wait_for("broken", "Stalled", seconds=60)
        with closing(boto3.client("sagemaker", endpoint_url=world.sandbox.url, region_name=REGION)) as aws:
            aws.delete_edge_deployment_plan(EdgeDeploymentPlanName="plain")
        wait_until(lambda: Scrape.of(port)("drift_corrected_total", **HERE), seconds=60)
        world.create("queued")
        world.wait_for("queued", "ResourceLimitExceeded", seconds=60)
        found = Scrape.of(port)
    assert found.names >= asked_for() - {"edgeplan_shard_held"}  # only with more than one shard
    assert found("leader") == 1
    assert found("drift_found_total", **HERE) == found("drift_corrected_total", **HERE) == 1
    assert found("objects") == 4
    assert found("conditions", type="Stalled", status="True", reason="StageFailed") == 1
    assert found("stages", status="DEPLOYED") == 1
    assert (found("devices", status="succeeded"), found("devices", status="failed")) == (4, 4)
    assert found("aws_calls_total", code="ThrottlingException", failure="throttled", **HERE) == 3
    assert found("aws_calls_total", operation="CreateEdgeDeploymentPlan", code="OK", failure="none", **HERE) >= 3
    assert found("retries_total", failure="throttled") == 1
    assert found("aws_rate", **HERE) > 0
    assert found("aws_throttle_wait_seconds_count", **HERE) >= 2
    assert found("retries_total", failure="quota") >= 1
    assert found("quota_waiting", **HERE) == found("failing", failure="quota", **HERE) == 1
    assert found("quota_longest_wait_seconds", **HERE) < 300
    assert found("sweep_age_seconds", **HERE) < 300
    assert found("watch_age_seconds") < 300
    assert found("object_condition", name="broken", type="Stalled", reason="StageFailed") == 1


def test_one_that_stands_by_tells_nothing_of_the_objects(world: World, port: int) -> None:
    lease = f"{world.namespace}/edgeplan"
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        other = int(free.getsockname()[1])
    with world.operator(metrics_port=port, lease=lease), world.operator(metrics_port=other, lease=lease):
        world.create("plan")
        world.wait_for("plan", "Ready", seconds=60)
        scrapes = [Scrape.of(port), Scrape.of(other)]
    assert sorted(scrape("leader") for scrape in scrapes) == [0, 1]
    assert sorted(scrape("objects") for scrape in scrapes) == [0, 1]
