"""The loop: observe -> decide -> apply -> summarize, one object at a time.

Called by the keyed queue, never twice at once for one object. Level-triggered: whatever the state, the next right step;
a crash between any two lines loses nothing, since the next run observes and goes on. The middle of the loop, where AWS is
asked and told, is in `convergence.py`.
"""

import logging
from datetime import timedelta

from controller.domain.agenda import Rest, Wake, agenda
from controller.domain.desired import Desired
from controller.domain.events import Event, transitions
from controller.domain.outcomes import Gone, Outcome, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.ownership import Owner
from controller.domain.resource import InvalidSpec, Key, Resource
from controller.domain.schedule import STAGE_POLL
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.summarize import summarize
from controller.engine.convergence import Convergence
from controller.engine.index import Index
from controller.engine.ports import Accounts, Clock, Dice, EdgePlans, ObjectGone, Objects, TargetRefused
from controller.engine.quotas import Quotas
from controller.engine.run import Result

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings AWS and status in step with one object's spec."""

    def __init__(
        self,
        *,
        objects: Objects,
        accounts: Accounts,
        index: Index,
        quotas: Quotas,
        cluster: str,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._objects = objects
        self._accounts = accounts
        self._index = index
        self._quotas = quotas
        self._cluster = cluster
        self._clock = clock
        self._aws = Convergence(objects=objects, quotas=quotas, clock=clock, dice=dice)

    async def reconcile(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        """Take the object one step further; how long until it wants to be looked at again, if at all.

        Raises:
            ObjectError: the Kubernetes API failed; nothing is lost, the caller tries again.

        """
        resource = self._index.get(key)
        if resource is None:
            return None
        step = agenda(resource, wakes, self._clock())
        if isinstance(step, Rest):
            return step.until - self._clock() if step.until else None
        try:
            resource, result = await self._work(resource, wakes)
            return await self._report(resource, result)
        except ObjectGone:
            logger.info("%s: the object went while it was reconciled", key)
            return None

    # -- what the outcome does to the object ------------------------------------------------------------------------

    async def _report(self, resource: Resource, result: Result) -> timedelta | None:
        outcome = result.outcome
        if resource.deleting or not isinstance(outcome, Queued | Retrying | Waiting):
            self._quotas.leave(resource.key)
        if isinstance(outcome, Gone):
            await self._objects.publish(resource, Event("Normal", outcome.reason, "Deleting", outcome.message))
            remaining = await self._objects.release(resource)
            self._aws.forget(resource)
            if remaining is not None:
                self._index.put(remaining)
            return None
        status = summarize(resource, result.found, outcome, self._clock())
        before = resource.status
        if status.wire() != before.wire():
            resource = await self._objects.write_status(resource, status)
            self._index.put(resource)
            logger.info("%s: %s", resource.key, _headline(outcome))
        for event in transitions(before, status, result.done):
            await self._objects.publish(resource, event)
        match outcome:
            case Waiting(after, _, _):
                # What is still to be done at once after so many looks must not become a hot loop.
                return max(after, STAGE_POLL)
            case Retrying(_, after, _) | Queued(_, after, _, _):
                return after
            case _:
                return None

    # -- what there is to do ----------------------------------------------------------------------------------------

    async def _work(self, resource: Resource, wakes: frozenset[Wake]) -> tuple[Resource, Result]:
        spec = resource.spec
        if isinstance(spec, InvalidSpec):
            return resource, Result(Stalled("InvalidSpec", spec.message))
        owner = Owner(self._cluster, resource.key.namespace, resource.key.name, resource.uid)
        desired = Desired(resource.plan_name, spec, owner)
        try:
            if resource.deleting:
                return resource, await self._delete(resource, desired)
            if spec.suspend:
                return resource, Result(Suspended())
            return await self._keep(resource, desired, wakes)
        except TargetRefused as refusal:
            return resource, Result(Stalled("TargetRefused", str(refusal)))

    def _site(self, resource: Resource, spec: EdgeDeploymentPlanSpec) -> EdgePlans:
        """Where the plan lives, noted in the index; raises TargetRefused."""
        site = self._accounts.plans(self._accounts.scope(resource.key.namespace, spec.target))
        self._index.place(resource, site.scope)
        return site

    async def _keep(self, resource: Resource, desired: Desired, wakes: frozenset[Wake]) -> tuple[Resource, Result]:
        """Keep AWS as the spec says, if the plan is this object's to keep."""
        spec = desired.spec
        site = self._site(resource, spec)
        holder = self._index.holder(resource)
        if spec.manages and holder.key != resource.key:
            ours = await self._aws.made_it(resource, desired, site)
            if isinstance(ours, Result):
                return resource, ours
            if not ours:
                text = f"the AWS plan {resource.plan_name} is held by the older object {holder.key}"
                return resource, Result(Stalled("NameConflict", text))
        resource = await self._keep_finalizer(resource, spec)
        return resource, await self._aws.converge(resource, desired, site, wakes)

    async def _keep_finalizer(self, resource: Resource, spec: EdgeDeploymentPlanSpec) -> Resource:
        """The finalizer is on before the first AWS call, and off where a deletion leaves AWS as it is."""
        if spec.deletes == resource.has_finalizer:
            return resource
        if spec.deletes:
            resource = await self._objects.hold(resource)
            # A later generation may have been managed without the finalizer, under Retain.
            if resource.status.edge_deployment_plan_arn is None and resource.generation == 1:
                self._aws.untouched(resource)
        else:
            resource = await self._objects.release(resource) or resource
        self._index.put(resource)
        return resource

    async def _delete(self, resource: Resource, desired: Desired) -> Result:
        """Take from AWS what goes with the object."""
        if not desired.spec.deletes:
            return Result(Gone("Retained", f"the AWS plan {resource.plan_name} stays, as spec.policy says"))
        if await self._objects.definition_going():
            return Result(Gone("Retained", "the CustomResourceDefinition is being deleted: what is at AWS stays"))
        if self._aws.is_untouched(resource):
            return Result(Gone("Deleted", "nothing of this object was ever created at AWS"))
        return await self._aws.take_away(resource, desired, self._site(resource, desired.spec))


def _headline(outcome: Outcome) -> str:
    match outcome:
        case Retrying(failure, after, _):
            return f"retrying in {after.total_seconds():.1f} s after {failure}"
        case Queued(ahead, _, _, _):
            return f"waiting for quota behind {ahead}"
        case _:
            return f"{type(outcome).__name__} {getattr(outcome, 'reason', '')}".strip()
