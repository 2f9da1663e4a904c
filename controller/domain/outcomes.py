"""How an attempt ends, and so what comes next. `summarize.py` turns each into conditions."""

from dataclasses import dataclass
from datetime import timedelta

from controller.domain.actions import Action
from controller.domain.failures import Failure
from controller.domain.reasons import Reason


@dataclass(frozen=True)
class Done:
    """AWS holds what the spec asks for."""

    reason: Reason
    message: str


IN_SYNC = Done(Reason.IN_SYNC, "AWS holds the plan as specified")


@dataclass(frozen=True)
class Waiting:
    """AWS is at work; look again after `after`."""

    after: timedelta
    reason: Reason
    message: str


@dataclass(frozen=True)
class Retrying:
    """A call failed; try again after `after`. `attempts` is what status.retry shows (0: nothing has counted yet)."""

    failure: Failure
    after: timedelta
    attempts: int


@dataclass(frozen=True)
class Queued:
    """AWS refused for quota, us or one before us; `ahead` of the plans that wait go first, the first of them asks.

    `attempts` is 0 where not this object was refused but one before it.
    """

    ahead: int
    after: timedelta
    attempts: int
    failure: Failure
    waiting: int = 1
    """How many plans wait, this one among them."""


@dataclass(frozen=True)
class Stalled:
    """Nothing more happens until somebody acts."""

    reason: Reason
    message: str
    failure: Failure | None = None


@dataclass(frozen=True)
class Pending:
    """Under Observe: AWS differs, and these are the calls that Manage would make."""

    actions: tuple[Action, ...]
    differences: tuple[str, ...] = ()
    """Of stages that both have, in words."""


@dataclass(frozen=True)
class Suspended:
    """spec.suspend is true."""

    unwatched: bool = False
    """Whether a stage may be under way in AWS."""


@dataclass(frozen=True)
class Gone:
    """Nothing of the object is left in AWS that should go with it: the finalizer may go."""

    reason: Reason
    message: str


Outcome = Done | Waiting | Retrying | Queued | Stalled | Pending | Suspended | Gone


@dataclass(frozen=True)
class Next:
    """No end yet: once the calls have worked, AWS is looked at again and the next step decided, in the same attempt."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Decision:
    """The calls to make now, in order, and what comes once all of them have worked."""

    actions: tuple[Action, ...]
    outcome: Outcome | Next
