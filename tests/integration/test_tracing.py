"""Spans of a real operator, as a collector receives them; and that there is nothing of it while tracing is off."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.operators import REGION, World
from tests.integration.receiver import Receiver, receiving

NO_COLLECTOR = "http://127.0.0.1:9"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        yield receiver


def test_reconcile_is_a_span_with_its_calls_and_writes_in_it(world: World, collector: Receiver) -> None:
    world.sandbox.fault("CreateEdgeDeploymentPlan", error="InternalFailure", status=500, times=1)
    with world.operator(tracing=True):
        uid = world.create("plan")["metadata"]["uid"]
        world.wait_for("plan", "Ready", seconds=60)
    # What had not been sent by then went out at the end.
    assert collector.paths == {"/v1/traces"}
    (refused, created) = sorted(collector.named("SageMaker.CreateEdgeDeploymentPlan"), key=lambda span: span.begun)
    (failed,), (done,) = (
        [span for span in collector.named("reconcile") if span.id == call.parent] for call in (refused, created)
    )

    shared = {"k8s.namespace.name": world.namespace, "edgeplan.name": "plan"}
    assert done.parent == failed.parent == ""
    assert done.trace == created.trace != failed.trace == refused.trace
    expected = shared | {"edgeplan.uid": uid, "edgeplan.generation": 1, "edgeplan.outcome": "Done"}
    assert done.attributes.items() >= (expected | {"edgeplan.reason": "InSync"}).items()
    assert done.attributes["edgeplan.queue.wait_seconds"] >= 0
    assert not done.failed
    assert done.origin.items() >= {"service.name": "edgeplan", "k8s.cluster.uid": "test"}.items()
    assert done.origin["deployment.environment.name"] == "test"

    call = {
        "rpc.system": "aws-api",
        "rpc.service": "SageMaker",
        "rpc.method": "CreateEdgeDeploymentPlan",
        "cloud.region": REGION,
        "edgeplan.account": "default",
    }
    assert created.attributes.items() >= call.items()
    assert created.kind == "SPAN_KIND_CLIENT"
    assert created.attributes["aws.request_id"] != refused.attributes["aws.request_id"]
    assert not created.failed
    assert done.begun <= created.begun <= created.ended <= done.ended

    assert (refused.failed, refused.events) == (True, ("exception",))
    assert refused.attributes["error.type"] == failed.attributes["error.type"] == "InternalFailure"
    assert (failed.failed, failed.attributes["edgeplan.outcome"]) == (True, "Retrying")
    assert failed.attributes["edgeplan.reason"] == "AWSUnavailable"

    (written,) = [span for span in collector.children(failed) if span.name == "PATCH edgedeploymentplans status"][-1:]
    assert written.attributes.items() >= (shared | {"http.request.method": "PATCH"}).items()
    assert written.begun >= refused.ended - 1_000_000


def test_a_line_of_the_log_names_its_trace(world: World, collector: Receiver, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with world.process(log, "--tracing", "--log-format=json") as operator:
        world.create("plan")
        world.wait_for("plan", "Ready", seconds=120)
        assert operator.stop() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    (made,) = [line for line in lines if line.get("action") == "CreateEdgeDeploymentPlan"]
    (created,) = collector.named("SageMaker.CreateEdgeDeploymentPlan")
    assert (made["traceId"], made["requestId"]) == (created.trace, created.attributes["aws.request_id"])


def test_a_collector_that_is_not_there_holds_nothing_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", NO_COLLECTOR)
    with world.operator(tracing=True):
        world.create("plan")
        world.wait_for("plan", "Ready", seconds=60)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "EDGEPLAN_"))}
    environment |= {"AWS_REGION": REGION, "KUBECONFIG": os.devnull}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


RUN = "import sys\nfrom controller.cli import main\n"


def test_off_nothing_of_opentelemetry_is_imported() -> None:
    told = "print(sorted(name for name in sys.modules if name.split('.')[0] == 'opentelemetry'))"
    ended = run(f"{RUN}import controller.operator.handlers\ncode = main(['run'])\n{told}\nsys.exit(code)")
    assert (ended.returncode, ended.stdout) == (2, "[]\n")  # without a cluster, it got as far as to look for one


def test_without_the_extra_tracing_is_refused_in_a_line() -> None:
    hidden = f"{RUN}sys.modules['opentelemetry'] = None\nsys.exit(main(['run', '--tracing']))"
    refused = run(hidden)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line == "error: --tracing: OpenTelemetry is not installed: pip install 'edgeplan[otel]'"
