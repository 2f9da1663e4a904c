"""What nobody's SDK sends: it is the caller's mistake, never ours."""

from __future__ import annotations

import base64
import json
import socket
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from edge_manager.api import wire
from edge_manager.api.dispatch import codec
from edge_manager.api.signatures import Incoming, read
from edge_manager.domain.paging import decode
from edge_manager.errors import ApiError
from tests.edge_manager.processes import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_manager.store.keys import Key
    from tests.edge_manager.teams import Shop

SIGNED_FOR = "20261126/eu-west-1/sagemaker/aws4_request"
UNFIT = ["a\0b", "a\ud800b", "\udfff"]


def call(shop: Shop, path: str, body: bytes, *, key: Key | None = None, **more: Any) -> tuple[int, str, bytes]:
    """Send a body as it is, signed; HTTP status, code and body of the answer."""
    key, url = key or shop.admin, f"{shop.service.url}{path}"
    request = AWSRequest("POST", url, more.get("headers", {"X-Amz-Target": "SageMaker.ListDevices"}), body)
    credentials = Credentials(key.principal.access_key, key.secret)
    SigV4Auth(credentials, more.get("service", "sagemaker"), more.get("region", REGION)).add_auth(request)
    connection = HTTPConnection("127.0.0.1", shop.service.port, timeout=60)
    connection.request("POST", path, body, dict(request.headers.items()))
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, response.headers.get("x-amzn-ErrorType", ""), answer


def heartbeat(**more: Any) -> bytes:
    return json.dumps({"AgentVersion": "1", "DeviceName": "till-1", "DeviceFleetName": "shops", **more}).encode()


def seen_at(time: str) -> bytes:
    model = '{"ModelName": "counter", "ModelVersion": "1", "LatestSampleTime": %s}'
    return heartbeat(Models=["HERE"]).replace(b'"HERE"', (model % time).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a": %s}' % (b"1" * 5000),
        b'{"a": "\xff"}',
        *(seen_at(time) for time in ("NaN", "Infinity", "1e999", "1e18", "-1e18", "1" + "0" * 400)),
        *(heartbeat(DeploymentResult={"DeploymentStatusMessage": text}) for text in UNFIT),
        *(heartbeat(DeploymentResult={"DeploymentModels": [{"StatusReason": text}]}) for text in UNFIT),
        heartbeat().decode().encode("utf-16")[:-1],
    ],
)
def test_a_body_that_makes_no_sense_is_refused_and_changes_nothing(shop: Shop, body: bytes) -> None:
    shop.fleet("till-1")
    for key in (shop.admin, shop.device_key("till-1")):
        status, code, _ = call(shop, "/SendHeartbeat", body, key=key, headers={})
        assert (status, code) in ((400, "SerializationException"), (400, "ValidationException")), body[:80]
    described = shop.sagemaker.describe_device(DeviceFleetName="shops", DeviceName="till-1")
    assert "LatestHeartbeat" not in described


@pytest.mark.parametrize("text", UNFIT)
def test_text_that_cannot_be_kept_is_refused_wherever_it_stands(text: str) -> None:
    output = {"S3OutputLocation": "s3://a/b"}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("CreateDeviceFleet", {"DeviceFleetName": "f", "OutputConfig": output, "Description": text}),
        ("RegisterDevices", {"DeviceFleetName": "f", "Devices": [{"DeviceName": "d", "Description": text}]}),
        ("AddTags", {"ResourceArn": "arn:aws:sagemaker:r:111111111111:a/b", "Tags": [{"Key": "k", "Value": text}]}),
        ("ListDevices", {"ModelName": text}),
        ("ListDevices", {"NextToken": text}),
    ]
    for operation, request in requests:
        with pytest.raises(ApiError) as refusal:
            codec("sagemaker").parse(operation, request)
        assert refusal.value.code == "ValidationException", operation
        wire.render_error(refusal.value)


@pytest.mark.parametrize("share", [2**31, 10**400, -(2**31) - 1])
def test_a_number_that_is_too_large_for_its_kind_is_refused(share: int) -> None:
    selection = {"DeviceSubsetType": "PERCENTAGE", "Percentage": share}
    stage = {"StageName": "s", "DeviceSelectionConfig": selection}
    with pytest.raises(ApiError) as refusal:
        codec("sagemaker").parse("CreateEdgeDeploymentStage", {"EdgeDeploymentPlanName": "p", "Stages": [stage]})
    assert refusal.value.code == "ValidationException"


@pytest.mark.parametrize(
    "says",
    [b"[" * 6000, b"[1e999]", b"[NaN]", b"[%d]" % 10**30, b'["a\\u0000"]', b'["\\ud800"]', b"[null]", b"[[1]]", b"1"],
)
def test_a_token_that_nobody_could_have_given_out_is_refused(says: bytes) -> None:
    with pytest.raises(ApiError, match="Invalid NextToken"):
        decode(base64.urlsafe_b64encode(says).decode())


