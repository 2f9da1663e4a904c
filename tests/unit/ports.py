"""The ports in memory: an AWS and a cluster that do as they are asked, and what can go wrong in between.

The real ones are tested elsewhere: `controller/aws` against the sandbox, `controller/cluster` against an API server.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.domain.actions import Action, CreatePlan, DeletePlan
from controller.domain.api import FINALIZER, OWNER_TAG
from controller.domain.desired import Reference
from controller.domain.events import Event
from controller.domain.failures import Failure
from controller.domain.observed import Created, ObservedPlan, PlanSummary
from controller.domain.ownership import Rights
from controller.domain.resource import Key, Resource, Scope
from controller.domain.spec import Target
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import AwsError, ObjectChanged, ObjectGone, TargetRefused
from tests.unit.builders import ACCOUNT, ARN, NOON, SCOPE, observed, observed_stage


class NoObjects:
    """A cluster that nobody should need."""

    async def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        raise AssertionError(f"wrote {status} of {resource.key}")

    async def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        raise AssertionError(f"claimed {resource.key} with {status}")

    async def hold(self, resource: Resource) -> Resource:
        raise AssertionError(f"held {resource.key}")

    async def release(self, resource: Resource) -> Resource | None:
        raise AssertionError(f"released {resource.key}")

    async def exists(self, key: Key, uid: str) -> bool:
        raise AssertionError(f"asked for {key} with {uid}")

    async def definition_going(self) -> bool:
        raise AssertionError("asked for the definition")

    def publish(self, resource: Resource, event: Event) -> None:
        raise AssertionError(f"published {event} about {resource.key}")


class MemoryObjects:
    """The objects of a cluster, by key. `before` is called before each call: whatever happens in between."""

    def __init__(self, *resources: Resource) -> None:
        self.there = {one.key: one for one in resources}
        self.calls: list[str] = []
        self.events: list[tuple[Key, Event]] = []
        self.before: Callable[[str], None] = lambda _call: None

    def change(self, resource: Resource) -> Resource:
        """Store the object as somebody else would."""
        known = self.there.get(resource.key)
        version = int(known.resource_version if known else resource.resource_version) + 1
        self.there[resource.key] = replace(resource, resource_version=str(version))
        return self.there[resource.key]

    async def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status; somebody's edit in between is no obstacle."""
        now = self._same("write", resource)
        return self.change(replace(now, status=status))

    async def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status if nothing came in between."""
        now = self._same("claim", resource)
        if now.resource_version != resource.resource_version:
            raise ObjectChanged(f"{resource.key} was changed meanwhile", now)
        return self.change(replace(now, status=status))

    async def hold(self, resource: Resource) -> Resource:
        """Put the finalizer on."""
        now = self._same("hold", resource)
        return self.change(replace(now, finalizers=(*now.finalizers, FINALIZER)))

    async def release(self, resource: Resource) -> Resource | None:
        """Take the finalizer off; an object that is being deleted goes."""
        self.calls.append("release")
        self.before("release")
        now = self.there.get(resource.key)
        if now is None or now.uid != resource.uid:
            return None
        finalizers = tuple(each for each in now.finalizers if each != FINALIZER)
        if now.deleting and not finalizers:
            del self.there[resource.key]
            return None
        return self.change(replace(now, finalizers=finalizers))

    async def exists(self, key: Key, uid: str) -> bool:
        """Whether that very object is there."""
        self.calls.append(f"exists {key}")
        return key in self.there and self.there[key].uid == uid

    async def definition_going(self) -> bool:
        """Never, here."""
        return False

    def publish(self, resource: Resource, event: Event) -> None:
        """Note the event."""
        self.events.append((resource.key, event))

    def _same(self, call: str, resource: Resource) -> Resource:
        self.calls.append(call)
        self.before(call)
        now = self.there.get(resource.key)
        if now is None or now.uid != resource.uid:
            raise ObjectGone(f"{resource.key} is gone")
        return now


@dataclass
class MemoryPlans:
    """The plans of one account and region, as rows and as plans; `failures` are met first, by call."""

    scope: Scope = SCOPE
    plans: dict[str, ObservedPlan] = field(default_factory=dict)
    rows: dict[str, PlanSummary] = field(default_factory=dict)
    owners: dict[str, Mapping[str, str]] = field(default_factory=dict)
    failures: dict[str, list[Failure | BaseException]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = field(default=lambda _call: None)

    async def describe(self, name: str, *, with_tags: bool) -> ObservedPlan | None:
        """The plan of that name."""
        self._call("describe")
        found = self.plans.get(name)
        return found if found is None or with_tags else replace(found, tags=None)

    async def apply(self, action: Action, still: Callable[[], object]) -> Created | None:
        """Do it, as far as the tests need it."""
        still()
        self._call(str(action))
        if isinstance(action, CreatePlan):
            stages = tuple(observed_stage(stage) for stage in action.stages)
            made = observed(tags=action.tags).but(name=action.name, stages=stages, tags=dict(action.tags))
            self.plans[action.name] = made
            return Created(ARN, since=NOON - timedelta(seconds=1))
        if isinstance(action, DeletePlan):
            self.plans.pop(action.name)
        return None

    async def list_plans(self, since: datetime | None = None) -> Mapping[str, PlanSummary]:
        """All rows, or those that were modified after that moment."""
        self._call("list" if since is None else "list changes")
        rows = self.rows.items()
        return {name: row for name, row in rows if since is None or (row.modified is not None and row.modified > since)}

    async def tags(self, arn: str) -> Mapping[str, str]:
        """The tags of a plan, by ARN."""
        self._call("tags")
        return self.owners.get(arn, {})

    async def status_of(self, reference: Reference) -> str:
        """Fleets are there, jobs are finished."""
        self._call(f"status of {reference}")
        return "" if reference.field == "deviceFleetName" else "COMPLETED"

    async def account_id(self) -> str:
        """The account."""
        self._call("account")
        return ACCOUNT

    async def count_devices(self, plan: str, stage: str) -> int:
        """Nobody counts devices in the loop."""
        raise AssertionError(f"{plan}/{stage}")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)
        waiting = self.failures.get(name.partition("(")[0])
        if waiting:
            failure = waiting.pop(0)
            raise AwsError(failure) if isinstance(failure, Failure) else failure


@dataclass
class MemoryAccounts:
    """One account, open in the default region alone."""

    only: MemoryPlans = field(default_factory=MemoryPlans)
    granted: Rights = field(default_factory=Rights)

    def scope(self, namespace: str, target: Target | None) -> Scope:
        """The place of the plan."""
        if target is not None and target.region not in {None, self.only.scope.region}:
            raise TargetRefused(f"region {target.region} is not open to namespace {namespace}")
        return self.only.scope

    def plans(self, _scope: Scope) -> MemoryPlans:
        """The plans there."""
        return self.only

    def rights(self, _namespace: str, _scope: Scope) -> Rights:
        """What the administrator grants."""
        return self.granted


def row(name: str, arn: str = ARN, modified: datetime | None = NOON) -> PlanSummary:
    """A row of the listing."""
    return PlanSummary(name, arn, modified)


def tags_of(value: str) -> Mapping[str, str]:
    """The tags of a plan that names that owner."""
    return {OWNER_TAG: value}
