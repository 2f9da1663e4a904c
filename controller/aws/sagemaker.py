"""SageMaker through boto3: one client and one bounded thread pool per account and region.

boto3 blocks, so calls run in threads; the pool is as wide as the client's connection pool. botocore's own retries are off
(the loop retries, with its state in status); its adaptive token bucket stays on and slows the whole client down when AWS
throttles.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, assert_never

import botocore.exceptions
from botocore.config import Config

from controller.domain.actions import (
    Action,
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.failures import Failure, FailureKind, classify
from controller.domain.observed import Created, ObservedPlan, ObservedStage, PlanSummary
from controller.domain.resource import Scope
from controller.domain.spec import DeploymentConfig, DeviceSelectionConfig, ModelConfig, Stage
from controller.engine.ports import AwsError

logger = logging.getLogger(__name__)

LIST_PAGE = 100
STAGE_PAGE = 10

# The request was never sent: AWS cannot have done anything.
_UNSENT = (
    botocore.exceptions.EndpointConnectionError,
    botocore.exceptions.ConnectTimeoutError,
    botocore.exceptions.ProxyConnectionError,
    botocore.exceptions.SSLError,
    botocore.exceptions.ParamValidationError,
)
_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.UnauthorizedSSOTokenError,
)


def client_config(connections: int, timeout: float) -> Config:
    """The botocore configuration that goes with a pool of that many threads; `timeout` in seconds per call."""
    return Config(
        max_pool_connections=connections,
        connect_timeout=min(timeout, 10.0),
        read_timeout=timeout,
        retries={"mode": "adaptive", "total_max_attempts": 1},
        user_agent_extra="edgeplan",
    )


class SageMakerPlans:
    """The edge deployment plans of one account and region."""

    def __init__(self, scope: Scope, make_client: Callable[[], Any], threads: int) -> None:
        self._scope = scope
        self._make_client = make_client
        self._client: Any = None
        self._making = asyncio.Lock()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"aws-{scope.account}-{scope.region}")

    @property
    def scope(self) -> Scope:
        """Account and region."""
        return self._scope

    async def describe(self, name: str, *, with_tags: bool) -> ObservedPlan | None:
        """The plan of that name with all its stages, or None."""
        request: dict[str, Any] = {"EdgeDeploymentPlanName": name, "MaxResults": STAGE_PAGE}
        stages: list[ObservedStage] = []
        while True:
            try:
                answer = await self._call("DescribeEdgeDeploymentPlan", request)
            except AwsError as error:
                if error.failure.code == "ResourceNotFound":
                    return None
                raise
            stages += map(_stage, answer["Stages"])
            if not answer.get("NextToken"):
                break
            request["NextToken"] = answer["NextToken"]
        plan = ObservedPlan(
            arn=answer["EdgeDeploymentPlanArn"],
            name=answer["EdgeDeploymentPlanName"],
            fleet=answer["DeviceFleetName"],
            models=tuple(
                ModelConfig.model_construct(
                    model_handle=config["ModelHandle"], edge_packaging_job_name=config["EdgePackagingJobName"]
                )
                for config in answer["ModelConfigs"]
            ),
            stages=tuple(stages),
            created=_utc(answer.get("CreationTime")),
            modified=_utc(answer.get("LastModifiedTime")),
        )
        return plan.with_tags(await self.tags(plan.arn)) if with_tags else plan

    async def tags(self, arn: str) -> dict[str, str]:
        """The tags of a plan."""
        tags: dict[str, str] = {}
        request = {"ResourceArn": arn}
        while True:
            answer = await self._call("ListTags", request)
            tags |= {tag["Key"]: tag["Value"] for tag in answer["Tags"]}
            if not answer.get("NextToken"):
                return tags
            request["NextToken"] = answer["NextToken"]

    async def list_plans(self) -> Mapping[str, PlanSummary]:
        """All plans, by name."""
        rows: dict[str, PlanSummary] = {}
        request: dict[str, Any] = {"MaxResults": LIST_PAGE}
        while True:
            answer = await self._call("ListEdgeDeploymentPlans", request)
            for row in answer["EdgeDeploymentPlanSummaries"]:
                name = row["EdgeDeploymentPlanName"]
                rows[name] = PlanSummary(name, row["EdgeDeploymentPlanArn"], _utc(row.get("LastModifiedTime")))
            if not answer.get("NextToken"):
                return rows
            request["NextToken"] = answer["NextToken"]

    async def account_id(self) -> str:
        """The id of the AWS account that answers here, by sts:GetCallerIdentity."""
        raise NotImplementedError

    async def count_devices(self, plan: str, stage: str) -> int:
        """How many devices a stage selects."""
        count = 0
        request: dict[str, Any] = {"EdgeDeploymentPlanName": plan, "StageName": stage, "MaxResults": LIST_PAGE}
        while True:
            answer = await self._call("ListStageDevices", request)
            count += len(answer["DeviceDeploymentSummaries"])
            if not answer.get("NextToken"):
                return count
            request["NextToken"] = answer["NextToken"]

    async def apply(self, action: Action) -> Created | None:
        """Make the call; what was made where the action is CreatePlan."""
        answer = await self._call(*request_of(action))
        return Created(answer["EdgeDeploymentPlanArn"]) if isinstance(action, CreatePlan) else None

    async def _call(self, operation: str, request: Mapping[str, Any]) -> Any:
        loop = asyncio.get_running_loop()
        try:
            if self._client is None:
                async with self._making:
                    if self._client is None:
                        self._client = await loop.run_in_executor(self._threads, self._make_client)
            return await loop.run_in_executor(self._threads, self._client._make_api_call, operation, request)  # noqa: SLF001 - the method behind every client method
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            raise AwsError(failure_of(operation, error)) from error
        except Exception as error:
            raise AwsError(Failure(FailureKind.UNKNOWN, operation, type(error).__name__, str(error))) from error

    def close(self) -> None:
        """Let the threads go once their calls are done."""
        self._threads.shutdown(wait=False)


def failure_of(operation: str, error: Exception) -> Failure:
    """The failure behind an exception of botocore's."""
    if isinstance(error, botocore.exceptions.ClientError):
        details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        status = metadata.get("HTTPStatusCode", 0)
        code = details.get("Code", "Unknown")
        return Failure(
            kind=classify(code, status),
            operation=error.operation_name,
            code=code,
            message=details.get("Message", ""),
            request_id=metadata.get("RequestId"),
            harmless=400 <= status < 500,  # noqa: PLR2004 - HTTP's own numbers
        )
    name = type(error).__name__
    if isinstance(error, _CREDENTIALS):
        return Failure(FailureKind.CREDENTIALS, operation, name, str(error), harmless=True)
    if isinstance(error, botocore.exceptions.ParamValidationError):
        return Failure(FailureKind.TERMINAL, operation, name, str(error), harmless=True)
    if isinstance(error, botocore.exceptions.HTTPClientError | botocore.exceptions.ConnectionError):
        return Failure(FailureKind.TRANSIENT, operation, name, str(error), harmless=isinstance(error, _UNSENT))
    return Failure(FailureKind.UNKNOWN, operation, name, str(error))


