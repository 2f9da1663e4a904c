"""AWS's answers, typed: the one door through which they come in. What does not fit raises an UnreadableAnswerError.

Bounds of numbers and lengths are not checked: AWS may hold what our own would refuse.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from controller.aws.errors import UnreadableAnswerError, words
from controller.domain.observed import ObservedPlan, ObservedStage, PlanSummary
from controller.domain.spec import (
    DeploymentConfig,
    DeviceSelectionConfig,
    DeviceSubsetType,
    FailureHandlingPolicy,
    ModelConfig,
)
from controller.domain.stage import StageStatus
from controller.domain.status import FailedDevice

_REDIRECT = 300
_Text = Annotated[str, Field(min_length=1)]


class Answer(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_pascal)


AnswerT = TypeVar("AnswerT", bound=Answer)


class Page(Answer):
    """One page of an answer."""

    next_token: str | None = None


class _ModelConfig(Answer):
    model_handle: _Text
    edge_packaging_job_name: _Text


class _Selection(Answer):
    device_subset_type: DeviceSubsetType
    percentage: int | None = None
    device_names: list[str] | None = None
    device_name_contains: str | None = None


class _DeploymentConfig(Answer):
    failure_handling_policy: FailureHandlingPolicy | None = None


class _DeploymentStatus(Answer):
    stage_status: StageStatus
    edge_deployment_success_in_stage: int
    edge_deployment_pending_in_stage: int
    edge_deployment_failed_in_stage: int
    edge_deployment_stage_start_time: datetime | None = None
    edge_deployment_status_message: str | None = None


class _Stage(Answer):
    stage_name: _Text
    device_selection_config: _Selection
    deployment_config: _DeploymentConfig | None = None
    deployment_status: _DeploymentStatus

    def observed(self) -> ObservedStage:
        selection, status = self.device_selection_config, self.deployment_status
        policy = self.deployment_config.failure_handling_policy if self.deployment_config else None
        return ObservedStage(
            name=self.stage_name,
            selection=DeviceSelectionConfig.model_construct(
                device_subset_type=selection.device_subset_type,
                percentage=selection.percentage,
                device_names=tuple(selection.device_names) if selection.device_names else None,
                device_name_contains=selection.device_name_contains,
            ),
            deployment=DeploymentConfig.model_construct(failure_handling_policy=policy) if policy else None,
            status=status.stage_status,
            succeeded=status.edge_deployment_success_in_stage,
            pending=status.edge_deployment_pending_in_stage,
            failed=status.edge_deployment_failed_in_stage,
            started=_utc(status.edge_deployment_stage_start_time),
            message=status.edge_deployment_status_message or None,
        )


class PlanPage(Page):
    """DescribeEdgeDeploymentPlan's."""

    edge_deployment_plan_arn: _Text
    edge_deployment_plan_name: _Text
    device_fleet_name: _Text
    model_configs: list[_ModelConfig]
    stages: list[_Stage]
    creation_time: datetime | None = None
    last_modified_time: datetime | None = None

    def observed(self, stages: tuple[ObservedStage, ...]) -> ObservedPlan:
        """The plan with the stages of all its pages."""
        return ObservedPlan(
            arn=self.edge_deployment_plan_arn,
            name=self.edge_deployment_plan_name,
            fleet=self.device_fleet_name,
            models=tuple(
                ModelConfig.model_construct(
                    model_handle=config.model_handle, edge_packaging_job_name=config.edge_packaging_job_name
                )
                for config in self.model_configs
            ),
            stages=stages,
            created=_utc(self.creation_time),
            modified=_utc(self.last_modified_time),
        )


class _Summary(Answer):
    edge_deployment_plan_arn: _Text
    edge_deployment_plan_name: _Text
    creation_time: datetime | None = None
    last_modified_time: datetime | None = None
    edge_deployment_failed: int | None = None
    edge_deployment_success: int | None = None

    def summary(self) -> PlanSummary:
        return PlanSummary(
            name=self.edge_deployment_plan_name,
            arn=self.edge_deployment_plan_arn,
            modified=_utc(self.last_modified_time),
            created=_utc(self.creation_time),
            failed=self.edge_deployment_failed,
            succeeded=self.edge_deployment_success,
        )


class ListPage(Page):
    """ListEdgeDeploymentPlans'."""

    edge_deployment_plan_summaries: list[_Summary]


class _Tag(Answer):
    key: _Text
    value: str


class TagsPage(Page):
    """ListTags'."""

    tags: list[_Tag]  # without it nothing is known, which is not the same as no tags


class _Device(Answer):
    device_name: _Text
    device_deployment_status: str | None = None
    device_deployment_status_message: str | None = None


class DevicesPage(Page):
    """ListStageDevices'."""

    device_deployment_summaries: list[_Device]

    @property
    def failed(self) -> list[FailedDevice]:
        """The devices of the page that failed."""
        return [
            FailedDevice(
                device_name=each.device_name, message=words(each.device_deployment_status_message or "") or None
            )
            for each in self.device_deployment_summaries
            if each.device_deployment_status == "FAILED"
        ]


class PlanCreated(Answer):
    """CreateEdgeDeploymentPlan's."""

    edge_deployment_plan_arn: _Text


class Referent(Answer):
    """DescribeDeviceFleet's, DescribeDevice's and DescribeEdgePackagingJob's."""

    edge_packaging_job_status: str = ""


class Identity(Answer):
    """sts:GetCallerIdentity's."""

    account: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    arn: str | None = None


def read(model: type[AnswerT], answer: Any) -> AnswerT:
    """The answer as that model.

    Raises:
        UnreadableAnswerError: it does not fit.

    """
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        missing = first["type"] == "missing"
        text = f"the answer has no {where}" if missing else f"{where} of the answer: {first['msg']}"
        raise UnreadableAnswerError(f"{text}: it is not of the form of AWS's") from error


def refuse_rubbish(response_dict: Mapping[str, Any], **_: Any) -> None:
    """Botocore's hook before an answer is parsed: where a body is no JSON object, botocore would read it as empty.

    Raises:
        UnreadableAnswerError: the body is something else.

    """
    body: bytes = response_dict["body"]
    if not body:
        return
    try:
        if isinstance(json.loads(body), dict):
            return
    except (ValueError, RecursionError):
        pass
    raise _unreadable(response_dict, "a JSON object was expected")


def refuse_rubbish_of_sts(response_dict: Mapping[str, Any], **_: Any) -> None:
    """The same for STS, which speaks XML: botocore reads any document as an error, and quotes what is none.

    Raises:
        UnreadableAnswerError: the body is something else.

    """
    body: bytes = response_dict["body"]
    if (b"<Error" if response_dict["status_code"] >= _REDIRECT else b"Response") not in body:
        raise _unreadable(response_dict, "an answer of STS was expected")


def _unreadable(response_dict: Mapping[str, Any], expected: str) -> UnreadableAnswerError:
    body, status = response_dict["body"], response_dict["status_code"]
    kind = str(response_dict["headers"].get("content-type", "unnamed type")).partition(";")[0][:50]
    came = f"{len(body)} bytes of {kind}"
    return UnreadableAnswerError(came if status >= _REDIRECT else f"{expected}, {came} came", status)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None
