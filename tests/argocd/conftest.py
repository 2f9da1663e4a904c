"""One running Argo CD, operator and sandbox for all tests here; an Application and a namespace for each test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_manager.sandbox.server import Sandbox
from playground.cluster import ApiError, Cluster, LocalCluster
from playground.programs import find_or_build
from tests.argocd.programs import argocd, source
from tests.argocd.system import NAMESPACE, ROOT, ArgoCD, Repository, wait_served
from tests.integration.operators import COLLECTION, REGION, OperatorProcess

CASCADE = "resources-finalizer.argocd.argoproj.io"


@dataclass(frozen=True)
class System:
    """Everything that runs."""

    cluster: Cluster
    sandbox: Sandbox
    argo: ArgoCD
    folder: Path

    def plan(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        try:
            return dict(self.cluster.client.request("GET", f"{COLLECTION.format(namespace)}/{name}"))
        except ApiError as error:
            if error.code == 404:
                return None
            raise


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    argocd(), source()  # or skip
    find_or_build(["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"])
    folder = tmp_path_factory.mktemp("argocd")
    # Its own cluster: the others have no controllers, and deletion in the foreground needs the garbage collector.
    with LocalCluster(controller_manager=True) as cluster, Sandbox(speed=0) as sandbox:
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        wait_served(cluster, "edgeplan.dev/v1alpha1", {"edgedeploymentplans"})
        operator = OperatorProcess(
            *("--cluster-id", "argocd-test", "--sweep-interval", "5s"),
            log=folder / "operator.log",
            KUBECONFIG=str(cluster.kubeconfig),
            AWS_REGION=REGION,
            AWS_ENDPOINT_URL_SAGEMAKER=sandbox.url,
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="secret",  # noqa: S106 - the sandbox verifies no signature
        )
        with operator, ArgoCD(cluster, folder) as argo:
            yield System(cluster, sandbox, argo, folder)


@dataclass(frozen=True)
class App:
    """An Application over a repository of its own, in a namespace of its own; all are called alike."""

    name: str
    system: System
    repository: Repository

    def apply(self, **policy: Any) -> None:
        """Create the Application: automated, pruning, healing itself."""
        self.system.argo.apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": self.name, "namespace": NAMESPACE, "finalizers": [CASCADE]},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": self.repository.url, "path": ".", "targetRevision": "main"},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": self.name},
                    "syncPolicy": {
                        "automated": {"prune": True, "selfHeal": True},
                        "syncOptions": ["CreateNamespace=true"],
                    }
                    | policy,
                },
            }
        )

    def wait_health(self, health: str, revision: str | None = None) -> dict[str, Any]:
        """The Application once it is synced, to that commit if one is named, and of that health."""

        def so(found: dict[str, Any]) -> bool:
            status = found.get("status", {})
            sync = status.get("sync", {})
            return (
                sync.get("status") == "Synced"
                and status.get("health", {}).get("status") == health
                and revision in {None, sync.get("revision")}
            )

        return self.system.argo.wait(self.name, so)

    def plan(self, name: str = "store-cameras") -> dict[str, Any] | None:
        """The object, or None."""
        return self.system.plan(self.name, name)


@pytest.fixture
def app(system: System, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    made = App(name, system, Repository(tmp_path / "repository"))
    yield made
    system.sandbox.clear_failures()
    system.cluster.kubectl(
        "delete", "application", name, "--namespace", NAMESPACE, "--ignore-not-found", "--wait=false"
    )


Manifest = Callable[..., str]


@pytest.fixture
def manifest(app: App) -> Manifest:
    """The text of a plan's manifest, whose AWS name is the test's own."""

    def write(name: str = "store-cameras", *, wave: int | None = None, **spec: Any) -> str:
        metadata: dict[str, Any] = {"name": name}
        if wave is not None:
            metadata["annotations"] = {"argocd.argoproj.io/sync-wave": str(wave)}
        body = {
            "apiVersion": "edgeplan.dev/v1alpha1",
            "kind": "EdgeDeploymentPlan",
            "metadata": metadata,
            "spec": {
                "edgeDeploymentPlanName": at_aws(app, name),
                "modelConfigs": [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}],
                "deviceFleetName": "store-cameras",
            }
            | spec,
        }
        return yaml.safe_dump(body, sort_keys=False)

    return write


def at_aws(app: App, name: str = "store-cameras") -> str:
    """The name of a test's AWS plan: all tests share one account."""
    return f"{name}-{app.name}"[:60].strip("-")
