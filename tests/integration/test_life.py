"""The whole life of a plan on real parts: change, drift, adoption, replacement, observe, suspend, deletion."""

import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.integration.operators import REGION, World, condition, stage, wait_until

SECOND = timedelta(seconds=1)


@pytest.fixture
def aws(world: World) -> Any:
    """Plain boto3, as somebody beside the controller uses it."""
    client = boto3.client("sagemaker", endpoint_url=world.sandbox.url, region_name=REGION)
    yield client
    client.close()


def _stages(world: World, name: str) -> list[str]:
    return [item["StageName"] for item in world.sandbox.plan(name)["Stages"]]


def test_stages_and_tags_follow_the_spec(world: World) -> None:
    with world.operator():
        world.create("plan", stages=[stage("a", 10), stage("b")], tags=[{"key": "team", "value": "x"}])
        world.wait_for("plan", "Ready")
        world.edit("plan", stages=[stage("a", 20), stage("c")], tags=[{"key": "cost", "value": "y"}])
        world.wait_for("plan", "Ready")
        assert _stages(world, "plan") == ["a", "c"]
        tags = world.sandbox.plan("plan")["Tags"]
        assert tags["cost"] == "y"
        assert "team" not in tags
        wait_until(
            lambda: {"StageDeleted", "StagesCreated", "TagsChanged"} <= {e["reason"] for e in world.events("plan")}
        )


def test_tags_of_others_stay(world: World, aws: Any) -> None:
    with world.operator():
        world.create("plan", tags=[{"key": "team", "value": "x"}])
        world.wait_for("plan", "Ready")
        arn = world.status("plan")["edgeDeploymentPlanArn"]
        aws.add_tags(ResourceArn=arn, Tags=[{"Key": "billing", "Value": "central"}])
        world.edit("plan", tags=[])
        world.wait_for("plan", "Ready")
        assert set(world.sandbox.plan("plan")["Tags"]) == {"billing", "edgeplan.dev/owner"}


def test_immutable_change_stalls_and_names_both_ways_out(world: World) -> None:
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready")
        world.edit("plan", deviceFleetName="warehouse")
        said = world.wait_for("plan", "Stalled", reason="ImmutableFieldChanged")
        assert "deviceFleetName: store-cameras -> warehouse" in said["message"]
        assert "policy.replacement to Recreate" in said["message"]
        world.edit("plan", policy={"replacement": "Recreate"})
        world.wait_for("plan", "Ready")
        assert world.sandbox.plan("plan")["DeviceFleetName"] == "warehouse"
        assert world.condition("plan", "Stalled") == {}


def test_plan_of_somebody_else_is_refused_then_adopted_without_a_change(world: World, aws: Any) -> None:
    aws.create_edge_deployment_plan(
        EdgeDeploymentPlanName="plan",
        ModelConfigs=[{"ModelHandle": "people-counter", "EdgePackagingJobName": "people-counter-v7"}],
        DeviceFleetName="store-cameras",
    )
    with world.operator():
        world.create("plan")
        said = world.wait_for("plan", "Stalled", reason="NotOwned")
        assert "set policy.adoption to Adopt" in said["message"]
        assert "edgeDeploymentPlanArn" not in world.status("plan")
        world.sandbox.reset_counts()
        world.edit("plan", policy={"adoption": "Adopt"})
        world.wait_for("plan", "Ready")
        counts = world.sandbox.counts()
        assert counts == {"DescribeEdgeDeploymentPlan": 1, "ListTags": 1, "AddTags": 1}
        assert world.status("plan")["edgeDeploymentPlanArn"]


def test_refused_plan_of_somebody_else_survives_the_object(world: World, aws: Any) -> None:
    aws.create_edge_deployment_plan(EdgeDeploymentPlanName="plan", ModelConfigs=[], DeviceFleetName="f")
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Stalled", reason="NotOwned")
        world.delete("plan")
        world.wait_gone("plan")
    assert world.sandbox.plans() == ["plan"]


