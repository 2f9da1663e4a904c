"""Boundaries between teams, on the real API server: who may use which account, and whose session calls."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.domain.api import FINALIZER
from tests.integration.operators import REGION, World, minimal_spec, wait_until

ROLE = "arn:aws:iam::222222222222:role/edge"

NO_EDIT = "whoever runs the operator can open it; spec.target cannot be edited, a new object can have a different one"


@pytest.fixture
def accounts(tmp_path: Path) -> Any:
    path = tmp_path / "accounts.yaml"

    def write(**accounts: Mapping[str, Any]) -> Path:
        whole = {name: {"roleArn": ROLE, "regions": [REGION], **bounds} for name, bounds in accounts.items()}
        path.write_text(json.dumps(whole))
        return path

    return write


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The operator's own account, closed."""
    path = tmp_path / "own.yaml"
    path.write_text("enabled: false")
    return path


def label(world: World, **labels: str | None) -> None:
    path = f"/api/v1/namespaces/{world.namespace}"
    world.cluster.client.request("PATCH", path, {"metadata": {"labels": labels}}, "application/merge-patch+json")


def test_what_a_namespace_may_not_use_is_refused_and_nothing_is_told_of_it(
    world: World, accounts: Any, closed: Path
) -> None:
    path = accounts(secret={"namespaces": ["kitchen"]}, other={"namespaces": ["bakery"]})
    with world.operator(accounts_file=path, own_account_file=closed):
        world.create("named", target={"account": "secret"})
        world.create("omitted")
        said = world.wait_for("named", "Stalled", reason="TargetRefused")["message"]
        assert said == f"spec.target.account 'secret' is not open to namespace '{world.namespace}' ({NO_EDIT})"
        said = world.wait_for("omitted", "Stalled", reason="TargetRefused")["message"]
        assert said == (
            f"the operator's own account is not open to namespace '{world.namespace}': spec.target.account must name one that is ({NO_EDIT})"
        )
        whole = json.dumps([world.get("omitted"), world.events("omitted"), world.events("named")])
        for told in ("222222222222", "kitchen", "bakery", "other"):
            assert told not in whole
    assert world.calls() == {}


def test_a_namespace_calls_by_its_own_session_which_sandbox_and_cloudtrail_know(world: World, accounts: Any) -> None:
    path = accounts(emea={"externalId": "edgeplan-7", "sessionTags": True})
    with world.operator(accounts_file=path):
        world.create("plan", target={"account": "emea"})
        world.wait_for("plan", "Ready")
    tags = {"edgeplan.dev/cluster": "test", "edgeplan.dev/namespace": world.namespace}
    asked = [(call["externalId"], call["tags"]) for call in world.sandbox.requests("AssumeRole")]
    assert ("edgeplan-7", tags) in asked
    assert {external for external, _ in asked} == {"edgeplan-7"}
    (create,) = world.sandbox.requests("CreateEdgeDeploymentPlan")
    assert create["caller"] == f"arn:aws:sts::222222222222:assumed-role/edge/edgeplan@{world.namespace}"
    for sweep in world.sandbox.requests("ListEdgeDeploymentPlans"):
        assert sweep["caller"].endswith("/edgeplan")


def test_a_label_opens_an_account_and_its_loss_closes_it(world: World, accounts: Any) -> None:
    path = accounts(emea={"namespaceSelector": {"matchLabels": {"fleet": "edge"}}})
    with world.operator(accounts_file=path):
        world.create("plan", target={"account": "emea"})
        world.wait_for("plan", "Stalled", reason="TargetRefused")
        label(world, fleet="edge")
        world.wait_for("plan", "Ready", seconds=60)
        label(world, fleet=None)
        world.wait_for("plan", "Stalled", reason="TargetRefused", seconds=60)
        calls = len(world.sandbox.requests())
        world.ask("plan", "once more")
        wait_until(lambda: world.status("plan").get("lastHandledReconcileAt") == "once more", seconds=60)
        assert [call["operation"] for call in world.sandbox.requests()[calls:] if call["name"] == "plan"] == []


