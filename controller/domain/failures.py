"""Failures of AWS calls as a closed set, each kind with one treatment.

Codes come from the SageMaker API reference and AWS's common errors; `tests/unit/test_failures.py` compares the
throttling codes with botocore's own list.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

STS_OPERATIONS = frozenset({"AssumeRole", "GetCallerIdentity"})


class FailureKind(StrEnum):
    """What kind of failure it is."""

    QUOTA = "quota"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    CREDENTIALS = "credentials"
    TERMINAL = "terminal"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Failure:
    """One failed AWS call, as far as the loop needs it.

    `harmless` says that AWS certainly did nothing: it answered with a refusal, or was never reached.
    """

    kind: FailureKind
    operation: str
    code: str
    message: str
    request_id: str | None = None
    harmless: bool = False

    @property
    def iam_action(self) -> str:
        """The IAM action that the failed call needs, such as sagemaker:CreateEdgeDeploymentPlan."""
        return f"{'sts' if self.operation in STS_OPERATIONS else 'sagemaker'}:{self.operation}"

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" (request id {self.request_id})" if self.request_id else "")


QUOTA_CODES = frozenset({"ResourceLimitExceeded", "ServiceQuotaExceededException"})
THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
CREDENTIALS_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
# ResourceNotFound is here and not among the terminal: what a plan refers to (a fleet, a packaging job) may come later.
TRANSIENT_CODES = frozenset(
    {
        "ConflictException",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceInUse",
        "ResourceNotFound",
        "ServiceUnavailable",
    }
)
TERMINAL_CODES = frozenset(
    {
        "InvalidAction",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "MissingParameter",
        "UnknownOperationException",
        "ValidationError",
        "ValidationException",
    }
)
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


def classify(code: str, http_status: int) -> FailureKind:
    """The kind of an error that AWS answered with."""
    for kind, codes in (
        (FailureKind.QUOTA, QUOTA_CODES),
        (FailureKind.THROTTLED, THROTTLING_CODES),
        (FailureKind.CREDENTIALS, CREDENTIALS_CODES),
        (FailureKind.TERMINAL, TERMINAL_CODES),
        (FailureKind.TRANSIENT, TRANSIENT_CODES),
    ):
        if code in codes:
            return kind
    if http_status == TOO_MANY_REQUESTS:
        return FailureKind.THROTTLED
    return FailureKind.TRANSIENT if http_status >= SERVER_ERROR else FailureKind.UNKNOWN


BACKOFF_BASE = timedelta(seconds=1)
BACKOFF_CAP = timedelta(minutes=5)
CREDENTIALS_DELAY = timedelta(minutes=5)
THROTTLED_DELAY = timedelta(seconds=10)
_CAP_EXPONENT = 9  # 2 ** 9 seconds is past the cap; keeps the power small after a thousand attempts


def backoff(attempts: int, dice: float) -> timedelta:
    """Exponential backoff with full jitter: uniform between 0 and min(5 min, 1 s * 2 ** (attempts - 1)).

    `attempts` counts consecutive failures from 1; `dice` is uniform in [0, 1). The delay is never under 100 ms, so that
    an unlucky draw is no hot loop. Source: AWS Architecture Blog, "Exponential Backoff And Jitter".
    """
    ceiling: timedelta = min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempts - 1, _CAP_EXPONENT))
    return max(timedelta(milliseconds=100), ceiling * dice)


def delay(failure: Failure, attempts: int, dice: float) -> timedelta:
    """How long to wait before the call is made again, by the kind of its failure."""
    match failure.kind:
        case FailureKind.CREDENTIALS:
            return CREDENTIALS_DELAY * (0.9 + 0.2 * dice)
        case FailureKind.THROTTLED:
            return THROTTLED_DELAY * (0.5 + dice)
        case _:
            return backoff(attempts, dice)
