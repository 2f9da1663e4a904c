"""Words that several messages share."""

from controller.domain.failures import Failure, FailureKind


def counts(succeeded: int, pending: int, failed: int) -> str:
    """The devices of a stage, in words."""
    return f"{succeeded} succeeded, {pending} pending, {failed} failed"


def behind(plans: int) -> str:
    """A place in the quota queue, in words."""
    return f"waiting for quota behind {plans} {'plan' if plans == 1 else 'plans'}"


def explain(failure: Failure) -> str:
    """The failure for people: what failed, AWS's own words, and what to do where we know."""
    match failure.kind:
        case FailureKind.CREDENTIALS:
            return f"{failure}; check the controller's credentials and that its IAM policy allows {failure.iam_action}"
        case FailureKind.THROTTLED:
            return f"AWS throttles this account: {failure}"
        case _:
            return f"{failure.operation} failed: {failure}"
