"""Everything that an attempt is told beside the object: one value, passed whole."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.domain.agenda import Wake
from controller.domain.ownership import Rights
from controller.domain.quota import Place
from controller.domain.resource import Resource, Scope
from controller.domain.status import EdgeDeploymentPlanStatus

SETTLE = timedelta(seconds=60)


@dataclass(frozen=True)
class Circumstances:
    """What a decision needs beside desired and observed."""

    status: EdgeDeploymentPlanStatus
    now: datetime
    asked: bool = False
    """Whether somebody asked for a reconcile by annotation: a FAILED or STOPPED stage is started once more."""
    edited: bool = False
    """Whether the spec changed since it was last carried out: a STOPPED stage that crosses no bound goes on."""
    wakes: frozenset[Wake] = frozenset()
    cluster: str = ""
    """Identity of this cluster in ownership tags."""
    process: str = ""
    """Identity of this operator's process in claims."""
    unanswered_for: timedelta = timedelta(0)
    """How long a create of this object whose answer got lost may still be carried out."""
    settling_for: timedelta = timedelta(0)
    """How long AWS's reads are not believed yet, by a clock that does not jump: this process made a change, or tried to."""
    starting_for: timedelta = timedelta(0)
    """How long a create of the process before this one may still be under way, by that clock."""
    settle: timedelta = SETTLE
    """How long AWS's reads may lag behind its writes, and a call that was given up may still be carried out."""
    scope: Scope | None = None
    """Account and region of the plan; None where `refusal` says why there is none."""
    refusal: str = ""
    rights: Rights = field(default_factory=Rights)
    adopting: bool = False
    """Whether the plan of anybody counts as ours to tag: what Observe shows."""
    namesakes: tuple[Resource, ...] = ()
    """Other objects that want the same AWS plan."""
    applied_tag_keys: frozenset[str] = frozenset()
    """Tag keys that this object put on the plan."""
    other_owner_lives: bool = True
    """Whether the object that a foreign ownership tag names is there. Another cluster's counts as there."""
    place: Place = field(default_factory=Place)
    """In the quota queue of the account and region."""
    over_share: bool = False
    """Whether the namespace's share of quota is used up by plans that come before this one."""
    crowd: int = 0
    """How many plans have stages under way in this account and region."""
    untouched: bool = False
    """Whether the object certainly has nothing in AWS: it was held by this process, and every create was refused."""
    alone: bool = True
    """Whether no other operator acts on the object: what was not made here was not made at all."""
    dice: float = 0.5
    """Uniform in [0, 1): spreads the retries."""
