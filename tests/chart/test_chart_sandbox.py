"""The chart with a sandbox in the place of AWS, as docs/evaluate.md installs it; and Helm that waits for plans."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from edge_manager.sandbox.client import SandboxClient
from tests.chart.conftest import clean
from tests.chart.helm import CHART, Helm, of_kind
from tests.chart.pod import Pod, namespaces
from tests.chart.test_chart_pod import until_served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playground.cluster import Cluster

SYSTEM = "edgeplan-system"
IN = f"--namespace={SYSTEM}"
ON = "--set=sandbox.enabled=true"
SERVICE = "http://edgeplan-sandbox.edgeplan-system.svc:4577"
# What the image's entrypoint runs.
PROGRAM = [sys.executable, "-m", "edge_manager"]


def named(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {body["metadata"]["name"]: body for body in of_kind(objects, kind)}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def test_service_leads_to_the_sandbox_alone_and_the_operator_to_the_service(offline: Helm) -> None:
    objects = offline.template(ON)
    deployments, services = named(objects, "Deployment"), named(objects, "Service")
    service = services["edgeplan-sandbox"]
    (port,) = service["spec"]["ports"]
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert f"http://{name}.{namespace}.svc:{port['port']}" == SERVICE
    labels = {name: body["spec"]["template"]["metadata"]["labels"] for name, body in deployments.items()}
    selector = service["spec"]["selector"]
    assert [name for name, found in labels.items() if selects(selector, found)] == ["edgeplan-sandbox"]
    others = [body["spec"]["selector"] for name, body in services.items() if name != "edgeplan-sandbox"]
    assert not any(selects(other, labels["edgeplan-sandbox"]) for other in others)
    # Neither Deployment nor budget takes the other's pods for its own.
    for body in (*deployments.values(), *of_kind(objects, "PodDisruptionBudget")):
        wanted = body["spec"]["selector"]["matchLabels"]
        assert [name for name, found in labels.items() if selects(wanted, found)] == [body["metadata"]["name"]]
    (container,) = deployments["edgeplan-sandbox"]["spec"]["template"]["spec"]["containers"]
    assert {each["name"] for each in container["ports"]} == {port["targetPort"]}
    (operator,) = deployments["edgeplan"]["spec"]["template"]["spec"]["containers"]
    assert f"--aws-endpoint-url={SERVICE}" in operator["args"]
    assert {"name": "AWS_ENDPOINT_URL_STS", "value": SERVICE} in operator["env"]


def test_network_policies_let_the_operator_reach_the_sandbox_and_the_sandbox_nobody(offline: Helm) -> None:
    objects = offline.template(ON, "--set=networkPolicy.enabled=true")
    policies, deployments = named(objects, "NetworkPolicy"), named(objects, "Deployment")
    labels = {name: body["spec"]["template"]["metadata"]["labels"] for name, body in deployments.items()}
    for name in ("edgeplan", "edgeplan-sandbox"):
        assert selects(policies[name]["spec"]["podSelector"]["matchLabels"], labels[name])
    (way_out,) = [rule for rule in policies["edgeplan"]["spec"]["egress"] if "to" in rule]
    (way_in,) = policies["edgeplan-sandbox"]["spec"]["ingress"]
    assert selects(way_out["to"][0]["podSelector"]["matchLabels"], labels["edgeplan-sandbox"])
    assert selects(way_in["from"][0]["podSelector"]["matchLabels"], labels["edgeplan"])
    (container,) = deployments["edgeplan-sandbox"]["spec"]["template"]["spec"]["containers"]
    assert {way_in["ports"][0]["port"], way_out["ports"][0]["port"]} == {
        container["ports"][0]["name"],
        container["ports"][0]["containerPort"],
    }
    assert policies["edgeplan-sandbox"]["spec"]["egress"] == []


def test_sandbox_is_off_by_default_and_excludes_another_endpoint(offline: Helm) -> None:
    assert "sandbox" not in str(offline.template())
    refused = offline("template", "edgeplan", CHART, ON, "--set=aws.endpointUrl=http://example.com", check=False)
    assert "sandbox.enabled and aws.endpointUrl exclude each other" in refused.stderr


def test_longest_names_stay_names(offline: Helm) -> None:
    long = "x" * 63
    objects = offline.template(ON, f"--set=fullnameOverride={long},nameOverride={long}")
    for body in (*of_kind(objects, "Deployment"), *of_kind(objects, "Service")):
        labels = body["metadata"]["labels"]
        assert len(body["metadata"]["name"]) <= 63
        assert max(map(len, labels.values())) <= 63


@pytest.mark.cluster
def test_both_pods_satisfy_the_restricted_standard(cluster: Cluster, namespace: str, offline: Helm) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    spec = named(offline.template(ON), "Deployment")["edgeplan-sandbox"]["spec"]["template"]["spec"]
    cluster.kubectl("create", "serviceaccount", "default", f"--namespace={namespace}", check=False)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": namespace}, "spec": spec}
    cluster.kubectl("create", "--filename=-", "--dry-run=server", input=json.dumps(pod))


@pytest.fixture(scope="module")
def evaluated(cluster: Cluster, helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """Both pods of a release with the sandbox, running; what speaks to the sandbox."""
    if not namespaces():
        pytest.skip("needs Linux and the right to make a mount namespace")
    folder = tmp_path_factory.mktemp("evaluated")
    helm("install", "edgeplan", CHART, IN, "--create-namespace", ON, "--set=sandbox.speed=20", "--set=sandbox.quota=3")
    until_served(cluster)
    found = json.loads(cluster.kubectl("get", "deployments", IN, "--output=json").stdout)["items"]
    pods = {body["metadata"]["name"]: body["spec"]["template"]["spec"] for body in found}
    with Pod(cluster, SYSTEM, pods["edgeplan-sandbox"], folder / "sandbox", program=PROGRAM) as sandbox:
        assert sandbox.passes("startupProbe"), sandbox.log
        assert sandbox.passes("readinessProbe")
        reached = {SERVICE: sandbox.url}
        with Pod(cluster, SYSTEM, pods["edgeplan"], folder / "operator", services=reached) as operator:
            assert operator.passes("startupProbe"), operator.log
            yield SandboxClient(sandbox.url)
            cluster.kubectl("delete", "edp", "--all", "--all-namespaces", "--timeout=60s")
    clean(cluster, helm)


def chart(folder: Path, name: str, **spec: Any) -> Path:
    """A team's own chart, with one plan in it."""
    body = {
        "apiVersion": "edgeplan.dev/v1alpha1",
        "kind": "EdgeDeploymentPlan",
        "metadata": {"name": name},
        "spec": {
            "edgeDeploymentPlanName": name,
            "modelConfigs": [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}],
            "deviceFleetName": "tills",
            "stages": [
                {
                    "stageName": "all",
                    "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": 100},
                    "deploymentConfig": {"failureHandlingPolicy": "ROLLBACK_ON_FAILURE"},
                }
            ],
            **spec,
        },
    }
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "tills", "version": "1.0.0"}))
    (folder / "templates" / "plan.yaml").write_text(yaml.safe_dump(body))
    return folder


