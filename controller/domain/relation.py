"""How a plan found in AWS relates to our object."""

from enum import Enum, auto

from controller.domain.api import OWNER_TAG
from controller.domain.changes import immutable_changes
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan
from controller.domain.ownership import Owner
from controller.domain.status import EdgeDeploymentPlanStatus


class Relation(Enum):
    """How a plan found in AWS relates to our object."""

    OURS = auto()
    OURS_TO_TAG = auto()  # ours, but the tag is gone or names a former life of the object
    UNOWNED = auto()  # nobody's: made by hand, say
    FOREIGN = auto()  # another object's, or that of a later life of this one

    @property
    def is_ours(self) -> bool:
        """Whether the plan is the object's, tagged or still to be."""
        return self in {Relation.OURS, Relation.OURS_TO_TAG}


def relation(observed: ObservedPlan, desired: Desired, status: EdgeDeploymentPlanStatus) -> Relation:
    """Whose the observed plan is. Tags that were not fetched raise no doubt.

    A plan without the tag is ours only if we tagged that ARN before and certainly saw this very plan, or it was made when
    ours was, as ours was: somebody may have deleted ours and made another of its name. Of two lives of one object the later one owns the plan, in a rebuilt
    cluster say: a tag that took the place of ours is a later life's, any other a former one's.
    """
    if observed.tags is None:
        return Relation.OURS
    value = observed.tags.get(OWNER_TAG)
    tagged_before = OWNER_TAG in (status.applied_tag_keys or ())  # not so for what was only observed
    known = status.edge_deployment_plan_arn == observed.arn and tagged_before
    if value is None:
        same = status.knows_by(observed.created) and (status.creation_time or not immutable_changes(desired, observed))
        return Relation.OURS_TO_TAG if known and same else Relation.UNOWNED
    other = Owner.parse(value)
    if other is None or not desired.owner.same_object(other):
        return Relation.FOREIGN
    if other.uid == desired.owner.uid:
        return Relation.OURS
    return Relation.FOREIGN if known else Relation.OURS_TO_TAG
