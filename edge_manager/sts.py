"""The two STS operations that a multi-account client needs, in the query protocol's XML."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import botocore.session

from edge_manager.errors import ApiError, constraints
from edge_manager.identity import Session
from edge_manager.wire import parser

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.identity import Caller

CONTENT_TYPE = "text/xml"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
OPERATIONS = frozenset({"GetCallerIdentity", "AssumeRole"})
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(.+)")
CHECK = parser(botocore.session.get_session().get_service_model("sts").operation_model("AssumeRole").input_shape)
SCALARS = ("RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId", "Policy")

# The query protocol's names of errors that AWS JSON calls otherwise, with the status that STS gives them.
NAMES = {
    "AccessDeniedException": ("AccessDenied", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 403),
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "ThrottlingException": ("Throttling", 400),
    "ValidationException": ("ValidationError", 400),
}


def answer(operation: str, caller: Caller, form: Mapping[str, str], request_id: str, wall: float) -> bytes:
    """The XML answer to a call."""
    if operation == "GetCallerIdentity":
        fields = {"UserId": caller.access_key, "Account": caller.account, "Arn": caller.arn}
        return _envelope(operation, _elements(fields), request_id)
    if operation == "AssumeRole":
        return _envelope(operation, _assume_role(form, wall), request_id)
    raise ApiError("InvalidAction", f"Could not find operation {operation} for version 2011-06-15")


def error(failure: ApiError, request_id: str) -> tuple[int, bytes]:
    """HTTP status and XML of a refusal."""
    code, status = NAMES.get(failure.code, (failure.code, failure.status))
    if failure.status != 400:  # noqa: PLR2004  somebody chose it
        status = failure.status
    kind = "Receiver" if status >= 500 else "Sender"  # noqa: PLR2004
    fields = _elements({"Type": kind, "Code": code, "Message": failure.message})
    body = f"<Error>{fields}</Error><RequestId>{request_id}</RequestId>"
    return status, f'<ErrorResponse xmlns="{NAMESPACE}">{body}</ErrorResponse>'.encode()


def _assume_role(form: Mapping[str, str], wall: float) -> str:
    wanted: dict[str, str | int] = {name: form[name] for name in SCALARS if name in form}
    if form.get("DurationSeconds", "").isdigit():
        wanted["DurationSeconds"] = int(form["DurationSeconds"])
    violations: list[str] = []
    CHECK(wanted, "", violations)
    if violations:
        raise constraints(violations)
    role = ROLE.fullmatch(form["RoleArn"])
    if role is None:
        raise ApiError("ValidationError", f"{form['RoleArn']} is invalid")
    seconds = float(wanted.get("DurationSeconds", 3600))
    session = Session(role.group(1), role.group(2), form["RoleSessionName"], wall + seconds)
    expiration = datetime.fromtimestamp(session.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    credentials = {
        "AccessKeyId": f"ASIA{session.account}{secrets.token_hex(2).upper()}",
        "SecretAccessKey": secrets.token_urlsafe(30),
        "SessionToken": session.token,
        "Expiration": expiration,
    }
    user = {"AssumedRoleId": f"AROA{session.account}:{session.name}", "Arn": session.arn}
    return (
        f"<Credentials>{_elements(credentials)}</Credentials><AssumedRoleUser>{_elements(user)}</AssumedRoleUser>"
        "<PackedPolicySize>0</PackedPolicySize>"
    )


def _elements(fields: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())


def _envelope(operation: str, result: str, request_id: str) -> bytes:
    return (
        f'<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()
