"""The loop: observe -> decide -> apply -> summarize, one object at a time.

Called by the keyed queue, never twice at once for one object. Level-triggered: whatever the state, the next right step;
a crash between any two lines loses nothing, since the next run observes and goes on. The middle of the loop, where AWS is
asked and told, is in `convergence.py`.
"""

import logging
from datetime import timedelta

from controller.convergence import Convergence
from controller.domain.agenda import Rest, Wake, agenda
from controller.domain.desired import Desired
from controller.domain.events import Event, transitions
from controller.domain.outcomes import Gone, Outcome, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.ownership import Owner
from controller.domain.resource import InvalidSpec, Key, Plan
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.summarize import summarize
from controller.domain.timing import STAGE_POLL
from controller.index import Index
from controller.ports import Clock, Dice, EdgePlans, ObjectGone, Objects, Sites, TargetRefused
from controller.quotas import Quotas
from controller.run import Result

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings AWS and status in step with one object's spec."""

    def __init__(
        self,
        *,
        objects: Objects,
        sites: Sites,
        index: Index,
        quotas: Quotas,
        cluster: str,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._objects = objects
        self._sites = sites
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
        plan = self._index.get(key)
        if plan is None:
            return None
        step = agenda(plan, wakes, self._clock())
        if isinstance(step, Rest):
            return step.until - self._clock() if step.until else None
        try:
            plan, result = await self._work(plan, wakes)
            return await self._report(plan, result)
        except ObjectGone:
            logger.info("%s: the object went while it was reconciled", key)
            return None

    # -- what the outcome does to the object ------------------------------------------------------------------------

    async def _report(self, plan: Plan, result: Result) -> timedelta | None:
        outcome = result.outcome
        if plan.deleting or not isinstance(outcome, Queued | Retrying | Waiting):
            self._quotas.leave(plan.key)
        if isinstance(outcome, Gone):
            await self._objects.publish(plan, Event("Normal", outcome.reason, "Deleting", outcome.message))
            remaining = await self._objects.release(plan)
            self._aws.forget(plan)
            if remaining is not None:
                self._index.put(remaining)
            return None
        status = summarize(plan, result.found, outcome, self._clock())
        before = plan.status
        if status.wire() != before.wire():
            plan = await self._objects.write_status(plan, status)
            self._index.put(plan)
            logger.info("%s: %s", plan.key, _headline(outcome))
        for event in transitions(before, status, result.done):
            await self._objects.publish(plan, event)
        match outcome:
            case Waiting(after, _, _):
                # What is still to be done at once after so many looks must not become a hot loop.
                return max(after, STAGE_POLL)
            case Retrying(_, after, _) | Queued(_, after, _, _):
                return after
            case _:
                return None

    # -- what there is to do ----------------------------------------------------------------------------------------

    async def _work(self, plan: Plan, wakes: frozenset[Wake]) -> tuple[Plan, Result]:
        spec = plan.spec
        if isinstance(spec, InvalidSpec):
            return plan, Result(Stalled("InvalidSpec", spec.message))
        owner = Owner(self._cluster, plan.key.namespace, plan.key.name, plan.uid)
        desired = Desired(plan.plan_name, spec, owner)
        try:
            if plan.deleting:
                return plan, await self._delete(plan, desired)
            if spec.suspend:
                return plan, Result(Suspended())
            return await self._keep(plan, desired, wakes)
        except TargetRefused as refusal:
            return plan, Result(Stalled("TargetRefused", str(refusal)))

    def _site(self, plan: Plan, spec: EdgeDeploymentPlanSpec) -> EdgePlans:
        """Where the plan lives, noted in the index; raises TargetRefused."""
        site = self._sites.site(plan.key.namespace, spec.target)
        self._index.place(plan, site.scope)
        return site

    async def _keep(self, plan: Plan, desired: Desired, wakes: frozenset[Wake]) -> tuple[Plan, Result]:
        """Keep AWS as the spec says, if the plan is this object's to keep."""
        spec = desired.spec
        site = self._site(plan, spec)
        holder = self._index.holder(plan)
        if spec.manages and holder.key != plan.key:
            ours = await self._aws.made_it(plan, desired, site)
            if isinstance(ours, Result):
                return plan, ours
            if not ours:
                text = f"the AWS plan {plan.plan_name} is held by the older object {holder.key}"
                return plan, Result(Stalled("NameConflict", text))
        plan = await self._keep_finalizer(plan, spec)
        return plan, await self._aws.converge(plan, desired, site, wakes)

    async def _keep_finalizer(self, plan: Plan, spec: EdgeDeploymentPlanSpec) -> Plan:
        """The finalizer is on before the first AWS call, and off where a deletion leaves AWS as it is."""
        if spec.deletes == plan.held:
            return plan
        if spec.deletes:
            plan = await self._objects.hold(plan)
            # A later generation may have been managed without the finalizer, under Retain.
            if plan.status.edge_deployment_plan_arn is None and plan.generation == 1:
                self._aws.untouched(plan)
        else:
            plan = await self._objects.release(plan) or plan
        self._index.put(plan)
        return plan

    async def _delete(self, plan: Plan, desired: Desired) -> Result:
        """Take from AWS what goes with the object."""
        if not desired.spec.deletes:
            return Result(Gone("Retained", f"the AWS plan {plan.plan_name} stays, as spec.policy says"))
        if await self._objects.definition_going():
            return Result(Gone("Retained", "the CustomResourceDefinition is being deleted: what is at AWS stays"))
        if self._aws.is_untouched(plan):
            return Result(Gone("Deleted", "nothing of this object was ever created at AWS"))
        return await self._aws.take_away(plan, desired, self._site(plan, desired.spec))


def _headline(outcome: Outcome) -> str:
    match outcome:
        case Retrying(failure, after, _):
            return f"retrying in {after.total_seconds():.1f} s after {failure}"
        case Queued(ahead, _, _, _):
            return f"waiting for quota behind {ahead}"
        case _:
            return f"{type(outcome).__name__} {getattr(outcome, 'reason', '')}".strip()
