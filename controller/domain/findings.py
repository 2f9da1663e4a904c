"""What an attempt has learned of AWS so far: a value, and what each look and each call adds to it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from controller.domain.actions import Action, AddTags, CreatePlan, CreateStages, DeletePlan, DeleteTags, StartStage
from controller.domain.api import OWNER_TAG
from controller.domain.changes import stage_changes
from controller.domain.circumstances import Circumstances
from controller.domain.desired import Desired
from controller.domain.observed import Created, ObservedPlan
from controller.domain.relation import Relation, relation
from controller.domain.status import EdgeDeploymentPlanStatus, Settling

_AWS_TAGS = "aws:"


@dataclass(frozen=True)
class Findings:
    """`looked` is False where AWS was not asked: the old report stands then."""

    looked: bool = False
    arn: str | None = None
    observed: ObservedPlan | None = None
    recognised: bool = False
    """Whether the observed plan is the object's own, or only observed: what it is known by later is of no other one."""
    created_stages: tuple[str, ...] = ()
    applied_tag_keys: frozenset[str] = frozenset()
    settling: Settling | None = None
    claimed: bool = False
    """Whether this attempt has announced what it does: nobody else does it meanwhile."""
    unsettled: bool = False
    """Whether this attempt changed, or may have changed, what AWS's reads do not show yet."""
    done: tuple[Action, ...] = ()

    @classmethod
    def of(cls, given: Circumstances) -> Self:
        """What the status still knows. The wall clock may have jumped since: so the wait has bounds on both sides."""
        status, known = given.status, given.status.settling
        left = min(known.until - given.now, given.settle) if known is not None else timedelta(0)
        until = given.now + max(left, given.settling_for)
        settling = (known or Settling(until=until)).model_copy(update={"until": until}) if until > given.now else None
        return cls(
            arn=status.edge_deployment_plan_arn,
            applied_tag_keys=frozenset(status.applied_tag_keys or ()),
            settling=settling,
        )

    def seen(self, observed: ObservedPlan | None, desired: Desired, status: EdgeDeploymentPlanStatus) -> Self:
        """After a look that is believed."""
        if observed is None:
            return replace(self, looked=True, observed=None, arn=None, applied_tag_keys=frozenset())
        related = relation(observed, desired, status)
        applied = self.applied_tag_keys
        if related.is_ours and desired.spec.manages and observed.tags is not None:
            # The ownership tag counts once it is ours: by it a later look tells whether somebody took the plan.
            unsure = frozenset() if related is Relation.OURS else {OWNER_TAG}
            applied |= desired.tags.keys() & observed.tags.keys() - unsure
            if related is Relation.OURS and self.arn is None:
                # Made by a create that the status never told of: all that is on the plan came with it.
                applied |= {key for key in observed.tags if not key.startswith(_AWS_TAGS)}
        known = related.is_ours or not desired.spec.manages
        # Nobody's: the plan that the object knew is gone. Somebody's: that it was the object's tells who came later.
        arn = observed.arn if known else None if related is Relation.UNOWNED else self.arn
        applied = applied if arn is not None else frozenset()
        return replace(self, looked=True, observed=observed, recognised=known, arn=arn, applied_tag_keys=applied)

    def claiming(self, action: Action) -> Self:
        """Before a call that must not be made twice: what it puts on the plan is noted first, to be taken off one day."""
        found = replace(self, looked=True, claimed=True)
        if isinstance(action, AddTags):
            found = replace(
                found, arn=action.arn, applied_tag_keys=self.applied_tag_keys | action.tags.keys() - {OWNER_TAG}
            )
        return found

    def is_lag(self, observed: ObservedPlan | None, desired: Desired, now: datetime) -> bool:
        """Whether a look shows less than is known: AWS confirmed a change that its reads do not show yet."""
        settling = self.settling
        if settling is None or now >= settling.until:
            return False
        if observed is None:
            return self.arn is not None
        started = observed.stage(settling.started) if settling.started is not None else None
        if started is not None and started.status == "READYTODEPLOY":
            return True
        # AWS's times may be too coarse to tell two changes apart: what is as it should be is believed.
        former = _older(observed.modified, settling.modified_after) and stage_changes(desired, observed) != ()
        return former or _older(observed.created, settling.created_after)

    def after(self, action: Action, made: Created | None, now: datetime, settle: timedelta) -> Self:
        """After a call that worked; `made` where it made the plan."""
        found = replace(self, looked=True, done=(*self.done, action))
        before = self.observed
        match action:
            case CreatePlan(stages=stages, tags=tags) if made is not None:
                former = self.settling.created_after if self.settling is not None else None
                earliest = max((moment for moment in (made.since, former) if moment is not None), default=None)
                names = tuple(stage.stage_name for stage in stages)
                found = replace(
                    found, arn=made.arn, observed=None, created_stages=names, applied_tag_keys=frozenset(tags)
                )
                return found.settled_by(now + settle, created_after=earliest)
            case AddTags(arn=arn, tags=tags):
                return replace(found, arn=arn, applied_tag_keys=self.applied_tag_keys | tags.keys())
            case DeleteTags(keys=keys):
                return replace(found, applied_tag_keys=self.applied_tag_keys - frozenset(keys))
            case CreateStages() if before is not None:
                return found.settled_by(now + settle, modified_after=before.modified)
            case DeletePlan():
                found = replace(found, arn=None, observed=None, applied_tag_keys=frozenset())
                former = before.created if before is not None else None
                return found.settled_by(now + settle, created_after=former, deleted=True)
            case StartStage(stage=stage):
                return found.settled_by(now + settle, started=stage)
            case _:
                return found

    def settled_by(self, until: datetime, **change: Any) -> Self:
        """After a call that worked, or may have: its `change` is shown by then; what is shown until then may be older."""
        former = self.settling
        stays = {"created_after": former.created_after, "unanswered": former.unanswered} if former is not None else {}
        return replace(self, settling=Settling(until=until, **stays | change), unsettled=True)


def _older(moment: datetime | None, bound: datetime | None) -> bool:
    return moment is not None and bound is not None and moment <= bound
