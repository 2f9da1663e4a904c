"""Observe, decide, apply: brings AWS in step with one object, or takes away what goes with it."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.domain.actions import Action, CreatePlan, DeletePlan
from controller.domain.agenda import Wake
from controller.domain.decide import Circumstances, decide, decide_deletion
from controller.domain.desired import Desired
from controller.domain.failures import Failure, FailureKind
from controller.domain.outcomes import Decision, Outcome, Queued, Waiting
from controller.domain.ownership import Relation, relation, tagged_owner
from controller.domain.resource import Resource
from controller.domain.respond import respond
from controller.domain.schedule import AT_ONCE
from controller.engine.ports import AwsError, Clock, Dice, EdgePlans, Objects
from controller.engine.quotas import Quotas
from controller.engine.run import Result, Run

logger = logging.getLogger(__name__)

# A run that still finds something to do after so many looks lets others have their turn.
_MOST_LOOKS = 6


@dataclass(frozen=True)
class _Owed:
    """An edit or a request that was noticed and not yet acted upon. Lost with the process: then the user asks again."""

    asked: bool = False
    edited: bool = False


class Convergence:
    """The AWS half of the loop. Remembers only what spares a call; what it forgets in a crash is looked up again."""

    def __init__(self, *, objects: Objects, quotas: Quotas, clock: Clock, dice: Dice) -> None:
        self._objects = objects
        self._quotas = quotas
        self._clock = clock
        self._dice = dice
        # Objects that certainly have nothing at AWS: we put their finalizer on, and every create since was refused.
        self._nothing_made: set[str] = set()
        # What an edit or a request has still to bring about, where the call that it led to failed or has to wait.
        self._owed: dict[str, _Owed] = {}

    def untouched(self, resource: Resource) -> None:
        """Note that nothing can have been made for this object: its finalizer is on only now."""
        self._nothing_made.add(resource.uid)

    def is_untouched(self, resource: Resource) -> bool:
        """Whether the object certainly has nothing at AWS."""
        return resource.uid in self._nothing_made

    def forget(self, resource: Resource) -> None:
        """The object is gone."""
        self._nothing_made.discard(resource.uid)
        self._owed.pop(resource.uid, None)

    async def converge(self, resource: Resource, desired: Desired, site: EdgePlans, wakes: frozenset[Wake]) -> Result:
        """Observe, decide, apply, until there is nothing to do at once."""
        status = resource.status
        owed = self._owed.pop(resource.uid, _Owed())
        asked = resource.asked or owed.asked
        edited = resource.generation != status.observed_generation or owed.edited
        # After a failure nobody knows how far the last attempt came, so the retry looks at the tags too.
        thorough = edited or asked or bool(wakes) or status.edge_deployment_plan_arn is None or status.retry is not None
        # Create first, ask later: an object without an ARN costs one call, not two.
        look = status.edge_deployment_plan_arn is not None or not desired.spec.manages
        run = Run(resource, site, desired)
        given = Circumstances(status, self._clock(), asked=asked, edited=edited)
        refused: AwsError | None = None
        corrected = False
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
                creating = isinstance(run.attempted, CreatePlan)
                if look_again(error.failure, run.attempted, looked=look if creating else corrected):
                    look = thorough = True
                    corrected = corrected or not creating
                    refused = error if creating else None
                    continue
                return self._owing(run, given, self._fail(run, error))
            except _QuotaWait as wait:
                return run.result(wait.outcome)
            if not (isinstance(decision.outcome, Waiting) and decision.outcome.after == AT_ONCE):
                break
            # A rollout step must not act twice on one request, and tags are in step by now.
            given = replace(given, asked=False)
            look, thorough = not isinstance(run.attempted, DeletePlan), False
        if (
            isinstance(decision.outcome, Waiting)
            and decision.outcome.reason == "StoppingStage"
            and not decision.actions
        ):
            return self._owing(run, given, decision.outcome)
        return run.result(decision.outcome)

    def _owing(self, run: Run, given: Circumstances, outcome: Outcome) -> Result:
        """The result, with what is still owed kept for the next run."""
        if given.asked or given.edited:
            self._owed[run.resource.uid] = _Owed(given.asked, given.edited)
        return run.result(outcome)

    async def _apply(self, run: Run, decision: Decision) -> None:
        for action in decision.actions:
            run.attempted = action
            if isinstance(action, CreatePlan):
                self._pass_quota_gate(run)
                run.first_create = run.resource.uid in self._nothing_made
                self._nothing_made.discard(run.resource.uid)
            created = await run.site.apply(action)
            run.succeeded(action, created.arn if created else None)
            logger.info("%s: %s", run.resource.key, action)
            if isinstance(action, CreatePlan):
                self._quotas.admitted(run.site.scope, run.resource.key)
            elif isinstance(action, DeletePlan):
                self._quotas.freed(run.site.scope)
        run.attempted = decision.actions[-1] if decision.actions else None

    async def take_away(self, resource: Resource, desired: Desired, site: EdgePlans) -> Result:
        """Observe, decide, apply towards nothing: the object is being deleted and its plan goes with it."""
        run = Run(resource, site, desired)
        try:
            await run.observe(with_tags=True)
            decision = decide_deletion(desired, run.observed, Circumstances(resource.status, self._clock()))
            await self._apply(run, decision)
        except AwsError as error:
            return run.result(self._fail(run, error))
        return run.result(decision.outcome)

    async def made_it(self, resource: Resource, desired: Desired, site: EdgePlans) -> bool | Result:
        """Whether AWS holds a plan that this object made though its status does not say so; a Result if AWS fails.

        It can be: the operator was killed between the create and the status.
        """
        if not resource.has_finalizer or self.is_untouched(resource):
            return False
        run = Run(resource, site, desired)
        try:
            await run.observe(with_tags=True)
        except AwsError as error:
            return run.result(self._fail(run, error))
        return run.observed is not None and relation(run.observed, desired.owner, resource.status) is Relation.OURS

    # -- quota ------------------------------------------------------------------------------------------------------

    def _pass_quota_gate(self, run: Run) -> None:
        """Let the create through, or raise _QuotaWait when others ask first."""
        resource, scope = run.resource, run.site.scope
        ahead, refusal = self._quotas.join_behind(scope, resource)
        if ahead and refusal is not None:
            raise _QuotaWait(self._queued(ahead, refusal))

    def _fail(self, run: Run, error: AwsError, *, creating: bool = False) -> Outcome:
        """The outcome of a failed call, and its place in the quota queue."""
        failure, resource = error.failure, run.resource
        if not failure.harmless:
            run.unanswered()
        if failure.kind is FailureKind.UNKNOWN:
            logger.error("%s: %s failed in a way that is not known", resource.key, failure.operation, exc_info=error)
        if creating or isinstance(run.attempted, CreatePlan):
            # An earlier create whose answer got lost may have made the plan: then this refusal proves nothing.
            if failure.harmless and run.first_create:
                self._nothing_made.add(resource.uid)
            if failure.kind is FailureKind.QUOTA:
                ahead = self._quotas.refused(run.site.scope, resource, failure)
                if ahead:
                    return self._queued(ahead, failure)
        return respond(failure, resource, self._dice())

    def _queued(self, ahead: int, refusal: Failure) -> Queued:
        """Behind others. Looking again now and then keeps the place in the message true without anybody telling us."""
        return Queued(ahead, timedelta(seconds=30 + 30 * self._dice()), 0, refusal)

    async def _other_owner_lives(self, run: Run) -> bool:
        """Whether the object that a foreign tag names is there; asked only where the answer can matter."""
        other = tagged_owner(run.observed)
        if other is None or other.cluster != run.desired.owner.cluster or other.same_object(run.desired.owner):
            return True
        if other.shortened:
            return True  # cannot be looked up, so as good as there
        return await self._objects.exists(other.key, other.uid)


def look_again(failure: Failure, attempted: Action | None, *, looked: bool) -> bool:
    """Whether a refused call should be followed by a look before its failure counts.

    A refused create may mean that the plan exists: what AWS answers to a second create of a name is not documented. A
    refused change may mean that somebody else was there between the look and the call.
    """
    if isinstance(attempted, CreatePlan):
        answered = failure.harmless and failure.request_id is not None
        refused = failure.kind in {FailureKind.TERMINAL, FailureKind.TRANSIENT, FailureKind.UNKNOWN}
        return answered and refused and not looked
    outdated = failure.code == "ResourceNotFound" or failure.kind is FailureKind.TERMINAL
    return attempted is not None and outdated and not looked


class _QuotaWait(Exception):  # noqa: N818 - not an error: others go first
    """Others ask for quota before us."""

    def __init__(self, outcome: Queued) -> None:
        super().__init__(outcome)
        self.outcome = outcome
