"""The chart's Deployment, run as its pod would run: its rights, flags, probes and files are put to use, all of them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from controller.domain.api import FINALIZER
from tests.chart.conftest import clean
from tests.chart.helm import CHART, ROOT, Helm
from tests.chart.pod import Pod, namespaces
from tests.integration.operators import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_manager.sandbox.server import Sandbox
    from playground.cluster import Cluster, Write

SYSTEM = "edgeplan-system"
SHOPS = ("shop-one", "shop-two")
# Which rules name their one object; the log of requests has the names of all.
NAMED = {"customresourcedefinitions", "leases", "namespaces"}

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not namespaces(), reason="needs Linux and the right to make a mount namespace"),
]


@dataclass(frozen=True)
class Played:
    """What is left of a pod that has lived through everything."""

    cluster: Cluster
    watched: tuple[str, ...]
    deployment: dict[str, Any]
    probes: dict[str, bool]
    metrics: str
    exit_code: int
    log: str
    asked: tuple[Write, ...]
    check: tuple[int, str]

    @property
    def account(self) -> str:
        return str(self.deployment["spec"]["template"]["spec"]["serviceAccountName"])

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{SYSTEM}:{self.account}"

    def used(self) -> set[tuple[str, str, str, str]]:
        """Verb, API group, resource, name where a rule must name it: everything that was asked, granted or not."""
        return {
            # What is to be created has no name that a rule could ask for.
            (asked.verb, asked.group, asked.resource, asked.name if named(asked) else "")
            for asked in self.asked
            if asked.resource  # discovery is open to everybody
        }

    def granted(self) -> set[tuple[str, str, str, str]]:
        return {
            (verb, group, resource, name)
            for role in self.roles()
            for rule in role["rules"]
            for verb in rule["verbs"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for name in rule.get("resourceNames", [""])
        }

    def can(self, namespace: str) -> set[tuple[str, str, str]]:
        """Resource, name and verb of what it may do there and not everybody may."""
        everybody = can_i(self.cluster, f"system:serviceaccount:{SYSTEM}:default", namespace)
        return can_i(self.cluster, self.user, namespace) - everybody

    def roles(self) -> list[dict[str, Any]]:
        """The roles that are bound to the pod's ServiceAccount."""
        found = []
        for binding in self._get("clusterrolebindings,rolebindings"):
            subject = {"kind": "ServiceAccount", "name": self.account, "namespace": SYSTEM}
            if subject in binding.get("subjects", []):
                where = binding["metadata"].get("namespace")
                found += self._get(f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}", where)
        return found

    def _get(self, what: str, namespace: str | None = None) -> list[dict[str, Any]]:
        where = f"--namespace={namespace}" if namespace else "--all-namespaces"
        if what.startswith("ClusterRole/"):
            where = "--namespace=default"
        found = json.loads(self.cluster.kubectl("get", what, where, "--output=json").stdout)
        return list(found.get("items", [found]))


