"""Rollouts from git: promotion, gate, bake time, a bound crossed, rolling back; 10,000 devices in five stages."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.domain.api import API_VERSION, KIND
from tests.integration.operators import REGION, World, minimal_spec, stage, wait_until

STAGES = ["lab", "canary", "north", "south", "rest"]
FAST = {"start_duration": 0.2, "deploy_duration_per_stage": 1.5, "stop_duration": 0.2}


class Git:
    """A repository with one manifest; every commit is applied, as a GitOps tool does."""

    def __init__(self, folder: Path, world: World) -> None:
        self._folder = folder
        self._world = world
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, message: str, **spec: Any) -> None:
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "cameras", "namespace": self._world.namespace},
            "spec": minimal_spec() | spec,
        }
        (self._folder / "plan.yaml").write_text(yaml.safe_dump(body))
        self._git("add", "plan.yaml")
        self._git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", message)
        self._world.cluster.kubectl("apply", "-f", "-", input=self._git("show", "HEAD:plan.yaml"))

    def _git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self._folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def git(world: World, tmp_path: Path) -> Git:
    folder = tmp_path / "repository"
    folder.mkdir()
    return Git(folder, world)


def _rollout(**more: Any) -> dict[str, Any]:
    return {"strategy": "Sequential", **more}


def _statuses(world: World) -> list[str]:
    return [item["status"] for item in world.status("cameras").get("stages", [])]


def test_five_stages_over_ten_thousand_devices_one_past_the_bound_from_git_alone(world: World, git: Git) -> None:
    world.sandbox.settings(**FAST)
    world.sandbox.seed_fleet("store-cameras", 10_000, region=REGION)
    world.sandbox.fail_devices("cameras", "south", percent=10, message="model does not load")
    stages = [stage(name, percent) for name, percent in zip(STAGES, (1, 4, 15, 40, 40), strict=True)]
    bounds = {"maxFailedPercent": 5, "minDevices": 50}
    with world.operator():
        git.commit("Roll out to the lab", stages=stages, rollout=_rollout(throughStage="lab", **bounds))
        world.wait_for("cameras", "Ready", reason="WaitingForPromotion")
        assert _statuses(world) == ["DEPLOYED", *["READYTODEPLOY"] * 4]
        assert world.status("cameras")["stagesDeployed"] == "1/5"
        assert world.status("cameras")["stages"][0]["devicesSucceeded"] == 100

        git.commit("Promote to the north", stages=stages, rollout=_rollout(throughStage="north", **bounds))
        world.wait_for("cameras", "Ready", reason="WaitingForPromotion", seconds=40)
        assert world.status("cameras")["devices"]["succeeded"] == 2_000

        git.commit("Promote to all", stages=stages, rollout=_rollout(**bounds))
        said = world.wait_for("cameras", "Stalled", seconds=40)
        assert said["reason"] in {"RolloutStopped", "StageFailed"}
        assert "stage south is" in said["message"]
        assert "over maxFailedPercent 5" in said["message"]
        assert _statuses(world)[4] == "READYTODEPLOY"  # the last stage never started

        # The cause is mended on the devices; a commit that lets the failed devices pass goes on to the end.
        world.sandbox.clear_failures()
        world.ask("cameras", "try-again")
        world.wait_for("cameras", "Ready", reason="RolloutComplete", seconds=60)
        assert world.status("cameras")["stagesDeployed"] == "5/5"
        assert world.status("cameras")["devices"] == {"succeeded": 10_000, "pending": 0, "failed": 0}
    reasons = [
        event["reason"] for event in world.events("cameras") for _ in range(event.get("series", {}).get("count", 1))
    ]
    assert reasons.count("StageStarted") == 6
    assert reasons.count("StageDeployed") >= 5
    assert {"WaitingForPromotion", "RolloutComplete"} <= set(reasons)


def test_next_stage_waits_for_the_bake_time_over_a_restart(world: World, git: Git) -> None:
    world.sandbox.settings(**FAST)
    with world.operator():
        git.commit("Roll out", stages=[stage("a", 10), stage("b")], rollout=_rollout(bakeTime="8s"))
        world.wait_for("cameras", "Reconciling", reason="Baking")
        deployed = world.status("cameras")["stages"][0]["deployedTime"]
    with world.operator():
        world.wait_for("cameras", "Ready", reason="RolloutComplete", seconds=40)
    assert world.status("cameras")["stages"][0]["deployedTime"] == deployed
    first, second = world.sandbox.requests("StartEdgeDeploymentStage")
    assert second["wallTime"] - first["wallTime"] >= 8


def test_stage_over_its_deadline_is_stopped(world: World, git: Git) -> None:
    world.sandbox.settings(**FAST | {"deploy_duration_per_stage": 600})
    with world.operator():
        git.commit("Roll out", stages=[stage("a")], rollout=_rollout(progressDeadline="3s"))
        said = world.wait_for("cameras", "Stalled", reason="RolloutStopped", seconds=30)
        assert "not DEPLOYED within progressDeadline 3s" in said["message"]
        assert _statuses(world) == ["STOPPED"]


def test_rolling_back_is_a_commit(world: World, git: Git) -> None:
    """The models of an AWS plan are immutable, so the way back is Recreate with the models of before."""
    world.sandbox.settings(**FAST)
    before = minimal_spec()["modelConfigs"]
    after = [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v8"}]
    common = {"stages": [stage("all")], "rollout": _rollout(), "policy": {"replacement": "Recreate"}}
    with world.operator():
        git.commit("Version 7", **common)
        world.wait_for("cameras", "Ready", reason="RolloutComplete")
        git.commit("Version 8", modelConfigs=after, **common)
        world.wait_for("cameras", "Ready", reason="RolloutComplete", seconds=40)
        assert world.sandbox.plan("cameras")["ModelConfigs"][0]["EdgePackagingJobName"] == "people-counter-v8"
        git.commit("Back to version 7", modelConfigs=before, **common)
        world.wait_for("cameras", "Ready", reason="RolloutComplete", seconds=40)
        assert world.sandbox.plan("cameras")["ModelConfigs"][0]["EdgePackagingJobName"] == "people-counter-v7"
        wait_until(lambda: world.status("cameras")["stagesDeployed"] == "1/1")


def test_without_rollout_no_stage_is_started(world: World, git: Git) -> None:
    with world.operator():
        git.commit("Plan only", stages=[stage("a")])
        world.wait_for("cameras", "Ready", reason="InSync")
    assert "StartEdgeDeploymentStage" not in world.sandbox.counts()


def test_a_bound_stops_a_stage_although_the_plan_is_stalled_for_another_change(world: World) -> None:
    world.sandbox.settings(deploy_duration_per_stage=60.0, start_duration=0.0)
    world.sandbox.seed_fleet("store-cameras", 100, region=REGION)
    world.sandbox.fail_devices("cameras", "all", percent=100, message="model does not load")
    with world.operator():
        world.create("cameras", stages=[stage("all", 100)], rollout=_rollout(maxFailedPercent=20, minDevices=30))
        wait_until(lambda: _statuses(world) == ["INPROGRESS"])
        models = [{"modelHandle": "model", "edgePackagingJobName": "another"}]
        world.edit("cameras", modelConfigs=models)
        world.wait_for("cameras", "Stalled", reason="ImmutableFieldChanged")
        wait_until(lambda: _statuses(world) == ["STOPPED"], seconds=50)
    (stopped,) = world.sandbox.plan("cameras")["Stages"]
    assert stopped["DeploymentStatus"]["EdgeDeploymentFailedInStage"] < 100