def request_of(action: Action) -> tuple[str, dict[str, Any]]:
    """The operation and the request of an action."""
    match action:
        case CreatePlan(name, fleet, models, stages, tags):
            request: dict[str, Any] = {
                "EdgeDeploymentPlanName": name,
                "ModelConfigs": [
                    {"ModelHandle": model.model_handle, "EdgePackagingJobName": model.edge_packaging_job_name}
                    for model in models
                ],
                "DeviceFleetName": fleet,
                "Tags": _tag_list(tags),
            }
            if stages:
                request["Stages"] = [_stage_request(stage) for stage in stages]
            return "CreateEdgeDeploymentPlan", request
        case DeletePlan(name):
            return "DeleteEdgeDeploymentPlan", {"EdgeDeploymentPlanName": name}
        case CreateStages(plan, stages):
            stage_requests = [_stage_request(stage) for stage in stages]
            return "CreateEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "Stages": stage_requests}
        case DeleteStage(plan, stage):
            return "DeleteEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "StageName": stage}
        case StartStage(plan, stage):
            return "StartEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "StageName": stage}
        case StopStage(plan, stage):
            return "StopEdgeDeploymentStage", {"EdgeDeploymentPlanName": plan, "StageName": stage}
        case AddTags(arn, tags):
            return "AddTags", {"ResourceArn": arn, "Tags": _tag_list(tags)}
        case DeleteTags(arn, keys):
            return "DeleteTags", {"ResourceArn": arn, "TagKeys": list(keys)}
        case _:
            assert_never(action)


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _stage_request(stage: Stage) -> dict[str, Any]:
    selection = stage.device_selection_config
    config: dict[str, Any] = {"DeviceSubsetType": selection.device_subset_type}
    if selection.percentage is not None:
        config["Percentage"] = selection.percentage
    if selection.device_names is not None:
        config["DeviceNames"] = list(selection.device_names)
    if selection.device_name_contains is not None:
        config["DeviceNameContains"] = selection.device_name_contains
    request: dict[str, Any] = {"StageName": stage.stage_name, "DeviceSelectionConfig": config}
    if stage.deployment_config is not None:
        request["DeploymentConfig"] = {"FailureHandlingPolicy": stage.deployment_config.failure_handling_policy}
    return request


def _stage(answer: Mapping[str, Any]) -> ObservedStage:
    """A stage as AWS describes it. Not validated: AWS may hold what our own bounds would refuse."""
    selection, status = answer["DeviceSelectionConfig"], answer["DeploymentStatus"]
    names = selection.get("DeviceNames")
    policy = (answer.get("DeploymentConfig") or {}).get("FailureHandlingPolicy")
    return ObservedStage(
        name=answer["StageName"],
        selection=DeviceSelectionConfig.model_construct(
            device_subset_type=selection["DeviceSubsetType"],
            percentage=selection.get("Percentage"),
            device_names=tuple(names) if names else None,
            device_name_contains=selection.get("DeviceNameContains"),
        ),
        deployment=DeploymentConfig.model_construct(failure_handling_policy=policy) if policy else None,
        status=status["StageStatus"],
        succeeded=status["EdgeDeploymentSuccessInStage"],
        pending=status["EdgeDeploymentPendingInStage"],
        failed=status["EdgeDeploymentFailedInStage"],
        started=_utc(status.get("EdgeDeploymentStageStartTime")),
        message=status.get("EdgeDeploymentStatusMessage") or None,
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None
