"""One run of the loop over one object: what it found at AWS, what it did there, and what it came to."""

from dataclasses import dataclass, field

from controller.domain.actions import Action, AddTags, CreatePlan, DeletePlan, DeleteTags
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Outcome
from controller.domain.ownership import Relation, relation
from controller.domain.resource import Resource
from controller.domain.summarize import Findings
from controller.engine.ports import EdgePlans


@dataclass(frozen=True)
class Result:
    """What one reconcile came to."""

    outcome: Outcome
    found: Findings = field(default_factory=Findings)
    done: tuple[Action, ...] = ()


class Run:
    """What one reconcile finds and does, as it goes."""

    def __init__(self, resource: Resource, site: EdgePlans, desired: Desired) -> None:
        self.resource = resource
        self.site = site
        self.desired = desired
        self.observed: ObservedPlan | None = None
        self.attempted: Action | None = None
        self.first_create = False
        self._arn = resource.status.edge_deployment_plan_arn
        self._looked = False
        self._done: list[Action] = []
        self._created_stages: tuple[str, ...] = ()
        self._applied = frozenset(resource.status.applied_tag_keys or ())

    async def observe(self, *, with_tags: bool) -> None:
        """Look at AWS; raises AwsError."""
        self.attempted = None
        self.observed = await self.site.describe(self.desired.name, with_tags=with_tags)
        self._looked = True
        if self.observed is None:
            self._arn = None
            self._applied = frozenset()
            return
        ours = relation(self.observed, self.desired.owner, self.resource.status) in {
            Relation.OURS,
            Relation.OURS_TO_TAG,
        }
        if ours and self.desired.spec.manages and self.observed.tags is not None:
            self._applied |= self.desired.tags.keys() & self.observed.tags.keys()
        if ours or not self.desired.spec.manages:
            self._arn = self.observed.arn

    def succeeded(self, action: Action, arn: str | None) -> None:
        """Note a call that worked; `arn` where it made the plan."""
        self._done.append(action)
        self._looked = True
        match action:
            case CreatePlan(_, _, _, stages, tags):
                self._arn = arn
                self._created_stages = tuple(stage.stage_name for stage in stages)
                self._applied = frozenset(tags)
            case AddTags(added_to, tags):
                self._arn = added_to
                self._applied |= frozenset(tags)
            case DeleteTags(_, keys):
                self._applied -= frozenset(keys)
            case DeletePlan():
                self.observed = None
                self._arn = None
                self._applied = frozenset()
            case _:
                pass

    def unanswered(self) -> None:
        """The answer to the last call got lost: its tags may be on the plan, and are to be taken off again one day."""
        match self.attempted:
            case AddTags(_, tags) | CreatePlan(_, _, _, _, tags):
                self._applied |= frozenset(tags)
            case _:
                pass

    def result(self, outcome: Outcome) -> Result:
        """What the run came to."""
        found = Findings(
            looked=self._looked,
            arn=self._arn,
            observed=self.observed,
            created_stages=self._created_stages,
            applied_tag_keys=tuple(sorted(self._applied)) or None,
        )
        return Result(outcome, found, tuple(self._done))
