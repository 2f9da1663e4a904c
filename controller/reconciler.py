"""The loop: observe -> decide -> apply -> summarize, one object at a time.

Called by the keyed queue, never twice at once for one object. Level-triggered: whatever the state, the next right step;
a crash between any two lines loses nothing, since the next run observes and goes on.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.domain.actions import Action, AddTags, CreatePlan, DeletePlan, DeleteTags
from controller.domain.agenda import Rest, Wake, agenda
from controller.domain.decide import Circumstances, decide, decide_deletion
from controller.domain.desired import Desired
from controller.domain.events import Event, transitions
from controller.domain.failures import Failure, FailureKind
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Decision, Gone, Outcome, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.ownership import OWNER_TAG, Owner, Relation, relation
from controller.domain.resource import InvalidSpec, Key, Plan, Scope
from controller.domain.respond import respond
from controller.domain.summarize import Findings, summarize
from controller.domain.timing import AT_ONCE
from controller.index import Index
from controller.ports import AwsError, Clock, Dice, EdgePlans, Objects, ObjectGone, Sites, TargetRefused
from controller.quotas import Quotas

logger = logging.getLogger(__name__)

# A reconcile that still finds something to do after so many looks lets others have their turn.
_MOST_LOOKS = 6


@dataclass(frozen=True)
class _Owed:
    """An edit or a request that was noticed and not yet acted upon. Lost with the process: then the user asks again."""

    asked: bool = False
    edited: bool = False


@dataclass(frozen=True)
class _Result:
    """What one reconcile came to."""

    outcome: Outcome
    found: Findings = Findings()
    done: tuple[Action, ...] = ()


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
        wake: Callable[[Key, Wake], None],
    ) -> None:
        self._objects = objects
        self._sites = sites
        self._index = index
        self._quotas = quotas
        self._cluster = cluster
        self._clock = clock
        self._dice = dice
        self._wake = wake
        # Objects that certainly have nothing at AWS: we put their finalizer on, and every create since was refused.
        self._nothing_made: set[str] = set()
        # What an edit or a request has still to bring about, where the call that it led to failed or has to wait.
        self._owed: dict[str, _Owed] = {}

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

    async def _report(self, plan: Plan, result: _Result) -> timedelta | None:
        outcome = result.outcome
        if plan.deleting or not isinstance(outcome, Queued | Retrying | Waiting):
            self._quotas.leave(plan.key)
        if isinstance(outcome, Gone):
            await self._publish(
                plan, (*_events_of(result), Event("Normal", outcome.reason, "Deleting", outcome.message))
            )
            remaining = await self._objects.release(plan)
            self._nothing_made.discard(plan.uid)
            self._owed.pop(plan.uid, None)
            if remaining is not None:
                self._index.put(remaining)
            return None
        status = summarize(plan, result.found, outcome, self._clock())
        before = plan.status
        if status.wire() != before.wire():
            plan = await self._objects.write_status(plan, status)
            self._index.put(plan)
            logger.info("%s: %s", plan.key, _headline(outcome))
        await self._publish(plan, transitions(before, status, result.done))
        match outcome:
            case Waiting(after, _, _) | Retrying(_, after, _) | Queued(_, after, _, _):
                return after
            case _:
                return None

    async def _publish(self, plan: Plan, events: tuple[Event, ...]) -> None:
        for event in events:
            await self._objects.publish(plan, event)

    # -- what there is to do ----------------------------------------------------------------------------------------

    async def _work(self, plan: Plan, wakes: frozenset[Wake]) -> tuple[Plan, _Result]:
        spec = plan.spec
        if isinstance(spec, InvalidSpec):
            return plan, _Result(Stalled("InvalidSpec", spec.message))
        if plan.deleting:
            return plan, await self._delete(plan)
        if spec.suspend:
            return plan, _Result(Suspended())
        try:
            site = self._sites.site(plan.key.namespace, spec.target)
        except TargetRefused as refusal:
            return plan, _Result(Stalled("TargetRefused", str(refusal)))
        self._index.place(plan, site.scope)
        holder = self._index.holder(plan)
        if spec.manages and holder.key != plan.key:
            conflict = await self._yield_name(plan, site, holder)
            if conflict is not None:
                return plan, conflict
        plan = await self._keep_finalizer(plan, wanted=spec.deletes)
        return plan, await self._converge(plan, site, wakes)

    async def _yield_name(self, plan: Plan, site: EdgePlans, holder: Plan) -> _Result | None:
        """Leave the AWS plan to its holder; None when it turns out to be this object's.

        It can be: this object made it, and the operator was killed before the status said so.
        """
        refusal = _Result(
            Stalled("NameConflict", f"the AWS plan {plan.plan_name} is held by the older object {holder.key}")
        )
        if not plan.held or plan.uid in self._nothing_made:
            return refusal
        run = _Run(plan, site, self._desired(plan))
        try:
            await run.observe(with_tags=True)
        except AwsError as error:
            return run.result(self._fail(run, error))
        ours = run.observed is not None and relation(run.observed, run.desired.owner, plan.status) is Relation.OURS
        return None if ours else refusal

    async def _keep_finalizer(self, plan: Plan, *, wanted: bool) -> Plan:
        """The finalizer is on before the first AWS call, and off where a deletion leaves AWS as it is."""
        if wanted == plan.held:
            return plan
        if wanted:
            plan = await self._objects.hold(plan)
            # A later generation may have been managed without the finalizer, under Retain.
            if plan.status.edge_deployment_plan_arn is None and plan.generation == 1:
                self._nothing_made.add(plan.uid)
        else:
            plan = await self._objects.release(plan) or plan
        self._index.put(plan)
        return plan

    async def _converge(self, plan: Plan, site: EdgePlans, wakes: frozenset[Wake]) -> _Result:
        """Observe, decide, apply, until there is nothing to do at once."""
        desired = self._desired(plan)
        status = plan.status
        owed = self._owed.pop(plan.uid, _Owed())
        asked = plan.asked or owed.asked
        edited = plan.generation != status.observed_generation or owed.edited
        # After a failure nobody knows how far the last attempt came, so the retry looks at the tags too.
        thorough = edited or asked or bool(wakes) or status.edge_deployment_plan_arn is None or status.retry is not None
        # Create first, ask later: an object without an ARN costs one call, not two.
        look = status.edge_deployment_plan_arn is not None or not desired.spec.manages
        run = _Run(plan, site, desired)
        given = Circumstances(status, self._clock(), asked=asked, edited=edited)
        refused: AwsError | None = None
        for _ in range(_MOST_LOOKS):
            try:
                if look:
                    await run.observe(with_tags=thorough)
                    if run.observed is None and refused is not None:
                        return self._owing(run, given, self._fail(run, refused, creating=True))
                    refused = None
                    given = replace(given, other_owner_lives=await self._other_owner_lives(run))
                decision = decide(desired, run.observed, given)
                await self._apply(run, decision)
            except AwsError as error:
                failure = error.failure
                if look_again(failure, run.attempted, looked=look):
                    look = thorough = True
                    refused = error
                    continue
                return self._owing(run, given, self._fail(run, error))
            except _QuotaWait as wait:
                return run.result(wait.outcome)
            if not (isinstance(decision.outcome, Waiting) and decision.outcome.after == AT_ONCE):
                break
            # A rollout step must not act twice on one request, and tags are in step by now.
            given = replace(given, asked=False)
            look, thorough = not isinstance(run.attempted, DeletePlan), False
            if isinstance(run.attempted, DeletePlan):
                run.forget()
        if (
            isinstance(decision.outcome, Waiting)
            and decision.outcome.reason == "StoppingStage"
            and not decision.actions
        ):
            return self._owing(run, given, decision.outcome)
        return run.result(decision.outcome)

    def _owing(self, run: "_Run", given: Circumstances, outcome: Outcome) -> _Result:
        """The result, with what is still owed kept for the next run."""
        if given.asked or given.edited:
            self._owed[run.plan.uid] = _Owed(given.asked, given.edited)
        return run.result(outcome)

    async def _apply(self, run: "_Run", decision: Decision) -> None:
        for action in decision.actions:
            run.attempted = action
            if isinstance(action, CreatePlan):
                self._pass_quota_gate(run)
                run.first_create = run.plan.uid in self._nothing_made
                self._nothing_made.discard(run.plan.uid)
            arn = await run.site.apply(action)
            run.succeeded(action, arn)
            logger.info("%s: %s", run.plan.key, action)
            if isinstance(action, CreatePlan):
                self._admitted(run)
            elif isinstance(action, DeletePlan):
                self._quotas.freed(run.site.scope)
        run.attempted = decision.actions[-1] if decision.actions else None

    # -- quota ------------------------------------------------------------------------------------------------------

    def _pass_quota_gate(self, run: "_Run") -> None:
        """Let the create through, or raise _QuotaWait when others ask first."""
        plan, scope = run.plan, run.site.scope
        ahead, refusal = self._quotas.join_behind(scope, plan)
        if ahead and refusal is not None:
            raise _QuotaWait(self._queued(ahead, refusal))

    def _admitted(self, run: "_Run") -> None:
        self._quotas.admitted(run.site.scope, run.plan.key)

    def _fail(self, run: "_Run", error: AwsError, *, creating: bool = False) -> Outcome:
        """The outcome of a failed call, and its place in the quota queue."""
        failure, plan = error.failure, run.plan
        if failure.kind is FailureKind.UNKNOWN:
            logger.error("%s: %s failed in a way that is not known", plan.key, failure.operation, exc_info=error)
        if creating or isinstance(run.attempted, CreatePlan):
            # An earlier create whose answer got lost may have made the plan: then this refusal proves nothing.
            if failure.harmless and run.first_create:
                self._nothing_made.add(plan.uid)
            if failure.kind is FailureKind.QUOTA:
                ahead = self._quotas.refused(run.site.scope, plan, failure)
                if ahead:
                    return self._queued(ahead, failure)
        return respond(failure, plan, self._dice())

    def _queued(self, ahead: int, refusal: Failure) -> Queued:
        """Behind others. Looking again now and then keeps the place in the message true without anybody telling us."""
        return Queued(ahead, timedelta(seconds=30 + 30 * self._dice()), 0, refusal)

    # -- deletion ---------------------------------------------------------------------------------------------------

    async def _delete(self, plan: Plan) -> _Result:
        """Take from AWS what goes with the object."""
        spec = plan.spec
        if isinstance(spec, InvalidSpec):
            return _Result(Stalled("InvalidSpec", spec.message))
        if not spec.deletes:
            return _Result(Gone("Retained", f"the AWS plan {plan.plan_name} stays, as spec.policy says"))
        if await self._objects.definition_going():
            return _Result(Gone("Retained", "the CustomResourceDefinition is being deleted: what is at AWS stays"))
        if plan.uid in self._nothing_made:
            return _Result(Gone("Deleted", "nothing of this object was ever created at AWS"))
        try:
            site = self._sites.site(plan.key.namespace, spec.target)
        except TargetRefused as refusal:
            return _Result(Stalled("TargetRefused", str(refusal)))
        self._index.place(plan, site.scope)
        desired = self._desired(plan)
        given = Circumstances(plan.status, self._clock())
        run = _Run(plan, site, desired)
        try:
            await run.observe(with_tags=True)
            decision = decide_deletion(desired, run.observed, given)
            await self._apply(run, decision)
        except AwsError as error:
            return run.result(self._fail(run, error))
        return run.result(decision.outcome)

    # -- helpers ----------------------------------------------------------------------------------------------------

    def _desired(self, plan: Plan) -> Desired:
        if isinstance(plan.spec, InvalidSpec):
            raise TypeError("an invalid spec desires nothing")
        owner = Owner(self._cluster, plan.key.namespace, plan.key.name, plan.uid)
        return Desired(plan.plan_name, plan.spec, owner)

    async def _other_owner_lives(self, run: "_Run") -> bool:
        """Whether the object that a foreign tag names is there; asked only where the answer can matter."""
        other = Owner.parse((run.observed.tags or {}).get(OWNER_TAG, "")) if run.observed else None
        if other is None or other.cluster != self._cluster or other.same_object(run.desired.owner):
            return True
        return await self._objects.exists(other.key, other.uid)


def look_again(failure: Failure, attempted: Action | None, *, looked: bool) -> bool:
    """Whether a refused call should be followed by a look before its failure counts.

    A refused create may mean that the plan exists: what AWS answers to a second create of a name is not documented. A
    ResourceNotFound from a change means that our picture of AWS was old.
    """
    if isinstance(attempted, CreatePlan):
        answered = failure.harmless and failure.request_id is not None
        refused = failure.kind in {FailureKind.TERMINAL, FailureKind.TRANSIENT, FailureKind.UNKNOWN}
        return answered and refused and not looked
    return attempted is not None and failure.code == "ResourceNotFound" and not looked


class _QuotaWait(Exception):  # noqa: N818 - not an error: others go first
    """Others ask for quota before us."""

    def __init__(self, outcome: Queued) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class _Run:
    """What one reconcile finds and does, as it goes."""

    def __init__(self, plan: Plan, site: EdgePlans, desired: Desired) -> None:
        self.plan = plan
        self.site = site
        self.desired = desired
        self.observed: ObservedPlan | None = None
        self.attempted: Action | None = None
        self.first_create = False
        self._arn = plan.status.edge_deployment_plan_arn
        self._looked = False
        self._done: list[Action] = []
        self._created_stages: tuple[str, ...] = ()
        self._applied = frozenset(plan.status.applied_tag_keys or ())

    async def observe(self, *, with_tags: bool) -> None:
        self.attempted = None
        self.observed = await self.site.describe(self.desired.name, with_tags=with_tags)
        self._looked = True
        if self.observed is None:
            self._arn = None
            self._applied = frozenset()
            return
        ours = relation(self.observed, self.desired.owner, self.plan.status) in {Relation.OURS, Relation.OURS_TO_TAG}
        if ours and self.desired.spec.manages and self.observed.tags is not None:
            self._applied |= self.desired.tags.keys() & self.observed.tags.keys()
        if ours or not self.desired.spec.manages:
            self._arn = self.observed.arn

    def forget(self) -> None:
        """The plan was deleted: there is nothing to observe."""
        self.observed = None

    def succeeded(self, action: Action, arn: str | None) -> None:
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
                self._arn = None
                self._applied = frozenset()
            case _:
                pass

    def result(self, outcome: Outcome) -> _Result:
        found = Findings(
            looked=self._looked,
            arn=self._arn,
            observed=self.observed,
            created_stages=self._created_stages,
            applied_tag_keys=tuple(sorted(self._applied)) or None,
        )
        return _Result(outcome, found, tuple(self._done))


def _events_of(result: _Result) -> tuple[Event, ...]:
    return tuple(
        Event("Normal", "StageStopped", "Stopping", str(action))
        for action in result.done
        if not isinstance(action, DeletePlan)
    )


def _headline(outcome: Outcome) -> str:
    match outcome:
        case Retrying(failure, after, _):
            return f"retrying in {after.total_seconds():.1f} s after {failure}"
        case Queued(ahead, _, _, _):
            return f"waiting for quota behind {ahead}"
        case _:
            return f"{type(outcome).__name__} {getattr(outcome, 'reason', '')}".strip()
