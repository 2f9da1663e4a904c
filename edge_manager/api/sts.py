"""The two STS operations that clients need, in the query protocol's XML."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from edge_manager.errors import ApiError, constraints
from edge_manager.sts import CHECK, NAMESPACE, ROLE, SCALARS, error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.api.door import Door
    from edge_manager.domain.access import Principal

__all__ = ["answer", "error"]

HOUR = 3600


def answer(door: Door, principal: Principal, form: Mapping[str, str], request_id: str, now: float) -> bytes:
    """The XML answer to a call."""
    operation = form.get("Action", "")
    if operation == "GetCallerIdentity":
        fields = {"UserId": principal.access_key, "Account": principal.account, "Arn": principal.arn}
        return _envelope(operation, _elements(fields), request_id)
    if operation == "AssumeRole":
        return _envelope(operation, _assume_role(door, principal, form, now), request_id)
    raise ApiError("InvalidAction", f"Could not find operation {operation} for version 2011-06-15")


def _assume_role(door: Door, principal: Principal, form: Mapping[str, str], now: float) -> str:
    wanted: dict[str, str | int] = {name: form[name] for name in SCALARS if name in form}
    if form.get("DurationSeconds", "").isdecimal():
        wanted["DurationSeconds"] = int(form["DurationSeconds"])
    violations: list[str] = []
    CHECK(wanted, "", violations)
    if violations:
        raise constraints(violations)
    role = ROLE.fullmatch(form["RoleArn"])
    if role is None:
        raise ApiError("ValidationError", f"{form['RoleArn']} is invalid")
    expires = now + float(wanted.get("DurationSeconds", HOUR))
    session = door.assume(principal, role.group(1), role.group(2), form["RoleSessionName"], expires)
    credentials = {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": session.token,
        "Expiration": datetime.fromtimestamp(session.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    user = {"AssumedRoleId": f"{session.access_key}:{form['RoleSessionName']}", "Arn": session.arn}
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
