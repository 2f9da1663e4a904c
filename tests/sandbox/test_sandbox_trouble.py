"""Faults, throttling, latency, credentials, STS, the clock and the control endpoint."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from edge_manager.api.sts import Wanted
from edge_manager.api.throttle import Throttle
from edge_manager.sandbox.client import SandboxClient
from edge_manager.sandbox.clock import Clock
from edge_manager.sandbox.faults import Fault
from edge_manager.sandbox.identity import assume, identify
from edge_manager.sandbox.server import Sandbox
from edge_manager.sandbox.service import Service
from edge_manager.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Create = Callable[..., str]
    Connect = Callable[..., Any]

PLAN = {"EdgeDeploymentPlanName": "plan"}
CREATE = "CreateEdgeDeploymentPlan"

DENIED = (
    "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: "
    "sagemaker:CreateEdgeDeploymentPlan on resource: "
    "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/plan because no identity-based policy allows "
    "the sagemaker:CreateEdgeDeploymentPlan action"
)


def error(call: Callable[[], Any]) -> tuple[str, str, int]:
    """Code, message and HTTP status of a refusal."""
    with pytest.raises(ClientError) as refusal:
        call()
    response = refusal.value.response
    assert response["ResponseMetadata"]["RequestId"]
    found = response["Error"]
    return found["Code"], found["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        ("ThrottlingException", 400, "Rate exceeded"),
        ("InternalFailure", 500, "We encountered an internal error. Please try again."),
        ("ServiceUnavailable", 503, "Service is unavailable. Please try again."),
        ("ExpiredTokenException", 400, "The security token included in the request is expired"),
        (
            "AccessDeniedException",
            400,
            DENIED,
        ),
    ],
)
def test_a_fault_answers_as_aws_would_so_many_times(
    sandbox: Sandbox, create: Create, code: str, status: int, message: str
) -> None:
    sandbox.fault(operation=CREATE, error=code, times=2)
    for _ in range(2):
        assert error(create) == (code, message, status)
    create()
    assert sandbox.counts_by_code()[CREATE] == {code: 2, "OK": 1}
    assert sandbox.faults()[0]["met"] == 2


def test_a_fault_can_have_words_and_a_status_of_its_own(sandbox: Sandbox, create: Create) -> None:
    sandbox.fault(error="Weird", message="no idea", status=418)
    assert error(create) == ("Weird", "no idea", 418)


def test_a_fault_meets_only_the_calls_that_it_is_about(
    sandbox: Sandbox, sagemaker: Any, create: Create, connect: Connect
) -> None:
    number = sandbox.fault(name_contains="north")
    sandbox.fault(operation="ListTags", region="us-east-1")
    sandbox.fault(operation="ListTags", account="999999999999")
    arn = create("south")
    assert error(lambda: create("far-north"))[0] == "InternalFailure"
    sagemaker.list_tags(ResourceArn=arn)
    for client in (connect(region="us-east-1"), connect(key="999999999999")):
        assert error(lambda client=client: client.list_tags(ResourceArn=arn))[0] == "InternalFailure"  # type: ignore[misc]
    sandbox.clear_faults(number)
    create("far-north")
    assert len(sandbox.faults()) == 2
    sandbox.clear_faults()
    assert sandbox.faults() == []


def test_a_fault_meets_about_its_share_of_the_calls(sandbox: Sandbox, sagemaker: Any) -> None:
    sandbox.fault(probability=0.5)
    for _ in range(60):
        try:
            sagemaker.list_edge_deployment_plans()
        except ClientError:
            continue
    assert 15 < sandbox.counts_by_code()["ListEdgeDeploymentPlans"]["OK"] < 45


@pytest.mark.parametrize(("mode", "plans"), [("drop_before", []), ("drop_after", ["plan"])])
def test_a_dropped_connection_leaves_the_work_done_or_not(
    sandbox: Sandbox, create: Create, mode: str, plans: list[str]
) -> None:
    sandbox.fault(CREATE, mode=mode, times=1)
    with pytest.raises(ConnectionClosedError):
        create()
    assert sandbox.plans() == plans
    assert sandbox.counts_by_code() == {CREATE: {mode: 1}}


def test_a_slow_call_waits_and_then_works(sandbox: Sandbox, create: Create) -> None:
    sandbox.fault(CREATE, mode="slow", seconds=0.05)
    began = time.perf_counter()
    create()
    assert time.perf_counter() - began >= 0.05
    assert sandbox.plans() == ["plan"]


def test_latency_holds_for_all_operations_or_for_one() -> None:
    service = Service(Settings(latency=2, latencies={CREATE: 0.5}), Clock.real(0))
    waits = [
        service.delay(service.open({"X-Amz-Target": f"SageMaker.{operation}"}, b"{}", 0), fault)
        for operation in (CREATE, "ListTags")
        for fault in (None, Fault(mode="slow", seconds=1))
    ]
    assert waits == [0.5, 1.5, 2, 3]


def test_slow_calls_do_not_hold_up_others(sandbox: Sandbox, sagemaker: Any) -> None:
    sandbox.settings(latency=0.2)
    threads = [threading.Thread(target=sagemaker.list_edge_deployment_plans) for _ in range(8)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.2 <= time.perf_counter() - began < 1.2


def test_a_client_that_gives_up_waiting_leaves_the_work_to_be_done(sandbox: Sandbox, create: Create) -> None:
    sandbox.fault(CREATE, mode="slow", seconds=0.2)
    impatient = boto3.client(
        "sagemaker",
        region_name="eu-west-1",
        endpoint_url=sandbox.url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",  # noqa: S106
        config=Config(read_timeout=0.05, retries={"total_max_attempts": 1}),
    )
    with closing(impatient), pytest.raises(ReadTimeoutError):
        create(client=impatient)
    deadline = time.monotonic() + 10
    while not sandbox.counts() and time.monotonic() < deadline:
        pass
    assert sandbox.plans() == ["plan"]


def test_a_sandbox_stops_without_waiting_for_slow_calls() -> None:
    with Sandbox(Settings(latency=60)) as sandbox:
        url = sandbox.url
        connection = HTTPConnection(url.removeprefix("http://"))
        connection.request("POST", "/", b"{}", {"X-Amz-Target": "SageMaker.ListTags"})
        began = time.perf_counter()
    assert time.perf_counter() - began < 10
    connection.close()


def test_calls_beyond_the_rate_are_throttled_per_account(sandbox: Sandbox, connect: Connect, create: Create) -> None:
    sandbox.settings(rate=0.001, burst=2)
    create("one")
    create("two")
    assert error(lambda: create("three")) == ("ThrottlingException", "Rate exceeded", 400)
    create("three", client=connect(key="222222222222"))
    sandbox.settings(rate=None)
    create("three")


def test_a_throttle_lets_its_rate_through() -> None:
    throttle = Throttle()
    admitted = sum(throttle.admit(("a", "r"), 10, None, wall=tick / 100) for tick in range(500))
    assert admitted in range(58, 61)  # 10 at once, then 10 a second over 5 seconds


def test_expired_credentials_are_told_so(sandbox: Sandbox, connect: Connect, sagemaker: Any) -> None:
    sandbox.settings(expired_access_keys=["key"])
    assert error(sagemaker.list_edge_deployment_plans)[0] == "ExpiredTokenException"
    assert error(connect("sts").get_caller_identity) == (
        "ExpiredToken",
        "The security token included in the request is expired",
        403,
    )
    connect(key="222222222222").list_edge_deployment_plans()
    sandbox.settings(expired_access_keys=["*"])
    assert error(connect(key="222222222222").list_edge_deployment_plans)[0] == "ExpiredTokenException"
    assert sandbox.counts_by_code()["ListEdgeDeploymentPlans"] == {"ExpiredTokenException": 2, "OK": 1}


def test_access_keys_can_be_mapped_to_accounts(sandbox: Sandbox, connect: Connect, create: Create) -> None:
    sandbox.settings(accounts={"staging": "444444444444"})
    create(client=connect(key="staging"))
    assert sandbox.plan("plan")["Account"] == "444444444444"


def test_an_assumed_role_works_in_its_account(sandbox: Sandbox, connect: Connect, create: Create) -> None:
    sts = connect("sts")
    assert sts.get_caller_identity()["Account"] == "123456789012"
    answer = sts.assume_role(RoleArn="arn:aws:iam::222222222222:role/teams/edge", RoleSessionName="operator")
    assumed = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::222222222222:assumed-role/edge/operator"
    key, token = assumed["AccessKeyId"], assumed["SessionToken"]
    assert connect("sts", key=key, token=token).get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert create(client=connect(key=key, token=token)).split(":")[4] == "222222222222"
    sandbox.fault(error="AccessDeniedException")
    message = error(lambda: create(client=connect(key=key, token=token)))[1]
    assert message.startswith("User: arn:aws:sts::222222222222:assumed-role/edge/operator is not authorized")
    assert sandbox.counts()["AssumeRole"] == 1


def test_assuming_a_role_can_be_refused(sandbox: Sandbox, connect: Connect) -> None:
    sts, role = connect("sts"), "arn:aws:iam::222222222222:role/edge"
    sandbox.fault("AssumeRole", error="AccessDeniedException", name_contains="222222222222", times=1)
    denied = (
        "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: sts:AssumeRole on resource: "
        f"{role} because no identity-based policy allows the sts:AssumeRole action"
    )
    refusal = error(lambda: sts.assume_role(RoleArn=role, RoleSessionName="operator"))
    assert refusal == ("AccessDenied", denied, 403)
    assert error(lambda: sts.assume_role(RoleArn="arn:aws:iam::2:user/edge", RoleSessionName="operator")) == (
        "ValidationError",
        "arn:aws:iam::2:user/edge is invalid",
        400,
    )
    code, message, _ = error(lambda: sts.assume_role(RoleArn=role, RoleSessionName="o", DurationSeconds=1))
    assert code == "ValidationError"
    assert "at 'roleSessionName'" in message
    assert "at 'durationSeconds'" in message
    assert error(sts.get_session_token)[0] == "InvalidAction"


def test_errors_of_sts_keep_a_status_of_their_own(sandbox: Sandbox, connect: Connect) -> None:
    sandbox.fault("GetCallerIdentity", error="ServiceUnavailable", times=1)
    sandbox.fault("GetCallerIdentity", error="ThrottlingException", status=429)
    assert error(connect("sts").get_caller_identity)[2] == 503
    assert error(connect("sts").get_caller_identity) == ("Throttling", "Rate exceeded", 429)


def test_an_assumed_role_expires_by_the_wall_clock() -> None:
    session = Wanted("222222222222", "edge", "operator", expires=1000.0)
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=ASIA222222222222ABCD/20260101/eu-west-1/sagemaker/aws4_request",
        "X-Amz-Security-Token": assume(session).token,
    }
    assert identify(headers, Settings(), wall=999).arn == session.arn
    with pytest.raises(Exception, match="ExpiredTokenException"):
        identify(headers, Settings(), wall=1000)
    headers["X-Amz-Security-Token"] = "a token of AWS's own"
    assert identify(headers, Settings(), wall=1000).arn == "arn:aws:iam::222222222222:user/sandbox"


def test_the_clock_runs_at_the_pace_that_is_set_without_jumps() -> None:
    clock = Clock.real(100)
    assert clock.now(110) == 110
    clock.set_speed(60, 110)
    assert clock.now(111) == 170
    clock.set_speed(0, 111)
    assert clock.now(500) == 170
    clock.advance(5)
    clock.set_speed(1, 500)
    assert clock.now(501) == 176


def test_the_clock_is_set_over_the_control_endpoint(sandbox: Sandbox) -> None:
    before = sandbox.clock.now()
    assert sandbox.clock.now() == before
    sandbox.clock.advance(60)
    assert sandbox.clock.now() == before + 60
    sandbox.clock.speed(1_000_000)
    assert sandbox.clock.now() > before + 60
    sandbox.clock.real()
    sandbox.clock.manual()
    with pytest.raises(ValueError, match="does not go backwards"):
        sandbox.clock.advance(-1)


def test_requests_are_logged_in_order(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    create()
    sandbox.clock.advance(60)
    with pytest.raises(ClientError) as refusal:
        create()
    since = sandbox.clock.now()
    sagemaker.describe_edge_deployment_plan(**PLAN)
    log = sandbox.requests()
    assert [(each["operation"], each["name"], each["code"], each["status"]) for each in log] == [
        (CREATE, "plan", "OK", 200),
        (CREATE, "plan", "ValidationException", 400),
        ("DescribeEdgeDeploymentPlan", "plan", "OK", 200),
    ]
    assert log[1]["requestId"] == refusal.value.response["ResponseMetadata"]["RequestId"]
    assert log[1]["time"] - log[0]["time"] == pytest.approx(60)
    assert {each["account"] for each in log} == {"123456789012"}
    assert len(sandbox.requests(CREATE)) == 2
    assert len(sandbox.requests(CREATE, since=since)) == 1
    assert sandbox.requests(name="other") == []
    sandbox.reset_counts()
    assert (sandbox.requests(), sandbox.counts()) == ([], {})


def test_settings_that_do_not_exist_or_make_no_sense_are_refused(sandbox: Sandbox) -> None:
    before = sandbox.settings()
    for change in ({"qouta": 3}, {"quota": -1}, {"duplicate_code": "Nonsense"}):
        with pytest.raises(ValueError, match="validation error"):
            sandbox.settings(**change)
    with pytest.raises(ValueError, match="validation error"):
        sandbox.fault(mode="explode")
    for name, wrong in (("devices", ["till-1"]), ("devices", "x"), ("percent", "x"), ("after", "x")):
        with pytest.raises(ValueError, match=f"(?s){name}.*valid"):
            sandbox.control("POST", "/failures", {name: wrong})
    with pytest.raises(ValueError, match="unknown: devises"):
        sandbox.fail_devices(devises=3)
    with pytest.raises(ValueError, match="unknown: hours"):
        sandbox.control("PUT", "/clock", {"hours": 1})
    assert sandbox.settings() == before


def test_a_reset_goes_back_to_the_beginning(sandbox: Sandbox, create: Create) -> None:
    before = sandbox.settings()
    sandbox.settings(quota=1)
    sandbox.fault("ListTags")
    sandbox.fail_devices(devices=1)
    create()
    assert sandbox.overview()["scopes"][0]["plans"] == 1
    sandbox.reset()
    assert sandbox.settings() == before
    assert (sandbox.plans(), sandbox.faults(), sandbox.counts()) == ([], [], {})
    assert sandbox.control("GET", "/failures") == []
    assert sandbox.overview()["scopes"] == []


def test_a_port_that_is_taken_is_reported(sandbox: Sandbox) -> None:
    port = int(sandbox.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="Address already in use"), Sandbox(port=port):
        pass


def test_a_sandbox_of_its_own_process_serves_until_it_is_told_to_stop() -> None:
    program = (
        "from edge_manager.sandbox.server import run; from edge_manager.sandbox.settings import Settings; "
        "run('127.0.0.1', 0, Settings(quota=5), speed=0)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        url = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert url is not None
        assert process.stdout.readline() == (
            f"export AWS_ENDPOINT_URL_SAGEMAKER={url.group()} AWS_ENDPOINT_URL_STS={url.group()}\n"
        )
        client = SandboxClient(url.group())
        assert client.settings()["quota"] == 5
        client.settings(quota=6)
        client.reset()
        assert client.settings()["quota"] == 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
