"""What went while the watch was away is gone, though no event tells of it. Each test has a cluster of its own."""

import re
import time
from datetime import timedelta

import boto3
import pytest

from controller.domain.api import PLURAL
from controller.operator import watch
from edge_manager.sandbox.server import Sandbox
from playground.cluster import LocalCluster
from tests.integration.operators import REGION, World, install, wait_until

RETAIN = {"deletion": "Retain"}  # no finalizer: nothing keeps such an object


@pytest.fixture
def broken(own: LocalCluster, sandbox: Sandbox) -> World:
    install(own)
    return World(own, "default", sandbox)


def test_objects_that_went_while_the_api_server_was_away_are_gone_within_seconds(
    broken: World, own: LocalCluster
) -> None:
    with broken.operator() as operator:
        for name in ("first", "second", "third"):
            broken.create(name, policy=RETAIN)
        for name in ("first", "second", "third"):
            broken.wait_for(name, "Ready", seconds=60)
        broken.create("heir", edgeDeploymentPlanName="first")
        broken.wait_for("heir", "Stalled", reason="NameConflict")

        with own.elsewhere():
            broken.delete("first")
            broken.delete("third")
            _delete_plan(broken, "first")
        back = time.monotonic()
        wait_until(lambda: operator.knows() == ["heir", "second"], seconds=30)
        assert time.monotonic() - back < 10
        broken.wait_for("heir", "Ready")  # nobody holds its plan's name any more


def test_operator_that_could_not_renew_its_lease_leads_again_once_the_api_server_is_back(
    broken: World, own: LocalCluster, caplog: pytest.LogCaptureFixture
) -> None:
    with broken.operator(lease="default/edgeplan"):
        broken.create("first")
        broken.wait_for("first", "Ready", seconds=60)
        with own.elsewhere():
            wait_until(lambda: "does not lead any more" in caplog.text, seconds=60)
        broken.create("second")
        broken.wait_for("second", "Ready", seconds=60)
    assert broken.creates() == 2


@pytest.mark.parametrize(
    ("own", "streamed"), [((), 1), (("WatchList",), 0)], ids=["streams", "pages"], indirect=["own"]
)
def test_objects_are_listed_as_a_stream_where_the_api_server_has_streams(
    broken: World, own: LocalCluster, streamed: int
) -> None:
    for name in ("first", "second", "third"):
        broken.create(name)
    with broken.operator() as operator:
        for name in ("first", "second", "third"):
            broken.wait_for(name, "Ready", seconds=60)
        assert operator.knows() == ["first", "second", "third"]
        broken.create("fourth")  # the watch goes on where the list ended
        broken.wait_for("fourth", "Ready", seconds=60)
    assert broken.creates() == 4
    assert _streamed_lists(own) == streamed


def test_last_object_that_went_in_a_gap_is_gone_too(broken: World, own: LocalCluster) -> None:
    with broken.operator() as operator:
        broken.create("only", policy=RETAIN)
        broken.wait_for("only", "Ready", seconds=60)
        with own.elsewhere():
            broken.delete("only")
        wait_until(lambda: operator.knows() == [], seconds=30)


def test_list_that_kopf_makes_after_a_gap_is_reason_enough(
    broken: World, own: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_CHECK", timedelta(hours=1))  # no glimpse, so nobody notices that the server is away
    with broken.operator() as operator:
        for name in ("first", "second"):
            broken.create(name, policy=RETAIN)
            broken.wait_for(name, "Ready", seconds=60)
        with own.elsewhere():
            broken.delete("first")
        wait_until(lambda: operator.knows() == ["second"], seconds=60)


def test_successor_made_in_a_gap_is_served_and_not_taken_for_the_dead(broken: World, own: LocalCluster) -> None:
    with broken.operator() as operator:
        broken.create("plan", policy=RETAIN)
        broken.wait_for("plan", "Ready", seconds=60)
        with own.elsewhere():
            broken.delete("plan")
            successor = broken.create("plan", policy=RETAIN, tags=[{"key": "life", "value": "second"}])
        broken.wait_for("plan", "Ready", seconds=40)
        assert operator.knows() == ["plan"]
        tags = broken.sandbox.plan("plan")["Tags"]
        assert tags["life"] == "second"
        assert tags["edgeplan.dev/owner"].endswith(successor["metadata"]["uid"])


def _streamed_lists(cluster: LocalCluster) -> int:
    """How many of our lists the API server has sent as streams, by its own count."""
    metrics = cluster.client.request("GET", "/metrics")
    count = re.compile(rf'apiserver_watch_list_duration_seconds_count{{[^}}]*"{PLURAL}"[^}}]*}} (\d+)')
    return sum(map(int, count.findall(metrics)))


def _delete_plan(world: World, name: str) -> None:
    client = boto3.client("sagemaker", endpoint_url=world.sandbox.url, region_name=REGION)
    client.delete_edge_deployment_plan(EdgeDeploymentPlanName=name)
    client.close()
