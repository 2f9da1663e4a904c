"""The examples that ship, under a real Argo CD."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.schema.manifests import check
from tests.argocd.conftest import System
from tests.argocd.system import ROOT, Repository, wait_until

EXAMPLES = ROOT / "examples" / "argocd"
PLANS = Path("examples/argocd/app-of-apps/plans")

pytestmark = pytest.mark.cluster


def test_manifests_of_the_examples_are_valid() -> None:
    problems, checked = check([EXAMPLES])
    assert (problems, checked) == ([], 2)


def test_waves_of_the_app_of_apps_wait_for_the_pilots_promotion(system: System, tmp_path: Path) -> None:
    argo, sandbox = system.argo, system.sandbox
    repository = Repository(tmp_path / "repository")
    folder = repository.folder / "examples" / "argocd"
    shutil.copytree(EXAMPLES, folder)
    (folder / "app-of-apps" / "apps" / "operator.yaml").unlink()  # there is no node to run its pod; one runs already
    for file in folder.rglob("*.yaml"):
        file.write_text(re.sub(r"repoURL: .*", f"repoURL: {repository.url}", file.read_text()))
    repository.commit("Start with the canary of the pilot store")
    argo.apply(yaml.safe_load((folder / "app-of-apps" / "root.yaml").read_text()))

    wait_until(lambda: statuses(system, "pilot-store") == {"canary": "STARTING", "store": "READYTODEPLOY"})
    sandbox.clock.advance(60)
    argo.wait_health("pilot-store", "Suspended")
    argo.wait("edge", is_waiting_for_the_pilot)
    assert argo.get("all-stores") == {}

    promoted = (folder / "app-of-apps" / "plans" / "pilot-store" / "plan.yaml").read_text()
    file = repository.folder / PLANS / "pilot-store" / "plan.yaml"
    file.write_text(promoted.replace("throughStage: canary", "throughStage: store"))
    repository.commit("Promote the pilot store")
    wait_until(lambda: statuses(system, "pilot-store").get("store") == "STARTING")
    assert argo.get("all-stores") == {}
    sandbox.clock.advance(60)
    argo.wait_health("pilot-store", "Healthy")

    wait_until(lambda: statuses(system, "all-stores").get("tenth") == "STARTING")
    sandbox.clock.advance(60)
    wait_until(lambda: statuses(system, "all-stores").get("rest") == "STARTING")
    sandbox.clock.advance(60)
    argo.wait_health("all-stores", "Healthy")
    argo.wait_health("edge", "Healthy")

    system.cluster.kubectl("delete", "application", "edge", "--namespace", "argocd", "--timeout=60s")
    assert not {"pilot-store", "all-stores"} & set(sandbox.plans())


def is_waiting_for_the_pilot(found: dict[str, Any]) -> bool:
    state = found.get("status", {}).get("operationState", {})
    return state.get("phase") == "Running" and "Application/pilot-store" in state.get("message", "")


def statuses(system: System, plan: str) -> dict[str, str]:
    """The status of each stage in AWS."""
    try:
        stages = system.sandbox.plan(plan)["Stages"]
    except LookupError:
        return {}
    return {stage["StageName"]: stage["DeploymentStatus"]["StageStatus"] for stage in stages}