def test_second_object_of_a_name_waits_for_the_first_to_go(world: World) -> None:
    with world.operator():
        world.create("first", edgeDeploymentPlanName="shared")
        world.wait_for("first", "Ready")
        world.create("second", edgeDeploymentPlanName="shared")
        said = world.wait_for("second", "Stalled", reason="NameConflict")
        assert f"{world.namespace}/first" in said["message"]
        world.delete("first")
        world.wait_for("second", "Ready")
        owner = world.sandbox.plan("shared")["Tags"]["edgeplan.dev/owner"]
        assert owner.startswith(f"test/{world.namespace}/second/")


def test_another_clusters_plan_is_refused(world: World) -> None:
    with world.operator(cluster_id="other"):
        world.create("theirs", edgeDeploymentPlanName="shared")
        world.wait_for("theirs", "Ready")
    world.cluster.client.request(
        "PATCH",
        f"/apis/edgeplan.dev/v1alpha1/namespaces/{world.namespace}/edgedeploymentplans/theirs",
        {"metadata": {"finalizers": []}},
        "application/merge-patch+json",
    )
    world.delete("theirs")  # gone here, as if it lived in another cluster; its plan stays
    with world.operator():
        world.create("ours", edgeDeploymentPlanName="shared")
        said = world.wait_for("ours", "Stalled", reason="NotOwned")
        assert "cluster other" in said["message"]


def test_drift_made_at_aws_is_back_within_an_interval(world: World, aws: Any) -> None:
    with world.operator(sweep_interval=SECOND, settle=SECOND):
        world.create("plan", stages=[stage("a"), stage("b")])
        world.wait_for("plan", "Ready")
        wait_until(lambda: world.status("plan").get("lastModifiedTime"))
        aws.delete_edge_deployment_stage(EdgeDeploymentPlanName="plan", StageName="b")
        wait_until(lambda: _stages(world, "plan") == ["a", "b"], seconds=5)
        wait_until(lambda: world.condition("plan", "Reconciling") == {})
        aws.delete_edge_deployment_plan(EdgeDeploymentPlanName="plan")
        wait_until(lambda: world.sandbox.plans() == ["plan"], seconds=5)
        world.wait_for("plan", "Ready")


def test_removed_tags_are_back_after_an_audit(world: World, aws: Any) -> None:
    # For the settling time missing tags are taken for those of a former plan of that name.
    with world.operator(sweep_interval=SECOND, audit_interval=SECOND, settle=SECOND):
        world.create("plan", tags=[{"key": "team", "value": "x"}])
        world.wait_for("plan", "Ready")
        arn = world.status("plan")["edgeDeploymentPlanArn"]
        aws.delete_tags(ResourceArn=arn, TagKeys=["team", "edgeplan.dev/owner"])
        # With thirty audits a minute at the most every second sweep has one for it, by chance.
        wait_until(lambda: {"team", "edgeplan.dev/owner"} <= set(world.sandbox.plan("plan")["Tags"]), seconds=60)


def test_idle_plans_cost_a_list_call_per_hundred_and_no_describe(world: World) -> None:
    with world.operator(sweep_interval=2 * SECOND, audit_interval=timedelta(days=10_000)):  # no audit by chance
        for number in range(120):
            world.create(f"plan-{number}")
        wait_until(lambda: all(condition(body, "Ready").get("status") == "True" for body in world.all()), seconds=120)
        # Only a plan that a list is too old to show is looked at: few of them, and once.
        assert world.sandbox.counts().get("DescribeEdgeDeploymentPlan", 0) < 60
        for _ in range(2):  # the lists that began before all were there
            world.sandbox.reset_counts()
            wait_until(lambda: world.sandbox.counts().get("ListEdgeDeploymentPlans", 0) >= 4, seconds=30)
        assert set(world.sandbox.counts()) == {"ListEdgeDeploymentPlans"}


