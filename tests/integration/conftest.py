"""Fixtures: the CRD on the shared API server, a sandbox and a world per test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_manager.sandbox.server import Sandbox
from playground.cluster import Cluster, LocalCluster
from tests.integration.operators import World, install


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Cluster:
    """The shared cluster with the CRD in it."""
    install(cluster)
    return cluster


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the sandbox takes, and no settings of whoever runs the tests."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox, which is asked whose account it is too."""
    with Sandbox() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", running.url)
        yield running


@pytest.fixture
def world(installed: Cluster, namespace: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("KUBECONFIG", str(installed.kubeconfig))
    return World(installed, namespace, sandbox)


@pytest.fixture
def own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalCluster]:
    """A cluster of the test's own, to be broken. KUBECONFIG keeps its address, also while it serves elsewhere.

    Its parameter, if there is one, names the API server's feature gates that are off.
    """
    with LocalCluster(without=getattr(request, "param", ())) as cluster:
        address = shutil.copy(cluster.kubeconfig, tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(address))
        yield cluster
