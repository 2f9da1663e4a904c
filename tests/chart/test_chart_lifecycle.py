"""A release from install to uninstall: what Helm does with the objects, the CRD and the plans."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.conftest import CRD, clean
from tests.chart.helm import CHART, ROOT, Helm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playground.cluster import Cluster

NAMESPACE = "edgeplan-system"
IN = f"--namespace={NAMESPACE}"

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def _clean(cluster: Cluster, helm: Helm) -> Iterator[None]:
    yield
    clean(cluster, helm)


@pytest.fixture
def next_chart(tmp_path: Path) -> Path:
    """The chart's next version: one more field in the CRD."""
    chart = tmp_path / "edgeplan"
    shutil.copytree(CHART, chart)
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(described | {"version": "0.2.0", "appVersion": "0.2.0"}))
    (template,) = (chart / "templates").glob("crd-*.yaml")
    text = template.read_text()
    marker = "              suspend:\n"
    assert text.count(marker) == 1
    template.write_text(text.replace(marker, f"              motto:\n                type: string\n{marker}"))
    return chart


def test_upgrade_changes_the_crd_and_the_deployment_and_rollback_changes_them_back(
    cluster: Cluster, helm: Helm, next_chart: Path
) -> None:
    helm("install", "edgeplan", CHART, IN, "--create-namespace", "--set=aws.region=eu-west-1")
    assert "motto" not in fields(cluster)
    helm("upgrade", "edgeplan", next_chart, IN, "--reuse-values", "--set=concurrency=8")
    assert "motto" in fields(cluster)
    container = the_container(cluster)
    assert {"--aws-region=eu-west-1", "--concurrency=8"} <= set(container["args"])
    assert container["image"] == "edgeplan:0.2.0"
    helm("rollback", "edgeplan", "1", IN)
    assert "motto" not in fields(cluster)
    assert "--concurrency=32" in the_container(cluster)["args"]
    history = helm.json("history", "edgeplan", IN)
    assert [(entry["revision"], entry["chart"], entry["status"]) for entry in history] == [
        (1, "edgeplan-0.1.0", "superseded"),
        (2, "edgeplan-0.2.0", "superseded"),
        (3, "edgeplan-0.1.0", "deployed"),
    ]


def test_uninstall_keeps_the_crd_and_the_plans_and_the_next_install_takes_them_over(
    cluster: Cluster, helm: Helm
) -> None:
    helm("install", "edgeplan", CHART, IN, "--create-namespace")
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{CRD}")
    apply_once_served(cluster, f"--filename={ROOT / 'examples' / 'minimal.yaml'}", IN)
    told = helm("uninstall", "edgeplan", IN).stdout
    assert f"[CustomResourceDefinition] {CRD}" in told
    left = cluster.kubectl(
        "get", "deployments,roles,rolebindings,serviceaccounts,configmaps", IN, "--output=name"
    ).stdout
    assert "edgeplan" not in left
    assert cluster.kubectl("get", "edp/store-cameras", IN, "--output=name").stdout
    helm("install", "edgeplan", CHART, IN)
    assert cluster.kubectl("get", "edp/store-cameras", IN, "--output=name").stdout
    # Another release has to say that it takes the CRD from the first one.
    refused = helm("install", "other", CHART, IN, check=False)
    assert "invalid ownership metadata" in refused.stderr
    helm("install", "another", CHART, IN, "--set=crds.enabled=false")
    helm("uninstall", "edgeplan", IN)
    helm("install", "other", CHART, IN, "--take-ownership")


def test_uninstall_without_crds_keep_takes_the_crd_along(cluster: Cluster, helm: Helm) -> None:
    helm("install", "edgeplan", CHART, IN, "--create-namespace", "--set=crds.keep=false")
    helm("uninstall", "edgeplan", IN)
    cluster.kubectl("wait", "--for=delete", f"crd/{CRD}", "--timeout=120s")


def test_two_releases_in_two_namespaces_live_side_by_side(cluster: Cluster, helm: Helm) -> None:
    helm("install", "edgeplan", CHART, IN, "--create-namespace")
    helm("install", "edgeplan", CHART, "--namespace=edgeplan-second", "--create-namespace", "--set=crds.enabled=false")
    bindings = cluster.kubectl("get", "clusterrolebindings", "--output=name").stdout
    assert bindings.count(":edgeplan\n") == 2


def apply_once_served(cluster: Cluster, *arguments: str) -> None:
    """Apply as soon as all of the API server knows the kind: its admission learns of it later than its registry."""
    deadline = time.monotonic() + 60
    while cluster.kubectl("apply", *arguments, check=False).returncode:
        assert time.monotonic() < deadline, "the kind is not served"
        time.sleep(0.5)


def fields(cluster: Cluster) -> set[str]:
    body = json.loads(cluster.kubectl("get", "crd", CRD, "--output=json").stdout)
    return set(body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])


def the_container(cluster: Cluster) -> dict[str, Any]:
    body = json.loads(cluster.kubectl("get", "deployment", "edgeplan", IN, "--output=json").stdout)
    return dict(body["spec"]["template"]["spec"]["containers"][0])
