"""Who is let in, and with which words everybody else is not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from edge_manager.api.door import Limits
from edge_manager.api.signatures import Incoming, read, verify
from edge_manager.domain.access import Role
from edge_manager.errors import ApiError
from edge_manager.store.keys import Key
from tests.edge_manager.processes import REGION
from tests.edge_manager.teams import ROLE

if TYPE_CHECKING:
    from tests.edge_manager.teams import Shop

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # noqa: S105  AWS's own example
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
BODY = b'{"DeviceFleetName": "shops"}'


def signed(monkeypatch: pytest.MonkeyPatch, *, presigned: bool = False, at: float = NOW, **more: Any) -> Incoming:
    """A request as botocore signs it."""
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(at, UTC))
    url = more.get("url", "http://127.0.0.1:4578/")
    body = b"" if presigned else more.get("body", BODY)  # botocore has no presigned bodies
    headers = {"Host": "127.0.0.1:4578", "X-Amz-Target": "SageMaker.DescribeDeviceFleet", "Spaced": " a   b "}
    request = AWSRequest(more.get("method", "POST"), url, headers, body)
    credentials = Credentials("AKIAEXAMPLE", SECRET, more.get("token"))
    signer = (SigV4QueryAuth if presigned else SigV4Auth)(credentials, more.get("service", "sagemaker"), REGION)
    signer.add_auth(request)
    parts = urlsplit(request.url)
    sent = {name.lower(): value for name, value in request.headers.items()}
    return Incoming(request.method, parts.path, parts.query, sent, body)


def check(request: Incoming, secret: str = SECRET, service: str = "sagemaker", now: float = NOW) -> None:
    verify(request, read(request), secret, service, now)


@pytest.mark.parametrize("presigned", [False, True])
@pytest.mark.parametrize("token", [None, "a+token/with=all"])
@pytest.mark.parametrize("url", ["http://127.0.0.1:4578/", "http://127.0.0.1:4578/?b=2&a=x%20y&a=%C3%A4&c="])
def test_what_botocore_signs_is_let_in(
    monkeypatch: pytest.MonkeyPatch, presigned: bool, token: str | None, url: str
) -> None:
    request = signed(monkeypatch, presigned=presigned, token=token, url=url)
    check(request)
    assert read(request).access_key == "AKIAEXAMPLE"
    assert read(request).token == token
    assert read(request).is_presigned == presigned


@pytest.mark.parametrize("presigned", [False, True])
def test_whatever_is_not_as_it_was_signed_is_refused(monkeypatch: pytest.MonkeyPatch, presigned: bool) -> None:
    request = signed(monkeypatch, presigned=presigned)
    other = signed(monkeypatch, presigned=presigned, body=b"{}")
    changed = {
        "another secret": (request, SECRET[::-1]),
        "another body": (replace_body(request, b'{"DeviceFleetName": "depot"}'), SECRET),
        "a body signed for another request": (replace_body(other, BODY), SECRET),
        "another path": (replaced(request, path="/GetDeployments"), SECRET),
        "another method": (replaced(request, method="GET"), SECRET),
        "another argument": (replaced(request, query=f"{request.query}&Action=x"), SECRET),
        "another target": (header(request, "x-amz-target", "SageMaker.DeleteDeviceFleet"), SECRET),
        "another host": (header(request, "host", "example.com"), SECRET),
    }
    for what, (incoming, secret) in changed.items():
        with pytest.raises(ApiError) as refusal:
            check(incoming, secret)
        assert refusal.value.code == "SignatureDoesNotMatch", what
        assert SECRET not in refusal.value.message


def replaced(request: Incoming, **changes: Any) -> Incoming:
    fields = {name: getattr(request, name) for name in ("method", "path", "query", "headers", "body")}
    return Incoming(**(fields | changes))


def replace_body(request: Incoming, body: bytes) -> Incoming:
    return replaced(request, body=body)


def header(request: Incoming, name: str, value: str) -> Incoming:
    return replaced(request, headers=dict(request.headers) | {name: value})


def test_an_amz_header_that_was_not_signed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = header(signed(monkeypatch), "x-amz-surprise", "1")
    with pytest.raises(ApiError, match="x-amz-surprise must be signed"):
        check(request)
    check(header(signed(monkeypatch), "user-agent", "anything"))


def test_a_signature_without_the_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = signed(monkeypatch)
    with pytest.raises(ApiError, match="host must be signed"):
        verify(request, replace(read(request), signed=("x-amz-date", "x-amz-target")), SECRET, "sagemaker", NOW)


@pytest.mark.parametrize(("later", "message"), [(301, "Signature expired"), (-301, "Signature not yet current")])
def test_an_old_or_a_coming_date_is_refused(monkeypatch: pytest.MonkeyPatch, later: float, message: str) -> None:
    request = signed(monkeypatch)
    check(request, now=NOW + later * 0.99)
    with pytest.raises(ApiError, match=message) as refusal:
        check(request, now=NOW + later)
    assert refusal.value.code == "SignatureDoesNotMatch"


def test_a_presigned_request_holds_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    request = signed(monkeypatch, presigned=True)  # an hour
    check(request, now=NOW + 3599)
    with pytest.raises(ApiError, match="Signature expired"):
        check(request, now=NOW + 3601)
    query = request.query.replace("X-Amz-Expires=3600", "X-Amz-Expires=9999999")
    with pytest.raises(ApiError, match="X-Amz-Expires"):
        check(replaced(request, query=query))


def test_a_signature_for_another_service_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApiError, match="scoped to correct service: 'sagemaker'"):
        check(signed(monkeypatch, service="s3"))


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "MissingAuthenticationTokenException"),
        ("Bearer x", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0", "IncompleteSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=k/20261126/r/sagemaker/aws4_request, Signature=0",
            "IncompleteSignatureException",
        ),
    ],
)
def test_half_a_signature_is_refused(monkeypatch: pytest.MonkeyPatch, authorization: str, code: str) -> None:
    with pytest.raises(ApiError) as refusal:
        check(header(signed(monkeypatch), "authorization", authorization))
    assert refusal.value.code == code


def code(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refusal.value.response["Error"]["Code"])


@pytest.mark.parametrize("api", ["sagemaker", "sagemaker-edge", "sts"])
def test_a_key_that_nobody_made_and_a_wrong_secret_are_refused(shop: Shop, api: str) -> None:
    calls = {
        "sagemaker": ("list_device_fleets", {}),
        "sagemaker-edge": ("get_deployments", {"DeviceName": "till-1", "DeviceFleetName": "shops"}),
        "sts": ("get_caller_identity", {}),
    }
    operation, arguments = calls[api]
    unknown = Key(replace(shop.admin.principal, access_key="AKIAUNKNOWN"), shop.admin.secret)
    wrong = Key(shop.admin.principal, "wrong")
    expected = "InvalidClientTokenId" if api == "sts" else "UnrecognizedClientException"
    for key, refused in ((unknown, expected), (wrong, "SignatureDoesNotMatch")):
        with pytest.raises(ClientError) as refusal:
            getattr(shop.service.client(api, key), operation)(**arguments)
        assert code(refusal) == refused


def test_a_device_reaches_itself_and_nothing_else(shops: Shop) -> None:
    shops.fleet("till-1", name="depots")
    shops.plan(
        "tills", {"StageName": "all", "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 100}}
    )
    shops.start("tills", "all")
    key = shops.device_key("till-1")
    edge = shops.service.client("sagemaker-edge", key)
    assert shops.ask("till-1", edge) is not None
    edge.send_heartbeat(AgentVersion="1.0", DeviceName="till-1", DeviceFleetName="shops")
    for device, name in (("till-2", "shops"), ("till-1", "depots")):
        names = {"DeviceName": device, "DeviceFleetName": name}
        for ask in (edge.get_deployments, edge.get_device_registration):
            with pytest.raises(ClientError) as refusal:
                ask(**names)
            assert code(refusal) == "AccessDeniedException"
        with pytest.raises(ClientError) as refusal:
            edge.send_heartbeat(AgentVersion="1.0", **names)
        assert code(refusal) == "AccessDeniedException"
    sagemaker = shops.service.client("sagemaker", key)
    plan: dict[str, Any] = {"EdgeDeploymentPlanName": "tills"}
    fleet: dict[str, Any] = {"DeviceFleetName": "shops"}
    arn = f"arn:aws:sagemaker:{REGION}:{shops.account}:edge-deployment/tills"
    calls: list[tuple[Any, dict[str, Any]]] = [
        (sagemaker.describe_edge_deployment_plan, plan),
        (sagemaker.stop_edge_deployment_stage, {**plan, "StageName": "all"}),
        (sagemaker.list_devices, fleet),
        (sagemaker.describe_device, {**fleet, "DeviceName": "till-1"}),
        (sagemaker.add_tags, {"ResourceArn": arn, "Tags": []}),
    ]
    for call, arguments in calls:
        with pytest.raises(ClientError) as refusal:
            call(**arguments)
        assert code(refusal) == "AccessDeniedException"
    elsewhere = shops.service.client("sagemaker-edge", key, region="us-east-1")
    with pytest.raises(ClientError) as refusal:
        elsewhere.get_deployments(DeviceName="till-1", DeviceFleetName="shops")
    assert code(refusal) == "AccessDeniedException"
    assert shops.devices("tills", "all")["till-2"] == ("READYTODEPLOY", None)


def test_an_operator_may_what_its_iam_policy_says(shops: Shop) -> None:
    sagemaker = shops.service.client("sagemaker", shops.key(Role.OPERATOR))
    assert sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"] == []
    for refused in (sagemaker.list_device_fleets, sagemaker.list_edge_packaging_jobs):
        with pytest.raises(ClientError) as refusal:
            refused()
        assert code(refusal) == "AccessDeniedException"


def test_accounts_do_not_see_each_other(shops: Shop) -> None:
    stranger = shops.service.key(Role.ADMIN, "999999999999")
    assert shops.service.client("sagemaker", stranger).list_device_fleets()["DeviceFleetSummaries"] == []


def test_a_session_has_the_rights_of_its_key_in_the_account_that_it_names(shops: Shop) -> None:
    other = "888888888888"
    key = shops.key(Role.OPERATOR, assumable=(other,))
    sts = shops.service.client("sts", key)
    for account in (shops.account, other):
        role = ROLE.replace("123456789012", account)
        answer = sts.assume_role(RoleArn=role, RoleSessionName="edgeplan", DurationSeconds=900)
        found = answer["Credentials"]
        session = Key(replace(key.principal, access_key=found["AccessKeyId"]), found["SecretAccessKey"])
        identity = shops.service.client("sts", session, token=found["SessionToken"]).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{account}:assumed-role/edge/edgeplan"
        sagemaker = shops.service.client("sagemaker", session, token=found["SessionToken"])
        assert sagemaker.list_edge_deployment_plans()["EdgeDeploymentPlanSummaries"] == []
        with pytest.raises(ClientError) as refusal:
            sagemaker.list_device_fleets()
        assert code(refusal) == "AccessDeniedException"
        with pytest.raises(ClientError) as refusal:
            shops.service.client("sagemaker", session, token="A" * 200).list_device_fleets()
        assert code(refusal) == "UnrecognizedClientException"
    with pytest.raises(ClientError) as refusal:
        sts.assume_role(RoleArn=ROLE.replace("123456789012", "777777777777"), RoleSessionName="edgeplan")
    assert code(refusal) == "AccessDenied"
    device = shops.service.client("sts", shops.device_key("till-1"))
    with pytest.raises(ClientError) as refusal:
        device.assume_role(RoleArn=ROLE.replace("123456789012", shops.account), RoleSessionName="session")
    assert code(refusal) == "AccessDenied"


def test_a_deleted_key_is_refused_at_its_next_call_and_so_are_its_sessions(shop: Shop) -> None:
    key = shop.key(Role.ADMIN)
    role = ROLE.replace("123456789012", shop.account)
    found = shop.service.client("sts", key).assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    session = Key(replace(key.principal, access_key=found["AccessKeyId"]), found["SecretAccessKey"])
    clients = [
        shop.service.client("sagemaker", key),
        shop.service.client("sagemaker", session, token=found["SessionToken"]),
    ]
    for client in clients:
        client.list_device_fleets()
    assert shop.service.run("keys", "delete", key.principal.access_key).returncode == 0
    for client in clients:
        with pytest.raises(ClientError) as refusal:
            client.list_device_fleets()
        assert code(refusal) == "UnrecognizedClientException"
    assert shop.service.run("keys", "delete", key.principal.access_key).returncode == 2


def test_a_presigned_identity_is_answered(shop: Shop) -> None:
    """As EKS's tokens are: a GET that somebody else sends."""
    url = shop.service.client("sts", shop.admin).generate_presigned_url("get_caller_identity", HttpMethod="GET")
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    answer = response.read()
    assert (response.status, shop.account.encode() in answer) == (200, True), answer
    connection.request("GET", f"{parts.path}?{parts.query}&{urlencode({'Action': 'AssumeRole'})}")
    response = connection.getresponse()
    assert (response.status, b"SignatureDoesNotMatch" in response.read()) == (403, True)
    connection.close()


