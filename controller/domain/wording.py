"""Words that several messages share."""

import re
from datetime import UTC, datetime

from controller.domain.failures import CREATE, Failure, FailureKind
from controller.domain.observed import ObservedStage
from controller.domain.reasons import Reason

UNWATCHED = (
    "a stage that has begun goes on in AWS, unwatched: no bound of the rollout stops it, and counts are the last seen"
)

_UNCHANGED = "; the plan stays as it is until then"
_WAYS_OUT = {
    CREATE: "create it, or correct deviceFleetName, edgePackagingJobName or deviceNames",
    "DescribeDeviceFleet": f"create it, or correct deviceFleetName{_UNCHANGED}",
    "DescribeEdgePackagingJob": f"create it, or correct edgePackagingJobName{_UNCHANGED}",
    "DescribeDevice": f"register it, or correct deviceNames{_UNCHANGED}",
}


def counts(succeeded: int, pending: int, failed: int) -> str:
    """The devices of a stage, in words."""
    return f"{succeeded} succeeded, {pending} pending, {failed} failed"


def a_failed_device(stage: ObservedStage, why: str = "") -> str:
    """One device that failed, to be added to why a stage failed; with AWS's reason unless that is said already."""
    for one in stage.failed_devices[:1]:
        words = one.message or "FAILED"
        return f"; device {one.device_name}" + ("" if words in why else f": {words}")
    return ""


def place_in_queue(place: int, waiting: int, refusal: str) -> str:
    """A place in the quota queue, and how much of the quota is used where AWS's refusal says so."""
    suffix = "th" if place % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    told = re.search(r" is (\d+)\b(?:.* utilization of (\d+)\b)?", refusal)
    used = f" ({told[2]} of {told[1]} used)" if told and told[2] else f" (limit {told[1]})" if told else ""
    return f"{place}{suffix} of {waiting} waiting for quota{used}"


def next_try(moment: datetime) -> str:
    """When a call is made again, in words that stand before AWS's."""
    return f"next try {_clock(moment)}"


def until(moment: datetime) -> str:
    """How long something lasts, in words that end a message."""
    return f", until {_clock(moment)}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"


def lasting(message: str) -> str:
    """A message without its times and request id, which each try has of its own: so that an event that repeats is one."""
    return re.sub(r"^next try \S+ UTC: |, next try \S+ UTC| \(request id [^)]*\)|, until [\d:]+ UTC$", "", message)


def explain(failure: Failure) -> str:
    """The failure for people: what failed, AWS's own words, and what to do where we know."""
    match failure.kind:
        case FailureKind.CREDENTIALS:
            missing = f"its IAM policy allows {failure.iam_action}"
            if failure.reason is Reason.NO_CREDENTIALS:
                missing = "it has credentials that are valid"
            return f"{failure}; ask whoever runs the operator whether {missing}"
        case FailureKind.THROTTLED:
            return f"AWS throttles this account: {failure}"
        case _ if failure.reason is Reason.REFERENCE_NOT_FOUND:
            return f"AWS does not have what the spec names ({_WAYS_OUT[failure.operation]}): {failure}"
        case _:
            return f"{failure.operation} failed: {failure}"
