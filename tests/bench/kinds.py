"""The two kinds that are measured: our plan, and a kind of AWS's own Go controller that is as simple."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from controller.domain.api import API_VERSION, FINALIZER, KIND, PLURAL
from tests.chart.helm import Helm
from tests.integration.operators import condition, minimal_spec, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from playground.cluster import Cluster

REGION: Final = "eu-west-1"
CONCURRENCY: Final = 32
_CRDS: Final = Path(__file__).parents[2] / "crds"
_GROUPS: Final = "modelpackagegroups"


@dataclass(frozen=True)
class Kind:
    """A kind of objects and the controller that works on it."""

    name: str
    """What the controller is called in the figures."""
    api_version: str
    plural: str
    definitions: Path
    """File or folder of the CRDs that the controller needs."""
    body: Callable[[str, int], dict[str, Any]]
    """An object by name and number of stages, without namespace."""
    is_ready: Callable[[Mapping[str, Any]], bool]
    create_call: str
    command: Callable[[Cluster, str, str], Sequence[str]]
    """The command that runs the controller, by cluster, namespace and AWS's URL."""

    def path(self, namespace: str) -> str:
        """The collection's path."""
        return f"/apis/{self.api_version}/namespaces/{namespace}/{self.plural}"


def _plan(name: str, stages: int) -> dict[str, Any]:
    spec = minimal_spec()
    if stages:
        spec["stages"] = [stage(f"stage-{number}", 100) for number in range(stages)]
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def _plan_is_ready(body: Mapping[str, Any]) -> bool:
    found = condition(dict(body), "Ready")
    return found.get("status") == "True" and found.get("observedGeneration") == body["metadata"]["generation"]


def _run_ours(_cluster: Cluster, namespace: str, _url: str) -> Sequence[str]:
    flags = ("--namespace", namespace, "--cluster-id", "bench", "--concurrency", str(CONCURRENCY))
    return (sys.executable, "-m", "tests.bench.probe", "run", *flags)


OURS: Final = Kind("ours", API_VERSION, PLURAL, _CRDS, _plan, _plan_is_ready, "CreateEdgeDeploymentPlan", _run_ours)


def _group(name: str, _stages: int) -> dict[str, Any]:
    tags = [{"key": "team", "value": "retail"}]
    return {
        "apiVersion": "sagemaker.services.k8s.aws/v1alpha1",
        "kind": "ModelPackageGroup",
        "metadata": {"name": name},
        "spec": {"modelPackageGroupName": name, "modelPackageGroupDescription": "of the benchmark", "tags": tags},
    }


def _group_is_ready(body: Mapping[str, Any]) -> bool:
    return condition(dict(body), "ACK.ResourceSynced").get("status") == "True"


def go_controller(program: Path, definitions: Path) -> Kind:
    """ACK's sagemaker-controller with its ModelPackageGroup."""

    def command(_cluster: Cluster, namespace: str, url: str) -> Sequence[str]:
        return (
            str(program),
            *("--aws-region", REGION, "--aws-endpoint-url", url, "--aws-identity-endpoint-url", url),
            *("--allow-unsafe-aws-endpoint-urls", "--watch-namespace", namespace),
            *("--reconcile-resources", "ModelPackageGroup"),
            *("--reconcile-default-max-concurrent-syncs", str(CONCURRENCY)),
            *("--metrics-addr", "127.0.0.1:0", "--healthz-addr", "127.0.0.1:0", "--log-level", "info"),
            *("--enable-field-export-reconciler=false", "--enable-carm=false"),
        )

    api_version = "sagemaker.services.k8s.aws/v1alpha1"
    return Kind("go", api_version, _GROUPS, definitions, _group, _group_is_ready, "CreateModelPackageGroup", command)


def install(cluster: Cluster, kind: Kind, folder: Path) -> None:
    """Apply what the controller's chart applies beside the controller, and wait until the kind is served."""
    cluster.kubectl("apply", "--server-side", "-f", str(kind.definitions))
    if kind is OURS:
        served = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
        policy = Helm(folder).template(served, "--show-only=templates/finalizer-policy.yaml")
        (folder / "policy.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": policy}))
        cluster.kubectl("apply", "--server-side", "-f", str(folder / "policy.json"))
    group = kind.api_version.partition("/")[0]
    cluster.kubectl("wait", "--for=create", f"crd/{kind.plural}.{group}", "--timeout=60s")
    # "Established" comes earlier than the schema that a mutating policy needs: creations fail with 503 until then, but
    # for those before the policy itself is known. So an object is tried until what the policy puts on is there.
    (folder / "tried.json").write_text(json.dumps(kind.body("tried", 0)))
    for _ in range(120):
        tried = cluster.kubectl("create", "--dry-run=server", "-o=json", f"-f={folder / 'tried.json'}", check=False)
        if tried.returncode == 0 and (kind is not OURS or FINALIZER in tried.stdout):
            return
        time.sleep(0.5)
    raise RuntimeError(f"{kind.plural} is not served: {tried.stderr}")