def test_observe_writes_nothing_and_says_what_it_would_do(world: World, aws: Any) -> None:
    with world.operator(sweep_interval=SECOND):
        world.create("plan", policy={"management": "Observe"}, stages=[stage("a")])
        wait_until(lambda: world.status("plan").get("pendingChanges"))
        assert world.status("plan")["pendingChanges"] == ["CreatePlan(plan on fleet store-cameras: a)"]
        assert world.condition("plan", "Ready")["reason"] == "ChangesPending"
        aws.create_edge_deployment_plan(
            EdgeDeploymentPlanName="plan",
            ModelConfigs=[{"ModelHandle": "people-counter", "EdgePackagingJobName": "people-counter-v7"}],
            DeviceFleetName="store-cameras",
        )
        world.ask("plan", "look")
        wait_until(lambda: world.status("plan").get("pendingChanges", [""])[-1] == "CreateStages(a)")
        assert "finalizers" not in (world.get("plan") or {})["metadata"]
        assert not set(world.sandbox.counts()) & {"AddTags", "CreateEdgeDeploymentStage"}
        # Drift is only shown.
        world.edit("plan", stages=None)
        wait_until(lambda: "CreateStages(a)" not in world.status("plan").get("pendingChanges", []))
        world.delete("plan")
        world.wait_gone("plan")
    assert world.sandbox.plans() == ["plan"]


def test_suspended_object_is_left_alone_but_its_deletion_is_honoured(world: World) -> None:
    with world.operator():
        world.create("plan", stages=[stage("a")])
        world.wait_for("plan", "Ready")
        world.edit("plan", suspend=True, stages=[stage("b")])
        world.wait_for("plan", "Ready", status="Unknown", reason="Suspended")
        assert _stages(world, "plan") == ["a"]
        world.delete("plan")
        world.wait_gone("plan")
    assert world.sandbox.plans() == []


def test_retain_leaves_the_plan_and_has_no_finalizer(world: World) -> None:
    with world.operator():
        world.create("plan", policy={"deletion": "Retain"})
        world.wait_for("plan", "Ready")
        assert "finalizers" not in (world.get("plan") or {})["metadata"]
        world.delete("plan")
        world.wait_gone("plan")
        assert world.sandbox.plans() == ["plan"]
        # The same object in a new life takes its plan up again.
        world.create("plan")
        world.wait_for("plan", "Ready")
        assert world.sandbox.plan("plan")["Tags"]["edgeplan.dev/owner"].endswith(
            (world.get("plan") or {})["metadata"]["uid"]
        )


def test_deletion_stops_active_stages_first(world: World) -> None:
    world.sandbox.settings(deploy_duration_per_stage=600, stop_duration=0)
    with world.operator():
        world.create("plan", stages=[stage("a")], rollout={"strategy": "Sequential"})
        wait_until(lambda: world.status("plan").get("stages", [{}])[0].get("status") == "INPROGRESS")
        world.delete("plan")
        world.wait_gone("plan", seconds=30)
    assert world.sandbox.plans() == []
    assert world.sandbox.counts()["StopEdgeDeploymentStage"] == 1


def test_deletion_while_aws_fails_goes_on_until_it_works(world: World) -> None:
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready")
        world.sandbox.fault("DeleteEdgeDeploymentPlan", error="InternalFailure", status=500, times=2)
        world.delete("plan")
        world.wait_gone("plan", seconds=30)
    assert world.sandbox.plans() == []


def test_asked_reconcile_looks_at_once_and_echoes_the_token(world: World, aws: Any) -> None:
    with world.operator():
        world.create("plan", stages=[stage("a")])
        world.wait_for("plan", "Ready")
        aws.delete_edge_deployment_stage(EdgeDeploymentPlanName="plan", StageName="a")
        world.ask("plan", "2026-01-01T00:00:00Z")
        wait_until(lambda: _stages(world, "plan") == ["a"], seconds=5)
        wait_until(lambda: world.status("plan").get("lastHandledReconcileAt") == "2026-01-01T00:00:00Z")


def test_unknown_account_is_refused_and_nothing_is_told_of_others(world: World) -> None:
    with world.operator():
        world.create("plan", target={"account": "nowhere"})
        said = world.wait_for("plan", "Stalled", reason="TargetRefused")
        told = f"spec.target.account 'nowhere' is not open to namespace '{world.namespace}' (whoever runs the operator can "
        end = "open it; spec.target cannot be edited, a new object can have a different one)"
        assert said["message"] == told + end


