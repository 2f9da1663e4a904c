"""Both commands beside a real cluster: what the object there tells, and an adoption that changes nothing in AWS."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_manager.sandbox.server import Sandbox
from tests.commands.conftest import Ended
from tests.integration.operators import World, wait_until

Run = Callable[..., Ended]
OWNER = "edgeplan.dev/owner"


def test_exported_plan_is_adopted_with_one_tag_and_no_other_write(
    edgeplan: Run, at_aws: Callable[..., str], sandbox: Sandbox, world: World
) -> None:
    arn = at_aws("Store", tags={"team": "retail"})
    before = sandbox.plan("Store")
    Path("store.yaml").write_text(edgeplan("export", "Store", "--namespace", world.namespace).out)
    foretold = edgeplan("diff", "--cluster-id", "test", "store.yaml")
    sandbox.reset_counts()

    with world.operator():
        world.cluster.kubectl("apply", "-f", "store.yaml")
        world.wait_for("store", "Ready")
        counts = {name: count for name, count in world.calls().items() if not name.startswith(("Describe", "List"))}
        # The create comes first and is refused: that is how the operator learns that the plan exists.
        assert counts == {"CreateEdgeDeploymentPlan": 1, "AddTags": 1}
        assert sandbox.counts_by_code()["CreateEdgeDeploymentPlan"] == {"ValidationException": 1}
    after = sandbox.plan("Store")
    assert world.status("store")["edgeDeploymentPlanArn"] == arn
    assert after["Tags"].pop(OWNER).startswith(f"test/{world.namespace}/store/")
    assert after == before
    calls = [line for line in foretold.out.splitlines() if line.startswith("  +")]
    assert calls == [f"  + AddTags({OWNER}=test/{world.namespace}/store/<uid>)"]

    again = edgeplan("diff", "--cluster-id", "test", "store.yaml")
    assert "= no difference" in again.out
    assert (again.code, again.err) == (0, "")


def test_object_in_the_cluster_tells_which_tags_are_to_go(edgeplan: Run, sandbox: Sandbox, world: World) -> None:
    with world.operator():
        world.create("store", tags=[{"key": "team", "value": "retail"}, {"key": "old", "value": "1"}])
        world.wait_for("store", "Ready")
    body: dict[str, Any] = world.get("store") or {}
    write_manifest(world, "tags: [{key: team, value: retail}]")
    ended = edgeplan("diff", "--cluster-id", "test", "store.yaml")
    assert ended.out.splitlines()[1:] == ["  - DeleteTags(old)", "  = AWS holds the plan as specified"]
    assert (ended.code, ended.err) == (1, "")
    assert world.get("store") == body
    assert sandbox.plan("store")["Tags"]["old"] == "1"


def test_identity_of_the_cluster_is_the_uid_of_kube_system(edgeplan: Run, sandbox: Sandbox, world: World) -> None:
    with world.operator(cluster_id=None):
        world.create("store")
        world.wait_for("store", "Ready")
    tag = sandbox.plan("store")["Tags"][OWNER]
    assert re.match(r"[0-9a-f-]{36}/", tag)
    Path("store.yaml").write_text(
        f"""
        apiVersion: edgeplan.dev/v1alpha1
        kind: EdgeDeploymentPlan
        metadata: {{name: store, namespace: {world.namespace}}}
        spec:
          modelConfigs: [{{modelHandle: people-counter, edgePackagingJobName: people-counter-v7}}]
          deviceFleetName: store-cameras
        """
    )
    assert edgeplan("diff", "store.yaml").code == 0
    assert "! refused, OwnershipLost" in edgeplan("diff", "--cluster-id", "other", "store.yaml").out


def test_cluster_that_does_not_answer_is_a_note(
    edgeplan: Run, at_aws: Callable[..., str], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = re.sub(r"server: .*", "server: https://127.0.0.1:1", world.cluster.kubeconfig.read_text())
    (tmp_path / "kubeconfig").write_text(config)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    at_aws(tags={OWNER: "prod/default/store/1"})
    Path("store.yaml").write_text(edgeplan("export", "store").out)
    ended = edgeplan("diff", "store.yaml")
    assert "note: the cluster in KUBECONFIG does not answer" in ended.err
    assert ended.code == 0


def test_operator_makes_the_calls_that_were_foretold_in_that_order(
    edgeplan: Run, at_aws: Callable[..., str], sagemaker: Any, sandbox: Sandbox, world: World
) -> None:
    at_aws(DeviceFleetName="old-store")
    sagemaker.start_edge_deployment_stage(EdgeDeploymentPlanName="store", StageName="canary")
    body = yaml.safe_load(edgeplan("export", "store", "--namespace", world.namespace).out)
    body["spec"]["deviceFleetName"] = "store"
    body["spec"]["policy"]["replacement"] = "Recreate"
    body["spec"]["rollout"] = {"strategy": "Sequential"}
    Path("store.yaml").write_text(yaml.safe_dump(body))
    foretold = re.findall(r"^  [-+>x] (\w+)\(", edgeplan("diff", "store.yaml").out, re.MULTILINE)
    assert foretold == ["AddTags", "StopStage", "DeletePlan", "CreatePlan", "StartStage", "StartStage"]

    sandbox.reset_counts()
    with world.operator():
        world.cluster.kubectl("apply", "-f", "store.yaml")
        wait_until(lambda: sandbox.requests("StopEdgeDeploymentStage"))
        sandbox.clock.speed(20)
        world.wait_for("store", "Ready", reason="RolloutComplete", seconds=60)
    writes = [
        re.sub("EdgeDeployment", "", entry["operation"])
        for entry in sandbox.requests()
        if entry["code"] == "OK" and not entry["operation"].startswith(("Describe", "List", "Get"))
    ]
    assert writes == foretold


def test_diff_goes_by_the_labels_of_the_namespace_and_calls_as_the_namespace(
    edgeplan: Run, sandbox: Sandbox, world: World
) -> None:
    Path("accounts.yaml").write_text(
        """
        emea:
          roleArn: arn:aws:iam::222222222222:role/edge
          regions: [eu-west-1]
          namespaceSelector: {matchLabels: {team: retail}}
          sessionTags: true
        """
    )
    write_manifest(world, "target: {account: emea}")
    command = ("diff", "--cluster-id", "test", "--accounts-file", "accounts.yaml", "store.yaml")
    assert f"'emea' is not open to namespace '{world.namespace}'" in edgeplan(*command).err
    world.cluster.kubectl("label", "namespace", world.namespace, "team=retail")
    ended = edgeplan(*command)
    assert (ended.code, ended.err) == (1, "")
    (asked,) = sandbox.requests("AssumeRole")
    assert asked["tags"] == {"edgeplan.dev/cluster": "test", "edgeplan.dev/namespace": world.namespace}


def test_diff_without_a_cluster_says_that_labels_are_not_known(edgeplan: Run, sandbox: Sandbox) -> None:
    assert sandbox.url
    Path("own.yaml").write_text("namespaceSelector: {matchLabels: {team: retail}}")
    Path("store.yaml").write_text(
        """
        apiVersion: edgeplan.dev/v1alpha1
        kind: EdgeDeploymentPlan
        metadata: {name: store, namespace: retail}
        spec:
          modelConfigs: [{modelHandle: people-counter, edgePackagingJobName: people-counter-v7}]
          deviceFleetName: store-cameras
        """
    )
    ended = edgeplan("diff", "--own-account-file", "own.yaml", "store.yaml")
    assert ended.code == 2
    assert "note: what is open by the labels of namespaces counts as closed: no way to reach a cluster" in ended.err
    assert "the operator's own account is not open to namespace 'retail'" in ended.err


def test_check_calls_as_the_namespace_that_it_is_given(edgeplan: Run, sandbox: Sandbox) -> None:
    role = "{roleArn: 'arn:aws:iam::222222222222:role/edge', regions: [eu-west-1], sessionTags: true, externalId: e-7}"
    Path("accounts.yaml").write_text(f"emea: {role}")
    for namespace, caller in (((), "edgeplan"), (("-n", "retail"), "edgeplan@retail")):
        sandbox.reset_counts()
        told = edgeplan("check", "--skip-cluster", "--accounts-file", "accounts.yaml", *namespace)
        assert "✓ AWS emea, eu-west-1: account 222222222222" in told.out
        calls = [
            call["caller"] for call in sandbox.requests("ListEdgeDeploymentPlans") if "222222222222" in call["caller"]
        ]
        assert calls == [f"arn:aws:sts::222222222222:assumed-role/edge/{caller}"]
        assert {call["externalId"] for call in sandbox.requests("AssumeRole")} == {"e-7"}


def test_check_and_orphans_call_with_the_clusters_session_tag_as_the_operator_does(
    edgeplan: Run, sandbox: Sandbox, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "{roleArn: 'arn:aws:iam::222222222222:role/edge', regions: [eu-west-1], sessionTags: true}"
    Path("accounts.yaml").write_text(f"emea: {role}")
    uid = world.cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}").stdout
    untagged = "? AWS: asked without the session tag of the cluster: give --cluster-id"
    for command, cluster in (
        (("check",), uid),
        (("check", "--cluster-id", "prod"), "prod"),
        (("check", "--skip-cluster", "--cluster-id", "prod"), "prod"),
        (("check", "--skip-cluster"), None),
        (("orphans", "--cluster-id", "prod"), "prod"),
    ):
        sandbox.reset_counts()
        told = edgeplan(*command, "--accounts-file", "accounts.yaml")
        assert told.code in {0, 1}, told.err
        tags = [call["tags"] for call in sandbox.requests("AssumeRole")]
        assert tags == [{"edgeplan.dev/cluster": cluster} if cluster else {}], command
        assert (untagged in told.out) is (cluster is None)
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    told = edgeplan("check", "--accounts-file", "accounts.yaml")
    assert f"{untagged} (no way to reach a cluster: " in told.out
    assert "✓ AWS emea, eu-west-1: account 222222222222" in told.out


def write_manifest(world: World, more: str) -> None:
    """A manifest of the object store, with one more line in its spec."""
    Path("store.yaml").write_text(
        f"""
        apiVersion: edgeplan.dev/v1alpha1
        kind: EdgeDeploymentPlan
        metadata: {{name: store, namespace: {world.namespace}}}
        spec:
          modelConfigs: [{{modelHandle: people-counter, edgePackagingJobName: people-counter-v7}}]
          deviceFleetName: store-cameras
          {more}
        """
    )
