"""Signature Version 4, the server's half: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.

The hash of the body is always reckoned from the body, so no signature carries another one; the host and every `x-amz-`
header must be signed. No refusal quotes what was to be signed, since a session token may be in it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from edge_manager.domain.scope import REGION
from edge_manager.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHM = "AWS4-HMAC-SHA256"
TIME = "%Y%m%dT%H%M%SZ"
SKEW = 300.0  # seconds, AWS's own
LONGEST = 7 * 24 * 3600  # seconds that a presigned request may hold
PART = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*")
BYTES = "surrogateescape"  # what aiohttp reads bytes with that are not UTF-8
WORD = re.compile(r"[!-~]+")  # whatever else is in a part of a signature, nobody signed so
SECONDS = re.compile(r"[0-9]{1,6}")
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True)
class Incoming:
    """An HTTP request as it came in; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    arguments: Sequence[tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", parse_qsl(self.query, keep_blank_values=True))


@dataclass(frozen=True)
class Signature:
    """What a request says about its signature."""

    access_key: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    value: str
    time: str
    token: str | None
    expires: int | None = None

    @property
    def is_presigned(self) -> bool:
        """Whether it is in the query instead of a header."""
        return self.expires is not None


def read(request: Incoming) -> Signature:
    """The signature of a request; one that is missing or makes no sense is refused."""
    arguments = dict(request.arguments)
    if "X-Amz-Signature" in arguments or "X-Amz-Credential" in arguments:
        return _presigned(arguments)
    authorization = request.headers.get("authorization", "")
    if not authorization:
        raise ApiError("MissingAuthenticationTokenException")
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Authorization header requires '{ALGORITHM}'.")
    parts = {match[1]: match[2] for part in rest.split(",") if (match := PART.fullmatch(part))}
    time = request.headers.get("x-amz-date", "")
    token = request.headers.get("x-amz-security-token")
    return _signature(
        parts.get("Credential"), parts.get("SignedHeaders"), parts.get("Signature"), time, token=token, expires=None
    )


def verify(request: Incoming, signature: Signature, secret: str, service: str, now: float) -> None:
    """Refuse a request that was not signed so, with this secret, for this service, at about this time."""
    _check_time(signature, now)
    if signature.service != service:
        raise _mismatch(f"Credential should be scoped to correct service: '{service}'.")
    unsigned = {name for name in request.headers if name == "host" or name.startswith("x-amz-")} - set(signature.signed)
    if unsigned or "host" not in signature.signed:
        named = ", ".join(sorted(unsigned | ({"host"} - set(signature.signed))))
        raise _mismatch(f"The headers {named} must be signed.")
    scope = f"{signature.date}/{signature.region}/{signature.service}/aws4_request"
    hashed = hashlib.sha256(_canonical(request, signature).encode(errors=BYTES)).hexdigest()
    text = f"{ALGORITHM}\n{signature.time}\n{scope}\n{hashed}"
    key = _sign(f"AWS4{secret}".encode(), signature.date)
    for part in (signature.region, signature.service, "aws4_request"):
        key = _sign(key, part)
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.value.encode()):
        raise _mismatch(MISMATCH)


def _presigned(arguments: Mapping[str, str]) -> Signature:
    if arguments.get("X-Amz-Algorithm") != ALGORITHM:
        raise _incomplete(f"X-Amz-Algorithm must be '{ALGORITHM}'.")
    expires = arguments.get("X-Amz-Expires", "")
    if SECONDS.fullmatch(expires) is None or int(expires) > LONGEST:
        raise _incomplete(f"X-Amz-Expires must be a number of seconds, at most {LONGEST}.")
    return _signature(
        arguments.get("X-Amz-Credential"),
        arguments.get("X-Amz-SignedHeaders"),
        arguments.get("X-Amz-Signature"),
        arguments.get("X-Amz-Date", ""),
        token=arguments.get("X-Amz-Security-Token"),
        expires=int(expires),
    )


def _signature(
    credential: str | None, signed: str | None, value: str | None, time: str, *, token: str | None, expires: int | None
) -> Signature:
    for name, part in (("Credential", credential), ("Signature", value), ("SignedHeaders", signed)):
        if not part:
            raise _incomplete(f"Authorization header requires '{name}' parameter.")
        if WORD.fullmatch(part) is None:
            raise _incomplete(f"'{name}' has characters in it that it cannot have.")
    if not time:
        raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    words = (credential or "").split("/")
    if len(words) != 5 or words[4] != "aws4_request":  # noqa: PLR2004  key, date, region, service, aws4_request
        raise _incomplete("Credential must have the form <key>/<date>/<region>/<service>/aws4_request.")
    key, date, region, service, _ = words
    if REGION.fullmatch(region) is None:
        raise _incomplete("The region in Credential is none: lower-case letters, digits and hyphens, at most 32.")
    headers = tuple((signed or "").lower().split(";"))
    return Signature(key, date, region, service, headers, value or "", time, token, expires)


def _check_time(signature: Signature, now: float) -> None:
    if WORD.fullmatch(signature.time) is None:
        raise _incomplete("Date must be in ISO-8601 'basic format'.")
    try:
        moment = datetime.strptime(signature.time, TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got '{signature.time}'.") from None
    if not signature.time.startswith(signature.date):
        raise ApiError(
            "SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version."
        )
    until = moment + (SKEW if signature.expires is None else signature.expires)
    if now > until:
        raise _mismatch(f"Signature expired: {signature.time} is too long ago.")
    if now < moment - SKEW:
        raise _mismatch(f"Signature not yet current: {signature.time} is still to come.")


def _canonical(request: Incoming, signature: Signature) -> str:
    arguments = [(name, value) for name, value in request.arguments if name != "X-Amz-Signature"]
    encoded = sorted((_quoted(name, "-_.~"), _quoted(value, "-_.~")) for name, value in arguments)
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signature.signed]
    return "\n".join(
        [
            request.method,
            _quoted(request.path, "/-_.~"),
            "&".join(f"{name}={value}" for name, value in encoded),
            "".join(headers),
            ";".join(signature.signed),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )


def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors=BYTES)


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _mismatch(message: str) -> ApiError:
    return ApiError("SignatureDoesNotMatch", message, 403)


def _incomplete(message: str) -> ApiError:
    return ApiError("IncompleteSignatureException", message)
