"""Quotas, names, tags, pages, accounts and references, over HTTP with boto3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_manager.sandbox.server import Sandbox

    Create = Callable[..., str]
    Connect = Callable[..., Any]
    Percentage = Callable[..., dict[str, Any]]

PLAN = {"EdgeDeploymentPlanName": "plan"}


def code(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


def test_each_account_and_region_has_its_own_plans_and_quota(
    sandbox: Sandbox, connect: Connect, create: Create
) -> None:
    sandbox.settings(quota=1, quotas={"111111111111/eu-west-1": 0})
    arns = {
        create(client=connect()),
        create(client=connect(region="us-east-1")),
        create(client=connect(key="222222222222")),
        create(client=connect(key="AKIA333333333333ABCD", region="cn-north-1")),
    }
    assert arns == {
        "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/plan",
        "arn:aws:sagemaker:us-east-1:123456789012:edge-deployment/plan",
        "arn:aws:sagemaker:eu-west-1:222222222222:edge-deployment/plan",
        "arn:aws-cn:sagemaker:cn-north-1:333333333333:edge-deployment/plan",
    }
    with pytest.raises(ClientError, match="is 0 EdgeDeploymentPlans"):
        create(client=connect(key="111111111111"))
    assert sandbox.plans(account="123456789012") == ["plan", "plan"]
    assert sandbox.plans(account="123456789012", region="eu-west-1") == ["plan"]
    assert sandbox.plan("plan", account="222222222222")["Account"] == "222222222222"


@pytest.mark.parametrize("duplicate_code", ["ValidationException", "ResourceInUse", "ConflictException"])
def test_a_second_plan_of_a_name_is_refused_with_the_code_that_is_set(
    sandbox: Sandbox, create: Create, duplicate_code: str
) -> None:
    sandbox.settings(duplicateCode=duplicate_code)
    create()
    with pytest.raises(ClientError, match="Edge deployment plan already exists: plan") as refusal:
        create()
    assert code(refusal) == duplicate_code


def test_the_code_for_what_is_not_there_can_be_set_for_all_but_describe(sandbox: Sandbox, sagemaker: Any) -> None:
    sandbox.settings(missing_code="ValidationException")
    with pytest.raises(ClientError, match="Edge deployment plan plan does not exist") as refusal:
        sagemaker.delete_edge_deployment_plan(**PLAN)
    assert code(refusal) == "ValidationException"
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Edge deployment plan plan does not exist"):
        sagemaker.describe_edge_deployment_plan(**PLAN)
    with pytest.raises(LookupError, match="no plan plan"):
        sandbox.plan("plan")


def test_the_bounds_can_be_set(sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage) -> None:
    sandbox.settings(quota=1, stages_per_plan=1, tags_per_resource=1)
    tags = [{"Key": key, "Value": "x"} for key in "ab"]
    with pytest.raises(ClientError, match="is limited to 1"):
        create(Tags=tags)
    arn = create(Stages=[percentage("a", 10)])
    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match="'Stages per edge deployment plan' is 1"):
        sagemaker.create_edge_deployment_stage(**PLAN, Stages=[percentage("b", 10)])
    with pytest.raises(ClientError, match="is limited to 1"):
        sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    with pytest.raises(sagemaker.exceptions.ResourceLimitExceeded, match="is 1 EdgeDeploymentPlans"):
        create("other")


def listed(sagemaker: Any, **request: Any) -> list[str]:
    pages = sagemaker.get_paginator("list_edge_deployment_plans").paginate(**request)
    return [each["EdgeDeploymentPlanName"] for page in pages for each in page["EdgeDeploymentPlanSummaries"]]


def test_plans_are_listed_in_pages_of_fifty_or_a_hundred(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    names = [f"plan-{number:03d}" for number in range(120)]
    for name in names:
        create(name, fleet="fleet")
    assert len(sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"]) == 50
    assert len(sagemaker.list_edge_deployment_plans(MaxResults=100)["EdgeDeploymentPlanSummaries"]) == 100
    assert listed(sagemaker, SortBy="NAME", SortOrder="Ascending") == names
    assert listed(sagemaker) == names[::-1]
    sandbox.settings(page_size=7)
    assert listed(sagemaker, SortBy="DEVICE_FLEET_NAME", SortOrder="Ascending", MaxResults=100) == names
    assert sandbox.counts()["ListEdgeDeploymentPlans"] == 2 + 3 + 3 + 18


def test_plans_are_found_by_name_fleet_and_time(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    for number, fleet in enumerate(("north", "south", "north")):
        create(f"plan-{number}", fleet=fleet)
        sandbox.clock.advance(10)
    moment = datetime.fromtimestamp(sandbox.plan("plan-1")["CreationTime"], UTC)
    assert listed(sagemaker, NameContains="-1") == ["plan-1"]
    assert listed(sagemaker, DeviceFleetNameContains="nor") == ["plan-2", "plan-0"]
    assert listed(sagemaker, CreationTimeAfter=moment) == ["plan-2"]
    assert listed(sagemaker, CreationTimeBefore=moment) == ["plan-0"]
    sagemaker.create_edge_deployment_stage(
        EdgeDeploymentPlanName="plan-0",
        Stages=[{"StageName": "s", "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 1}}],
    )
    assert listed(sagemaker, LastModifiedTimeAfter=moment) == ["plan-2", "plan-0"]
    assert listed(sagemaker, LastModifiedTimeBefore=moment) == []
    assert listed(sagemaker, SortBy="LAST_MODIFIED_TIME") == ["plan-0", "plan-2", "plan-1"]


@pytest.mark.parametrize(("devices", "tags"), [(False, False), (True, False), (False, True)])
def test_what_moves_the_last_modified_time_can_be_set(
    *, sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage, devices: bool, tags: bool
) -> None:
    sandbox.settings(last_modified_with_devices=devices, last_modified_with_tags=tags)
    arn = create(Stages=[percentage("all", 100)])
    created: float = sandbox.plan("plan")["CreationTime"]

    def modified() -> float:
        return round(float(sandbox.plan("plan")["LastModifiedTime"]) - created, 3)

    sandbox.clock.advance(5)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "retail"}])
    assert modified() == (5 if tags else 0)
    sandbox.clock.advance(5)
    sagemaker.start_edge_deployment_stage(**PLAN, StageName="all")
    assert modified() == 10
    sandbox.clock.advance(1)
    assert modified() == 11
    sandbox.clock.advance(5.5)
    assert modified() == (16 if devices else 11)
    sandbox.clock.advance(60)
    assert modified() == 21


def test_tags_come_in_pages_as_small_as_they_are_set_to(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    arn = create(Tags=[{"Key": "team", "Value": "retail"}])
    added = sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "shops"}, {"Key": "ä/b", "Value": ""}])
    assert added["Tags"] == [{"Key": "team", "Value": "shops"}, {"Key": "ä/b", "Value": ""}]
    sandbox.settings(page_size=1)
    pages = list(sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn))
    assert [page["Tags"] for page in pages] == [[{"Key": "team", "Value": "shops"}], [{"Key": "ä/b", "Value": ""}]]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "never-there"])
    assert sandbox.plan("plan")["Tags"] == {"ä/b": ""}


def test_the_arn_of_another_region_tags_nothing(connect: Connect, create: Create) -> None:
    arn = create(client=connect())
    create(client=connect(region="us-east-1"))
    with pytest.raises(ClientError, match="does not exist"):
        connect(region="us-east-1").list_tags(ResourceArn=arn)


def test_fleets_and_devices_are_made_up_unless_references_are_strict(
    sandbox: Sandbox, sagemaker: Any, create: Create
) -> None:
    sandbox.settings(default_devices_per_fleet=4, canary_devices_per_fleet=1)
    create(fleet="cameras")
    names = [each["DeviceName"] for each in sagemaker.list_devices(DeviceFleetName="cameras")["DeviceSummaries"]]
    assert names == ["cameras-0001", "cameras-0002", "cameras-0003", "cameras-canary-0001"]
    job = sagemaker.describe_edge_packaging_job(EdgePackagingJobName="readers-v1")
    assert (job["EdgePackagingJobStatus"], job["EdgePackagingJobName"]) == ("COMPLETED", "readers-v1")
    assert sagemaker.describe_device_fleet(DeviceFleetName="readers")["DeviceFleetName"] == "readers"
    sandbox.settings(strict_references=True)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Edge packaging job readers-v2"):
        sagemaker.describe_edge_packaging_job(EdgePackagingJobName="readers-v2")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Device fleet windows"):
        sagemaker.describe_device_fleet(DeviceFleetName="windows")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Edge packaging job counter-v7"):
        create("strict", fleet="cameras")
    sagemaker.create_compilation_job(
        CompilationJobName="compiled",
        RoleArn="arn:aws:iam::123456789012:role/edge",
        InputConfig={"S3Uri": "s3://bucket/counter.onnx", "Framework": "ONNX"},
        OutputConfig={"S3OutputLocation": "s3://bucket/compiled/", "TargetDevice": "rasp4b"},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    sagemaker.create_edge_packaging_job(
        EdgePackagingJobName="counter-v7",
        CompilationJobName="compiled",
        ModelName="counter",
        ModelVersion="7",
        RoleArn="arn:aws:iam::123456789012:role/edge",
        OutputConfig={"S3OutputLocation": "s3://bucket/models/"},
    )
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Device fleet doors"):
        create("strict", fleet="doors")
    selection = {"DeviceSubsetType": "SELECTION", "DeviceNames": ["nobody"]}
    with pytest.raises(sagemaker.exceptions.ResourceNotFound, match="Device nobody"):
        create("strict", fleet="cameras", Stages=[{"StageName": "s", "DeviceSelectionConfig": selection}])
    create("strict", fleet="cameras")


def test_long_fleet_names_still_give_valid_device_names(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    create(fleet="f" * 63)
    names = [each["DeviceName"] for each in sagemaker.list_devices()["DeviceSummaries"]]
    assert len(set(names)) == 10
    assert max(map(len, names)) == 63
    assert sandbox.seed_fleet("f" * 63, 10_000) == 10_000


def test_packaging_jobs_take_their_time_and_can_be_stopped(sandbox: Sandbox, sagemaker: Any) -> None:
    sandbox.settings(packaging_duration=10)
    for name in ("first", "second"):
        sagemaker.create_edge_packaging_job(
            EdgePackagingJobName=name,
            CompilationJobName="compiled",
            ModelName="counter",
            ModelVersion="7",
            RoleArn="arn:aws:iam::123456789012:role/edge",
            OutputConfig={"S3OutputLocation": "s3://bucket/models/"},
        )
    sagemaker.stop_edge_packaging_job(EdgePackagingJobName="second")
    sandbox.clock.advance(10)
    described = sagemaker.describe_edge_packaging_job(EdgePackagingJobName="first")
    assert described["EdgePackagingJobStatus"] == "COMPLETED"
    assert described["ModelArtifact"] == "s3://bucket/models/first/counter-7.tar.gz"
    found = sagemaker.list_edge_packaging_jobs(StatusEquals="STOPPED", SortBy="STATUS")["EdgePackagingJobSummaries"]
    assert [job["EdgePackagingJobName"] for job in found] == ["second"]
