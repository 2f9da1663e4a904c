"""Every constraint of botocore's model refuses, and every answer has what the model promises."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from edge_manager.api.calls import CONTROL, names
from edge_manager.api.wire import pattern_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_manager.sandbox.server import Sandbox

MODEL = botocore.session.get_session().get_service_model("sagemaker")
ROLE = "arn:aws:iam::123456789012:role/edge"
PLAN_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/plan"
PACKAGE_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/package"
SAMPLES = ("abc", "abcd", "1.5", ROLE, PLAN_ARN, PACKAGE_ARN, "s3://bucket/key")
BAD = ("!", "-", "§", "\n", "x y", "!" * 20, "")


class Violation(NamedTuple):
    """A request that breaks one constraint, and what the answer must say."""

    operation: str
    request: dict[str, Any]
    path: str
    says: str

    def __str__(self) -> str:
        return f"{self.operation}-{self.path}-{self.says[:40]}"


def sample(shape: Any) -> Any:
    """A value that satisfies the shape, with every optional member."""
    if shape.type_name == "structure":
        return {name: sample(member) for name, member in shape.members.items()}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "string":
        options = shape.metadata.get("enum", SAMPLES)
        pattern, least = pattern_of(shape), shape.metadata.get("min", 0)
        return next(text for text in options if len(text) >= least and (pattern is None or pattern.fullmatch(text)))
    number = shape.metadata.get("min", shape.metadata.get("max", 1))
    return {"boolean": True, "timestamp": 1_700_000_000}.get(shape.type_name, number)


def broken(shape: Any) -> Iterator[tuple[Any, str, str]]:
    """Values that break one constraint: the value, the path below the shape, and AWS's words."""
    kinds = {"structure": broken_structures, "list": broken_lists, "string": broken_strings}
    return kinds.get(shape.type_name, broken_numbers)(shape)


def broken_structures(shape: Any) -> Iterator[tuple[Any, str, str]]:
    for name, member in shape.members.items():
        label = name[0].lower() + name[1:]
        if name in shape.required_members:
            rest = {other: value for other, value in sample(shape).items() if other != name}
            yield rest, label, "Member must not be null"
        for value, path, says in broken(member):
            yield {**sample(shape), name: value}, f"{label}.{path}".rstrip("."), says


def broken_lists(shape: Any) -> Iterator[tuple[Any, str, str]]:
    for value, path, says in broken(shape.member):
        yield [sample(shape.member), value], f"2.member.{path}".rstrip("."), says
    if low := shape.metadata.get("min"):
        yield [], "", f"Member must have length greater than or equal to {low}"
    if high := shape.metadata.get("max"):
        yield [sample(shape.member)] * (high + 1), "", f"Member must have length less than or equal to {high}"


def broken_strings(shape: Any) -> Iterator[tuple[Any, str, str]]:
    if options := shape.metadata.get("enum"):
        yield "NONSENSE", "", f"Member must satisfy enum value set: [{', '.join(options)}]"
    if low := shape.metadata.get("min"):
        yield "", "", f"Member must have length greater than or equal to {low}"
    if high := shape.metadata.get("max"):
        yield sample(shape).ljust(high + 1, "a"), "", f"Member must have length less than or equal to {high}"
    if pattern := pattern_of(shape):
        value = next(text for text in BAD if not pattern.fullmatch(text))
        yield value, "", f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


def broken_numbers(shape: Any) -> Iterator[tuple[Any, str, str]]:
    limits = shape.metadata
    if "min" in limits:
        yield limits["min"] - 1, "", f"Member must have value greater than or equal to {limits['min']}"
    if "max" in limits:
        yield limits["max"] + 1, "", f"Member must have value less than or equal to {limits['max']}"


def violations() -> Iterator[Violation]:
    """One of each kind for each operation; tests/edge_manager/test_contract.py has all of them, without the HTTP."""
    for operation in names(CONTROL):
        kinds = {says: (request, path) for request, path, says in broken(MODEL.operation_model(operation).input_shape)}
        for says, (request, path) in kinds.items():
            yield Violation(operation, request, path, says)