@pytest.mark.cluster
@pytest.mark.usefixtures("evaluated")
def test_helm_that_waits_returns_when_the_rollout_is_through(
    cluster: Cluster, helm: Helm, namespace: str, tmp_path: Path
) -> None:
    assert helm("version", "--short").stdout.startswith("v4.")
    where, tills = f"--namespace={namespace}", chart(tmp_path / "tills", "tills", rollout={"strategy": "Sequential"})
    helm("install", "tills", tills, where, "--wait", "--timeout=90s")
    body = json.loads(cluster.kubectl("get", "edp/tills", where, "--output=json").stdout)
    (ready,) = [each for each in body["status"]["conditions"] if each["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("True", "RolloutComplete")
    helm("uninstall", "tills", where, "--wait", "--timeout=60s")
    assert not cluster.kubectl("get", "edp", where, "--output=name").stdout


@pytest.mark.cluster
def test_helm_that_waits_fails_when_the_plan_is_stalled(
    helm: Helm, namespace: str, evaluated: SandboxClient, tmp_path: Path
) -> None:
    evaluated.fail_devices("refused", "all", percent=100)
    refused = chart(tmp_path / "refused", "refused", rollout={"strategy": "Sequential"})
    done = helm("install", "refused", refused, f"--namespace={namespace}", "--wait", "--timeout=60s", check=False)
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "Failed" in done.stderr, done.stderr
    evaluated.clear_failures()
