"""Fixtures: a cluster of the chart tests' own, Helm on it, a sandbox, and namespaces that a release can be in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edge_manager.sandbox.server import Sandbox
from playground.cluster import Cluster, LocalCluster
from playground.programs import find_or_build
from tests.chart.helm import Helm

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("etcd", "kube-apiserver", "kubectl", "helm")
CRD = "edgedeploymentplans.edgeplan.dev"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    find_or_build(PROGRAMS)
    with LocalCluster(audit=True) as own:
        yield own


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster: lint and template."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def helm(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    """Helm on the cluster; its releases and the CRD go after the module's tests."""
    running = Helm(tmp_path_factory.mktemp("helm"), cluster.kubeconfig)
    yield running
    clean(cluster, running)


def clean(cluster: Cluster, helm: Helm) -> None:
    for release in helm.json("list", "--all-namespaces"):
        helm("uninstall", release["name"], f"--namespace={release['namespace']}")
    if cluster.kubectl("get", "crd", CRD, "--ignore-not-found").stdout:
        # No operator runs that would take its finalizer off.
        found = json.loads(cluster.kubectl("get", "edp", "--all-namespaces", "--output=json").stdout)
        for body in found["items"]:
            metadata = body["metadata"]
            name = ("edp", metadata["name"], f"--namespace={metadata['namespace']}")
            cluster.kubectl("patch", *name, "--type=merge", '--patch={"metadata": {"finalizers": []}}')
        cluster.kubectl("delete", "crd", CRD, "--timeout=30s")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running
