"""The loop: observe -> decide -> apply -> summarize, one object at a time.

Called by the keyed queue, never twice at once for one object. What is asked and done, and in which order, is said by
`domain/attempt.py`; here its requests are carried out, and its result written down. Level-triggered: a crash between any
two lines loses nothing, since the next attempt looks at what is there.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from controller.domain.actions import Action, CreatePlan
from controller.domain.agenda import Rest, Wake, agenda, guard, next_look
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
    TagsOf,
    Talk,
)
from controller.domain.desired import Reference
from controller.domain.events import Event, transitions
from controller.domain.failures import FailureKind
from controller.domain.outcomes import Done, Gone, Outcome, Pending, Queued, Retrying, Suspended, Waiting
from controller.domain.quota import Ticket, goes_before
from controller.domain.resource import Key, Resource, Scope
from controller.domain.schedule import STAGE_POLL
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.domain.summarize import summarize
from controller.engine.acting import ACTING, Acting
from controller.engine.index import Index
from controller.engine.news import News
from controller.engine.ports import (
    Accounts,
    AwsError,
    Clock,
    Dice,
    EdgePlans,
    ObjectChanged,
    ObjectGone,
    Objects,
    TargetRefused,
)
from controller.engine.quotas import Quotas

logger = logging.getLogger(__name__)


@dataclass
class Memory:
    """What is remembered of an object between attempts, in seconds of the event loop's clock, which does not jump."""

    untouched: bool = False
    """Whether it certainly has nothing in AWS. Spares a call; what is forgotten in a crash is looked up again."""
    settled: float = 0.0
    """When AWS's reads of it are believed again."""
    unanswered: float = 0.0
    """When a create whose answer got lost cannot be carried out any more."""
    due: float | None = None
    """When it wants to be looked at again."""
    on_its_way: bool = False
    """Whether a plan of it may be created just now."""


