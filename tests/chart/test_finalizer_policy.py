"""The API server puts the finalizer on new objects by the chart's policy, as the operator would."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from controller.domain.api import API_VERSION, FINALIZER, KIND
from playground.cluster.access import ClusterError
from tests.chart.conftest import clean
from tests.chart.helm import CHART, Helm, of_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.cluster import Cluster

NAMESPACE = "edgeplan-system"
IN = f"--namespace={NAMESPACE}"

pytestmark = pytest.mark.cluster


@pytest.fixture
def installed(cluster: Cluster, helm: Helm) -> Iterator[Cluster]:
    """The cluster with the chart in it, once its policy is in force."""
    helm("install", "edgeplan", CHART, IN, "--create-namespace")
    deadline = time.monotonic() + 60
    while not in_force(cluster):
        assert time.monotonic() < deadline, "the policy never came into force"
        time.sleep(0.5)
    yield cluster
    clean(cluster, helm)


def in_force(cluster: Cluster) -> bool:
    """Whether the API server serves the kind by now, and knows the policy."""
    try:
        return finalizers(cluster) == [FINALIZER]
    except ClusterError:
        return False


def finalizers(cluster: Cluster, *, more: dict[str, Any] | None = None, **spec: Any) -> list[str]:
    """The finalizers of an object as the API server would store it."""
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "plan", "namespace": NAMESPACE} | (more or {}),
        "spec": {
            "deviceFleetName": "cameras",
            "modelConfigs": [{"modelHandle": "counter", "edgePackagingJobName": "counter-v1"}],
        }
        | spec,
    }
    stored = cluster.kubectl("create", "--dry-run=server", "-o=json", "-f-", input=json.dumps(body))
    metadata = json.loads(stored.stdout)["metadata"]
    return list(metadata.get("finalizers", []))


def test_new_objects_have_the_finalizer_where_the_operator_would_put_it_on(installed: Cluster) -> None:
    assert finalizers(installed, policy={"management": "Manage", "deletion": "Delete"}) == [FINALIZER]
    assert finalizers(installed, suspend=False) == [FINALIZER]
    assert finalizers(installed, more={"finalizers": ["example.com/mine"]}) == ["example.com/mine", FINALIZER]
    assert finalizers(installed, more={"finalizers": [FINALIZER]}) == [FINALIZER]
    assert finalizers(installed, policy={"deletion": "Retain"}) == []
    assert finalizers(installed, policy={"management": "Observe"}) == []
    assert finalizers(installed, suspend=True) == []


def test_policy_is_left_out_where_it_is_not_wanted_or_not_known(helm: Helm) -> None:
    known = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    kind = "MutatingAdmissionPolicy"
    assert len(of_kind(helm.template(known), kind)) == 1
    assert of_kind(helm.template(), kind) == []
    assert of_kind(helm.template(known, "--set=finalizerPolicy.enabled=false"), kind) == []
