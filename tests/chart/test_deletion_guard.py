"""The deletion guard on a real API server: what is marked stays, and whoever deletes it is told why."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from playground.programs import find_or_build
from playground.programs.process import spawn, stop
from tests.chart.conftest import CRD, clean
from tests.chart.helm import CHART, ROOT, Helm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playground.cluster import Cluster

NAMESPACE = "guarded"
IN = f"--namespace={NAMESPACE}"
MARK = "edgeplan.dev/protect"
EXAMPLE = ROOT / "examples" / "minimal.yaml"

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _installed(cluster: Cluster, helm: Helm) -> Iterator[None]:
    # No operator runs here that would take its finalizer off.
    helm("install", "edgeplan", CHART, IN, "--create-namespace", "--set=finalizerPolicy.enabled=false")
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{CRD}")
    # The API server compiles a policy some moments after it was made.
    cluster.kubectl("create", "namespace", "trial")
    cluster.kubectl("label", "namespace", "trial", f"{MARK}=true")
    wait_for(
        lambda: "protected" in cluster.kubectl("delete", "namespace", "trial", "--dry-run=server", check=False).stderr
    )
    yield
    for kind in ("namespace/trial", f"namespace/{NAMESPACE}", f"crd/{CRD}"):
        cluster.kubectl("label", kind, f"{MARK}-", check=False)
    clean(cluster, helm)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def refused(cluster: Cluster, *what: str) -> str:
    done = cluster.kubectl("delete", *what, "--timeout=120s", check=False)
    assert done.returncode != 0
    return str(done.stderr)


@pytest.mark.parametrize("way", ["label", "annotate"])
def test_a_marked_plan_stays_until_the_mark_is_taken_off(cluster: Cluster, way: str) -> None:
    cluster.kubectl("apply", f"--filename={EXAMPLE}", IN)
    cluster.kubectl(way, "edp", "store-cameras", f"{MARK}=true", IN)
    mark = {"label": "label", "annotate": "annotation"}[way]
    told = f"EdgeDeploymentPlan store-cameras is protected from deletion: take its {mark} {MARK} off first"
    assert told in refused(cluster, "edp", "store-cameras", IN)
    assert told in refused(cluster, "edp", "--all", IN)
    assert told in refused(cluster, f"--filename={EXAMPLE}", IN)
    cluster.kubectl(way, "edp", "store-cameras", f"{MARK}=false", "--overwrite", IN)
    cluster.kubectl("delete", "edp", "store-cameras", IN, "--timeout=120s")


def test_what_is_not_marked_goes(cluster: Cluster) -> None:
    cluster.kubectl("apply", f"--filename={EXAMPLE}", IN)
    cluster.kubectl("delete", "edp", "--all", IN, "--timeout=120s")
    cluster.kubectl("create", "namespace", "unmarked")
    cluster.kubectl("delete", "namespace", "unmarked", "--wait=false")


@pytest.mark.parametrize(
    ("thing", "kind"), [("namespace/trial", "Namespace"), (f"crd/{CRD}", "CustomResourceDefinition")]
)
def test_what_would_take_plans_along_can_be_marked_too(cluster: Cluster, thing: str, kind: str) -> None:
    cluster.kubectl("label", thing, f"{MARK}=true", "--overwrite")
    assert f"{kind} {thing.partition('/')[2]} is protected from deletion" in refused(cluster, thing)
    if kind != "Namespace":
        cluster.kubectl("label", thing, f"{MARK}-")


def test_helm_uninstall_of_a_release_with_a_marked_plan_says_so(cluster: Cluster, helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "cameras", "version": "1.0.0"}))
    body = yaml.safe_load(EXAMPLE.read_text())
    body["metadata"] = {"name": "store-cameras", "labels": {MARK: "true"}}
    (tmp_path / "templates" / "plan.yaml").write_text(yaml.safe_dump(body))
    helm("install", "cameras", tmp_path, IN)
    told = helm("uninstall", "cameras", IN, "--debug", check=False)  # without it Helm gives no reason at all
    assert told.returncode != 0
    assert "EdgeDeploymentPlan store-cameras is protected from deletion" in told.stderr
    assert cluster.kubectl("get", "edp/store-cameras", IN, "--output=name").stdout
    cluster.kubectl("label", "edp", "store-cameras", f"{MARK}-", IN)
    helm("uninstall", "cameras", IN)
    assert not cluster.kubectl("get", "edp", IN, "--output=name").stdout


def test_a_namespace_with_a_marked_plan_stays_and_says_why(cluster: Cluster) -> None:
    namespace = "teams"
    cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("apply", f"--filename={EXAMPLE}", f"--namespace={namespace}")
    cluster.kubectl("label", "edp", "store-cameras", f"{MARK}=true", f"--namespace={namespace}")
    manager = find_or_build(["kube-controller-manager"])["kube-controller-manager"]
    flags = ("--controllers=namespace-controller", "--leader-elect=false", "--secure-port=0")
    process = spawn(
        [manager, f"--kubeconfig={cluster.kubeconfig}", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def conditions() -> str:
        body = json.loads(cluster.kubectl("get", "namespace", namespace, "--output=json").stdout)
        return json.dumps(body["status"].get("conditions"))

    try:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
        wait_for(lambda: "is protected from deletion" in conditions())
        assert cluster.kubectl("get", "edp/store-cameras", f"--namespace={namespace}", "--output=name").stdout
        cluster.kubectl("label", "edp", "store-cameras", f"{MARK}-", f"--namespace={namespace}")
        gone = ("get", "namespace", namespace, "--ignore-not-found", "--output=name")
        wait_for(lambda: not cluster.kubectl(*gone).stdout)
    finally:
        stop(process)
