"""The operator's own client in tests, with everybody's rights or with those of a service account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kubernetes.aio import client

from controller.cluster.connection import configuration, connect
from playground.cluster import Cluster

ACCOUNT = "operator"


@asynccontextmanager
async def connected() -> AsyncIterator[client.ApiClient]:
    """A client of its own, as KUBECONFIG says."""
    api = connect(await configuration(), 4)
    try:
        yield api
    finally:
        await api.close()  # type: ignore[no-untyped-call]


def permit_leases(cluster: Cluster, namespace: str, verbs: str) -> None:
    """Make the role that the service account has."""
    role = ("create", "role", "leases", "--resource=leases.coordination.k8s.io", f"--verb={verbs}")
    cluster.kubectl(*role, "--namespace", namespace)


def call_as_service_account(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, verbs: str) -> None:
    """Have the clients of this test be a service account that may do so much with Leases."""
    inside = ("--namespace", namespace)
    cluster.kubectl("create", "serviceaccount", ACCOUNT, *inside)
    permit_leases(cluster, namespace, verbs)
    binding = ("create", "rolebinding", "leases", "--role=leases", f"--serviceaccount={namespace}:{ACCOUNT}")
    cluster.kubectl(*binding, *inside)
    monkeypatch.setenv("KUBECONFIG", str(cluster.service_account_kubeconfig(namespace, ACCOUNT)))