def test_object_that_never_had_a_plan_goes_while_its_target_is_refused(world: World, accounts: Any) -> None:
    def finalizers() -> list[str]:
        return list((world.get("plan") or {})["metadata"].get("finalizers", ()))

    refused = {"spec": minimal_spec() | {"target": {"account": "emea"}}}
    with world.operator(accounts_file=accounts(emea={"namespaces": ["kitchen"]}), settle=timedelta(seconds=1)):
        time.sleep(1)  # what comes earlier may have a plan of a former process
        world.post({"metadata": {"name": "plan", "finalizers": [FINALIZER]}, **refused})
        world.wait_for("plan", "Stalled", reason="TargetRefused")
        wait_until(lambda: not finalizers())
        world.delete("plan")
        world.wait_gone("plan", seconds=5)
        world.post({"metadata": {"name": "plan", "finalizers": [FINALIZER]}, **refused})
        wait_until(lambda: not finalizers())
    with world.operator(accounts_file=accounts(emea={"namespaces": [world.namespace]})):
        world.wait_for("plan", "Ready", seconds=60)
        assert finalizers() == [FINALIZER]


def test_what_the_administrator_opens_later_is_taken_up_at_the_next_start(world: World, accounts: Any) -> None:
    world.create("plan", target={"account": "emea"})
    with world.operator(accounts_file=accounts(emea={"namespaces": ["kitchen"]})):
        world.wait_for("plan", "Stalled", reason="TargetRefused")
    with world.operator(accounts_file=accounts(emea={"namespaces": [world.namespace]})):
        world.wait_for("plan", "Ready", seconds=60)


def test_what_the_administrator_closes_is_told_at_the_next_start(world: World, accounts: Any) -> None:
    world.create("plan", target={"account": "emea"})
    with world.operator(accounts_file=accounts(emea={})):
        world.wait_for("plan", "Ready")
    with world.operator(accounts_file=accounts(emea={"namespaces": ["kitchen"]})):
        world.wait_for("plan", "Stalled", reason="TargetRefused", seconds=60)
    assert world.sandbox.plans(account="222222222222") == ["plan"]


def test_what_a_wrong_cluster_id_did_ends_with_the_right_one(world: World) -> None:
    world.create("plan")
    soon = timedelta(seconds=1)
    with world.operator(settle=soon):
        world.wait_for("plan", "Ready")
    time.sleep(1)
    with world.operator(settle=soon, cluster_id="another"):
        world.ask("plan", "now")
        world.wait_for("plan", "Stalled", reason="OwnershipLost", seconds=60)
    with world.operator(settle=soon):
        world.wait_for("plan", "Ready", seconds=60)
    assert world.sandbox.plans() == ["plan"]


def test_replacement_is_for_those_that_are_permitted(world: World, accounts: Any) -> None:
    world.create("plan", target={"account": "emea"}, policy={"replacement": "Recreate"})
    with world.operator(accounts_file=accounts(emea={"recreate": {"namespaces": ["kitchen"]}})):
        world.wait_for("plan", "Ready")
        world.edit("plan", deviceFleetName="others")
        said = world.wait_for("plan", "Stalled", reason="NotPermitted")["message"]
        assert said.startswith(f"spec.policy.replacement Recreate is not permitted to namespace {world.namespace}")
    assert world.sandbox.requests("DeleteEdgeDeploymentPlan") == []
    with world.operator(accounts_file=accounts(emea={})):
        world.wait_for("plan", "Ready", seconds=60)
    assert world.sandbox.counts()["CreateEdgeDeploymentPlan"] == 2


def test_namespace_over_its_share_waits_and_is_told_that_it_is_not_awss_limit(world: World, accounts: Any) -> None:
    path = accounts(emea={"share": [{"namespaces": [world.namespace], "plans": 2}]})
    names = [f"plan-{number}" for number in range(6)]
    with world.operator(accounts_file=path):
        for name in names:
            world.create(name, target={"account": "emea"})

        def settled() -> bool:
            """Two are Ready, the others wait for their share."""
            reasons = [world.condition(name, "Ready").get("reason") for name in names]
            return sorted(map(str, reasons)) == ["InSync"] * 2 + ["ShareUsed"] * 4

        wait_until(settled, seconds=60)
        waiting = [name for name in names if world.condition(name, "ResourceLimitExceeded").get("status") == "True"]
        assert len(waiting) == 4
        said = world.condition(waiting[0], "ResourceLimitExceeded")["message"]
        assert said.startswith(f"namespace {world.namespace} may have 2 plans in this account and region, and ")
        assert said.endswith("not AWS's limit")
        assert len(world.sandbox.requests("CreateEdgeDeploymentPlan")) == 2
        gone = next(name for name in names if name not in waiting)
        world.delete(gone)
        world.wait_gone(gone, seconds=60)
        wait_until(lambda: any(world.condition(name, "Ready")["reason"] == "InSync" for name in waiting), seconds=90)
    assert len(world.sandbox.plans(account="222222222222")) == 2
    assert len(world.sandbox.requests("CreateEdgeDeploymentPlan")) == 3
