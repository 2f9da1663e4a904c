"""What went wrong with a call, as a Failure: AWS's refusals, botocore's exceptions, answers that are not AWS's."""

import re

import botocore.exceptions
from botocore.parsers import ResponseParserError

from controller.aws.redaction import redact
from controller.domain.failures import (
    CREDENTIALS_CODES,
    DENIED_CODES,
    TOO_MANY_REQUESTS,
    Failure,
    FailureKind,
    classify,
)
from controller.domain.reasons import Reason

UNREADABLE = "UnreadableAnswer"
LONGEST_MESSAGE = 1_000
LONGEST_COMPLAINT = 200
_REDIRECT = 300
# botocore's own stopgaps, besides the HTTP status, for an answer without a code: AWS always gives one.
_NO_CODE = ("", "Unknown")

# The request was never sent: AWS cannot have done anything.
_UNSENT = (
    botocore.exceptions.EndpointConnectionError,
    botocore.exceptions.ConnectTimeoutError,
    botocore.exceptions.ProxyConnectionError,
    botocore.exceptions.SSLError,
    botocore.exceptions.ParamValidationError,
)
_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.UnauthorizedSSOTokenError,
)
_NO_CREDENTIALS = frozenset(error.__name__ for error in _CREDENTIALS)
# What botocore's parsers run into when an answer is of another make: they look up and convert without a check.
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, ResponseParserError)


class UnreadableAnswerError(Exception):
    """The answer is not one that AWS gives. `text` is short, and quotes nothing of the answer."""

    def __init__(self, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.text = _bounded(text, LONGEST_COMPLAINT)
        self.status = status


def credentials_trouble(code: str) -> Reason | None:
    """What keeps out an object that met an error of that code: AccessDenied, NoCredentials, or neither."""
    if code in DENIED_CODES:
        return Reason.ACCESS_DENIED
    return Reason.NO_CREDENTIALS if code in CREDENTIALS_CODES or code in _NO_CREDENTIALS else None


def failure_of(operation: str, error: Exception) -> Failure:
    """The failure behind an exception of a call."""
    if isinstance(error, botocore.exceptions.ClientError):
        return _refusal(error)
    if isinstance(error, UnreadableAnswerError):
        if error.status >= _REDIRECT:
            return _not_aws(operation, error.status, error.text)
        return Failure(FailureKind.TRANSIENT, operation, UNREADABLE, error.text)
    name, text = type(error).__name__, _bounded(redact(" ".join(str(error).split())), LONGEST_MESSAGE)
    if isinstance(error, _CREDENTIALS):
        return Failure(FailureKind.CREDENTIALS, operation, name, text, harmless=True, sent=False)
    if isinstance(error, botocore.exceptions.ParamValidationError):
        return Failure(FailureKind.TERMINAL, operation, name, text, harmless=True, sent=False)
    if isinstance(error, botocore.exceptions.HTTPClientError | botocore.exceptions.ConnectionError):
        unsent = isinstance(error, _UNSENT)
        return Failure(FailureKind.TRANSIENT, operation, name, text, harmless=unsent, sent=not unsent)
    if isinstance(error, _UNREADABLE) and not isinstance(error, botocore.exceptions.BotoCoreError):
        complaint = f"the answer is not of the form of AWS's: {name} in reading it"
        return Failure(FailureKind.TRANSIENT, operation, UNREADABLE, complaint)
    return Failure(FailureKind.UNKNOWN, operation, name, text)


def _refusal(error: botocore.exceptions.ClientError) -> Failure:
    details, metadata = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    status, request_id = metadata.get("HTTPStatusCode", 0), metadata.get("RequestId")
    code = str(details.get("Code") or "")
    if code.isdigit() or code in _NO_CODE:
        return _not_aws(error.operation_name, status, "an error without a code", request_id)
    return Failure(
        kind=classify(code, status),
        operation=error.operation_name,
        code=_bounded(code, 100),
        message=words(str(details.get("Message") or "")),
        request_id=request_id,
        harmless=400 <= status < 500,  # noqa: PLR2004 - HTTP's own numbers
    )


def _not_aws(operation: str, status: int, came: str, request_id: str | None = None) -> Failure:
    """An answer that somebody else gave, who may have passed the request on before: nothing is known of its fate."""
    text = f"AWS's answer was expected, {came} came: what stands between, a proxy perhaps, seems to have answered"
    kind = FailureKind.THROTTLED if status == TOO_MANY_REQUESTS else FailureKind.TRANSIENT
    return Failure(kind, operation, f"HTTP {status}", _bounded(text, LONGEST_COMPLAINT), request_id)


def words(message: str) -> str:
    """AWS's own words: the first line, for after it a refused signature quotes the request with all its headers."""
    lines = [line for line in re.split(r"[\r\n]+|\\n", message.strip()) if line.strip()]
    return _bounded(redact(" ".join(lines[0].split())), LONGEST_MESSAGE) if lines else ""


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
