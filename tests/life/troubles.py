"""Which troubles the random lives meet, and which of the stricter judgements hold. Turned on one by one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto


class Trouble(Enum):
    """What the world does to the operator beyond what it has always withstood."""

    SLOW_CALLS = auto()
    """Calls to AWS and to the cluster take their time: those of several objects interleave, users act in between."""
    LAGGING_READS = auto()
    """Describe and List are up to 20 s behind, each by itself."""
    LATE_WRITES = auto()
    """A call whose answer never came is carried out up to 20 s later."""
    QUOTA_BEFORE_NAME = auto()
    """A second create is refused for quota first."""
    API_SERVER_RESTARTS = auto()
    """Watches drop and list again; objects vanish meanwhile."""
    FINALIZER_RACES = auto()
    """An object goes although its finalizer was accepted."""
    STRIPPED_FINALIZERS = auto()
    """Somebody takes the finalizer off, while the object is being deleted or before."""
    FORCED_REPLACEMENTS = auto()
    """`kubectl replace --force`: another uid of the same name, at once."""
    NAMESAKES = auto()
    """Objects of one plan made in one second, whose uids are in no order."""
    HANGING_ACCOUNT = auto()
    """A region does not answer for a while."""
    MISSING_REFERENCES = auto()
    """Packaging jobs that objects name are not there, or not finished."""
    CLOSED_REGIONS = auto()
    """The administrator closes a region to everybody, and opens it again; the operator is restarted for either."""
    RUBBISH = auto()
    """A gateway answers with pages of its own, `{}`, or half of an answer."""
    TWO_OPERATORS = auto()
    """Two act at once, each with a watch of its own."""
    LATE_WATCH = auto()
    """News of objects come up to 5 s late."""
    LATE_LEASE = auto()
    """The lease is renewed too late, and held again: in between no call to AWS is made."""
    CLOCK_JUMPS = auto()
    """The wall clock of an operator's node goes wrong by hours."""


class Check(Enum):
    """What is judged beyond what has always held."""

    NOTHING_LOST = auto()
    """No plan of ours is left of an object that went with it."""
    NO_OLD_TAGS = auto()
    """Tags of a former spec are gone, also when a process died in between."""
    NO_WRITES_AT_REST = auto()
    """Once all is quiet nobody asks AWS to change anything, but for the one that quota alone keeps out."""
    STAGES_IN_ORDER = auto()
    """No stage starts while an earlier one is not DEPLOYED in truth."""


TURNED_ON: frozenset[Trouble] = frozenset(Trouble)
"""Those that lives may meet."""
MOST = 4
"""So many troubles meet in one life: with all of them there is no time for anything else."""
JUDGED: frozenset[Check] = frozenset(Check)

_met: set[Trouble] = set()


def meet(troubles: Iterable[Trouble]) -> None:
    """Begin a life that meets these troubles."""
    _met.clear()
    _met.update(troubles)


def troubled(trouble: Trouble) -> bool:
    """Whether this life meets that trouble."""
    return trouble in _met


def checked(check: Check) -> bool:
    """Whether that is judged."""
    return check in JUDGED