@pytest.mark.parametrize("violation", list(violations()), ids=str)
def test_breaking_a_constraint_is_refused_in_the_words_of_aws(sagemaker: Any, violation: Violation) -> None:
    with pytest.raises(ClientError) as refusal:
        getattr(sagemaker, xform_name(violation.operation))(**violation.request)
    error = refusal.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].split(" validation error")[0].isdigit()
    assert f" at '{violation.path}' failed to satisfy constraint: {violation.says}" in error["Message"]


def test_a_long_name_is_refused_with_both_constraints_that_it_breaks(create: Callable[..., str]) -> None:
    with pytest.raises(ClientError) as refusal:
        create("a" * 64, fleet="fleet")
    assert refusal.value.response["Error"]["Message"] == (
        f"2 validation errors detected: Value '{'a' * 64}' at 'edgeDeploymentPlanName' failed to satisfy constraint: "
        f"Member must have length less than or equal to 63; Value '{'a' * 64}' at 'edgeDeploymentPlanName' "
        "failed to satisfy constraint: Member must satisfy regular expression pattern: "
        "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def post(url: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    """A request that no SDK would send."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    credential = "AWS4-HMAC-SHA256 Credential=key/20260101/eu-west-1/sagemaker/aws4_request, SignedHeaders=host"
    sent = {"Authorization": credential, "X-Amz-Target": "SageMaker.ListTags"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/", body, {name: value for name, value in sent.items() if value})
    response = connection.getresponse()
    answer = json.loads(response.read())
    assert response.headers["x-amzn-RequestId"]
    connection.close()
    return response.status, answer


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Unable to parse the request body as JSON."),
        (b"[]", "Start of list found where not expected."),
        (b'{"ResourceArn": 5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"ResourceArn": true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"ResourceArn": {}}', "Start of structure or map found where not expected."),
        (b'{"ResourceArn": "x", "MaxResults": "50"}', "STRING_VALUE can not be converted to a Integer"),
        (b'{"ResourceArn": "x", "MaxResults": true}', "TRUE_VALUE can not be converted to a Integer"),
    ],
)
def test_the_wrong_type_is_a_serialization_exception(sandbox: Sandbox, body: bytes, message: str) -> None:
    assert post(sandbox.url, body) == (400, {"__type": "SerializationException", "message": message})


def test_members_that_the_model_does_not_know_are_ignored(sandbox: Sandbox) -> None:
    body = json.dumps({"ResourceArn": PLAN_ARN, "Surprise": 1}).encode()
    answer = {"__type": "ResourceNotFound", "Message": f"Resource {PLAN_ARN} does not exist."}
    assert post(sandbox.url, body) == (400, answer)


def test_other_operations_are_unknown(sandbox: Sandbox) -> None:
    for target in ("SageMaker.CreateTrainingJob", "SageMaker.Nonsense", "DynamoDB_20120810.ListTables"):
        status, answer = post(sandbox.url, b"{}", X_Amz_Target=target)
        assert (status, answer["__type"]) == (400, "UnknownOperationException")


def test_a_request_without_a_signature_is_refused(sandbox: Sandbox) -> None:
    assert post(sandbox.url, b"{}", Authorization="")[1]["__type"] == "MissingAuthenticationTokenException"
    assert post(sandbox.url, b"{}", Authorization="Bearer x")[1]["__type"] == "IncompleteSignatureException"


def incomplete(shape: Any, value: Any, path: str) -> Iterator[str]:
    """What a parsed answer lacks, or has in a form that the model does not know."""
    if shape.type_name == "structure":
        yield from (f"{path}.{name} is missing" for name in shape.required_members if name not in value)
        for name, member in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is not in the model"
            else:
                yield from incomplete(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from incomplete(shape.member, item, f"{path}[]")
    elif value not in shape.metadata.get("enum", (value,)):
        yield f"{path} is {value}"


# A life of a plan that calls every operation once or more, and nothing in it is refused.
