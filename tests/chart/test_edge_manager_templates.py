"""The text of the Edge Manager's chart: golden files, schema, refusals, and what the API server says about the objects.

`REGENERATE=1 pytest tests/chart/test_edge_manager_templates.py` writes the golden files again.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from charts import generate
from edge_manager.api.http import GRACE, Options
from edge_manager.artifacts import IDLE
from edge_manager.commands import add_serve
from edge_manager.store.keys import Seal
from tests.chart.helm import ROOT, Helm, of_kind
from tests.chart.monitoring import install_monitoring
from tests.chart.test_chart_templates import at, leaves

if TYPE_CHECKING:
    from playground.cluster import Cluster

CHART = ROOT / "charts" / "edge-manager"
GOLDEN = Path(__file__).parent / "golden" / "edge-manager"
EVERYTHING = GOLDEN / "everything.values.yaml"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
POSTGRESQL = "--set=database.existingSecret=database"


def rendered(helm: Helm, *arguments: str | Path) -> list[dict[str, Any]]:
    text = helm("template", "edge-manager", CHART, "--namespace=edge-manager", *arguments).stdout
    return [body for body in yaml.safe_load_all(text) if body]


def container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (deployment,) = of_kind(objects, "Deployment")
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("values", [[], [f"--values={EVERYTHING}"]], ids=["default", "everything"])
def test_lint_is_strict(offline: Helm, values: list[str]) -> None:
    assert "[WARNING]" not in offline("lint", "--strict", CHART, *values).stdout


@pytest.mark.parametrize("name", ["default", "everything"])
def test_templates_are_as_they_were(offline: Helm, name: str) -> None:
    values = [f"--values={EVERYTHING}"] if name == "everything" else []
    text = offline("template", "edge-manager", CHART, "--namespace=edge-manager", *values).stdout
    text = re.sub(r"(?m)^  key: \S+=$", "  key: GENERATED", text)
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("REGENERATE"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_everything_means_every_value() -> None:
    changed = yaml.safe_load(EVERYTHING.read_text())
    same = {path for path, default, _ in documented() if at(changed, path) == default}
    # Without them there is nothing to see.
    assert same == {"metrics.enabled", "podDisruptionBudget.enabled", "serviceAccount.create"}


def test_every_value_is_documented_and_in_the_schema() -> None:
    paths = {path for path, _, _ in documented()}
    assert paths == set(leaves(SCHEMA)) - {"global"}
    for path in paths:
        at(VALUES, path)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("imagePullSecret=a", "additional properties 'imagePullSecret' not allowed"),
        ("database.url=postgresql://a", "additional properties 'url' not allowed"),
        ("database.existingSecret=postgresql://a", "does not match pattern"),
        ("tls.crt=a", "additional properties 'crt' not allowed"),
        ("persistence.size=big", "does not match pattern"),
        ("persistence.accessModes={ReadOnlyMany}", "value must be one of"),
        ("s3.endpointUrl=s3.example.com", "does not match pattern"),
        ("service.type=ExternalName", "value must be one of"),
        ("metrics.port=80", "minimum: got 80, want 1,024"),
        ("networkPolicy.ports[0]=0", "minimum: got 0, want 1"),
        ("rate=-1", "minimum: got -1, want 0"),
        ("replicas=2", "replicas: one pod alone serves a SQLite file"),
        ("metrics.port=4578", "4578 is the port of the API"),
        ("ingress.enabled=true", "an Ingress needs at least one name"),
        ("metrics.enabled=false,metrics.serviceMonitor.enabled=true", "there is nothing to scrape"),
    ],
)
def test_what_makes_no_sense_is_refused(offline: Helm, value: str, complaint: str) -> None:
    refused = offline("template", "edge-manager", CHART, f"--set={value}", check=False)
    assert refused.returncode == 1
    assert complaint in refused.stderr


def test_a_cluster_without_the_prometheus_operators_kind_is_told_so(offline: Helm) -> None:
    monitored, served = "--set=metrics.serviceMonitor.enabled=true", "--api-versions=apps/v1/Deployment"
    wanted = "monitoring.coreos.com/v1/ServiceMonitor"
    refused = offline("template", "edge-manager", CHART, monitored, served, check=False)
    assert refused.returncode == 1
    assert f"needs the kind {wanted}, which this cluster does not have" in refused.stderr
    for versions in ([f"{served},{wanted}"], []):  # without a cluster nobody knows
        assert of_kind(rendered(offline, monitored, *versions), "ServiceMonitor")


@pytest.mark.parametrize(("replicas", "said"), [(1, "runs as Deployment"), (0, "STOPPED: replicas is 0")])
def test_notes_tell_whether_anything_runs(offline: Helm, replicas: int, said: str) -> None:
    notes = offline("install", "edge-manager", CHART, "--dry-run=client", f"--set=replicas={replicas}").stdout
    assert said in notes
    assert ("runs as Deployment" in notes) is (replicas > 0)


def test_sqlite_has_one_pod_at_a_time_and_postgresql_as_many_as_are_asked_for(offline: Helm) -> None:
    objects = rendered(offline)
    (deployment,) = of_kind(objects, "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert len(of_kind(objects, "PersistentVolumeClaim")) == 1
    assert not of_kind(objects, "PodDisruptionBudget")
    objects = rendered(offline, POSTGRESQL, "--set=replicas=3")
    (deployment,) = of_kind(objects, "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (3, "RollingUpdate")
    assert not of_kind(objects, "PersistentVolumeClaim")
    assert len(of_kind(objects, "PodDisruptionBudget")) == 1
    assert len(of_kind(rendered(offline, POSTGRESQL), "PodDisruptionBudget")) == 0  # nothing could ever be drained


def test_pod_outlives_the_calls_under_way(offline: Helm) -> None:
    for values in ([], [POSTGRESQL]):
        (deployment,) = of_kind(rendered(offline, *values), "Deployment")
        spec = deployment["spec"]["template"]["spec"]
        hook = spec["containers"][0].get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
        assert hook["sleep"]["seconds"] + GRACE + IDLE < spec["terminationGracePeriodSeconds"]


def test_metrics_and_api_are_apart(offline: Helm) -> None:
    objects = rendered(offline, "--set=networkPolicy.enabled=true")
    ports = {
        body["metadata"]["name"]: [port["targetPort"] for port in body["spec"]["ports"]]
        for body in of_kind(objects, "Service")
    }
    assert ports == {"edge-manager": ["api"], "edge-manager-metrics": ["metrics"]}
    (policy,) = of_kind(objects, "NetworkPolicy")
    assert [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["ingress"]] == [["api"], ["metrics"]]
    silent = rendered(offline, "--set=networkPolicy.enabled=true,metrics.enabled=false")
    assert "metrics" not in json.dumps([silent, [container(silent)["args"]]])


def test_no_secret_is_an_argument_or_a_plain_variable(offline: Helm) -> None:
    for values in ([], [f"--values={EVERYTHING}"]):
        found = container(rendered(offline, *values))
        for entry in found["env"]:
            if re.search(r"SECRET|ACCESS_KEY", entry["name"]) or "postgresql" in entry.get("value", ""):
                assert "secretKeyRef" in entry["valueFrom"]
        assert not any("secret" in part or "store" in part for part in found["args"])


def test_generated_key_is_one_that_the_service_takes(offline: Helm) -> None:
    (secret,) = of_kind(rendered(offline), "Secret")
    key = base64.b64decode(secret["data"]["key"]).decode()
    assert Seal(key).open(Seal(key).seal(b"text", "purpose"), "purpose") == b"text"
    assert secret["immutable"] is True
    assert not of_kind(rendered(offline, "--set=encryptionKey.existingSecret=mine"), "Secret")


def test_serve_takes_the_charts_arguments(offline: Helm) -> None:
    for values in ([], [f"--values={EVERYTHING}"]):
        verb, *arguments = container(rendered(offline, *values))["args"]
        parser = argparse.ArgumentParser()
        add_serve(parser)
        parsed = vars(parser.parse_args(arguments))
        assert verb == "serve"
        assert parsed["run"] == "serve.serve"


def test_documented_values_for_production_are_taken_and_their_secrets_told_of(offline: Helm, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "edge-manager-install.md").read_text()
    (block,) = re.findall(r"(?s)```yaml\n(.*?)```", text)
    (tmp_path / "values.yaml").write_text(block)
    objects = rendered(offline, f"--values={tmp_path / 'values.yaml'}")
    (deployment,) = of_kind(objects, "Deployment")
    spec = json.dumps(deployment["spec"]["template"]["spec"])
    used = set(re.findall(r'"secretName": "([^"]+)"|"secretKeyRef": {[^}]*"name": "([^"]+)"', spec))
    documented = set(re.findall(r"(?m)^\| `(edge-manager-\w+)` \|", text))
    assert {name for names in used for name in names if name} == documented


def test_defaults_are_the_services_own() -> None:
    defaults = Options("", "")
    assert VALUES["quota"] == defaults.rules.plans_per_scope
    assert VALUES["connectedWithin"] == defaults.rules.connected_within
    assert (VALUES["rate"], VALUES["maxBody"]) == (defaults.rate, defaults.max_body)
    assert VALUES["burst"] == 0
    assert defaults.burst is None
    assert VALUES["service"]["port"] == defaults.port


def test_versions_are_the_projects_own() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "packaging" / "edge-manager" / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]
    assert chart["description"] == project["description"]


@pytest.mark.cluster
def test_pod_satisfies_the_restricted_standard(cluster: Cluster, namespace: str, offline: Helm) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "serviceaccount", "edge-manager", f"--namespace={namespace}")
    (deployment,) = of_kind(rendered(offline), "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": namespace}, "spec": spec}
    cluster.kubectl("create", "--filename=-", "--dry-run=server", input=json.dumps(pod))
    # The same admission refuses it with any of this taken away.
    del spec["containers"][0]["securityContext"]["capabilities"]
    refused = cluster.kubectl("create", "--filename=-", "--dry-run=server", input=json.dumps(pod), check=False)
    assert 'violates PodSecurity "restricted' in refused.stderr


@pytest.mark.cluster
def test_server_side_apply_takes_every_object(cluster: Cluster, namespace: str, offline: Helm) -> None:
    install_monitoring(cluster)
    for values in ([], [f"--values={EVERYTHING}"]):
        text = offline("template", "edge-manager", CHART, f"--namespace={namespace}", *values).stdout
        cluster.kubectl("apply", "--server-side", "--filename=-", "--validate=strict", input=text)
    kinds = "servicemonitors,ingresses,networkpolicies,poddisruptionbudgets,services,deployments,pvc,secrets"
    names = cluster.kubectl("get", kinds, "--output=name", f"--namespace={namespace}").stdout.split()
    assert sorted(name for name in names if "/fleet-manager" in name) == [
        "deployment.apps/fleet-manager",
        "ingress.networking.k8s.io/fleet-manager",
        "networkpolicy.networking.k8s.io/fleet-manager",
        "poddisruptionbudget.policy/fleet-manager",
        "service/fleet-manager",
        "service/fleet-manager-metrics",
        "servicemonitor.monitoring.coreos.com/fleet-manager",
    ]
    assert {"persistentvolumeclaim/edge-manager", "secret/edge-manager-encryption"} <= set(names)


def documented() -> list[tuple[str, Any, str]]:
    return list(generate.rows((CHART / "values.yaml").read_text()))
