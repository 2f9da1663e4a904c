"""Every shape of every operation is held against botocore's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import xform_name

from edge_manager.api.calls import OPERATIONS
from edge_manager.api.service import REGISTERED, codec
from edge_manager.errors import ApiError
from tests.edge_manager.conftest import ROLE, wait
from tests.edge_manager.processes import REGION
from tests.sandbox.test_sandbox_contract import broken, incomplete, sample

if TYPE_CHECKING:
    from tests.edge_manager.conftest import Shop

assert REGISTERED
MODELS = {
    service: botocore.session.get_session().get_service_model(service) for service in ("sagemaker", "sagemaker-edge")
}


def shape_of(operation: str) -> Any:
    return MODELS[OPERATIONS[operation].service].operation_model(operation).input_shape


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_breaking_any_constraint_is_refused_in_the_words_of_aws(operation: str) -> None:
    wire = codec(OPERATIONS[operation].service)
    constraints = list(broken(shape_of(operation)))
    assert constraints or not shape_of(operation).members
    for request, path, says in constraints:
        with pytest.raises(ApiError) as refusal:
            wire.parse(operation, request)
        assert refusal.value.code == "ValidationException"
        assert f" at '{path}' failed to satisfy constraint: {says}" in refusal.value.message


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_every_sample_request_passes_the_model(operation: str) -> None:
    shape = shape_of(operation)
    assert codec(OPERATIONS[operation].service).parse(operation, sample(shape)) == sample(shape)


OUTPUT = {"S3OutputLocation": "s3://models/out"}
FLEET, DEVICE = {"DeviceFleetName": "shops"}, {"DeviceName": "till-1"}
PLAN, STAGE, JOB = {"EdgeDeploymentPlanName": "tills"}, {"StageName": "all"}, {"EdgePackagingJobName": "packed"}
COMPILED = {"CompilationJobName": "compiled"}
MODEL = {"ModelName": "counter", "ModelVersion": "1.0"}
SELECTION = {"DeviceSubsetType": "SELECTION", "DeviceNames": ["till-1"]}
TAGS = [{"Key": "team", "Value": "retail"}]


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


def test_every_answer_has_the_members_that_the_model_requires_and_no_list_is_empty(shop: Shop) -> None:
    shop.s3.put_object(Bucket="models", Key="contract.onnx", Body=b"weights")
    calls = life(shop.account, "s3://models/contract.onnx")
    assert {operation for operation, _ in calls} == set(OPERATIONS)
    for operation, request in calls:
        service = OPERATIONS[operation].service
        client = shop.sagemaker if service == "sagemaker" else shop.edge
        answer = getattr(client, xform_name(operation))(**request)
        metadata = answer.pop("ResponseMetadata")
        assert metadata["RequestId"]
        shape = MODELS[service].operation_model(operation).output_shape
        if shape is None:
            assert answer == {}, operation
        else:
            assert list(incomplete(shape, answer, operation)) == []
            lists = [
                member for name, member in answer.items() if isinstance(member, list) and operation != "DeleteTags"
            ]
            assert all(lists), operation
        if operation == "CreateCompilationJob":
            wait(lambda: shop.sagemaker.describe_compilation_job(**COMPILED)["CompilationJobStatus"])
        elif operation == "CreateEdgePackagingJob":
            wait(lambda: shop.sagemaker.describe_edge_packaging_job(**JOB)["EdgePackagingJobStatus"])