def test_keys_are_made_listed_and_deleted_by_commands(shop: Shop) -> None:
    made = shop.service.run("keys", "create", "--role", "device", "--fleet", "shops", "--device", "till-9")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert key["Version"] == 1
    listed = shop.service.run("keys", "list").stdout
    [line] = [line for line in listed.splitlines() if line.startswith(key["AccessKeyId"])]
    assert line.split("\t")[1:5] == ["device", "123456789012", REGION, "shops/till-9"]
    assert key["SecretAccessKey"] not in listed
    assert shop.service.run("keys", "create", "--role", "device").returncode == 2
    assert shop.service.run("keys", "create", "--role", "admin", "--fleet", "shops", "--device", "x").returncode == 2


def test_every_change_is_audited_and_no_secret_is_in_the_log(shops: Shop) -> None:
    shops.plan("tills")
    with pytest.raises(ClientError):
        shops.plan("tills")
    mine = [line for line in shops.service.audit() if line.get("account") == shops.account]
    made = [(line["code"], line["subject"]) for line in mine if line["operation"] == "CreateEdgeDeploymentPlan"]
    subject = {"EdgeDeploymentPlanName": "tills", "DeviceFleetName": "shops"}
    assert made == [("OK", subject), ("ValidationException", subject)]
    assert {line["key"] for line in mine} == {shops.admin.principal.access_key}
    assert not {line["operation"] for line in mine} & {"DescribeCompilationJob", "ListDevices", "SendHeartbeat"}
    log = shops.service.log.read_text(encoding="utf-8")
    assert shops.admin.secret not in log
    assert shops.service.secret_key not in log


def test_a_request_that_is_too_large_is_refused_before_anything_is_done_with_it(shop: Shop) -> None:
    parts = urlsplit(shop.service.url)
    for path in ("/", "/SendHeartbeat"):
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        connection.request("POST", path, b" " * (4 * 2**20 + 1), {"X-Amz-Target": "SageMaker.ListTags"})
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["__type"] == "RequestEntityTooLargeException"
        connection.close()


def test_health_is_told_to_everybody(shop: Shop) -> None:
    parts = urlsplit(shop.service.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    for path in ("/healthz", "/readyz"):
        connection.request("GET", path)
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())) == (200, {"status": "ok"})
    connection.close()


def test_a_key_that_calls_too_often_is_slowed_down_and_others_are_not() -> None:
    limits = Limits(rate=2, burst=3)
    for _ in range(3):
        limits.check("a", 100.0)
    with pytest.raises(ApiError) as refusal:
        limits.check("a", 100.0)
    assert refusal.value.code == "ThrottlingException"
    limits.check("b", 100.0)
    limits.check("a", 100.5)
