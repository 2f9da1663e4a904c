"""Reads that are behind: Describe and List answer with what was true a while ago, tags and writes never do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from edge_manager.sandbox.history import MAX_CHANGES, MAX_LAG, History

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_manager.sandbox.server import Sandbox

    Create = Callable[..., str]
    Stage = Callable[..., dict[str, Any]]
    Described = Callable[[], list[str] | None]
    Listed = Callable[[], list[str]]

PLAN = {"EdgeDeploymentPlanName": "plan"}
CANARY = {**PLAN, "StageName": "canary"}


@pytest.fixture
def described(sagemaker: Any) -> Callable[[], list[str] | None]:
    """The stages and their statuses as Describe has them; None where it finds no plan."""

    def look() -> list[str] | None:
        try:
            stages = sagemaker.describe_edge_deployment_plan(**PLAN)["Stages"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFound":
                raise
            return None
        return [f"{stage['StageName']} {stage['DeploymentStatus']['StageStatus']}" for stage in stages]

    return look


@pytest.fixture
def listed(sagemaker: Any) -> Callable[[], list[str]]:
    """The names that List has."""
    return lambda: [
        row["EdgeDeploymentPlanName"] for row in sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"]
    ]


def test_describe_tells_of_a_creation_and_a_deletion_only_later(
    sandbox: Sandbox, sagemaker: Any, create: Create, described: Described
) -> None:
    sandbox.settings(describe_lag=4)
    create()
    assert described() is None
    sandbox.clock.advance(3.9)
    assert described() is None
    sandbox.clock.advance(0.1)
    assert described() == []
    sagemaker.delete_edge_deployment_plan(**PLAN)
    sandbox.clock.advance(3.9)
    assert described() == []
    sandbox.clock.advance(0.1)
    assert described() is None


def test_list_is_behind_by_itself(
    sandbox: Sandbox, sagemaker: Any, create: Create, described: Described, listed: Listed
) -> None:
    sandbox.settings(list_lag=20, describe_lag=5)
    create()
    sandbox.clock.advance(5)
    assert (described(), listed()) == ([], [])
    sandbox.clock.advance(15)
    assert listed() == ["plan"]
    sagemaker.delete_edge_deployment_plan(**PLAN)
    sandbox.clock.advance(5)
    assert (described(), listed()) == (None, ["plan"])
    sandbox.clock.advance(15)
    assert listed() == []


def test_changes_of_stages_are_told_later(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Stage, described: Described
) -> None:
    sandbox.settings(start_duration=1, deploy_duration_per_stage=10, describe_lag=3)
    create(Stages=[percentage("canary", 50)])
    sandbox.clock.advance(3)
    sagemaker.start_edge_deployment_stage(**CANARY)
    sagemaker.create_edge_deployment_stage(**PLAN, Stages=[percentage("fleet", 50)])
    assert described() == ["canary READYTODEPLOY"]
    sandbox.clock.advance(3)
    assert described() == ["canary STARTING", "fleet READYTODEPLOY"]
    sandbox.clock.advance(1)
    assert described() == ["canary INPROGRESS", "fleet READYTODEPLOY"]
    sagemaker.stop_edge_deployment_stage(**CANARY)
    sagemaker.delete_edge_deployment_stage(**PLAN, StageName="fleet")
    assert described() == ["canary INPROGRESS", "fleet READYTODEPLOY"]
    sandbox.clock.advance(3)
    assert described() == ["canary STOPPING"]


def test_a_row_of_the_list_is_as_it_was(sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Stage) -> None:
    def row() -> dict[str, Any]:
        return dict(sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"][0])

    sandbox.settings(list_lag=5, deploy_duration_per_stage=10)
    create(Stages=[percentage("canary", 100)])
    sandbox.clock.advance(5)
    before = row()
    sagemaker.start_edge_deployment_stage(**CANARY)
    sandbox.clock.advance(4)
    assert row() == before
    sandbox.clock.advance(12)
    after = row()
    assert (before["EdgeDeploymentSuccess"], after["EdgeDeploymentSuccess"]) == (0, 10)
    assert (after["LastModifiedTime"] - before["LastModifiedTime"]).total_seconds() == 5 + 11


def test_a_plan_that_is_made_again_is_told_of_in_order(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Stage, described: Described
) -> None:
    sandbox.settings(describe_lag=10)
    create()
    sandbox.clock.advance(2)
    sagemaker.delete_edge_deployment_plan(**PLAN)
    sandbox.clock.advance(2)
    create(Stages=[percentage("canary", 10)])
    seen = []
    for _ in range(5):
        sandbox.clock.advance(2)
        seen.append(described())
    assert seen == [None, None, [], None, ["canary READYTODEPLOY"]]


def test_tags_and_writes_are_never_behind(
    sandbox: Sandbox, sagemaker: Any, create: Create, described: Described
) -> None:
    sandbox.settings(describe_lag=60, list_lag=60)
    arn = create()
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "retail"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "retail"}]
    with pytest.raises(ClientError, match="already exists"):
        create()
    sagemaker.delete_edge_deployment_plan(**PLAN)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.delete_edge_deployment_plan(**PLAN)
    assert described() is None


def test_tags_move_the_time_of_the_last_change_later_too(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    sandbox.settings(describe_lag=2, last_modified_with_tags=True)
    arn = create()
    sandbox.clock.advance(10)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "retail"}])
    before = sagemaker.describe_edge_deployment_plan(**PLAN)["LastModifiedTime"]
    sandbox.clock.advance(2)
    after = sagemaker.describe_edge_deployment_plan(**PLAN)["LastModifiedTime"]
    assert (after - before).total_seconds() == 10


def test_a_lag_holds_from_the_moment_at_which_it_is_set(
    sandbox: Sandbox, create: Create, described: Described, listed: Listed
) -> None:
    create()
    assert described() == []
    sandbox.settings(describe_lag=5, list_lag=5)
    assert (described(), listed()) == (None, [])
    sandbox.settings(describe_lag=0, list_lag=0)
    assert (described(), listed()) == ([], ["plan"])


def test_no_lag_is_longer_than_what_is_kept(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="less than or equal to 300"):
        sandbox.settings(describe_lag=MAX_LAG + 1)


def test_only_what_a_lag_can_show_is_kept(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    history = History()
    for second in range(1000):
        history.note("gone", None, float(second))
    assert len(history.changes["gone"]) == MAX_CHANGES
    history.note("other", None, 2000.0)
    assert list(history.changes) == ["other"]
    create()
    sandbox.clock.advance(2 * MAX_LAG)
    sagemaker.delete_edge_deployment_plan(**PLAN)
    sandbox.settings(list_lag=MAX_LAG)
    assert len(sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"]) == 1