def test_target_account_is_reached_by_its_role(world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", world.sandbox.url)
    accounts = tmp_path / "accounts.yaml"
    role = {"roleArn": "arn:aws:iam::222222222222:role/edge", "regions": [REGION, "us-east-1"], "namespaces": ["*"]}
    closed = role | {"roleArn": "arn:aws:iam::333333333333:role/edge"}
    accounts.write_text(json.dumps({"emea": role, "apac": closed}))
    with world.operator(accounts_file=accounts):
        world.create("plan", target={"account": "emea", "region": "us-east-1"})
        world.wait_for("plan", "Ready")
        assert ":us-east-1:222222222222:" in world.status("plan")["edgeDeploymentPlanArn"]
        assert world.sandbox.plans(account="222222222222", region="us-east-1") == ["plan"]
        world.sandbox.fault("AssumeRole", error="AccessDeniedException")
        world.create("other", target={"account": "apac", "region": REGION})
        said = world.wait_for("other", "Reconciling", reason="ProgressingWithRetry")
        assert said["message"].endswith("allows sts:AssumeRole")


def test_namespace_deletion_takes_fifty_plans_along(world: World) -> None:
    with world.operator(), world.cluster.controller_manager():
        for number in range(50):
            world.create(f"plan-{number}")
        wait_until(lambda: len(world.sandbox.plans()) == 50, seconds=30)
        world.cluster.client.request("DELETE", f"/api/v1/namespaces/{world.namespace}")
        wait_until(lambda: world.sandbox.plans() == [], seconds=60)
        wait_until(lambda: world.all() == [], seconds=30)


def test_finalizer_that_a_replace_stripped_is_put_back(world: World) -> None:
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready")
        body = world.get("plan") or {}
        body["metadata"]["finalizers"] = []
        path = f"/apis/edgeplan.dev/v1alpha1/namespaces/{world.namespace}/edgedeploymentplans/plan"
        world.cluster.client.request("PUT", path, body)
        wait_until(lambda: (world.get("plan") or {})["metadata"].get("finalizers"))
        world.delete("plan")
        world.wait_gone("plan")
    assert world.sandbox.plans() == []


def test_finalizer_that_somebody_takes_off_a_deleted_object_leaves_the_plan_alone(world: World) -> None:
    with world.operator() as operator:
        world.create("plan")
        world.wait_for("plan", "Ready")
        world.sandbox.fault("DeleteEdgeDeploymentPlan", error="AccessDeniedException")
        world.delete("plan")
        wait_until(lambda: world.sandbox.counts().get("DeleteEdgeDeploymentPlan"))
        world._patch("plan", {"metadata": {"finalizers": []}})
        world.wait_gone("plan")
        world.sandbox.clear_faults()
        wait_until(lambda: not operator.knows())
        assert operator.ghosts() == []
    assert world.sandbox.plans() == ["plan"]


def test_event_that_repeats_is_counted_and_not_written_again(world: World) -> None:
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready")
        for _ in range(3):
            world.edit("plan", deviceFleetName="other")
            world.wait_for("plan", "Stalled", reason="ImmutableFieldChanged")
            world.edit("plan", deviceFleetName="store-cameras")
            world.wait_for("plan", "Ready")
        wait_until(lambda: _count(world, "ImmutableFieldChanged") == [3])


def test_failure_that_comes_again_is_one_event_by_its_name_and_suspending_and_resuming_are_told(world: World) -> None:
    with world.operator():
        world.create("plan")
        world.wait_for("plan", "Ready")
        for number in range(2):
            world.sandbox.fault("DescribeEdgeDeploymentPlan", error="AccessDeniedException")
            world.ask("plan", f"fails-{number}")
            world.wait_for("plan", "Reconciling", reason="ProgressingWithRetry", seconds=60)
            world.sandbox.clear_faults()
            world.ask("plan", f"works-{number}")
            wait_until(lambda: world.condition("plan", "Reconciling") == {}, seconds=60)
        wait_until(lambda: _count(world, "AccessDenied") == [2], seconds=60)
        world.edit("plan", suspend=True)
        wait_until(lambda: world.condition("plan", "Ready")["reason"] == "Suspended", seconds=60)
        world.edit("plan", suspend=False)
        world.wait_for("plan", "Ready", seconds=60)
        wait_until(lambda: {"Suspended", "Resumed"} <= {event["reason"] for event in world.events("plan")}, seconds=60)


def _count(world: World, reason: str) -> list[int]:
    return [
        event["series"]["count"] for event in world.events("plan") if event["reason"] == reason and "series" in event
    ]
