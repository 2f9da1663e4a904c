"""A release of the Edge Manager's chart from install to uninstall: what becomes of the key and of the data."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.helm import Helm
from tests.chart.test_edge_manager_templates import CHART

if TYPE_CHECKING:
    from pathlib import Path

    from playground.cluster import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture
def next_chart(tmp_path: Path) -> Path:
    """The chart's next version."""
    chart = tmp_path / "edge-manager"
    shutil.copytree(CHART, chart)
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump(described | {"version": "0.2.0", "appVersion": "0.2.0"}))
    return chart


def test_key_and_data_outlive_upgrade_rollback_and_uninstall(
    cluster: Cluster, helm: Helm, namespace: str, next_chart: Path
) -> None:
    within = f"--namespace={namespace}"

    def read(what: str) -> dict[str, Any]:
        return dict(json.loads(cluster.kubectl("get", what, within, "--output=json").stdout))

    def pod() -> dict[str, Any]:
        return dict(read("deployment/edge-manager")["spec"]["template"]["spec"]["containers"][0])

    told = helm("install", "edge-manager", CHART, within).stdout
    assert f"kubectl -n {namespace} exec deploy/edge-manager -- edge-manager keys create --role admin" in told
    key, claim = (read(name) for name in ("secret/edge-manager-encryption", "pvc/edge-manager"))
    helm("upgrade", "edge-manager", next_chart, within, "--reuse-values", "--set=quota=5")
    assert ("--quota=5" in pod()["args"], pod()["image"]) == (True, "edge-manager:0.2.0")
    helm("rollback", "edge-manager", "1", within)
    assert ("--quota=1000" in pod()["args"], pod()["image"]) == (True, "edge-manager:0.1.0")
    # Who renders it without asking the cluster has another key, and may not bring it in.
    text = helm("template", "edge-manager", CHART, within).stdout
    refused = cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", input=text, check=False)
    assert "field is immutable when `immutable` is set" in refused.stderr
    helm("uninstall", "edge-manager", within)
    assert not cluster.kubectl(
        "get", "deployments,services,serviceaccounts", within, "-l=app.kubernetes.io/name"
    ).stdout
    helm("install", "edge-manager", CHART, within)
    for before in (key, claim):
        after = read(f"{before['kind'].lower()}/{before['metadata']['name']}")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert read("secret/edge-manager-encryption")["data"] == key["data"]


def test_two_releases_in_one_namespace_live_side_by_side(cluster: Cluster, helm: Helm, namespace: str) -> None:
    within = f"--namespace={namespace}"
    for name in ("north", "south"):
        helm("install", name, CHART, within, "--set=networkPolicy.enabled=true")
    for kind in ("deployment", "service", "secret", "pvc", "networkpolicy"):
        names = cluster.kubectl("get", kind, "--output=name", within).stdout.splitlines()
        ours = [name for name in names if "edge-manager" in name and "helm.release" not in name]
        assert sum("north" in name for name in ours) == sum("south" in name for name in ours) > 0
