"""Whatever an endpoint answers, and whoever answers in its place: a call that failed, with its kind and a short message."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from controller.aws.accounts import Accounts
from controller.aws.sagemaker import SageMakerPlans
from controller.domain.actions import (
    AddTags,
    CreatePlan,
    CreateStages,
    DeletePlan,
    DeleteStage,
    DeleteTags,
    StartStage,
    StopStage,
)
from controller.domain.failures import Failure, FailureKind
from controller.domain.observed import Created
from controller.domain.spec import ModelConfig
from controller.engine.ports import AwsError
from tests.aws.conftest import HTML, Endpoint, Said, account, accounts_at

pytestmark = pytest.mark.usefixtures("either_way")
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/plan"
CREATE = CreatePlan("plan", "fleet", (ModelConfig(model_handle="a", edge_packaging_job_name="a"),), (), {})
Call = Callable[[SageMakerPlans], Awaitable[object]]

READS: dict[str, Call] = {
    "describe": lambda plans: plans.describe("plan", with_tags=False),
    "tags": lambda plans: plans.tags(ARN),
    "list": lambda plans: plans.list_plans(),
    "devices": lambda plans: plans.count_devices("plan", "canary"),
    "identity": lambda plans: plans.account_id(),
}
WRITES: dict[str, Call] = {
    "create": lambda plans: plans.apply(CREATE),
    "delete": lambda plans: plans.apply(DeletePlan("plan")),
    "create stages": lambda plans: plans.apply(CreateStages("plan", ())),
    "delete stage": lambda plans: plans.apply(DeleteStage("plan", "canary")),
    "start": lambda plans: plans.apply(StartStage("plan", "canary")),
    "stop": lambda plans: plans.apply(StopStage("plan", "canary")),
    "add tags": lambda plans: plans.apply(AddTags(ARN, {"a": "b"})),
    "delete tags": lambda plans: plans.apply(DeleteTags(ARN, ("a",))),
}
CALLS = READS | WRITES
PAGE = {"Content-Type": "text/html; charset=utf-8"}

RUBBISH = {
    "a page": Said(HTML, 200, PAGE),
    "half a JSON": Said('{"EdgeDeploymentPlanArn": "arn:aws', 200),
    "a list": Said("[1, 2]", 200),
    "a text": Said('"plan"', 200),
    "a number": Said("7", 200),
    "null": Said("null", 200),
    "no UTF-8": Said("\udcff".encode("utf-8", "surrogatepass").decode("latin-1"), 200),
}
REFUSALS = {
    "302 with a page": Said(HTML, 302, PAGE | {"Location": "https://login.example.com/"}),
    "403 with a page": Said(HTML, 403, PAGE),
    "403 with another's JSON": Said('{"message": "Forbidden"}', 403),
    "404 with nothing": Said("", 404),
    "407 with a page": Said(HTML, 407, PAGE),
    "502 with a page": Said("<html>" + HTML, 502, PAGE),
    "503 with a page of capital letters": Said("<HTML>" + HTML, 503, PAGE),
    "403 with a list": Said("[]", 403),
}


def failure_of(endpoint: Endpoint, call: Call, *says: Said) -> Failure:
    endpoint.says = list(says)
    with closing(accounts_at(endpoint.url)) as accounts:
        plans = accounts.plans(accounts.scope("retail", None))
        with pytest.raises(AwsError) as caught:
            asyncio.run(ask(call, plans))
    failure = caught.value.failure
    assert len(failure.message) <= 200
    assert not any(part in str(failure) for part in ("<", "shall not pass", "Sign in"))
    return failure


async def ask(call: Call, plans: SageMakerPlans) -> object:
    return await call(plans)


def answer_of(endpoint: Endpoint, call: Call, *says: Said) -> object:
    endpoint.says = list(says)
    with closing(accounts_at(endpoint.url)) as accounts:
        return asyncio.run(ask(call, accounts.plans(accounts.scope("retail", None))))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("rubbish", RUBBISH)
def test_an_answer_of_another_make_is_a_failed_call(endpoint: Endpoint, name: str, rubbish: str) -> None:
    failure = failure_of(endpoint, CALLS[name], RUBBISH[rubbish])
    assert (failure.kind, failure.code) == (FailureKind.TRANSIENT, "UnreadableAnswer")
    assert not failure.harmless  # whoever answered may have passed the call on


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_without_aws_code_is_not_aws(endpoint: Endpoint, name: str, refusal: str) -> None:
    said = REFUSALS[refusal]
    failure = failure_of(endpoint, CALLS[name], said)
    assert (failure.kind, failure.code) == (FailureKind.TRANSIENT, f"HTTP {said.status}")
    assert "what stands between, a proxy perhaps, seems to have answered" in failure.message
    assert not failure.harmless


@pytest.mark.parametrize("name", [*READS, "create"])
def test_an_answer_without_its_members_is_a_failed_call(endpoint: Endpoint, name: str) -> None:
    failure = failure_of(endpoint, CALLS[name], Said("{}"))
    assert (failure.kind, failure.code) == (FailureKind.TRANSIENT, "UnreadableAnswer")


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("create", {}, "the answer has no EdgeDeploymentPlanArn"),
        ("create", {"EdgeDeploymentPlanArn": 7}, "EdgeDeploymentPlanArn of the answer"),
        ("create", {"EdgeDeploymentPlanArn": ""}, "EdgeDeploymentPlanArn of the answer"),
        ("list", {}, "the answer has no EdgeDeploymentPlanSummaries"),
        ("list", {"EdgeDeploymentPlanSummaries": [{}]}, "no EdgeDeploymentPlanSummaries.0.EdgeDeploymentPlanArn"),
        ("tags", {}, "the answer has no Tags"),
        ("tags", {"Tags": [{"Key": "a"}]}, "the answer has no Tags.0.Value"),
        ("tags", {"Tags": {"a": "b"}}, "not of the form of AWS's"),
        ("tags", {"Tags": [], "NextToken": 7}, "NextToken of the answer"),
        ("devices", {"DeviceDeploymentSummaries": None}, "DeviceDeploymentSummaries"),
    ],
)
def test_the_message_names_the_member(endpoint: Endpoint, name: str, body: object, words: str) -> None:
    assert words in failure_of(endpoint, CALLS[name], Said(json.dumps(body))).message


@pytest.mark.parametrize(
    "change",
    [
        {"EdgeDeploymentPlanArn": None},
        {"Stages": "none"},
        {"Stages": [{"StageName": "canary"}]},
        {"ModelConfigs": [7]},
        {"CreationTime": "yesterday"},
        {"CreationTime": {"a": 1}},
        {"NextToken": ["a"]},
    ],
)
def test_a_plan_with_a_member_of_another_type_is_a_failed_call(endpoint: Endpoint, change: dict[str, object]) -> None:
    assert failure_of(endpoint, CALLS["describe"], Said(json.dumps(plan() | change))).code == "UnreadableAnswer"


def test_a_stage_status_that_nobody_knows_is_a_failed_call(endpoint: Endpoint) -> None:
    body = plan(stage("canary", "PAUSED"))
    assert (
        "Stages.0.DeploymentStatus.StageStatus"
        in failure_of(endpoint, CALLS["describe"], Said(json.dumps(body))).message
    )


def test_rubbish_on_a_later_page_is_a_failed_call(endpoint: Endpoint) -> None:
    first = Said(json.dumps(plan(stage("canary", "DEPLOYED")) | {"NextToken": "next"}))
    assert failure_of(endpoint, CALLS["describe"], first, Said(HTML, 200, PAGE)).code == "UnreadableAnswer"
    assert endpoint.asked == ["DescribeEdgeDeploymentPlan"] * 2


def test_pages_without_an_end_are_a_failed_call(endpoint: Endpoint) -> None:
    again = Said(json.dumps({"EdgeDeploymentPlanSummaries": [], "NextToken": "again"}))
    assert "the pages have no end" in failure_of(endpoint, CALLS["list"], again).message


@pytest.mark.parametrize("error", [{"__type": 7}, {"__type": None, "message": ["a"]}, {"__type": {"a": 1}}])
def test_an_error_of_another_form_is_a_failed_call(endpoint: Endpoint, error: dict[str, object]) -> None:
    failure = failure_of(endpoint, CALLS["create"], Said(json.dumps(error), 400))
    assert failure.kind in {FailureKind.TRANSIENT, FailureKind.UNKNOWN}
    assert not failure.harmless or failure.kind is FailureKind.UNKNOWN


def test_aws_own_access_denied_is_still_one(endpoint: Endpoint) -> None:
    body = {"__type": "AccessDeniedException", "Message": "User: someone is not authorized"}
    failure = failure_of(endpoint, CALLS["create"], Said(json.dumps(body), 400))
    assert (failure.kind, failure.harmless) == (FailureKind.CREDENTIALS, True)
    assert failure.message == "User: someone is not authorized"


def test_a_signature_that_aws_refuses_shows_its_first_words_and_no_header(endpoint: Endpoint) -> None:
    first = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key."
    quoted = "\n\nThe Canonical String for this request should have been\n'POST\n/\n\nx-amz-security-token:FwoGZXIvYXdzEBYaDH\n"
    for code in ("InvalidSignatureException", "SignatureDoesNotMatch"):
        said = Said(json.dumps({"__type": code, "message": first + quoted}), 403)
        assert failure_of(endpoint, CALLS["create"], said).message == first


@pytest.mark.parametrize("separator", ["\n", "\\n", " "])
def test_a_token_is_in_no_message_however_it_is_quoted(endpoint: Endpoint, separator: str) -> None:
    message = f"It does not match.{separator}x-amz-security-token:FwoGZXIvYXdzEBYaDH{separator}host:example.com"
    said = Said(json.dumps({"__type": "InvalidSignatureException", "message": message}), 403)
    assert "FwoGZXIvYXdzEBYaDH" not in str(failure_of(endpoint, CALLS["create"], said))


def test_a_message_of_aws_has_an_end(endpoint: Endpoint) -> None:
    endpoint.says = [Said(json.dumps({"__type": "ValidationException", "message": "word " * 5000}), 400)]
    with closing(accounts_at(endpoint.url)) as accounts, pytest.raises(AwsError) as caught:
        asyncio.run(ask(CALLS["create"], accounts.plans(accounts.scope("retail", None))))
    assert len(caught.value.failure.message) == 1000


@pytest.mark.parametrize("said", [*RUBBISH.values(), *REFUSALS.values(), Said("{}"), Said("<AssumeRoleResponse/>")])
def test_a_role_that_rubbish_answers_for_is_a_failed_call_that_did_nothing(endpoint: Endpoint, said: Said) -> None:
    endpoint.says = [said]
    with closing(accounts_at(endpoint.url, emea=account())) as accounts, pytest.raises(AwsError) as caught:
        asyncio.run(ask(CALLS["create"], of_role(accounts)))
    failure = caught.value.failure
    assert (failure.operation, failure.iam_action, failure.harmless) == ("AssumeRole", "sts:AssumeRole", True)
    assert failure.kind is FailureKind.TRANSIENT
    assert len(failure.message) <= 200
    assert endpoint.asked == ["sts"]


def of_role(accounts: Accounts) -> SageMakerPlans:
    from controller.domain.spec import Target  # noqa: PLC0415

    return accounts.plans(accounts.scope("retail", Target(account="emea")))


def test_a_create_tells_since_when_the_plan_can_be_there_by_aws_clock(endpoint: Endpoint) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.1", "Date": "Thu, 26 Nov 2026 02:00:00 GMT"}
    created = answer_of(endpoint, CALLS["create"], Said(json.dumps({"EdgeDeploymentPlanArn": ARN}), 200, headers))
    assert isinstance(created, Created)
    assert created.since is not None
    assert created.arn == ARN
    noon = datetime(2026, 11, 26, 2, tzinfo=UTC)
    assert noon - timedelta(seconds=12) < created.since <= noon - timedelta(seconds=2)


@pytest.mark.parametrize("date", [None, "yesterday", ""])
def test_without_a_date_nobody_knows_since_when(endpoint: Endpoint, date: str | None) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.1"} | ({} if date is None else {"Date": date})
    said = Said(json.dumps({"EdgeDeploymentPlanArn": ARN}), 200, headers)
    assert answer_of(endpoint, CALLS["create"], said) == Created(ARN, None)


@pytest.mark.parametrize("name", ["delete", "create stages", "delete stage", "start", "stop", "delete tags"])
@pytest.mark.parametrize("body", ["", "{}"])
def test_an_empty_answer_is_enough_where_nothing_is_told(endpoint: Endpoint, name: str, body: str) -> None:
    assert answer_of(endpoint, CALLS[name], Said(body)) is None


def plan(*stages: dict[str, object]) -> dict[str, object]:
    return {
        "EdgeDeploymentPlanArn": ARN,
        "EdgeDeploymentPlanName": "plan",
        "DeviceFleetName": "fleet",
        "ModelConfigs": [],
        "Stages": list(stages),
    }


def stage(name: str, status: str) -> dict[str, object]:
    return {
        "StageName": name,
        "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 100},
        "DeploymentStatus": {
            "StageStatus": status,
            "EdgeDeploymentSuccessInStage": 0,
            "EdgeDeploymentPendingInStage": 0,
            "EdgeDeploymentFailedInStage": 0,
        },
    }
