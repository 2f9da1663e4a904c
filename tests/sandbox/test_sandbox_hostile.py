"""Answers that come never, late, or as rubbish; quota before or after the name; the time in every answer."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_manager.sandbox.server import Sandbox

    Create = Callable[..., str]
    Connect = Callable[..., Any]
    Stage = Callable[..., dict[str, Any]]

PLAN = {"EdgeDeploymentPlanName": "plan"}
CREATE = "CreateEdgeDeploymentPlan"
DESCRIBE = "DescribeEdgeDeploymentPlan"


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refusal:
        call()
    return str(refusal.value.response["Error"]["Code"])


def test_late_work_is_done_long_after_the_client_was_left_without_an_answer(
    sandbox: Sandbox, sagemaker: Any, create: Create
) -> None:
    sandbox.fault(CREATE, mode="late", seconds=30, times=1)
    with pytest.raises(ConnectionClosedError):
        create()
    sandbox.clock.advance(29)
    assert code(lambda: sagemaker.describe_edge_deployment_plan(**PLAN)) == "ResourceNotFound"
    assert sandbox.plans() == []
    began = sandbox.clock.now()
    sandbox.clock.advance(10)
    described = sagemaker.describe_edge_deployment_plan(**PLAN)
    assert described["CreationTime"].timestamp() == pytest.approx(began + 1)
    assert sandbox.counts_by_code()[CREATE] == {"late": 1}


def test_late_work_that_is_refused_by_then_is_refused_in_silence(sandbox: Sandbox, create: Create) -> None:
    sandbox.fault(CREATE, mode="late", seconds=5, times=1)
    with pytest.raises(ConnectionClosedError):
        create()
    arn = create()
    sandbox.clock.advance(5)
    assert sandbox.plan("plan")["EdgeDeploymentPlanArn"] == arn
    assert sandbox.plans() == ["plan"]


@pytest.mark.parametrize("operation", ["DeleteEdgeDeploymentPlan", "AddTags", "StartEdgeDeploymentStage"])
def test_every_write_can_be_late(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Stage, operation: str
) -> None:
    arn = create(Stages=[percentage("canary", 100)])
    before = sandbox.plan("plan")
    calls: dict[str, Callable[[], Any]] = {
        "DeleteEdgeDeploymentPlan": lambda: sagemaker.delete_edge_deployment_plan(**PLAN),
        "AddTags": lambda: sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "retail"}]),
        "StartEdgeDeploymentStage": lambda: sagemaker.start_edge_deployment_stage(**PLAN, StageName="canary"),
    }
    sandbox.fault(operation, mode="late", seconds=5)
    with pytest.raises(ConnectionClosedError):
        calls[operation]()
    assert sandbox.plan("plan") == before
    sandbox.clock.advance(5)
    assert sandbox.plans() == [] or sandbox.plan("plan") != before


def test_late_work_is_done_in_the_order_of_its_moments(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    arn = create()
    for value, seconds in (("second", 20), ("first", 10)):
        sandbox.clear_faults()
        sandbox.fault("AddTags", mode="late", seconds=seconds)
        with pytest.raises(ConnectionClosedError):
            sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": value}])
    sandbox.clock.advance(60)
    assert sandbox.plan("plan")["Tags"] == {"team": "second"}


def test_a_reset_forgets_late_work(sandbox: Sandbox, create: Create) -> None:
    sandbox.fault(CREATE, mode="late", seconds=5)
    with pytest.raises(ConnectionClosedError):
        create()
    sandbox.reset()
    sandbox.clock.advance(10)
    assert sandbox.plans() == []


def test_an_account_that_hangs_answers_nobody_while_others_are_served(
    sandbox: Sandbox, create: Create, connect: Connect
) -> None:
    sandbox.fault(mode="hang", seconds=0.5, account="222222222222", region="eu-west-1")
    impatient = boto3.client(
        "sagemaker",
        region_name="eu-west-1",
        endpoint_url=sandbox.url,
        aws_access_key_id="222222222222",
        aws_secret_access_key="secret",  # noqa: S106
        config=Config(read_timeout=0.1, retries={"total_max_attempts": 1}),
    )
    with closing(impatient), pytest.raises(ReadTimeoutError):
        create(client=impatient)
    create(client=connect(key="222222222222", region="us-east-1"))
    create()
    with pytest.raises(ConnectionClosedError):  # who waits long enough sees the connection end
        create(client=connect(key="222222222222"))
    assert sandbox.plans(account="222222222222", region="eu-west-1") == []
    assert sandbox.counts_by_code()[CREATE] == {"OK": 2, "hang": 2}


def test_one_operation_can_hang(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    sandbox.fault(DESCRIBE, mode="hang", seconds=0.1, times=1)
    create()
    began = time.perf_counter()
    with pytest.raises(ConnectionClosedError):
        sagemaker.describe_edge_deployment_plan(**PLAN)
    assert time.perf_counter() - began >= 0.1
    sagemaker.describe_edge_deployment_plan(**PLAN)


@pytest.mark.parametrize("status", [302, 403, 407, 502])
def test_a_gateway_may_answer_with_a_page_of_its_own(sandbox: Sandbox, create: Create, status: int) -> None:
    sandbox.fault(CREATE, mode="rubbish", status=status, times=1)
    with pytest.raises((ClientError, BotoCoreError)) as refusal:
        create()
    if isinstance(refusal.value, ClientError):
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert sandbox.plans() == []
    create()
    assert sandbox.counts_by_code()[CREATE] == {"rubbish": 1, "OK": 1}


def test_a_gateway_may_answer_with_a_page_as_if_all_were_well(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    create()
    sandbox.fault(DESCRIBE, mode="rubbish")
    assert sagemaker.describe_edge_deployment_plan(**PLAN).keys() == {"ResponseMetadata"}


def test_an_empty_answer_has_none_of_the_members(sandbox: Sandbox, sagemaker: Any) -> None:
    sandbox.fault(mode="rubbish", body="empty")
    answer = sagemaker.list_edge_deployment_plans()
    assert answer.keys() == {"ResponseMetadata"}
    assert sagemaker.create_edge_deployment_plan(
        **PLAN, DeviceFleetName="fleet", ModelConfigs=[{"ModelHandle": "m", "EdgePackagingJobName": "j"}]
    ).keys() == {"ResponseMetadata"}
    assert sandbox.plans() == []


def test_an_answer_may_break_off_after_the_work_was_done(sandbox: Sandbox, create: Create) -> None:
    sandbox.fault(CREATE, mode="rubbish", body="half")
    with pytest.raises(KeyError):  # botocore's answer lacks the ARN
        create()
    assert sandbox.plans() == ["plan"]


@pytest.mark.parametrize("body", ["html", "empty", "half"])
def test_sts_answers_with_rubbish_too(sandbox: Sandbox, connect: Connect, body: str) -> None:
    sandbox.fault("GetCallerIdentity", mode="rubbish", body=body, times=1)
    with suppress(ResponseParserError, KeyError):  # what botocore makes of it
        assert "Account" not in connect("sts").get_caller_identity()
    assert connect("sts", key="333333333333").get_caller_identity()["Account"] == "333333333333"


@pytest.mark.parametrize("duplicate_code", ["ValidationException", "ResourceInUse", "ConflictException"])
def test_a_second_create_is_refused_for_its_name_or_for_quota_first(
    sandbox: Sandbox, create: Create, duplicate_code: str
) -> None:
    sandbox.settings(quota=1, duplicate_code=duplicate_code)
    create()
    assert code(create) == duplicate_code
    sandbox.settings(quota_before_name=True)
    assert code(create) == "ResourceLimitExceeded"
    sandbox.settings(quota=2)
    assert code(create) == duplicate_code


def test_every_answer_tells_the_sandbox_s_time(sandbox: Sandbox, sagemaker: Any, connect: Connect) -> None:
    def told(answer: dict[str, Any]) -> float:
        return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()

    sandbox.clock.advance(86_400)
    now = sandbox.clock.now()
    assert told(sagemaker.list_edge_deployment_plans()) == int(now)
    assert told(connect("sts").get_caller_identity()) == int(now)
    with pytest.raises(ClientError) as refusal:
        sagemaker.describe_edge_deployment_plan(**PLAN)
    assert told(refusal.value.response) == int(now)
