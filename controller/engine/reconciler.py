"""The loop: observe -> decide -> apply -> summarize, one object at a time.

Called by the keyed queue, never twice at once for one object. What is asked and done, and in which order, is said by
`domain/attempt.py`; here its requests are carried out, and its result written down. Level-triggered: a crash between any
two lines loses nothing, since the next attempt looks at what is there.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from controller.domain.actions import Action
from controller.domain.agenda import Rest, Wake, agenda, next_look
from controller.domain.attempt import attempt
from controller.domain.circumstances import Circumstances
from controller.domain.conversation import (
    Announce,
    Answer,
    Ask,
    Change,
    Exists,
    Finalizer,
    Look,
    Question,
    Result,
    Talk,
)
from controller.domain.events import Event, transitions
from controller.domain.failures import FailureKind
from controller.domain.outcomes import Done, Gone, Outcome, Pending, Queued, Retrying, Waiting
from controller.domain.resource import Key, Resource, Scope
from controller.domain.schedule import STAGE_POLL
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.domain.summarize import summarize
from controller.engine.index import Index
from controller.engine.news import News
from controller.engine.ports import (
    Accounts,
    AwsError,
    Clock,
    Dice,
    ObjectChanged,
    ObjectGone,
    Objects,
    TargetRefused,
)
from controller.engine.quotas import Quotas

logger = logging.getLogger(__name__)

_AT_ONCE = timedelta(0)


class Reconciler:
    """Brings AWS and status in step with one object's spec."""

    def __init__(
        self,
        *,
        objects: Objects,
        accounts: Accounts,
        index: Index,
        news: News,
        quotas: Quotas,
        cluster: str,
        process: str,
        settle: timedelta,
        clock: Clock,
        dice: Dice,
    ) -> None:
        self._objects = objects
        self._accounts = accounts
        self._index = index
        self._news = news
        self._quotas = quotas
        self._cluster = cluster
        self._process = process
        self._settle = settle
        self._clock = clock
        self._dice = dice
        # By the event loop's clock, which does not jump: when AWS's reads of an object are believed again.
        self._settled: dict[str, float] = {}
        self._started: float | None = None
        # By the same clock: when an object that is waited for is due.
        self._due: dict[str, float] = {}
        # Objects that certainly have nothing in AWS. Spares a call; what is forgotten in a crash is looked up again.
        self._untouched: set[str] = set()

    async def reconcile(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        """Take the object one step further; how long until it wants to be looked at again, if at all.

        Raises:
            ObjectError: the Kubernetes API failed; nothing is lost, the caller tries again.

        """
        waits = [await self._one(resource, wakes) for resource in self._index.at(key)]
        return min((wait for wait in waits if wait is not None), default=None)

    async def _one(self, resource: Resource, wakes: frozenset[Wake]) -> timedelta | None:
        due = self._left(self._due[resource.uid]) if resource.uid in self._due else None
        step = agenda(resource, wakes, self._clock(), self._process, due)
        if isinstance(step, Rest):
            return step.after
        given = self._circumstances(resource, wakes)
        known_untouched = resource.uid in self._untouched
        self._untouched.discard(resource.uid)  # a call that ends this attempt may have changed it
        try:
            current, result = await self._converse(
                attempt(resource, replace(given, untouched=known_untouched)), resource, given
            )
            if result.untouched:
                self._untouched.add(resource.uid)
            after = await self._report(resource, current, result)
        except ObjectChanged as change:
            logger.info("%s: %s; looking again", resource.key, change)
            if change.now is not None:
                self._index.put(change.now)
            return _AT_ONCE
        except ObjectGone:
            logger.info("%s: the object went while it was reconciled", resource.key)
            self._news.lost(resource)
            return _AT_ONCE
        self._due.pop(resource.uid, None)
        if after is not None:
            self._due[resource.uid] = asyncio.get_running_loop().time() + after.total_seconds()
        return after

    def _circumstances(self, resource: Resource, wakes: frozenset[Wake]) -> Circumstances:
        status, owed = resource.status, resource.status.owed or ()
        scope, refusal = self._scope(resource)
        self._started = asyncio.get_running_loop().time() if self._started is None else self._started
        given = Circumstances(
            status=status,
            now=self._clock(),
            asked=resource.asked or "Request" in owed,
            edited=resource.edited or "Edit" in owed,
            wakes=wakes,
            cluster=self._cluster,
            process=self._process,
            settling_for=self._left(self._settled.get(resource.uid, 0.0)),
            starting_for=self._left(self._started + self._settle.total_seconds()),
            settle=self._settle,
            scope=scope,
            refusal=refusal,
            dice=self._dice(),
        )
        if scope is None:
            return given
        return replace(
            given,
            rights=self._accounts.rights(resource.key.namespace, scope),
            namesakes=self._index.rivals(resource, scope),
            queue=self._quotas.queue(scope),
        )

    def _left(self, moment: float) -> timedelta:
        return timedelta(seconds=max(0.0, moment - asyncio.get_running_loop().time()))

    def _scope(self, resource: Resource) -> tuple[Scope | None, str]:
        """Account and region of the object's plan, noted in the index; or why there is none."""
        try:
            scope = self._accounts.scope(resource.key.namespace, resource.readable_spec.target)
        except TargetRefused as refusal:
            return None, str(refusal)
        self._index.set_scope(resource, scope)
        return scope, ""

    # -- the conversation -------------------------------------------------------------------------------------------

    async def _converse(self, talk: Talk, resource: Resource, given: Circumstances) -> tuple[Resource, Result]:
        """Make the calls that the attempt asks for; the object as it is by then, and what the attempt came to."""
        answer: Answer = None
        while True:
            try:
                request = talk.send(answer)
            except StopIteration as end:
                return resource, end.value
            if isinstance(request, Announce | Finalizer):
                resource = await self._change(request, resource)
                answer = resource
            else:
                answer = await self._answer(request, resource, given)

    async def _change(self, request: Change, resource: Resource) -> Resource:
        """Change the object itself; an edit that comes in between ends the attempt, which is about the former spec."""
        if isinstance(request, Announce):
            status = summarize(
                resource, request.outcome, request.found, self._clock(), owed=request.owed, claim=request.claim
            )
            changed: Resource | None = await self._objects.claim(resource, status)
        elif request is Finalizer.HOLD:
            changed = await self._objects.hold(resource)
        else:
            changed = await self._objects.release(resource)
        if changed is None:
            raise ObjectGone(f"{resource.key} is gone")
        if not self._index.put(changed):
            self._still_so(changed)
        if changed.generation != resource.generation:
            raise ObjectChanged(f"{resource.key} was edited", changed)
        return changed

    async def _answer(self, request: Question | Action, resource: Resource, given: Circumstances) -> Answer:
        if isinstance(request, Exists):
            return await self._objects.exists(request.owner.key, request.owner.uid)
        if request is Ask.DEFINITION_GOING:
            return await self._objects.definition_going()
        assert given.scope is not None  # noqa: S101 - an attempt without a scope asks nothing of AWS
        plans = self._accounts.plans(given.scope)
        try:
            if isinstance(request, Look):
                return await plans.describe(resource.plan_name, with_tags=request.with_tags)
            if request is Ask.ACCOUNT:
                return await plans.account_id()
            self._still_so(resource)
            made = await plans.apply(request)
        except AwsError as error:
            if error.failure.kind is FailureKind.UNKNOWN:
                logger.exception("%s: %s failed in an unknown way", resource.key, error.failure.operation)
            return error.failure
        logger.info("%s: %s", resource.key, request)
        return made

    def _still_so(self, resource: Resource) -> None:
        """An object may go or be edited in the middle of an attempt: what is still to be done is for another one to say."""
        known = self._index.get(resource.key)
        if self._index.is_ghost(resource):
            return
        if known is None or known.uid != resource.uid:
            raise ObjectGone(f"{resource.key} is gone")
        if known.generation != resource.generation:
            raise ObjectChanged(f"{resource.key} was edited", known)

    # -- the report -------------------------------------------------------------------------------------------------

    async def _report(self, before: Resource, current: Resource, result: Result) -> timedelta | None:
        """What the outcome does to the object, to the quota queue and to the next attempt."""
        if result.found.unsettled:
            self._settled[before.uid] = asyncio.get_running_loop().time() + self._settle.total_seconds()
        after = await self._record(before, current, result)
        scope = self._index.scope(before.key)
        if scope is not None:  # only now: news of a version from before would put the object back into the queue
            self._quotas.settle(scope, current, result.outcome, result.found.done)
        return after

    async def _record(self, before: Resource, current: Resource, result: Result) -> timedelta | None:
        outcome, now = result.outcome, self._clock()
        if isinstance(outcome, Gone):
            await self._let_go(current, outcome)
            return None
        status = summarize(current, outcome, result.found, now, owed=result.owed)
        if self._index.is_ghost(current):
            current = self._index.haunt(replace(current, status=status))
            return _next(outcome, current, now)
        if status.wire() != current.status.wire():
            current = await self._written(current, status)
            logger.info("%s: %s", current.key, _headline(outcome))
        for event in transitions(before.status, status, result.found.done):
            await self._objects.publish(current, event)
        return _next(outcome, current, now)

    async def _written(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        try:
            written = await self._objects.write_status(resource, status)
        except ObjectGone:
            # What was made meanwhile goes with the object, if that is what it asks for.
            self._news.lost(replace(resource, status=status))
            raise
        self._index.put(written)
        return written

    async def _let_go(self, resource: Resource, outcome: Gone) -> None:
        self._untouched.discard(resource.uid)
        self._settled.pop(resource.uid, None)
        self._due.pop(resource.uid, None)
        if self._index.is_ghost(resource):
            logger.info("%s: gone without its finalizer; %s", resource.key, outcome.message)
            self._index.exorcise(resource)
            return
        await self._objects.publish(resource, Event("Normal", outcome.reason, "Deleting", outcome.message))
        remaining = await self._objects.release(resource)
        if remaining is not None:
            self._index.put(remaining)
        else:
            self._index.let_go(resource)


def _next(outcome: Outcome, resource: Resource, now: datetime) -> timedelta | None:
    match outcome:
        case Waiting(after=after):
            # What is still to be done at once after so many looks must not become a hot loop.
            return max(after, STAGE_POLL)
        case Retrying(after=after) | Queued(after=after):
            return after
        case Done() | Pending():
            return next_look(resource, now)
        case _:
            return None


def _headline(outcome: Outcome) -> str:
    match outcome:
        case Retrying(failure=failure, after=after):
            return f"retrying in {after.total_seconds():.1f} s after {failure}"
        case Queued(ahead=ahead):
            return f"waiting for quota behind {ahead}"
        case _:
            return f"{type(outcome).__name__} {getattr(outcome, 'reason', '')}".strip()
