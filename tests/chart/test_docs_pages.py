"""The blocks of the pages that need a cluster, typed in from top to bottom as a reader does."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import yaml

from playground.programs import find_or_build
from playground.programs.process import spawn, stop
from tests.chart.conftest import clean
from tests.chart.pod import Pod, free_port, namespaces
from tests.chart.test_chart_pod import until_served
from tests.chart.test_chart_sandbox import PROGRAM, SERVICE
from tests.pages import ROOT, Block, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playground.cluster import Cluster
    from tests.chart.helm import Helm

SYSTEM = "edgeplan-system"
PORT = "4577"

pytestmark = pytest.mark.cluster


@dataclass
class Terminal:
    """A shell for one page: what a block exports is there in the next one."""

    environment: dict[str, str]
    folder: Path
    port: int = field(default_factory=free_port)
    """Where the sandbox is, which the pages have on a port that somebody else may use here."""
    exported: str = ""

    def run(self, block: Block) -> str:
        """Type a block in; what it printed."""
        kept = self.folder / "exported"
        script = f"{self.exported}\nset -e\n{self.here(block.script)}\nexport -p > {kept}\n"
        done = subprocess.run(
            ["bash", "-c", script], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        where = f"{block.page.name}:{block.line}"
        assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{block.script}{done.stdout}{done.stderr}"
        self.exported = f". {kept}"
        return done.stdout

    def start(self, block: Block) -> subprocess.Popen[bytes]:
        """Leave a block running."""
        log = self.folder / f"{block.page.stem}-{block.line}.log"
        with log.open("wb") as output:
            command = ["bash", "-c", f"set -e\n{self.here(block.script)}"]
            return spawn(command, env=self.environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)

    def here(self, script: str) -> str:
        # Another test of this cluster may have made the namespace, and without a controller-manager none ever goes.
        once = "{ kubectl get namespace retail >/dev/null 2>&1 || kubectl create namespace retail; }"
        return script.replace(PORT, str(self.port)).replace("kubectl create namespace retail", once)

    def log(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def parts(name: str, *hows: str) -> list[Block]:
    """The blocks of a page that are run in one of these ways."""
    return [block for block in blocks(ROOT / "docs" / name) if block.how in hows]


@pytest.fixture(scope="module")
def environment(cluster: Cluster, helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a reader's terminal: the programs, the cluster, nothing of this machine's own AWS."""
    programs = tmp_path_factory.mktemp("programs")
    for name, program in find_or_build(["helm", "kubectl"]).items():
        (programs / name).symlink_to(program)
    mine = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "EDGEPLAN_"))}
    path = os.pathsep.join([str(programs), str(ROOT / ".venv" / "bin"), os.environ["PATH"]])
    return {**mine, **helm.environment, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig), "NO_COLOR": "1"}


@pytest.fixture(autouse=True)
def _clean(cluster: Cluster, helm: Helm) -> Iterator[None]:
    yield
    clean(cluster, helm)
    # Nothing finishes the deletion of a namespace here; the pages make it again.
    cluster.kubectl("delete", "namespace", "retail", "--ignore-not-found", "--wait=false")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "retail"}, "spec": {"finalizers": []}}
    if cluster.kubectl("get", "namespace", "retail", check=False).returncode == 0:
        cluster.kubectl("replace", "--raw", "/api/v1/namespaces/retail/finalize", "-f", "-", input=json.dumps(body))


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http
            return bool(answer.status == 200)
    except OSError:
        return False