def in_header(credential: str = f"AKIA/{SIGNED_FOR}", signature: str = "0", date: str = "20261126T120000Z") -> Incoming:
    parts = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={signature}"
    return Incoming("POST", "/", "", {"authorization": parts, "x-amz-date": date}, b"")


def in_query(credential: str = f"AKIA/{SIGNED_FOR}", expires: str = "60") -> Incoming:
    query = f"X-Amz-Credential={credential}&X-Amz-Expires={expires}&X-Amz-Signature=0&X-Amz-SignedHeaders=host"
    return Incoming("POST", "/", f"{query}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261126T120000Z", {}, b"")


@pytest.mark.parametrize(
    ("build", "changes"),
    [
        (in_header, {"credential": f"A\udcff/{SIGNED_FOR}"}),
        (in_header, {"signature": "\udcff\udcff"}),
        (in_query, {"credential": f"A%00B/{SIGNED_FOR}"}),
        (in_query, {"expires": "1" * 5000}),
        (in_query, {"expires": "\u0661"}),
        *(
            (build, {"credential": f"AKIA/20261126/{region}/sagemaker/aws4_request"})
            for build in (in_header, in_query)
            for region in ("", "x" * 33, "a:b<c>", "EU-WEST-1", "eu_west")
        ),
    ],
)
def test_a_signature_whose_parts_are_none_is_incomplete(
    build: Callable[..., Incoming], changes: dict[str, str]
) -> None:
    assert read(build()).access_key == "AKIA"
    with pytest.raises(ApiError) as refusal:
        read(build(**changes))
    assert refusal.value.code == "IncompleteSignatureException"


@pytest.mark.parametrize("field", ["Signature=0", "X-Amz-Date: ", "User-Agent: ", "/?a="])
def test_bytes_that_are_no_text_are_refused_by_the_service_too(shop: Shop, field: str) -> None:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/eu-west-1/sagemaker/aws4_request"
    signed = "SignedHeaders=host;user-agent;x-amz-date, Signature=0"
    known = f"Credential={shop.admin.principal.access_key}/{scope}, {signed}"
    request = (
        f"POST /?a= HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-Amz-Date: {now}\r\nUser-Agent: \r\n"
        f"Authorization: AWS4-HMAC-SHA256 {known}\r\nConnection: close\r\n\r\n"
    )
    raw = request.encode().replace(field.encode(), field.encode() + b"\xff")
    with socket.create_connection(("127.0.0.1", shop.service.port), timeout=60) as connection:
        connection.sendall(raw)
        status = connection.makefile("rb").readline().split()[1]
    assert status in (b"400", b"403")


def test_a_session_of_thousands_of_digits_and_a_region_that_is_none_are_refused(shop: Shop) -> None:
    form = f"Action=AssumeRole&RoleArn=arn:aws:iam::{shop.account}:role/x&RoleSessionName=abc&DurationSeconds="
    body = form.encode() + b"1" * 5000
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert call(shop, "/", body, service="sts", headers=headers)[0] == 400
    for region in ("x" * 100, "a:b<c>"):
        assert call(shop, "/", b"{}", region=region)[:2] == (400, "IncompleteSignatureException")
    assert call(shop, "/", b"{}")[0] == 200


def test_a_heartbeat_names_no_more_models_than_a_device_can_run(shop: Shop) -> None:
    shop.fleet("till-1")
    for count, expected in ((64, (200, "")), (65, (400, "ValidationException"))):
        models = [{"ModelName": f"model-{number}", "ModelVersion": "1"} for number in range(count)]
        assert call(shop, "/SendHeartbeat", heartbeat(Models=models), headers={})[:2] == expected
    described = shop.sagemaker.describe_device(DeviceFleetName="shops", DeviceName="till-1")
    assert len(described["Models"]) == 64


def test_neither_the_log_nor_a_refusal_repeats_what_is_endless(shop: Shop) -> None:
    def logged(action: Callable[[], Any]) -> list[str]:
        before = shop.service.log.stat().st_size
        action()
        lines = shop.service.log.read_bytes()[before:].decode().splitlines()
        return [line for line in lines if " edge_manager.audit " in line]

    def unsigned() -> None:
        connection = HTTPConnection("127.0.0.1", shop.service.port, timeout=60)
        connection.request("POST", "/", b"Action=AssumeRole&RoleArn=" + b"A" * 1_000_000, {})
        assert connection.getresponse().status == 403
        connection.close()

    [line] = logged(unsigned)
    assert len(line) < 300
    device = shop.device_key("till-1")
    headers = {"X-Amz-Target": "SageMaker.CreateDeviceFleet"}
    body = json.dumps({"DeviceFleetName": "x" * 1_000_000}).encode()
    for key in (shop.admin, device):
        [line] = logged(partial(call, shop, "/", body, key=key, headers=headers))
        status, code, answer = call(shop, "/", body, key=key, headers=headers)
        assert (status, code) == (400, "ValidationException" if key is shop.admin else "AccessDeniedException")
        assert len(answer) < 2000
        assert len(line) < 1000
