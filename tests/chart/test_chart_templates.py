"""The chart's text: golden files, schema, generated files, and what the API server itself says about the objects.

`REGENERATE=1 pytest tests/chart/test_chart_templates.py` writes the golden files again.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from charts import generate
from controller.aws.accounts_file import read_accounts, read_own_account
from controller.cluster.shards import member_leases, shard_leases
from controller.commands.run import run
from controller.domain.ownership import Reach, Rights
from controller.domain.spec import duration
from controller.operator.settings import Settings, from_flags
from playground.programs import find_or_build
from playground.programs.process import spawn, stop
from tests.chart.conftest import clean
from tests.chart.helm import CHART, ROOT, Helm, of_kind
from tests.chart.monitoring import install_monitoring, remove_monitoring
from tests.queries import DASHBOARD

if TYPE_CHECKING:
    from playground.cluster import Cluster

GOLDEN = Path(__file__).parent / "golden"
EVERYTHING = GOLDEN / "everything.values.yaml"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


@pytest.mark.parametrize("values", [[], [f"--values={EVERYTHING}"]], ids=["default", "everything"])
def test_lint_is_strict(offline: Helm, values: list[str]) -> None:
    assert "[WARNING]" not in offline("lint", "--strict", CHART, *values).stdout


@pytest.mark.parametrize("name", ["default", "everything", "sandbox"])
def test_templates_are_as_they_were(offline: Helm, name: str) -> None:
    values = [] if name == "default" else [f"--values={GOLDEN / f'{name}.values.yaml'}"]
    text = offline("template", "edgeplan", CHART, "--namespace=edgeplan-system", *values).stdout
    # The CRD and the dashboard have their own tests; copies of them here would be many lines.
    apart = ("kind: CustomResourceDefinition", "-dashboard\n")
    documents = [part for part in text.split("---\n") if not any(words in part for words in apart)]
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("REGENERATE"):
        golden.write_text("---\n".join(documents))
    assert "---\n".join(documents) == golden.read_text()


def test_everything_means_every_value() -> None:
    changed = yaml.safe_load(EVERYTHING.read_text())
    same = {path for path, default, _ in documented() if at(changed, path) == default}
    # Without the first three there is nothing to see, and the sandbox excludes an endpoint.
    assert same == {"rbac.create", "serviceAccount.create", "metrics.enabled", "sandbox.enabled"}


def test_every_value_is_documented_and_in_the_schema() -> None:
    paths = {path for path, _, _ in documented()}
    assert paths == set(leaves(SCHEMA)) - {"global"}
    for path in paths:
        at(VALUES, path)


MOUNTED = (
    "auditLog=/var/log/edgeplan/audit.jsonl,extraVolumes[0].name=audit,"
    "extraVolumeMounts[0].name=audit,extraVolumeMounts[0].mountPath=/var/log/edgeplan"
)


def test_audit_log_may_be_a_file_where_a_volume_is_mounted(offline: Helm) -> None:
    assert (
        "--audit-log=/var/log/edgeplan/audit.jsonl" in offline("template", "edgeplan", CHART, f"--set={MOUNTED}").stdout
    )


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ("replicas=2,controller.shards=5", "There are 5 shards and 2 replicas"),
        ("replicas=0", "replicas is 0: no operator runs"),
        ("clusterId=", "No clusterId is set"),
        ("aws.region=eu-west-1", "Every namespace may use the operator's own account"),
    ],
)
def test_notes_tell_what_is_easily_overlooked(offline: Helm, values: str, note: str) -> None:
    said = " ".join(offline("install", "edgeplan", CHART, "--dry-run=client", f"--set={values}").stdout.split())
    assert note in said
    settled = "clusterId=prod,aws.default.namespaces={retail},replicas=3,controller.shards=2"
    assert note not in " ".join(
        offline("install", "edgeplan", CHART, "--dry-run=client", f"--set={settled}").stdout.split()
    )


def test_notes_of_a_stopped_operator_do_not_say_that_it_runs(offline: Helm) -> None:
    said = offline("install", "edgeplan", CHART, "--dry-run=client", "--set=replicas=0").stdout.partition("NOTES:")[2]
    assert "is there as Deployment edgeplan" in said
    assert not [
        words for words in ("runs as Deployment", "It watches", "shards and", "\nSee that it runs") if words in said
    ]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("imagePullSecret=a", "additional properties 'imagePullSecret' not allowed"),
        ("aws.regoin=eu-west-1", "additional properties 'regoin' not allowed"),
        ("aws.region=Ireland", "does not match pattern"),
        ("aws.accounts.shops.regions={eu-west-1}", "missing property 'roleArn'"),
        ("aws.accounts.default.regions={eu-west-1}", "default"),
        ("aws.regions={Ireland}", "does not match pattern"),
        ("aws.default.regoins={eu-west-1}", "additional properties 'regoins' not allowed"),
        ("aws.default.namespaces={team-*}", "does not match pattern"),
        ("aws.default.adopt[0].plans=all", "missing property 'namespaces'"),
        ("aws.default.share[0].plans=many", "got string, want integer"),
        ("aws.default.namespaceSelector.team=retail", "additional properties 'team' not allowed"),
        ("aws.default.recreate={retail}", "got array, want object"),
        ("deletionGuard=true", "got boolean, want object"),
        ("settle=soon", "does not match pattern"),
        ("clusterId=team/prod", "does not match pattern"),
        ("watchNamespaces={team-*}", "does not match pattern"),
        ("concurrency=0", "minimum: got 0, want 1"),
        ("sweepInterval=1.5h", "does not match pattern"),
        ("metrics.port=80", "minimum: got 80, want 1,024"),
        ("metrics.port=8080", "'not' failed"),
        ("metrics.prometheusRule.runbookUrl=wiki", "does not match pattern"),
        ("extraVolumes[0].configMap.name=ca", "missing property 'name'"),
        ("sandbox.quota=-1", "minimum: got -1, want 0"),
        ("sandbox.speed=0", "exclusiveMinimum: got 0, want 0"),
        ("sandbox.image.name=a", "additional properties 'name' not allowed"),
        ("logFormat=xml", "value must be one of 'text', 'json'"),
        ("terminationGracePeriodSeconds=10", "minimum: got 10, want 20"),
        ("auditLog=/var/log/edgeplan/audit.jsonl", "file system is read-only: mount a writable volume there"),
        (f"{MOUNTED},extraVolumeMounts[0].readOnly=true", "file system is read-only: mount a writable volume there"),
        (f"{MOUNTED},extraVolumeMounts[0].mountPath=/var/log/edge", "file system is read-only"),
        (
            "aws.regions={eu-west-1},aws.default.regions={eu-west-1}",
            "aws.regions is a shorthand for aws.default.regions",
        ),
    ],
)
def test_schema_refuses(offline: Helm, value: str, complaint: str) -> None:
    refused = offline("template", "edgeplan", CHART, f"--set={value}", check=False)
    assert refused.returncode == 1
    assert complaint in refused.stderr


def test_generated_files_are_in_step() -> None:
    assert generate.main(["--check"]) == 0


def test_crds_are_the_projects_own(offline: Helm) -> None:
    (templated,) = of_kind(offline.template(), "CustomResourceDefinition")
    (source,) = [yaml.safe_load(file.read_text()) for file in (ROOT / "crds").glob("*.yaml")]
    assert templated["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    templated["metadata"].pop("labels")
    assert templated == source
    (unkept,) = of_kind(offline.template("--set=crds.keep=false"), "CustomResourceDefinition")
    assert "annotations" not in unkept["metadata"]
    assert not of_kind(offline.template("--set=crds.enabled=false"), "CustomResourceDefinition")


def test_versions_and_examples_are_the_projects_own() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]
    assert chart["description"] == project["description"]
    (example,) = yaml.safe_load(chart["annotations"]["artifacthub.io/crdsExamples"])
    assert example == yaml.safe_load((ROOT / "examples" / "minimal.yaml").read_text())


def test_defaults_are_the_operators_own() -> None:
    defaults = Settings()
    assert VALUES["concurrency"] == defaults.concurrency
    assert VALUES["controller"]["shards"] == defaults.shards
    assert duration(VALUES["sweepInterval"]) == defaults.sweep_interval
    assert duration(VALUES["auditInterval"]) == defaults.audit_interval
    assert duration(VALUES["settle"]) == defaults.settle
    assert VALUES["terminationGracePeriodSeconds"] - 15 == defaults.shutdown_patience.total_seconds()


def test_pod_outlives_the_operators_patience(offline: Helm) -> None:
    for values in ([], [f"--values={EVERYTHING}"], ["--set=terminationGracePeriodSeconds=20"]):
        (deployment,) = of_kind(offline.template(*values), "Deployment")
        spec = deployment["spec"]["template"]["spec"]
        (patience,) = [part for part in spec["containers"][0]["args"] if part.startswith("--shutdown-patience=")]
        assert duration(patience.partition("=")[2]).total_seconds() < spec["terminationGracePeriodSeconds"]


def test_replicas_share_a_lease_and_one_stays_while_nodes_are_drained(offline: Helm) -> None:
    (deployment,) = of_kind(offline.template(), "Deployment")
    (budget,) = of_kind(offline.template(), "PodDisruptionBudget")
    assert deployment["spec"]["replicas"] == 2
    assert "--lease=edgeplan-system/edgeplan" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]
    # A budget of one for a single pod would keep its node from being drained at all.
    assert not of_kind(offline.template("--set=replicas=1"), "PodDisruptionBudget")


def test_operator_may_write_the_leases_of_its_shards_and_no_others(offline: Helm) -> None:
    def leases(*values: str) -> dict[str, set[str]]:
        (role,) = (
            each for each in of_kind(offline.template(*values), "Role") if each["metadata"]["name"].endswith("-lease")
        )
        return {",".join(rule["verbs"]): set(rule.get("resourceNames", ())) for rule in role["rules"]}

    assert leases() == {"create": set(), "get,update": {"edgeplan"}}
    expected = {"edgeplan", *shard_leases("edgeplan", 3), *member_leases("edgeplan", 3)}
    assert leases("--set=controller.shards=3") == {"create": set(), "get,update": expected, "list": set()}
    (deployment,) = of_kind(offline.template("--set=controller.shards=3"), "Deployment")
    assert "--shards=3" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def test_metrics_have_one_port_that_all_agree_upon(offline: Helm) -> None:
    objects = offline.template("--set=metrics.port=9191,networkPolicy.enabled=true")
    (deployment,), (service,), (policy,) = (
        of_kind(objects, kind) for kind in ("Deployment", "Service", "NetworkPolicy")
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "--metrics-port=9191" in container["args"]
    assert {"name": "metrics", "containerPort": 9191} in container["ports"]
    assert service["spec"]["ports"] == [{"name": "metrics", "port": 9191, "targetPort": "metrics"}]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    (rule,) = policy["spec"]["ingress"]
    assert rule == {"ports": [{"port": "metrics", "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}


def test_without_metrics_there_is_neither_port_nor_service(offline: Helm) -> None:
    off = "--set=metrics.enabled=false,networkPolicy.enabled=true,metrics.prometheusRule.enabled=true"
    objects = offline.template(off)
    assert not [body["kind"] for body in objects if body["kind"] in {"Service", "PrometheusRule"}]
    (deployment,), (policy,) = (of_kind(objects, kind) for kind in ("Deployment", "NetworkPolicy"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert [port["name"] for port in container["ports"]] == ["probes"]
    assert not [part for part in container["args"] if "metrics" in part]
    assert policy["spec"]["ingress"] == []


def test_a_service_monitor_finds_the_metrics_and_nothing_else(offline: Helm) -> None:
    objects = offline.template("--set=metrics.serviceMonitor.enabled=true")
    (monitor,), (service,) = of_kind(objects, "ServiceMonitor"), of_kind(objects, "Service")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    assert "app.kubernetes.io/component" in wanted  # the Deployment's labels alone would not do
    assert [each["port"] for each in monitor["spec"]["endpoints"]] == ["metrics"]


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_a_cluster_without_the_prometheus_operators_kinds_is_told_so(offline: Helm, kind: str) -> None:
    value = f"metrics.{kind[0].lower()}{kind[1:]}.enabled"
    served, wanted = "--api-versions=apps/v1/Deployment", f"monitoring.coreos.com/v1/{kind}"
    refused = offline("template", "edgeplan", CHART, f"--set={value}=true", served, check=False)
    assert refused.returncode == 1
    assert f"{value} needs the kind {wanted}, which this cluster does not have" in refused.stderr
    assert of_kind(offline.template(f"--set={value}=true", f"{served},{wanted}"), kind)
    assert of_kind(offline.template(f"--set={value}=true"), kind)  # without a cluster nobody knows
    assert offline.template(served)


def test_the_dashboard_is_the_file_itself(offline: Helm) -> None:
    objects = offline.template("--set=metrics.grafanaDashboard.enabled=true")
    (dashboard,) = [body for body in of_kind(objects, "ConfigMap") if body["metadata"]["name"] == "edgeplan-dashboard"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["edgeplan.json"]) == json.loads(DASHBOARD.read_text())


def test_a_bundle_of_cas_is_mounted_beside_the_accounts(offline: Helm) -> None:
    (deployment,) = of_kind(offline.template(f"--values={EVERYTHING}"), "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    mounts = {each["name"]: each["mountPath"] for each in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"accounts": "/etc/edgeplan", "ca": "/etc/ssl/own"}
    assert [each["name"] for each in spec["volumes"]] == ["accounts", "ca"]


def test_new_accounts_restart_the_pod(offline: Helm) -> None:
    first, second = (
        of_kind(offline.template("--set=" + accounts), "Deployment")[0]["spec"]["template"]["metadata"]["annotations"]
        for accounts in (account("eu-west-1"), account("eu-central-1"))
    )
    assert first != second


def test_bounds_of_the_own_account_are_files_that_the_operator_reads(offline: Helm, tmp_path: Path) -> None:
    objects = offline.template(f"--values={EVERYTHING}")
    (files,) = [found for found in of_kind(objects, "ConfigMap") if "own.yaml" in found["data"]]
    for name, text in files["data"].items():
        (tmp_path / name).write_text(text)
    own = read_own_account(tmp_path / "own.yaml")
    assert own.rights("logistics", {}) == Rights(observe=Reach.CLUSTER, adopt=Reach.OWN)
    assert (own.open_to("retail", {}), own.open_to("kitchen", {})) == (True, False)
    stores = read_accounts(tmp_path / "accounts.yaml")["stores"]
    assert stores.rights("retail", {"tier": "gold"}) == Rights(Reach.ANY, Reach.CLUSTER, recreate=True, share=20)
    assert (stores.external_id, stores.session_tags) == ("edgeplan-7f2c", True)
    assert (stores.open_to("bakery", {}), stores.open_to("bakery", {"fleet": "edge"})) == (False, True)
    (deployment,) = of_kind(objects, "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    paths = {part.partition("=")[2] for part in arguments if "-file=" in part}
    assert paths == {f"/etc/edgeplan/{name}" for name in files["data"]}


def test_labels_of_namespaces_are_read_only_where_accounts_are_open_by_them(offline: Helm) -> None:
    def rights(*values: str) -> list[list[str]]:
        (role,) = of_kind(offline.template(*values), "ClusterRole")[-1:]
        return [rule["verbs"] for rule in role["rules"] if rule["resources"] == ["namespaces"]]

    aggregated = "--set=rbac.aggregateClusterRoles=false"
    assert rights(aggregated) == [["get"]]
    chosen = "--set=aws.default.namespaceSelector.matchLabels.team=retail"
    assert rights(aggregated, chosen) == [["get"], ["list", "watch"]]


def test_bounds_of_the_own_account_restart_the_pod(offline: Helm) -> None:
    first, second = (
        of_kind(offline.template(f"--set=aws.default.regions={{{region}}}"), "Deployment")[0]["spec"]["template"]
        for region in ("eu-west-1", "eu-central-1")
    )
    assert first["metadata"]["annotations"] != second["metadata"]["annotations"]


def test_the_operator_takes_the_charts_arguments(offline: Helm) -> None:
    for values in ([], [f"--values={EVERYTHING}"]):
        (deployment,) = of_kind(offline.template(*values), "Deployment")
        verb, *arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        assert verb == "run"
        with run.make_context(verb, arguments) as context:
            assert isinstance(from_flags(context.params), Settings)


@pytest.mark.cluster
def test_pods_satisfy_the_restricted_standard(cluster: Cluster, namespace: str, offline: Helm) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.kubectl("create", "serviceaccount", "edgeplan", f"--namespace={namespace}")
    objects = offline.template("--set=" + account("eu-west-1"))
    (deployment,) = of_kind(objects, "Deployment")
    (test,) = of_kind(objects, "Pod")
    for spec in (deployment["spec"]["template"]["spec"], test["spec"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried", "namespace": namespace}, "spec": spec}
        cluster.kubectl("create", "--filename=-", "--dry-run=server", input=json.dumps(pod))
        # The same admission refuses it with any of this taken away.
        del spec["containers"][0]["securityContext"]["capabilities"]
        refused = cluster.kubectl("create", "--filename=-", "--dry-run=server", input=json.dumps(pod), check=False)
        assert 'violates PodSecurity "restricted' in refused.stderr


@pytest.mark.cluster
def test_every_object_is_accepted_with_everything_set(cluster: Cluster, helm: Helm) -> None:
    for namespace in ("retail", "logistics"):
        cluster.kubectl("create", "namespace", namespace)
    remove_monitoring(cluster)
    install = (
        "install",
        "edgeplan",
        CHART,
        "--namespace=edgeplan-full",
        "--create-namespace",
        f"--values={EVERYTHING}",
    )
    assert "which this cluster does not have: install the Prometheus operator's" in helm(*install, check=False).stderr
    install_monitoring(cluster)
    helm(*install)
    clean(cluster, helm)


@pytest.mark.cluster
def test_cluster_roles_view_edit_and_admin_cover_the_kind(cluster: Cluster, helm: Helm, namespace: str) -> None:
    helm("install", "edgeplan", CHART, f"--namespace={namespace}")
    roles = ("view", "edit", "admin")
    for role in roles:
        cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", f"-n={namespace}")
    manager = find_or_build(["kube-controller-manager"])["kube-controller-manager"]
    flags = [
        f"--kubeconfig={cluster.kubeconfig}",
        "--controllers=clusterrole-aggregation-controller",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    process = spawn([manager, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not all(may(cluster, namespace, role, "list") for role in roles):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        seen = {
            (role, verb): may(cluster, namespace, role, verb) for role in roles for verb in ("watch", "patch", "delete")
        }
    finally:
        stop(process)
    assert {allowed for allowed, yes in seen.items() if yes} == seen.keys() - {("view", "patch"), ("view", "delete")}
    clean(cluster, helm)


def may(cluster: Cluster, namespace: str, user: str, verb: str) -> bool:
    asked = cluster.kubectl("auth", "can-i", verb, "edp", f"--as={user}", f"--namespace={namespace}", check=False)
    return asked.stdout == "yes\n"


def account(region: str) -> str:
    return f"aws.accounts.a.roleArn=arn:aws:iam::111122223333:role/a,aws.accounts.a.regions={{{region}}}"


def documented() -> list[tuple[str, Any, str]]:
    return list(generate.rows((CHART / "values.yaml").read_text()))


def leaves(schema: dict[str, Any], path: str = "") -> list[str]:
    """The paths of a schema that stand for one value each."""
    found: list[str] = []
    for name, inner in schema["properties"].items():
        here = f"{path}.{name}" if path else name
        found += leaves(inner, here) if "properties" in inner else [here]
    return found


def at(values: dict[str, Any], path: str) -> Any:
    found: Any = values
    for part in path.split("."):
        found = found[part]
    return found
