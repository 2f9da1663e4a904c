"""What the API means, in plain boto3: the same for the sandbox and for the service with devices that send heartbeats."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from edge_manager.api.calls import CONTROL, EDGE, OPERATIONS, names
from tests.edge_manager.conftest import QUOTA
from tests.edge_manager.processes import REGION
from tests.edge_manager.teams import ROLE, Rehearsal, Shop, named, share, wait
from tests.edge_manager.test_contract import MODELS
from tests.sandbox.test_sandbox_contract import incomplete

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.edge_manager.teams import Team

PLAN = {"EdgeDeploymentPlanName": "tills"}
OUTPUT = {"S3OutputLocation": "s3://models/out"}
FLEET, DEVICE = {"DeviceFleetName": "shops"}, {"DeviceName": "till-1"}
STAGE, JOB = {"StageName": "all"}, {"EdgePackagingJobName": "packed"}
COMPILED = {"CompilationJobName": "compiled"}
MODEL = {"ModelName": "counter", "ModelVersion": "1.0"}
SELECTION = {"DeviceSubsetType": "SELECTION", "DeviceNames": ["till-1"]}
TAGS = [{"Key": "team", "Value": "retail"}]
TYPES = {CONTROL: "application/x-amz-json-1.1", EDGE: "application/json"}


def refused(call: Callable[..., Any], *arguments: Any, **request: Any) -> tuple[str, str]:
    """Code and words of a refusal."""
    with pytest.raises(ClientError) as refusal:
        call(*arguments, **request)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def arn(team: Team, plan: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{team.account}:edge-deployment/{plan}"


def life(account: str, source: str) -> list[tuple[str, dict[str, Any]]]:
    """Calls of every operation, in an order in which none is refused."""
    arn = {"ResourceArn": f"arn:aws:sagemaker:{REGION}:{account}:edge-deployment/tills"}
    compile_ = {
        "InputConfig": {"S3Uri": source, "Framework": "ONNX", "DataInputConfig": "{}"},
        "OutputConfig": {**OUTPUT, "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"}},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    described = {**DEVICE, "Description": "by the door", "IotThingName": "thing"}
    metric = {"Dimension": "cpu", "MetricName": "load", "Value": 0.5, "Timestamp": 1_790_000_000}
    reported = {**MODEL, "LatestSampleTime": 1_790_000_000, "LatestInference": 1_790_000_000, "ModelMetrics": [metric]}
    return [
        ("CreateDeviceFleet", {**FLEET, "OutputConfig": OUTPUT, "RoleArn": ROLE, "Description": "all", "Tags": TAGS}),
        ("UpdateDeviceFleet", {**FLEET, "OutputConfig": OUTPUT, "Description": "all of them"}),
        ("RegisterDevices", {**FLEET, "Devices": [described]}),
        ("UpdateDevices", {**FLEET, "Devices": [{**described, "Description": "by the window"}]}),
        ("CreateCompilationJob", {**COMPILED, **compile_, "RoleArn": ROLE, "Tags": TAGS}),
        ("DescribeCompilationJob", COMPILED),
        ("CreateEdgePackagingJob", {**JOB, **COMPILED, **MODEL, "RoleArn": ROLE, "OutputConfig": OUTPUT, "Tags": TAGS}),
        ("DescribeEdgePackagingJob", JOB),
        ("ListCompilationJobs", {}),
        ("ListEdgePackagingJobs", {}),
        ("StopCompilationJob", COMPILED),
        ("StopEdgePackagingJob", JOB),
        (
            "CreateEdgeDeploymentPlan",
            {**PLAN, **FLEET, "ModelConfigs": [{"ModelHandle": "counter", **JOB}], "Tags": TAGS},
        ),
        ("CreateEdgeDeploymentStage", {**PLAN, "Stages": [{**STAGE, "DeviceSelectionConfig": SELECTION}]}),
        ("ListStageDevices", {**PLAN, **STAGE, "ExcludeDevicesDeployedInOtherStage": True}),
        ("StartEdgeDeploymentStage", {**PLAN, **STAGE}),
        ("GetDeviceRegistration", {**FLEET, **DEVICE}),
        ("GetDeployments", {**FLEET, **DEVICE}),
        ("SendHeartbeat", {**FLEET, **DEVICE, "AgentVersion": "1.0", "Models": [reported], "AgentMetrics": [metric]}),
        ("DescribeEdgeDeploymentPlan", PLAN),
        ("ListEdgeDeploymentPlans", {}),
        ("ListStageDevices", {**PLAN, **STAGE, "ExcludeDevicesDeployedInOtherStage": True}),
        ("StopEdgeDeploymentStage", {**PLAN, **STAGE}),
        ("AddTags", {**arn, "Tags": TAGS}),
        ("ListTags", arn),
        ("DeleteTags", {**arn, "TagKeys": ["team"]}),
        ("DescribeDeviceFleet", FLEET),
        ("ListDeviceFleets", {}),
        ("ListDevices", FLEET),
        ("DescribeDevice", {**FLEET, **DEVICE}),
        ("GetDeviceFleetReport", FLEET),
        ("DeleteEdgeDeploymentStage", {**PLAN, **STAGE}),
        ("DeleteEdgeDeploymentPlan", PLAN),
        ("DeregisterDevices", {**FLEET, "DeviceNames": ["till-1"]}),
        ("DeleteDeviceFleet", FLEET),
    ]


def test_every_operation_answers_with_what_the_model_requires_and_no_list_is_empty(team: Team) -> None:
    calls = [
        (operation, request)
        for operation, request in life(team.account, team.upload("contract.onnx", b"weights"))
        if OPERATIONS[operation].service == CONTROL or isinstance(team, Shop)
    ]
    assert {operation for operation, _ in calls} == set(OPERATIONS if isinstance(team, Shop) else names(CONTROL))
    for operation, request in calls:
        service = OPERATIONS[operation].service
        client = team.edge if service == EDGE and isinstance(team, Shop) else team.sagemaker
        answer = getattr(client, xform_name(operation))(**request)
        metadata = answer.pop("ResponseMetadata")
        assert metadata["RequestId"]
        assert metadata["HTTPHeaders"]["content-type"] == TYPES[service]
        shape = MODELS[service].operation_model(operation).output_shape
        if shape is None:
            assert answer == {}, operation
        else:
            assert list(incomplete(shape, answer, operation)) == []
            # Agents and what they run are told by devices alone.
            silent = isinstance(team, Rehearsal) and operation == "GetDeviceFleetReport"
            told = set(answer) if silent or operation == "DeleteTags" else set()
            lists = [member for name, member in answer.items() if isinstance(member, list) and name not in told]
            assert all(lists), operation
        if operation == "CreateCompilationJob":
            wait(lambda: team.sagemaker.describe_compilation_job(**COMPILED)["CompilationJobStatus"])
        elif operation == "CreateEdgePackagingJob":
            wait(lambda: team.sagemaker.describe_edge_packaging_job(**JOB)["EdgePackagingJobStatus"])


def test_the_quota_refuses_in_the_words_of_aws_until_a_plan_goes(stocked: Team) -> None:
    for number in range(QUOTA):
        stocked.plan(f"plan-{number}")
    code, says = refused(stocked.plan, "more")
    assert code == "ResourceLimitExceeded"
    assert says == (
        f"The account-level service limit 'Number of edge deployment plans' is {QUOTA} EdgeDeploymentPlans, with "
        f"current utilization of {QUOTA} EdgeDeploymentPlans and a request delta of 1 EdgeDeploymentPlans. Please use "
        "AWS Service Quotas to request an increase for this quota."
    )
    assert refused(stocked.plan, "plan-1")[0] == "ValidationException"
    stocked.sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName="plan-1")
    assert stocked.plan("more") == arn(stocked, "more")


def test_a_second_plan_of_a_name_is_refused(stocked: Team) -> None:
    assert stocked.plan("tills") == arn(stocked, "tills")
    expected = ("ValidationException", "Edge deployment plan already exists: tills")
    assert refused(stocked.plan, "tills") == expected


def test_what_is_not_there_is_not_found(stocked: Team) -> None:
    aws = stocked.sagemaker
    no_plan = ("ResourceNotFound", "Edge deployment plan tills does not exist.")
    for call in (aws.describe_edge_deployment_plan, aws.delete_edge_deployment_plan):
        assert refused(call, **PLAN) == no_plan
    assert refused(stocked.start, "tills", "all") == no_plan
    stocked.plan("tills")
    no_stage = ("ResourceNotFound", "Stage all of edge deployment plan tills does not exist.")
    for change in (stocked.start, stocked.stop, stocked.devices):
        assert refused(change, "tills", "all") == no_stage
    for fleet, says in (("x", "Device fleet x does not exist."), ("shops", "Device y does not exist.")):
        found = refused(aws.describe_device, DeviceFleetName=fleet, DeviceName="y")
        assert found == ("ResourceNotFound", says)
    for kind, title in (("EdgePackagingJob", "Edge packaging job"), ("CompilationJob", "Compilation job")):
        for verb in ("Describe", "Stop"):
            call = getattr(aws, xform_name(f"{verb}{kind}"))
            assert refused(call, **{f"{kind}Name": "x"}) == ("ResourceNotFound", f"{title} x does not exist.")


def test_a_plan_over_what_is_not_there_is_refused(team: Team) -> None:
    assert refused(team.plan, "tills") == ("ResourceNotFound", "Device fleet shops does not exist.")
    team.fleet("till-1")
    assert refused(team.plan, "tills") == ("ResourceNotFound", "Edge packaging job counter does not exist.")
    team.package("counter")
    selection = {"DeviceSubsetType": "SELECTION", "DeviceNames": ["till-2"]}
    stage = {"StageName": "one", "DeviceSelectionConfig": selection}
    assert refused(team.plan, "tills", stage) == ("ResourceNotFound", "Device till-2 does not exist.")
    assert refused(team.described, "tills")[0] == "ResourceNotFound"


def test_a_packaging_job_takes_what_was_compiled_and_says_where_its_package_is(team: Team) -> None:
    output = {"S3OutputLocation": "s3://models/out/"}
    wanted = {"EdgePackagingJobName": "counter", "CompilationJobName": "counter", "OutputConfig": output}
    more = {"ModelName": "counter", "ModelVersion": "7", "RoleArn": "arn:aws:iam::123456789012:role/edge"}
    create = team.sagemaker.create_edge_packaging_job
    assert refused(create, **wanted, **more) == ("ResourceNotFound", "Compilation job counter does not exist.")
    team.compile("counter")
    create(**wanted, **more)
    assert refused(create, **wanted, **more) == ("ResourceInUse", "Edge packaging job counter already exists.")
    describe = partial(team.sagemaker.describe_edge_packaging_job, EdgePackagingJobName="counter")
    wait(lambda: describe()["EdgePackagingJobStatus"])
    assert describe()["ModelArtifact"] == "s3://models/out/counter/counter-7.tar.gz"
    found = team.sagemaker.list_edge_packaging_jobs(
        StatusEquals="COMPLETED", SortBy="STATUS", ModelNameContains="count"
    )
    assert [job["EdgePackagingJobName"] for job in found["EdgePackagingJobSummaries"]] == ["counter"]
    assert team.sagemaker.list_edge_packaging_jobs(StatusEquals="FAILED")["EdgePackagingJobSummaries"] == []
    team.sagemaker.stop_edge_packaging_job(EdgePackagingJobName="counter")
    assert describe()["EdgePackagingJobStatus"] == "COMPLETED"


def test_one_handle_names_one_model_of_a_plan(stocked: Team) -> None:
    model = {"ModelHandle": "counter", "EdgePackagingJobName": "counter"}
    create = stocked.sagemaker.create_edge_deployment_plan
    assert refused(create, **PLAN, DeviceFleetName="shops", ModelConfigs=[model, model]) == (
        "ValidationException",
        "Model handles must be unique within an edge deployment plan.",
    )


def test_a_plan_has_ten_stages_at_most(stocked: Team) -> None:
    stocked.plan("tills", *(share(f"stage-{number}", 10) for number in range(9)))
    add = stocked.sagemaker.create_edge_deployment_stage
    add(**PLAN, Stages=[share("stage-9", 10)])
    code, says = refused(add, **PLAN, Stages=[share("stage-10", 10)])
    assert code == "ResourceLimitExceeded"
    assert "'Stages per edge deployment plan' is 10" in says
    described = stocked.described("tills")
    assert [stage["StageName"] for stage in described["Stages"]] == [f"stage-{number}" for number in range(10)]
    assert "NextToken" not in described


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ({"DeviceSubsetType": "PERCENTAGE"}, "Percentage is required"),
        ({"DeviceSubsetType": "PERCENTAGE", "Percentage": -1}, "must not be negative"),
        ({"DeviceSubsetType": "SELECTION", "DeviceNames": []}, "DeviceNames is required"),
        ({"DeviceSubsetType": "NAMECONTAINS", "Percentage": 10}, "DeviceNameContains is required"),
    ],
)
def test_a_selection_without_its_value_is_refused(team: Team, selection: dict[str, Any], says: str) -> None:
    code, message = refused(team.plan, "tills", {"StageName": "stage", "DeviceSelectionConfig": selection})
    assert code == "ValidationException"
    assert says in message


def test_stage_names_are_unique_in_a_plan(stocked: Team) -> None:
    stocked.plan("tills", share("all", 10))
    add = stocked.sagemaker.create_edge_deployment_stage
    code, says = refused(add, **PLAN, Stages=[share("all", 10)])
    assert (code, says) == ("ValidationException", "Stage names must be unique within an edge deployment plan.")


def test_stages_come_in_pages(stocked: Team) -> None:
    stocked.plan("tills", *(share(f"stage-{number}", 10) for number in range(10)))
    found: list[str] = []
    token: dict[str, Any] = {}
    for size in (4, 4, 2):
        described = stocked.sagemaker.describe_edge_deployment_plan(**PLAN, MaxResults=4, **token)
        assert len(described["Stages"]) == size
        found += [stage["StageName"] for stage in described["Stages"]]
        token = {"NextToken": described.get("NextToken")}
    assert token == {"NextToken": None}
    assert found == [f"stage-{number}" for number in range(10)]


def listed(team: Team, size: int = 50, **request: Any) -> list[str]:
    pages = team.sagemaker.get_paginator("list_edge_deployment_plans")
    found = pages.paginate(**request, PaginationConfig={"PageSize": size})
    return [plan["EdgeDeploymentPlanName"] for page in found for plan in page["EdgeDeploymentPlanSummaries"]]


def a_moment_later(team: Team) -> None:
    if isinstance(team, Rehearsal):
        team.sandbox.clock.advance(1)
    else:
        time.sleep(0.01)


def test_pages_have_every_plan_once_in_any_order(stocked: Team) -> None:
    stocked.fleet("dock-1", name="docks")
    plans = [(f"plan-{number}", "docks" if number % 2 else "shops") for number in range(6)]
    for name, fleet in plans:
        stocked.plan(name, fleet=fleet)
        a_moment_later(stocked)
    in_order = [name for name, _ in plans]
    for order in ("NAME", "CREATION_TIME", "LAST_MODIFIED_TIME"):
        assert listed(stocked, 4, SortBy=order, SortOrder="Ascending") == in_order
    by_fleet = sorted(in_order, key=lambda name: (dict(plans)[name], name))
    assert listed(stocked, 4, SortBy="DEVICE_FLEET_NAME", SortOrder="Ascending") == by_fleet
    assert listed(stocked) == in_order[::-1]
    assert listed(stocked, NameContains="-3") == ["plan-3"]
    assert listed(stocked, DeviceFleetNameContains="ock") == ["plan-5", "plan-3", "plan-1"]
    stocked.sagemaker.create_edge_deployment_stage(EdgeDeploymentPlanName="plan-0", Stages=[share("all", 100)])
    assert listed(stocked, SortBy="LAST_MODIFIED_TIME")[0] == "plan-0"


def test_plans_that_come_and_go_while_paging_hide_no_other(stocked: Team) -> None:
    for number in range(6):
        stocked.plan(f"plan-{number}")
        a_moment_later(stocked)
    page = stocked.sagemaker.list_edge_deployment_plans
    first = page(MaxResults=3)
    stocked.sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName="plan-3")
    stocked.plan("plan-6")
    rest = page(MaxResults=3, NextToken=first["NextToken"])
    seen = [[plan["EdgeDeploymentPlanName"] for plan in each["EdgeDeploymentPlanSummaries"]] for each in (first, rest)]
    assert seen == [["plan-5", "plan-4", "plan-3"], ["plan-2", "plan-1", "plan-0"]]


def test_a_token_that_nobody_gave_out_is_refused(stocked: Team) -> None:
    for name in ("one", "two"):
        stocked.plan(name)
    page = stocked.sagemaker.list_edge_deployment_plans
    of_another_order = page(MaxResults=1)["NextToken"]
    for token in ("nonsense", "bnVsbA==", "WzFd", "W1tdXQ==", of_another_order):
        expected = ("ValidationException", "Invalid NextToken.")
        assert refused(page, SortBy="NAME", NextToken=token) == expected


def test_tags_are_added_listed_and_deleted(stocked: Team) -> None:
    resource = {"ResourceArn": stocked.plan("tills", Tags=[{"Key": "team", "Value": "retail"}])}
    aws = stocked.sagemaker
    added = aws.add_tags(**resource, Tags=[{"Key": "team", "Value": "shops"}, {"Key": "ä/b", "Value": ""}])
    assert added["Tags"] == [{"Key": "team", "Value": "shops"}, {"Key": "ä/b", "Value": ""}]
    assert aws.list_tags(**resource)["Tags"] == [{"Key": "team", "Value": "shops"}, {"Key": "ä/b", "Value": ""}]
    aws.delete_tags(**resource, TagKeys=["team", "never-there"])
    assert aws.list_tags(**resource)["Tags"] == [{"Key": "ä/b", "Value": ""}]
    other = {"ResourceArn": resource["ResourceArn"].replace(stocked.account, "000000000000")}
    expected = ("ResourceNotFound", f"Resource {other['ResourceArn']} does not exist.")
    assert refused(aws.list_tags, **other) == expected


def test_a_resource_has_fifty_tags_at_most(stocked: Team) -> None:
    tags = [{"Key": f"key-{number}", "Value": "x"} for number in range(51)]
    resource = {"ResourceArn": stocked.plan("tills", Tags=tags[:49])}
    stocked.sagemaker.add_tags(**resource, Tags=tags[49:50])
    stocked.sagemaker.add_tags(**resource, Tags=tags[49:50])
    code, says = refused(stocked.sagemaker.add_tags, **resource, Tags=tags[50:])
    assert (code, says) == ("ValidationException", "The number of tags on a resource is limited to 50.")
    found = stocked.sagemaker.get_paginator("list_tags").paginate(**resource)
    assert sum(len(page["Tags"]) for page in found) == 50


@pytest.mark.parametrize("keys", [["team", "team"], ["aws:team"]])
def test_tag_keys_are_unique_and_not_of_aws(stocked: Team, keys: list[str]) -> None:
    tags = [{"Key": key, "Value": "x"} for key in keys]
    assert refused(stocked.plan, "tills", Tags=tags)[0] == "ValidationException"


def test_a_fleet_in_use_stays(stocked: Team) -> None:
    stocked.plan("tills")
    delete = stocked.sagemaker.delete_device_fleet
    expected = ("ResourceInUse", "Device fleet shops is used by edge deployment plan tills.")
    assert refused(delete, DeviceFleetName="shops") == expected
    stocked.sagemaker.delete_edge_deployment_plan(**PLAN)
    delete(DeviceFleetName="shops")
    assert stocked.sagemaker.list_device_fleets()["DeviceFleetSummaries"] == []
    assert stocked.sagemaker.list_devices()["DeviceSummaries"] == []


def test_fleets_and_devices_are_described_and_changed(stocked: Team) -> None:
    aws, fleet, till = stocked.sagemaker, {"DeviceFleetName": "shops"}, {"DeviceName": "till-1"}
    stocked.sagemaker.update_device_fleet(
        **fleet, OutputConfig={"S3OutputLocation": "s3://models/b"}, Description="all"
    )
    described = aws.describe_device_fleet(**fleet)
    assert (described["Description"], described["OutputConfig"]["S3OutputLocation"]) == ("all", "s3://models/b")
    before = aws.describe_device(**fleet, **till)
    aws.update_devices(**fleet, Devices=[{**till, "Description": "by the door"}])
    aws.update_devices(**fleet, Devices=[{**till, "IotThingName": "thing"}])
    after = aws.describe_device(**fleet, **till)
    assert (after["Description"], after["IotThingName"]) == ("by the door", "thing")
    a_moment_later(stocked)
    aws.register_devices(**fleet, Devices=[till])
    again = aws.describe_device(**fleet, **till)
    assert again["RegistrationTime"] == before["RegistrationTime"]
    assert "Description" not in again
    expected = ("ResourceNotFound", "Device till-9 does not exist.")
    assert refused(aws.update_devices, **fleet, Devices=[{"DeviceName": "till-9"}]) == expected
    taken = ("ResourceInUse", "Device fleet shops already exists.")
    assert refused(stocked.fleet, "till-1") == taken
    report = aws.get_device_fleet_report(**fleet)
    assert report["DeviceStats"] == {"ConnectedDeviceCount": 0, "RegisteredDeviceCount": 4}


def test_a_rollout_goes_stage_by_stage(stocked: Team) -> None:
    stocked.plan("tills", named("canary", "canary"), share("rest", 100))
    assert stocked.status("tills", "canary") == ("READYTODEPLOY", 0, 1, 0)
    assert stocked.status("tills", "rest") == ("READYTODEPLOY", 0, 3, 0)
    stocked.start("tills", "canary")
    assert stocked.status("tills", "canary") == ("INPROGRESS", 0, 1, 0)
    stocked.finish("tills", "canary")
    assert stocked.status("tills", "canary") == ("DEPLOYED", 1, 0, 0)
    stocked.begin("tills", "rest", answered=1)
    assert stocked.status("tills", "rest") == ("INPROGRESS", 1, 2, 0)
    stocked.finish("tills", "rest")
    described = stocked.described("tills")
    counts = [described[f"EdgeDeployment{outcome}"] for outcome in ("Success", "Pending", "Failed")]
    assert counts == [4, 0, 0]
    assert described["ModelConfigs"] == [{"ModelHandle": "counter", "EdgePackagingJobName": "counter"}]
    assert {stage["DeploymentConfig"]["FailureHandlingPolicy"] for stage in described["Stages"]} == {
        "ROLLBACK_ON_FAILURE"
    }
    assert described["LastModifiedTime"] >= described["CreationTime"]


def test_devices_that_fail_end_a_stage_and_a_second_start_goes_to_them_alone(stocked: Team) -> None:
    stocked.plan("tills", named("all", "till"))
    stocked.roll_out("tills", "all", failing=2, says="out of memory")
    assert stocked.status("tills", "all") == ("FAILED", 1, 0, 2)
    message = stocked.described("tills")["Stages"][0]["DeploymentStatus"]["EdgeDeploymentStatusMessage"]
    assert message.startswith("2 of 3 devices failed the deployment: out of memory")
    said = sorted((status, (says or "")[:13]) for status, says in stocked.devices("tills", "all").values())
    assert said == [("DEPLOYED", ""), ("FAILED", "out of memory"), ("FAILED", "out of memory")]
    stocked.roll_out("tills", "all")
    assert stocked.status("tills", "all") == ("DEPLOYED", 3, 0, 0)


def test_a_stopped_stage_keeps_what_it_reached_and_goes_on_from_there(stocked: Team) -> None:
    stocked.plan("tills", named("all", "till"))
    stocked.begin("tills", "all", answered=1)
    stocked.stop("tills", "all")
    assert stocked.status("tills", "all") == ("STOPPED", 1, 2, 0)
    expected = ("ValidationException", "Stage all cannot be stopped while its status is STOPPED.")
    assert refused(stocked.stop, "tills", "all") == expected
    stocked.start("tills", "all")
    assert stocked.status("tills", "all") == ("INPROGRESS", 1, 2, 0)
    expected = ("ValidationException", "Stage all cannot be started while its status is INPROGRESS.")
    assert refused(stocked.start, "tills", "all") == expected
    stocked.finish("tills", "all")
    assert stocked.status("tills", "all") == ("DEPLOYED", 3, 0, 0)


def test_an_active_stage_can_neither_be_deleted_nor_its_plan(stocked: Team) -> None:
    stocked.plan("tills", share("idle", 50), named("all", "till"))
    stocked.start("tills", "all")
    expected = ("ResourceInUse", "Stage all is active, its status is INPROGRESS. Stop it first.")
    delete_stage = stocked.sagemaker.delete_edge_deployment_stage
    assert refused(delete_stage, **PLAN, StageName="all") == expected
    assert refused(stocked.sagemaker.delete_edge_deployment_plan, **PLAN) == expected
    delete_stage(**PLAN, StageName="idle")
    assert [stage["StageName"] for stage in stocked.described("tills")["Stages"]] == ["all"]
    stocked.finish("tills", "all")
    stocked.sagemaker.delete_edge_deployment_plan(**PLAN)
    assert listed(stocked) == []


def test_each_kind_of_selection_takes_its_devices_in_the_order_of_their_registration(team: Team) -> None:
    team.fleet("canary-1", "canary-2", *(f"till-{number}" for number in range(1, 8)))
    team.package("counter")
    selection = {"DeviceSubsetType": "SELECTION", "DeviceNames": ["till-7", "till-1"]}
    stages = [named("canary", "canary"), {"StageName": "named", "DeviceSelectionConfig": selection}]
    team.plan("tills", *stages, share("half", 45), share("rest", 100))
    devices = {name: list(team.devices("tills", name)) for name in ("canary", "named", "half", "rest")}
    assert devices == {
        "canary": ["canary-1", "canary-2"],
        "named": ["till-1", "till-7"],
        "half": ["till-2", "till-3", "till-4", "till-5", "till-6"],
        "rest": [],
    }


def test_devices_tell_which_stage_deployed_to_them(stocked: Team) -> None:
    stocked.plan("tills", named("first", "till-1"), named("all", "till"))
    stocked.roll_out("tills", "first")
    found = stocked.sagemaker.list_stage_devices(**PLAN, StageName="all")["DeviceDeploymentSummaries"]
    assert [each.get("DeployedStageName") for each in found] == ["first", None, None]
    assert {each["DeviceDeploymentStatus"] for each in found} == {"READYTODEPLOY"}
    rest = stocked.devices("tills", "all", ExcludeDevicesDeployedInOtherStage=True)
    assert list(rest) == ["till-2", "till-3"]


def test_devices_that_leave_the_fleet_leave_the_stages_that_wait(stocked: Team) -> None:
    stocked.plan("tills", share("all", 100))
    deregister = stocked.sagemaker.deregister_devices
    deregister(DeviceFleetName="shops", DeviceNames=["till-1", "till-2"])
    assert stocked.status("tills", "all")[2] == 2
    stocked.start("tills", "all")
    deregister(DeviceFleetName="shops", DeviceNames=["till-3"])
    assert stocked.status("tills", "all")[2] == 2