def until(question: Any, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture
def laptop(cluster: Cluster, environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    """What the tutorial has running before its first plan."""
    terminal = Terminal(environment, tmp_path)
    sandbox, operator = parts("tutorial.md", "background")
    (definition, *_) = parts("tutorial.md", "run")
    with ExitStack() as stack:
        stack.callback(stop, terminal.start(sandbox))
        terminal.run(definition)
        until(lambda: answers(f"http://127.0.0.1:{terminal.port}/_sandbox/clock"), "the sandbox answers")
        until_served(cluster)
        stack.callback(stop, terminal.start(operator))
        yield terminal


def test_tutorial_leads_to_its_end(laptop: Terminal) -> None:
    told = [laptop.run(block) for block in parts("tutorial.md", "run")[1:]]
    assert "RolloutComplete" in told[-2], laptop.log()
    assert "StageFailed" in told[3], laptop.log()


def test_how_tos_do_what_they_say(laptop: Terminal) -> None:
    laptop.environment |= {
        "AWS_ACCESS_KEY_ID": "AKIA123456789012",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{laptop.port}",
    }
    by_hand(laptop)
    told = {block.line: laptop.run(block) for block in parts("how-to.md", "run")}
    assert any("AddTags" in text for text in told.values())  # pendingChanges
    assert "left by retail/store-1" in list(told.values())[-1]
    (recovered,) = parts("disaster-recovery.md", "run")
    assert "left by retail/store-1" in laptop.run(recovered)


def by_hand(terminal: Terminal) -> None:
    """A plan that nobody's object made."""
    client = boto3.client(
        "sagemaker",
        region_name="eu-west-1",
        endpoint_url=f"http://127.0.0.1:{terminal.port}",
        aws_access_key_id="AKIA123456789012",
        aws_secret_access_key="sandbox",  # noqa: S106 - the sandbox verifies no signature
    )
    client.create_edge_deployment_plan(
        EdgeDeploymentPlanName="Store-1",
        ModelConfigs=[{"ModelHandle": "people-counter", "EdgePackagingJobName": "people-counter-v7"}],
        DeviceFleetName="store-1",
    )
    client.close()


def test_commands_of_troubleshooting_work(laptop: Terminal, cluster: Cluster) -> None:
    cluster.kubectl("apply", f"--filename={ROOT / 'examples' / 'minimal.yaml'}")
    cluster.kubectl("wait", "--for=condition=Ready", "edp/store-cameras", "--timeout=60s")
    show, ask, seen, pending, devices = parts("troubleshooting.md", "run")
    assert "Ready=True InSync" in laptop.run(show)
    assert laptop.run(seen).split()[:2] == ["1", "1"]
    laptop.run(ask)
    handled = "--for=jsonpath={.status.lastHandledReconcileAt}"
    cluster.kubectl("wait", "edp/store-cameras", handled, "--timeout=60s")
    cluster.kubectl("patch", "edp/store-cameras", "--type=merge", "--patch", '{"spec": {"suspend": true}}')
    suspended = '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=Suspended'
    cluster.kubectl("wait", "edp/store-cameras", suspended, "--timeout=60s")  # what is in the status stays so
    till = {"deviceName": "till-7", "message": "full"}
    failed = {"stageName": "canary", "status": "FAILED", "devicesPending": 3, "failedDevices": [till]}
    patch = json.dumps({"status": {"stages": [failed]}})
    cluster.kubectl("patch", "edp/store-cameras", "--subresource=status", "--type=merge", "--patch", patch)
    assert "till-7: full" in laptop.run(devices)
    assert "canary FAILED: 3 pending" in laptop.run(pending)
    cluster.kubectl("delete", "edp/store-cameras", "--timeout=60s")


def test_runbook_lists_the_stalled_objects_and_no_others(
    cluster: Cluster, environment: dict[str, str], tmp_path: Path
) -> None:
    cluster.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
    until_served(cluster)
    where = ("--namespace=default", "--type=merge")
    conditions = {
        "refused": [("Ready", "False", "NotOwned"), ("Stalled", "True", "NotOwned")],
        "waiting": [("Ready", "False", "Settling"), ("Reconciling", "True", "Settling")],
        "quota": [("Ready", "False", "WaitingForQuota"), ("ResourceLimitExceeded", "True", "WaitingForQuota")],
        "good": [("Ready", "True", "InSync"), ("ResourceLimitExceeded", "False", "NotWaiting")],
        "new": [],
    }
    example = yaml.safe_load((ROOT / "examples" / "minimal.yaml").read_text())
    for name, said in conditions.items():
        example["metadata"] = {"name": name, "namespace": "default"}
        cluster.kubectl("apply", "--filename=-", input=json.dumps(example))
        status = [
            {"type": kind, "status": truth, "reason": reason, "message": f"why {name} is so"}
            | {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
            for kind, truth, reason in said
        ]
        if said:
            patch = json.dumps({"status": {"conditions": status}})
            cluster.kubectl("patch", f"edp/{name}", *where, "--subresource=status", "--patch", patch)
    (stalled,) = parts("runbook.md", "run")
    lines = [line.split() for line in Terminal(environment, tmp_path).run(stalled).splitlines()]
    assert lines == [
        ["NAMESPACE", "NAME", "STALLED", "MESSAGE"],
        ["default", "refused", "NotOwned", "why", "refused", "is", "so"],
    ]


@pytest.mark.skipif(not namespaces(), reason="needs Linux and the right to make a mount namespace")
def test_evaluation_leads_to_its_end(cluster: Cluster, environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(environment, tmp_path)
    install, *rest = parts("evaluate.md", "run")
    terminal.run(install)
    until_served(cluster)
    found = json.loads(cluster.kubectl("get", "deployments", f"--namespace={SYSTEM}", "--output=json").stdout)["items"]
    pods = {body["metadata"]["name"]: body["spec"]["template"]["spec"] for body in found}
    with Pod(cluster, SYSTEM, pods["edgeplan-sandbox"], tmp_path / "sandbox", program=PROGRAM) as sandbox:
        assert sandbox.passes("startupProbe"), sandbox.log
        terminal.port = int(sandbox.url.rpartition(":")[2])
        with Pod(cluster, SYSTEM, pods["edgeplan"], tmp_path / "operator", services={SERVICE: sandbox.url}) as operator:
            assert operator.passes("startupProbe"), operator.log
            told = [terminal.run(block) for block in rest]
    assert any("over maxFailedPercent 10" in text for text in told), told
    assert any("quota" in text for text in told), told
