"""The two STS operations that clients need, in the query protocol's XML."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import escape

import botocore.session

from edge_manager.api.wire import parser
from edge_manager.errors import ApiError, constraints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTENT_TYPE = "text/xml"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(.+)")
CHECK = parser(botocore.session.get_session().get_service_model("sts").operation_model("AssumeRole").input_shape)
SCALARS = ("RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId", "Policy")
DURATION = re.compile(r"[0-9]{1,9}")
TAG = re.compile(r"Tags\.member\.([0-9]{1,4})\.(Key|Value)")
HOUR = 3600

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


class Identity(NamedTuple):
    """Who asks."""

    access_key: str
    account: str
    arn: str


class Wanted(NamedTuple):
    """The session that AssumeRole is asked for."""

    account: str
    role: str
    name: str
    expires: float

    @property
    def arn(self) -> str:
        """The ARN that AWS gives the session."""
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role.rsplit('/', 1)[-1]}/{self.name}"


class Credentials(NamedTuple):
    """What AssumeRole hands out."""

    access_key: str
    secret: str
    token: str


def answer(
    identity: Identity, form: Mapping[str, str], assume: Callable[[Wanted], Credentials], request_id: str, now: float
) -> bytes:
    """The XML answer to a call; `assume` makes a session, or refuses it."""
    operation = form.get("Action", "")
    if operation == "GetCallerIdentity":
        fields = {"UserId": identity.access_key, "Account": identity.account, "Arn": identity.arn}
        return _envelope(operation, _elements(fields), request_id)
    if operation == "AssumeRole":
        wanted = _wanted(form, now)
        return _envelope(operation, _session(wanted, assume(wanted)), request_id)
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


def _wanted(form: Mapping[str, str], now: float) -> Wanted:
    wanted: dict[str, Any] = {name: form[name] for name in SCALARS if name in form}
    if tags := _tags(form):
        wanted["Tags"] = tags
    if DURATION.fullmatch(form.get("DurationSeconds", "")):
        wanted["DurationSeconds"] = int(form["DurationSeconds"])
    violations: list[str] = []
    CHECK(wanted, "", violations)
    if violations:
        raise constraints(violations)
    role = ROLE.fullmatch(form["RoleArn"])
    if role is None:
        raise ApiError("ValidationError", f"{form['RoleArn']} is invalid")
    return Wanted(role[1], role[2], form["RoleSessionName"], now + float(wanted.get("DurationSeconds", HOUR)))


def session_tags(form: Mapping[str, str]) -> dict[str, str]:
    """The tags of the session that AssumeRole is asked for."""
    return {tag.get("Key", ""): tag.get("Value", "") for tag in _tags(form)}


def _tags(form: Mapping[str, str]) -> list[dict[str, str]]:
    tags: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        if found := TAG.fullmatch(name):
            tags.setdefault(int(found[1]), {})[found[2]] = value
    return [tags[place] for place in sorted(tags)]


def _session(wanted: Wanted, made: Credentials) -> str:
    credentials = {
        "AccessKeyId": made.access_key,
        "SecretAccessKey": made.secret,
        "SessionToken": made.token,
        "Expiration": datetime.fromtimestamp(wanted.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    user = {"AssumedRoleId": f"AROA{wanted.account}:{wanted.name}", "Arn": wanted.arn}
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