@dataclass(kw_only=True)
class Reconciler:
    """Brings AWS and status in step with one object's spec."""

    objects: Objects
    accounts: Accounts
    index: Index
    news: News
    quotas: Quotas
    cluster: str
    process: str
    settle: timedelta
    clock: Clock
    dice: Dice
    attempted: Callable[[Resource, Result, float], None] = lambda *_: None
    """Told of each attempt that came to something: the object before it, what it came to, how many seconds it took."""
    mine: Callable[[Resource], bool] = lambda _: True
    """Whether the object is this reconciler's to work on: one that went may be another's than the one of its name."""
    alone: bool = True
    """Whether no other process works on the same objects."""
    began: float | None = None
    """Since when it works, by the event loop's clock; since the first attempt where that is not said."""
    _memories: dict[str, Memory] = field(default_factory=dict, init=False)

    def born(self, resource: Resource) -> None:
        """The object was created just now, as the watch tells: nobody has made anything in AWS for it.

        Not so where another process may have been quicker, which acted until a short while ago.
        """
        if self.began is not None and not _left(self.began + self.settle.total_seconds()):
            self._memories.setdefault(resource.uid, Memory(untouched=True))

    async def reconcile(self, key: Key, wakes: frozenset[Wake]) -> timedelta | None:
        """Take the object one step further; how long until it wants to be looked at again, if at all.

        Raises:
            ObjectError: the Kubernetes API failed; nothing is lost, the caller tries again.

        """
        waits = [await self._one(resource, wakes) for resource in self.index.at(key) if self.mine(resource)]
        return soonest(waits)

    async def _one(self, resource: Resource, wakes: frozenset[Wake]) -> timedelta | None:
        if len(self._memories) > 2 * len(self.index) + 1000:  # of objects that went without us
            present = {each.uid for each in (*self.index, *self.index.ghosts())}
            self._memories = {uid: memory for uid, memory in self._memories.items() if uid in present}
        memory = self._memories.setdefault(resource.uid, Memory())
        due = _left(memory.due) if memory.due is not None else None
        step = agenda(resource, wakes, self.clock(), self.process, due)
        if isinstance(step, Rest):
            return step.after
        given = self._circumstances(resource, wakes, memory)
        ACTING.set(Acting(resource, given.scope))
        memory.due, begun = None, _now()
        try:
            memory.on_its_way = resource.wants_a_plan and not given.over_share
            current, result = await self._converse(attempt(resource, given), resource, given)
            memory.untouched = result.untouched
            if result.found.unsettled:
                memory.settled = _now() + self.settle.total_seconds()
            after = await self._report(resource, current, result, given.crowd)
            memory.on_its_way = False
            self.attempted(resource, result, _now() - begun)
        except ObjectChanged as change:
            logger.info("%s: %s; looking again", resource.key, change)
            if change.now is not None:
                self.index.put(change.now)
            return timedelta(0)
        except ObjectGone:
            logger.info("%s: the object went while it was reconciled", resource.key)
            return self.settle if self.news.missed(resource) else timedelta(0)
        memory.due = _now() + after.total_seconds() if after is not None else None
        return after

    def _circumstances(self, resource: Resource, wakes: frozenset[Wake], memory: Memory) -> Circumstances:
        status, owed = resource.status, resource.status.owed or ()
        scope, refusal = self._scope(resource)
        self.began = _now() if self.began is None else self.began
        given = Circumstances(
            status=status,
            now=self.clock(),
            asked=resource.asked or "Request" in owed,
            edited=resource.edited or "Edit" in owed,
            wakes=wakes,
            cluster=self.cluster,
            process=self.process,
            settling_for=_left(memory.settled),
            unanswered_for=_left(memory.unanswered),
            starting_for=_left(self.began + self.settle.total_seconds()),
            crowd=self.index.crowd(scope) if scope is not None else 0,
            untouched=memory.untouched and not status.has_plan and status.settling is None,
            settle=self.settle,
            scope=scope,
            refusal=refusal,
            alone=self.alone,
            dice=self.dice(),
        )
        if scope is None:
            return given
        rights = self.accounts.rights(resource.key.namespace, scope)
        return replace(
            given,
            rights=rights,
            over_share=rights.share is not None and self._over_share(resource, scope, rights.share),
            namesakes=self.index.rivals(resource, scope),
            place=self.quotas.queue(scope).place(Ticket.of(resource)),
        )

    def _over_share(self, resource: Resource, scope: Scope, share: int) -> bool:
        """Whether so many plans of the namespace come before this object's there."""
        before = (
            other
            for other in self.index.neighbours(resource)
            if self.index.scope(other.key) == scope
            and goes_before(other, resource, on_its_way=self._memories.get(other.uid, Memory()).on_its_way)
        )
        return len(tuple(islice(before, share))) == share

    def _scope(self, resource: Resource) -> tuple[Scope | None, str]:
        """Account and region of the object's plan, noted in the index; or why there is none."""
        try:
            scope = self.accounts.scope(resource.key.namespace, resource.readable_spec.target)
        except TargetRefused as refusal:
            return None, str(refusal)
        self.index.set_scope(resource, scope)
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
            found, owed, claim = request.found, request.owed, request.claim
            status = summarize(resource, request.outcome, found, self.clock(), owed=owed, claim=claim)
            changed: Resource | None = await self.objects.claim(resource, status)
        elif request is Finalizer.HOLD:
            changed = await self.objects.hold(resource)
        else:
            changed = await self.objects.release(resource)
        if changed is None:
            raise ObjectGone(f"{resource.key} is gone")
        if not self.index.put(changed):
            self._still_so(changed)
        if changed.generation != resource.generation:
            raise ObjectChanged(f"{resource.key} was edited", changed)
        return changed

    async def _answer(self, request: Question | Action, resource: Resource, given: Circumstances) -> Answer:
        if isinstance(request, Exists):
            return await self.objects.exists(request.owner.key, request.owner.uid)
        if request is Ask.DEFINITION_GOING:
            return await self.objects.definition_going()
        assert given.scope is not None  # noqa: S101 - an attempt without a scope asks nothing of AWS
        plans = self.accounts.plans(given.scope)
        try:
            if not isinstance(request, Action):
                return await _ask(plans, request, resource)
            if isinstance(request, CreatePlan):
                self._memories[resource.uid].untouched = False
            return await plans.apply(request, lambda: self._still_so(resource))
        except AwsError as error:
            if isinstance(request, CreatePlan) and not error.failure.harmless:
                self._memories[resource.uid].unanswered = _now() + self.settle.total_seconds()
            if error.failure.kind is FailureKind.UNKNOWN:
                logger.exception("%s: %s failed in an unknown way", resource.key, error.failure.operation)
            return error.failure

    def _still_so(self, resource: Resource) -> None:
        """An object may go or be edited in the middle of an attempt: what is still to be done is for another one to say."""
        known = self.index.get(resource.key)
        if self.index.is_ghost(resource):
            return
        if known is None or known.uid != resource.uid:
            raise ObjectGone(f"{resource.key} is gone")
        if known.generation != resource.generation:
            raise ObjectChanged(f"{resource.key} was edited", known)

    # -- the report -------------------------------------------------------------------------------------------------

    async def _report(self, before: Resource, current: Resource, result: Result, crowd: int) -> timedelta | None:
        """What the outcome does to the object, to the quota queue and to the next attempt."""
        after = await self._record(before, current, result, crowd)
        # Only now: news of a version from before would put the object back into the queue, and who is gone has left it.
        known, scope = self.index.get(before.key), self.index.scope(before.key)
        if scope is not None and known is not None and known.uid == before.uid:
            self.quotas.settle(scope, current, result.outcome, result.found.done)
        return after

    async def _record(self, before: Resource, current: Resource, result: Result, crowd: int) -> timedelta | None:
        outcome, now = result.outcome, self.clock()
        if isinstance(outcome, Gone):
            await self._let_go(current, outcome)
            return None
        status = summarize(current, outcome, result.found, now, owed=result.owed)
        if self.index.is_ghost(current):
            current = self.index.haunt(replace(current, status=status))
            return _next(outcome, current, now)
        if status.wire() != current.status.wire():
            current = await self._written(current, status)
        failure = outcome.failure if isinstance(outcome, Retrying) else None
        tell = partial(transitions, before.status, status, failure=failure, deleting=current.deleting)
        for event in tell(()):  # calls were logged when they were made
            level = logging.WARNING if event.type == "Warning" else logging.INFO
            logger.log(level, "%s: %s: %s", current.key, event.reason, event.note)
        for event in tell(result.found.done):
            self.objects.publish(current, event)
        unwatched = isinstance(outcome, Suspended) or result.found.observed is None
        blind = unwatched or (failure is not None and not failure.passes)
        return soonest((_next(outcome, current, now), None if blind else guard(current, now, crowd)))

    async def _written(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        try:
            written = await self.objects.write_status(resource, status)
        except ObjectGone:
            # What was made meanwhile goes with the object, if that is what it asks for.
            self.index.remember(resource.uid, status)
            raise
        self.news.wrote(resource, written)
        return written

    async def _let_go(self, resource: Resource, outcome: Gone) -> None:
        self._memories.pop(resource.uid, None)
        if self.index.is_ghost(resource):
            logger.info("%s: gone without its finalizer; %s", resource.key, outcome.message)
            self.news.at_rest(resource)
            return
        self.objects.publish(resource, Event("Normal", outcome.reason, "Deleting", outcome.message))
        remaining = await self.objects.release(resource)
        if remaining is not None:
            self.index.put(remaining)
        else:
            self.index.let_go(resource)


async def _ask(plans: EdgePlans, question: Question, resource: Resource) -> Answer:
    match question:
        case Look(with_tags=with_tags):
            return await plans.describe(resource.plan_name, with_tags=with_tags)
        case TagsOf(arn=arn):
            return await plans.tags(arn)
        case Reference():
            return await plans.status_of(question)
        case _:
            return await plans.account_id()


def soonest(waits: Iterable[timedelta | None]) -> timedelta | None:
    """The shortest of the waits, None standing for ever."""
    return min((wait for wait in waits if wait is not None), default=None)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _left(moment: float) -> timedelta:
    return timedelta(seconds=max(0.0, moment - _now()))


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
