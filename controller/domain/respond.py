"""What a failed call means for the object: the outcome of each kind of failure, in one place."""

from controller.domain.failures import Failure, FailureKind, delay
from controller.domain.outcomes import Queued, Retrying, Stalled
from controller.domain.resource import Resource


def respond(failure: Failure, resource: Resource, dice: float) -> Retrying | Queued | Stalled:
    """The outcome of a failed call. `dice` is uniform in [0, 1) and spreads the retries.

    An edited spec starts to count anew. While the object is being deleted nothing is terminal: AWS has the last word on
    what is left, so the loop goes on asking.
    """
    edited = resource.generation != resource.status.observed_generation
    before = 0 if edited or resource.status.retry is None else resource.status.retry.attempts
    match failure.kind:
        case FailureKind.THROTTLED:
            return Retrying(failure, delay(failure, 1, dice), attempts=0)
        case FailureKind.QUOTA:
            return Queued(0, delay(failure, before + 1, dice), before + 1, failure)
        case FailureKind.TERMINAL if not resource.deleting:
            return Stalled("RefusedByAWS", f"AWS refuses {failure.operation}", failure)
        case _:
            return Retrying(failure, delay(failure, before + 1, dice), before + 1)