@pytest.fixture(scope="module", params=["everywhere", "in two namespaces"])
def played(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    helm: Helm,
    sandbox: Sandbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Played]:
    sandbox.reset()
    folder = tmp_path_factory.mktemp("pod")
    restricted = request.param != "everywhere"
    release = "shops" if restricted else "edgeplan"
    for namespace in (SYSTEM, *SHOPS):
        if cluster.kubectl("get", "namespace", namespace, check=False).returncode:
            cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl(
        "create", "secret", "generic", f"aws-{release}", f"--namespace={SYSTEM}", "--from-literal=key=AKIA222222222222"
    )
    role = "arn:aws:iam::333333333333:role/edgeplan"
    values: dict[str, Any] = {
        "aws": {
            "region": "eu-west-1",
            "endpointUrl": sandbox.url,
            "accounts": {"shops": {"roleArn": role, "regions": ["eu-central-1"]}},
        },
        "extraEnv": [
            {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": f"aws-{release}", "key": "key"}}},
            {"name": "AWS_SECRET_ACCESS_KEY", "value": "secret"},
            {"name": "AWS_ENDPOINT_URL_STS", "value": sandbox.url},
        ],
        "sweepInterval": "1s",
    }
    if not restricted:
        values["aws"]["default"] = {"namespaceSelector": {"matchLabels": {"team": "shops"}}}
        for namespace in SHOPS:
            cluster.kubectl("label", "namespace", namespace, "team=shops", "--overwrite")
    else:
        values |= {"watchNamespaces": list(SHOPS), "clusterId": "shops", "logFormat": "json", "verbose": True}
    (folder / "values.json").write_text(json.dumps(values))
    helm("install", release, CHART, f"--namespace={SYSTEM}", f"--values={folder / 'values.json'}")
    until_served(cluster)
    name = f"deployment/{release if release == 'edgeplan' else release + '-edgeplan'}"
    deployment = json.loads(cluster.kubectl("get", name, f"--namespace={SYSTEM}", "--output=json").stdout)
    user = f"system:serviceaccount:{SYSTEM}:{deployment['spec']['template']['spec']['serviceAccountName']}"
    with Pod(cluster, SYSTEM, deployment["spec"]["template"]["spec"], folder / "operator") as pod:
        probes = {kind: pod.passes(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
        try:
            live(cluster, sandbox)
            # The watch is checked every ten seconds by a list of one; other lists come as streams, which are watches.
            lists = {"user": user, "verb": "list", "resource": "edgedeploymentplans"}
            wait_until(lambda: cluster.requests(**lists), seconds=60)
        except Exception as error:
            error.add_note(pod.log)
            raise
        metrics = pod.metrics()
        exit_code = pod.terminate()
        log = pod.log
    asked = tuple(cluster.requests(user=user))
    (hook,) = hooks(helm, release)
    with Pod(cluster, SYSTEM, hook["spec"], folder / "check") as checking:
        check = (checking.wait(), checking.log)
    watched = SHOPS if restricted else (*SHOPS, "default")
    yield Played(cluster, watched, deployment, probes, metrics, exit_code, log, asked, check)
    clean(cluster, helm)


def until_served(cluster: Cluster) -> None:
    """A node takes longer to start a pod than the API server to serve a new kind, to its admission too; we do not."""
    trial = ("create", "--dry-run=server", "--output=json", f"--filename={ROOT / 'examples' / 'minimal.yaml'}")
    # A policy is known a moment later than the kind, and what it needs of the kind later still: 503 in between.
    policy = cluster.kubectl("get", "mutatingadmissionpolicybindings", "--output=name").stdout.strip()

    def served() -> bool:
        tried = cluster.kubectl(*trial, check=False)
        return tried.returncode == 0 and (not policy or FINALIZER in tried.stdout)

    wait_until(served, seconds=60, every=0.1)


def live(cluster: Cluster, sandbox: Sandbox) -> None:
    """A life that needs every right of the operator."""
    shop = f"--namespace={SHOPS[0]}"
    kubectl = cluster.kubectl
    # Created, Ready, in the account of the pod's own credentials.
    kubectl("apply", f"--filename={ROOT / 'examples' / 'minimal.yaml'}", shop)
    kubectl("wait", "--for=condition=Ready", "edp/store-cameras", shop, "--timeout=120s")
    assert list(sandbox.plans("222222222222", "eu-west-1")) == ["store-cameras"]
    # In the account that the mounted file names.
    kubectl("apply", "--filename=-", shop, input=manifest("elsewhere", target={"account": "shops"}))
    kubectl("wait", "--for=condition=Ready", "edp/elsewhere", shop, "--timeout=120s")
    assert list(sandbox.plans("333333333333", "eu-central-1")) == ["elsewhere"]
    # Left in AWS by an object that went: the tag names it, and the next object asks whether it is still there.
    kubectl("apply", "--filename=-", shop, input=manifest("old", plan="shared", policy={"deletion": "Retain"}))
    kubectl("wait", "--for=condition=Ready", "edp/old", shop, "--timeout=120s")
    kubectl("delete", "edp/old", shop, "--timeout=120s")
    kubectl("apply", "--filename=-", shop, input=manifest("new", plan="shared", policy={"adoption": "Adopt"}))
    kubectl("wait", "--for=condition=Ready", "edp/new", shop, "--timeout=120s")
    # The same trouble twice: its event is counted.
    for fleet in ("other", "store-cameras", "other", "store-cameras"):
        kubectl("patch", "edp/new", shop, "--type=merge", f'--patch={{"spec":{{"deviceFleetName":"{fleet}"}}}}')
        expected = "Stalled" if fleet == "other" else "Ready"
        kubectl("wait", f"--for=condition={expected}", "edp/new", shop, "--timeout=120s")
    # Deleted on both sides.
    kubectl("delete", "edp", "--all", shop, "--timeout=120s")
    assert not sandbox.plans("222222222222", "eu-west-1")


def manifest(name: str, plan: str | None = None, **spec: Any) -> str:
    models = [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}]
    spec |= {"edgeDeploymentPlanName": plan or name, "modelConfigs": models, "deviceFleetName": "store-cameras"}
    kind = {"apiVersion": "edgeplan.dev/v1alpha1", "kind": "EdgeDeploymentPlan"}
    return json.dumps({**kind, "metadata": {"name": name}, "spec": spec})


def hooks(helm: Helm, release: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(helm("get", "hooks", release, f"--namespace={SYSTEM}").stdout))


def test_pod_does_its_work_with_what_the_chart_gives_it_and_no_more(played: Played, subtests: pytest.Subtests) -> None:
    with subtests.test("its probes answer"):
        assert played.probes == {"startupProbe": True, "readinessProbe": True, "livenessProbe": True}
    with subtests.test("its metrics tell that it acts"):
        assert "\nedgeplan_leader 1.0\n" in played.metrics
    with subtests.test("it ends well within its grace period"):
        assert played.exit_code == 0, played.log
    with subtests.test("it logs no trouble"):
        trouble = r"(?i)traceback|\[error|\[warn|\"(error|warning)\"|forbidden|read-only"
        # A sweep may come between the object that leaves its plan behind and the one that takes it over; and an edit
        # that AWS cannot carry out is made on purpose.
        meant = ("was left behind by the object", "ImmutableFieldChanged")
        told = [line for line in played.log.splitlines() if not any(words in line for words in meant)]
        assert not [line for line in told if re.search(trouble, line)], played.log
    with subtests.test("the rights that it has are those that it uses"):
        assert played.used() == played.granted()
    with subtests.test("nothing is refused"):
        assert [asked for asked in played.asked if asked.code == 403] == []
    with subtests.test("helm test passes"):
        code, said = played.check
        assert (code, "edgeplan.dev/v1alpha1 is served" in said) == (0, True), said
    for namespace in (SHOPS[0], "default"):
        with subtests.test("kubectl auth can-i --list says the same", namespace=namespace):
            assert played.can(namespace) == {
                (qualified(resource, group), name, verb)
                for verb, group, resource, name in played.used()
                if resource != "leases" and (namespace in played.watched or resource in NAMED)
            }


def named(asked: Write) -> bool:
    return asked.resource in NAMED and asked.verb != "create"


def qualified(resource: str, group: str) -> str:
    """As kubectl writes it: edgedeploymentplans.edgeplan.dev/status."""
    kind, slash, subresource = resource.partition("/")
    return f"{kind}.{group}{slash}{subresource}" if group else resource


def can_i(cluster: Cluster, user: str, namespace: str) -> set[tuple[str, str, str]]:
    """Resource, name, verb of each row; of a row with several verbs each."""
    listed = cluster.kubectl("auth", "can-i", "--list", f"--as={user}", f"--namespace={namespace}").stdout
    rows = [re.split(r" {2,}", line.rstrip()) for line in listed.splitlines()[1:]]
    assert all(len(row) == 4 for row in rows), listed
    return {(row[0] or row[1], row[2].strip("[]"), verb) for row in rows for verb in row[3].strip("[]").split()}
