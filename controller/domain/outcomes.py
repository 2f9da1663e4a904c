"""How a reconcile ends, and so what comes next. `summarize.py` turns each into conditions."""

from dataclasses import dataclass
from datetime import timedelta

from controller.domain.actions import Action
from controller.domain.failures import Failure


@dataclass(frozen=True)
class Done:
    """AWS holds what the spec asks for."""

    reason: str
    message: str


IN_SYNC = Done("InSync", "AWS holds the plan as specified")


@dataclass(frozen=True)
class Waiting:
    """AWS is at work; look again after `after`."""

    after: timedelta
    reason: str
    message: str


@dataclass(frozen=True)
class Retrying:
    """A call failed; try again after `after`. `attempts` is what status.retry shows (0: nothing has counted yet)."""

    failure: Failure
    after: timedelta
    attempts: int


@dataclass(frozen=True)
class Queued:
    """AWS refused for quota, us or one before us; `ahead` plans go first, the first of them asks."""

    ahead: int
    after: timedelta
    attempts: int
    failure: Failure


@dataclass(frozen=True)
class Stalled:
    """Nothing more happens until somebody acts."""

    reason: str
    message: str
    failure: Failure | None = None


@dataclass(frozen=True)
class Pending:
    """Under Observe: AWS differs, and these are the calls that Manage would make."""

    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Suspended:
    """spec.suspend is true."""


@dataclass(frozen=True)
class Gone:
    """Nothing of the object is left at AWS that should go with it: the finalizer may go."""

    reason: str
    message: str


Outcome = Done | Waiting | Retrying | Queued | Stalled | Pending | Suspended | Gone


@dataclass(frozen=True)
class Decision:
    """The calls to make now, in order, and the outcome once all of them succeeded."""

    actions: tuple[Action, ...]
    outcome: Outcome
