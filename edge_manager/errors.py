"""What the API refuses, with AWS's code, words and HTTP status; and what a program cannot be started with."""

from __future__ import annotations

SERVER_ERRORS = {
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
}

# Modelled SageMaker errors carry `Message`, the errors of AWS's common front door carry `message`.
MODELLED = frozenset({"ResourceInUse", "ResourceNotFound", "ResourceLimitExceeded", "ConflictException"})

WORDS = {
    "ExpiredTokenException": "The security token included in the request is expired",
    "InternalFailure": "We encountered an internal error. Please try again.",
    "InternalServerError": "We encountered an internal error. Please try again.",
    "MissingAuthenticationTokenException": "Missing Authentication Token",
    "ServiceUnavailable": "Service is unavailable. Please try again.",
    "ThrottlingException": "Rate exceeded",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
}


class ConfigurationError(Exception):
    """What a program was started with makes no sense here; one line for whoever started it, and exit code 2."""


class ApiError(Exception):
    """A refusal: `code` becomes `__type` on the wire, `message` AWS's text."""

    def __init__(self, code: str, message: str | None = None, status: int | None = None) -> None:
        self.code = code
        self.message = WORDS.get(code, code) if message is None else message
        self.status = status or SERVER_ERRORS.get(code, 400)
        super().__init__(f"{code}: {self.message}")


def invalid(message: str) -> ApiError:
    """A request that is well formed and makes no sense."""
    return ApiError("ValidationException", message)


def constraints(violations: list[str]) -> ApiError:
    """Every constraint of the service model that a request breaks, worded as AWS words it."""
    noun = "error" if len(violations) == 1 else "errors"
    return invalid(f"{len(violations)} validation {noun} detected: {'; '.join(violations)}")


def not_found(what: str, name: str) -> ApiError:
    """A name that this account and region do not hold."""
    return ApiError("ResourceNotFound", f"{what} {name} does not exist.")


def in_use(message: str) -> ApiError:
    """A resource that is too busy to be removed."""
    return ApiError("ResourceInUse", message)


def quota_reached(limit: str, unit: str, maximum: int, used: int, delta: int = 1) -> ApiError:
    """An account-level quota that is used up."""
    return ApiError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{limit}' is {maximum} {unit}, with current utilization of {used} {unit} "
        f"and a request delta of {delta} {unit}. Please use AWS Service Quotas to request an increase for this quota.",
    )


def access_denied(principal: str, action: str, resource: str) -> ApiError:
    """A principal that no identity-based policy lets through."""
    return ApiError(
        "AccessDeniedException",
        f"User: {principal} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action",
    )
