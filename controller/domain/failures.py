"""Failures of AWS calls as a closed set, each kind with one treatment.

Codes come from the SageMaker API reference and AWS's common errors; `tests/unit/test_failures.py` compares the
throttling codes with botocore's own list.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from controller.domain.reasons import Reason

STS_OPERATIONS = frozenset({"AssumeRole", "GetCallerIdentity"})

_ACTION = re.compile(r"not authorized to perform: ([a-z-]+:\w+)")
CREATE = "CreateEdgeDeploymentPlan"
# What these can miss is what the spec names: the fleet, packaging jobs, devices.
_OF_WHAT_THE_SPEC_NAMES = frozenset({CREATE, "DescribeDeviceFleet", "DescribeEdgePackagingJob", "DescribeDevice"})


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

    `harmless` says that AWS certainly did nothing: it answered with a refusal, or was never reached (not `sent`).
    """

    kind: FailureKind
    operation: str
    code: str
    message: str
    request_id: str | None = None
    harmless: bool = False
    sent: bool = True

    @property
    def iam_action(self) -> str:
        """The IAM action that the failed call needs, such as sagemaker:CreateEdgeDeploymentPlan."""
        told = _ACTION.search(self.message)  # sts:TagSession, say, where a role is assumed with tags
        return told[1] if told else f"{'sts' if self.operation in STS_OPERATIONS else 'sagemaker'}:{self.operation}"

    @property
    def passes(self) -> bool:
        """Whether it is of this call alone: others may be made meanwhile."""
        return self.kind not in {FailureKind.THROTTLED, FailureKind.CREDENTIALS}

    @property
    def reason(self) -> Reason:
        """Why an object is not ready that waits for such a call to work: what tells one kind of outage from another."""
        match self.kind:
            case FailureKind.CREDENTIALS:
                return Reason.ACCESS_DENIED if self.code in DENIED_CODES else Reason.NO_CREDENTIALS
            case FailureKind.THROTTLED:
                return Reason.THROTTLED
            case FailureKind.TRANSIENT if self.code not in STATE_CODES:
                return Reason.AWS_UNAVAILABLE
            case FailureKind.TRANSIENT if self.operation in _OF_WHAT_THE_SPEC_NAMES and self.code == "ResourceNotFound":
                return Reason.REFERENCE_NOT_FOUND
            case _:
                return Reason.PROGRESSING_WITH_RETRY

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" (request id {self.request_id})" if self.request_id else "")


QUOTA_CODES = frozenset({"ResourceLimitExceeded", "ServiceQuotaExceededException"})
# Tables: with a code a line they would be three screens.
# fmt: off
THROTTLING_CODES = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
    "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
    "TooManyRequestsException", "TransactionInProgressException",
})
# Who calls is known, and may not: what may be missing is a right.
DENIED_CODES = frozenset({
    "AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired", "UnauthorizedOperation",
})
CREDENTIALS_CODES = DENIED_CODES | {
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId",
    "InvalidSignatureException", "MissingAuthenticationToken", "MissingAuthenticationTokenException", "RequestExpired",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
}
# AWS works, and something is not as the call needs it: what a plan refers to (a fleet, a packaging job) may come later.
STATE_CODES = frozenset({"ConflictException", "ResourceInUse", "ResourceNotFound"})
TRANSIENT_CODES = STATE_CODES | {
    "InternalFailure", "InternalServerError", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable",
}
UNKNOWN_OPERATION_CODES = frozenset({"InvalidAction", "UnknownOperationException"})
TERMINAL_CODES = UNKNOWN_OPERATION_CODES | {
    "InvalidParameterCombination", "InvalidParameterValue", "MissingParameter",
    "ValidationError", "ValidationException",
}
# fmt: on
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
