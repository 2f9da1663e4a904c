"""Conversations with an attempt: each answer is said in turn, and what was asked comes back in words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from controller.domain.actions import CreatePlan
from controller.domain.api import FINALIZER
from controller.domain.attempt import attempt
from controller.domain.conversation import Announce, Answer, Ask, Exists, Finalizer, Look, Request, Result, TagsOf, Talk
from controller.domain.desired import Reference
from controller.domain.failures import Failure, FailureKind
from controller.domain.findings import Findings
from controller.domain.observed import Created, ObservedPlan
from controller.domain.outcomes import Outcome
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.summarize import summarize
from tests.unit.builders import ARN, NOON, failure, given, plan

CREATE = "CreateEdgeDeploymentPlan"

# Answers
HELD, RELEASED, ANNOUNCED = plan(), plan(), plan()  # stand for the object that the attempt is about, as it is then
DID = NOTHING = None
THERE, FINISHED = "", "COMPLETED"
MADE = Created(ARN, since=NOON - timedelta(seconds=1))
LOST = failure(code="ReadTimeoutError", message="no answer", harmless=False)
UNREACHED = failure(code="ConnectTimeoutError", message="no connection", harmless=True, request_id=None, sent=False)
BROKEN = failure(code="InternalFailure", harmless=True)
THROTTLED = failure(FailureKind.THROTTLED, "ThrottlingException", harmless=True)
DENIED = failure(FailureKind.CREDENTIALS, "AccessDeniedException", harmless=True)
REFUSED = failure(FailureKind.TERMINAL, "ValidationException", operation=CREATE, harmless=True)
IN_USE = failure(FailureKind.TRANSIENT, "ResourceInUse", operation=CREATE, harmless=True)
CONFLICT = failure(FailureKind.TRANSIENT, "ConflictException", operation=CREATE, harmless=True)
STRANGE = failure(FailureKind.UNKNOWN, "SomethingNew", operation=CREATE, harmless=True)
NOT_FOUND = failure(FailureKind.TRANSIENT, "ResourceNotFound", harmless=True)


@dataclass(frozen=True)
class Dialogue:
    """What was asked, and what it came to."""

    requests: tuple[Request, ...]
    result: Result

    @property
    def words(self) -> list[str]:
        """The requests in words."""
        return [word(request) for request in self.requests]

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.result.outcome

    @property
    def found(self) -> Findings:
        """What was learned."""
        return self.result.found

    @property
    def reason(self) -> Reason:
        """The reason of an outcome that gives one."""
        reason = getattr(self.outcome, "reason", None)
        assert isinstance(reason, Reason), self.outcome
        return reason

    @property
    def message(self) -> str:
        """The message of an outcome that gives one."""
        message = getattr(self.outcome, "message", None)
        assert isinstance(message, str), self.outcome
        return message


def word(request: Request) -> str:
    """A request in words: those that change AWS begin with a capital, as in log and event."""
    match request:
        case Look(with_tags=with_tags):
            return "look at tags" if with_tags else "look"
        case Reference():
            return f"status of {request}"
        case TagsOf():
            return "tags"
        case Exists(owner=owner):
            return f"exists {owner.key}"
        case Announce(outcome=outcome):
            return f"announce {getattr(outcome, 'reason', type(outcome).__name__)}"
        case Ask.ACCOUNT:
            return "account"
        case Ask.DEFINITION_GOING:
            return "definition"
        case Finalizer():
            return request.name.lower()
        case CreatePlan():
            return "CreatePlan"
        case _:
            return str(request)


def fits(request: Request, answer: Answer) -> bool:
    """Whether such a request can be answered so."""
    match request:
        case Look():
            return answer is None or isinstance(answer, ObservedPlan | Failure)
        case TagsOf():
            return isinstance(answer, Mapping | Failure)
        case Exists() | Ask.DEFINITION_GOING:
            return isinstance(answer, bool)
        case Ask.ACCOUNT | Reference():
            return isinstance(answer, str | Failure)
        case Announce() | Finalizer():
            return isinstance(answer, Resource)
        case CreatePlan():
            return isinstance(answer, Created | Failure)
        case _:
            return answer is None or isinstance(answer, Failure)


def talk(conversation: Talk, *answers: Answer) -> Dialogue:
    """Hold the whole conversation; it must ask exactly as often as there are answers."""
    requests: list[Request] = []
    said: Answer = None
    left = list(answers)
    while True:
        try:
            request = conversation.send(said)
        except StopIteration as end:
            assert not left, f"asked only for {[word(each) for each in requests]}"
            return Dialogue(tuple(requests), end.value)
        requests.append(request)
        assert left, f"nothing is left to answer the last of {[word(each) for each in requests]} with"
        said = left.pop(0)
        assert fits(request, said), f"{word(request)} was answered with {said}"
        if isinstance(said, ObservedPlan) and request == Look(with_tags=False):
            said = replace(said, tags=None)


def attempted(resource: Resource, *answers: Answer, now: datetime = NOON, **more: Any) -> Dialogue:
    """One attempt at the object, told what the reconciler would tell it."""
    owed = resource.status.owed or ()
    usual = {"asked": resource.asked or "Request" in owed, "edited": resource.edited or "Edit" in owed}
    held, released = replace(resource, finalizers=(FINALIZER,)), replace(resource, finalizers=())
    stands = {
        id(HELD): held,
        id(ANNOUNCED): held if resource.readable_spec.deletes else released,
        id(RELEASED): released,
    }
    said = [stands.get(id(answer), answer) for answer in answers]
    return talk(attempt(resource, given(now, before=resource.status, **usual | more)), *said)


def reported(resource: Resource, dialogue: Dialogue, now: datetime = NOON) -> Resource:
    """The object with the status that the attempt left, held if it was asked to be."""
    status = summarize(resource, dialogue.outcome, dialogue.found, now, owed=dialogue.result.owed)
    held = Finalizer.HOLD in dialogue.requests or resource.has_finalizer
    return replace(resource, status=status, finalizers=(FINALIZER,) if held else ())
