"""EdgeDeploymentPlans under a real Argo CD, from git commits alone."""

from typing import Any

import pytest

from tests.argocd.conftest import App, Manifest, at_aws
from tests.argocd.system import wait_until

pytestmark = pytest.mark.cluster


def stage(name: str, percentage: int = 100) -> dict[str, Any]:
    return {
        "stageName": name,
        "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": percentage},
    }


CANARY, FLEET = stage("canary", 20), stage("fleet")


def test_repository_with_only_a_manifest_syncs_and_its_commits_are_followed(app: App, manifest: Manifest) -> None:
    app.repository.commit("Deploy the people counter", plan=manifest(stages=[CANARY]))
    app.apply()
    app.wait_health("Healthy")
    plan = app.plan() or {}
    assert plan["metadata"]["finalizers"] == ["edgeplan.dev/aws-plan"]

    commit = app.repository.commit("Add the fleet", plan=manifest(stages=[CANARY, FLEET]))
    app.wait_health("Healthy", commit)
    held = app.system.sandbox.plan(at_aws(app))
    assert [item["StageName"] for item in held["Stages"]] == ["canary", "fleet"]


def test_refused_manifest_shows_the_api_servers_message(app: App, manifest: Manifest) -> None:
    bad = {"stageName": "canary", "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "deviceNames": ["a"]}}
    app.repository.commit("Forget the percentage", plan=manifest(stages=[bad]))
    app.apply(retry={"limit": 0})

    def refused(found: dict[str, Any]) -> bool:
        return bool(found.get("status", {}).get("operationState", {}).get("phase") == "Failed")

    state = app.system.argo.wait(app.name, refused)["status"]["operationState"]
    said = [resource["message"] for resource in state["syncResult"]["resources"] if resource["status"] == "SyncFailed"]
    assert "deviceSubsetType PERCENTAGE needs percentage, and neither deviceNames nor deviceNameContains" in said[0]
    assert at_aws(app) not in app.system.sandbox.plans()

    commit = app.repository.commit("Say how many", plan=manifest(stages=[CANARY]))
    app.wait_health("Healthy", commit)


def test_edit_by_hand_is_reverted_but_not_what_git_does_not_mention(app: App, manifest: Manifest) -> None:
    app.repository.commit("Deploy", plan=manifest(tags=[{"key": "team", "value": "retail"}]))
    app.apply()
    app.wait_health("Healthy")

    edit(app, '{"spec": {"tags": [{"key": "team", "value": "mine"}]}}')
    wait_until(lambda: (app.plan() or {})["spec"]["tags"] == [{"key": "team", "value": "retail"}])
    wait_until(lambda: app.system.sandbox.plan(at_aws(app))["Tags"]["team"] == "retail")

    # As the actions do: a field that git leaves open, and an annotation.
    edit(app, '{"spec": {"suspend": true}}')
    app.wait_health("Suspended")
    edit(app, '{"spec": {"suspend": null}}')
    app.wait_health("Healthy")
    edit(app, '{"metadata": {"annotations": {"edgeplan.dev/reconcile-requested-at": "2026-11-24T12:00:00Z"}}}')
    wait_until(lambda: (app.plan() or {})["status"].get("lastHandledReconcileAt") == "2026-11-24T12:00:00Z")
    assert "edgeplan.dev/reconcile-requested-at" in (app.plan() or {})["metadata"]["annotations"]


def test_removed_manifest_is_pruned_together_with_its_plan(app: App, manifest: Manifest) -> None:
    app.repository.commit("Deploy", plan=manifest(), other=manifest("other"))
    app.apply()
    app.wait_health("Healthy")
    assert {at_aws(app), at_aws(app, "other")} <= set(app.system.sandbox.plans())

    commit = app.repository.commit("Take the cameras down", plan=None)
    wait_until(lambda: app.plan() is None)
    app.wait_health("Healthy", commit)
    assert at_aws(app) not in app.system.sandbox.plans()
    assert at_aws(app, "other") in app.system.sandbox.plans()

    app.system.cluster.kubectl("delete", "application", app.name, "--namespace", "argocd", "--timeout=45s")
    assert app.plan("other") is None
    assert at_aws(app, "other") not in app.system.sandbox.plans()


def test_health_follows_a_rollout_through_all_its_states(app: App, manifest: Manifest) -> None:
    clock, sandbox = app.system.sandbox.clock, app.system.sandbox
    sandbox.fail_devices(plan=at_aws(app), stage="fleet", percent=50)

    def plan(**rollout: Any) -> str:
        return manifest(stages=[CANARY, FLEET], rollout={"strategy": "Sequential", "maxFailedPercent": 10} | rollout)

    app.repository.commit("Start with the canary", plan=plan(throughStage="canary"))
    app.apply()
    wait_until(lambda: started(app, "canary"))
    app.wait_health("Progressing")

    clock.advance(60)
    app.wait_health("Suspended")
    assert not started(app, "fleet")

    app.repository.commit("Promote to the fleet", plan=plan(throughStage="fleet"))
    wait_until(lambda: started(app, "fleet"))
    app.wait_health("Progressing")
    clock.advance(8)  # most of the devices have answered, half of them badly
    wait_until(lambda: sandbox.requests("StopEdgeDeploymentStage", name=at_aws(app)))
    clock.advance(5)
    app.wait_health("Degraded")

    sandbox.clear_failures()
    commit = app.repository.commit(
        "Accept that half of them failed", plan=plan(throughStage="fleet", maxFailedPercent=60)
    )
    wait_until(lambda: len(sandbox.requests("StartEdgeDeploymentStage", name=at_aws(app))) == 3)
    clock.advance(60)
    app.wait_health("Healthy", commit)


def test_sync_wave_does_not_pass_a_rollout_under_way(app: App, manifest: Manifest) -> None:
    first = manifest("first", wave=0, stages=[FLEET], rollout={"strategy": "Sequential"})
    app.repository.commit("One after the other", first=first, second=manifest("second", wave=1))
    app.apply()
    wait_until(lambda: started(app, "fleet", "first"))

    def waiting(found: dict[str, Any]) -> bool:
        state = found.get("status", {}).get("operationState", {})
        return state.get("phase") == "Running" and "waiting for healthy state" in state.get("message", "")

    app.system.argo.wait(app.name, waiting)
    assert app.plan("second") is None

    app.system.sandbox.clock.advance(60)
    app.wait_health("Healthy")
    assert app.plan("second") is not None


def edit(app: App, patch: str) -> None:
    app.system.cluster.kubectl(
        "patch", "--namespace", app.name, "edp/store-cameras", "--type=merge", f"--patch={patch}"
    )


def started(app: App, stage: str, name: str = "store-cameras") -> bool:
    """Whether AWS has been told to start the stage."""
    try:
        stages = app.system.sandbox.plan(at_aws(app, name))["Stages"]
    except LookupError:
        return False
    return any(
        item["StageName"] == stage and item["DeploymentStatus"]["StageStatus"] != "READYTODEPLOY" for item in stages
    )
