"""A request's way through the sandbox, without the HTTP: open, obstruct, answer, record."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from edge_manager.api import sts, wire
from edge_manager.api.calls import CONTROL, OPERATIONS
from edge_manager.api.dispatch import TOKENS, Reply, answered, asked, codec, parameters, refused
from edge_manager.api.throttle import Throttle
from edge_manager.domain.access import SUBJECTS, resource_of
from edge_manager.domain.rules import plans_reached
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError, access_denied
from edge_manager.sandbox.clock import later
from edge_manager.sandbox.faults import Fault, Faults
from edge_manager.sandbox.identity import Caller, assume, identify
from edge_manager.sandbox.memory import Call
from edge_manager.sandbox.state import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_manager.api.calls import Result
    from edge_manager.sandbox.clock import Clock
    from edge_manager.sandbox.settings import Settings

LOG_LENGTH = 20_000
NOBODY = Caller(Scope("", ""), "", "anonymous")

# How far behind which reads are.
LAGS: dict[str, Callable[[Settings], float]] = {
    "DescribeEdgeDeploymentPlan": lambda settings: settings.describe_lag,
    "ListEdgeDeploymentPlans": lambda settings: settings.list_lag,
}


@dataclass(frozen=True)
class Request:
    """A call as it came in; `refusal` is what the front door makes of it."""

    id: str
    service: str
    operation: str
    caller: Caller
    parameters: Any
    arrived: float
    refusal: ApiError | None = None

    @property
    def is_sts(self) -> bool:
        """Whether it is for STS."""
        return self.service == TOKENS

    @property
    def name(self) -> str:
        """What the call is about: a resource's name, or an ARN."""
        if not isinstance(self.parameters, dict):
            return ""
        keys = (*SUBJECTS, "ResourceArn", "RoleArn")
        return next((str(self.parameters[key]) for key in keys if self.parameters.get(key)), "")

    @property
    def resource(self) -> str:
        """The ARN that an IAM policy would have to allow."""
        wanted = self.parameters if isinstance(self.parameters, dict) else {}
        if self.is_sts:
            return str(wanted.get("RoleArn") or "*")
        return resource_of(self.operation, self.caller.scope, wanted)


def rubbish(fault: Fault, answer: bytes, request_id: str) -> Reply:
    """What a proxy puts in the place of an answer, or leaves of one."""
    status = fault.status or 200
    html = f"<html><head><title>{status}</title></head><body><h1>Gateway: {status}</h1></body></html>"
    content_type, body = {
        "html": ("text/html", html.encode()),
        "empty": (wire.CONTENT_TYPE, b"{}"),
        "half": (wire.CONTENT_TYPE, answer[: len(answer) // 2]),
    }[fault.body]
    return Reply(status, content_type, body, request_id, fault.mode)


@dataclass
class Service:
    """The sandbox without its HTTP server. Wall-clock times are arguments."""

    settings: Settings
    clock: Clock
    world: World = field(default_factory=World)
    faults: Faults = field(default_factory=Faults)
    throttle: Throttle = field(default_factory=Throttle)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    late: list[tuple[float, Request]] = field(default_factory=list)
    """Work that is still to be done, with its moment on the sandbox's clock, the first one first."""
    log: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=LOG_LENGTH))

    def open(self, headers: Mapping[str, str], body: bytes, wall: float) -> Request:
        """Find out what is asked for and by whom. Never raises: a refusal is counted like any other call."""
        service, operation, form = asked(headers.get("X-Amz-Target"), "", body)
        caller, wanted, refusal = NOBODY, form or {}, None
        try:
            caller = identify(headers, self.settings, wall)
            if service == CONTROL:
                wanted = parameters(service, operation, body)
        except ApiError as error:
            refusal = error
        return Request(str(uuid4()), service, operation, caller, wanted, wall, refusal)

    def obstruct(self, request: Request) -> Fault | None:
        """What stands in the way of a call: a rule, or the account's throttle."""
        scope = request.caller.scope
        if request.refusal is not None:
            return None
        fault = self.faults.meet(request.operation, request.name, *scope)
        rate = self.settings.rate
        if fault is None and rate and not request.is_sts:
            admitted = self.throttle.admit(scope, rate, self.settings.burst, request.arrived)
            fault = None if admitted else Fault(error="ThrottlingException")
        return fault

    def delay(self, request: Request, fault: Fault | None) -> float:
        """Wall-clock seconds that a call waits before anything happens."""
        latency = self.settings.latencies.get(request.operation, self.settings.latency)
        return latency + (fault.seconds if fault and fault.mode != "late" else 0)

    def date(self, wall: float) -> str:
        """The Date header of an answer, by the sandbox's clock."""
        return formatdate(self.clock.now(wall), usegmt=True)

    def postpone(self, request: Request, seconds: float, wall: float) -> None:
        """Do the work so much later; nobody hears what comes of it."""
        self.late.append((later(self.clock.now(wall), seconds), request))
        self.late.sort(key=lambda entry: entry[0])

    def catch_up(self, wall: float) -> None:
        """Do the work that is due by now, each piece at its own moment."""
        now = self.clock.now(wall)
        while self.late and self.late[0][0] <= now:
            due, request = self.late.pop(0)
            with contextlib.suppress(ApiError):
                self._perform(request, due)

    def answer(self, request: Request, fault: Fault | None, wall: float) -> Reply:
        """Do the work."""
        self.catch_up(wall)
        try:
            if request.refusal is not None:
                raise request.refusal
            if fault is not None and fault.mode == "error":
                raise self._error_of(fault, request)
            if fault is not None and fault.mode == "rubbish" and fault.body != "half":
                return rubbish(fault, b"", request.id)
            if request.is_sts:
                body = sts.answer(request.caller.identity, request.parameters, assume, request.id, wall)
                reply = Reply(200, sts.CONTENT_TYPE, body, request.id)
            else:
                result = self._perform(request, self.clock.now(wall))
                reply = answered(request.service, request.operation, result, request.id)
            return rubbish(fault, reply.body, request.id) if fault is not None and fault.mode == "rubbish" else reply
        except ApiError as error:
            return refused(request.service, error, request.id)

    def record(self, request: Request, status: int, code: str, wall: float) -> None:
        """Count a call that ends now, and note it in the log."""
        self.counts[request.operation][code] += 1
        session = (
            {"externalId": request.parameters.get("ExternalId"), "tags": sts.session_tags(request.parameters)}
            if request.is_sts and request.operation == "AssumeRole"
            else {}
        )
        self.log.append(
            {
                "time": self.clock.now(request.arrived),
                "wallTime": request.arrived,
                "ended": wall,
                "operation": request.operation,
                "name": request.name,
                "code": code,
                "status": status,
                "requestId": request.id,
                "account": request.caller.scope.account,
                "region": request.caller.scope.region,
                "caller": request.caller.arn,
                "accessKey": request.caller.access_key,
                **session,
            }
        )

    def _perform(self, request: Request, now: float) -> Result | None:
        caller, operation = request.caller, request.operation
        wanted = codec(CONTROL).parse(operation, request.parameters)
        holdings, found = self.world.holdings(caller.scope), OPERATIONS[operation]
        lag = LAGS[operation](self.settings) if operation in LAGS else 0
        result: Result | None = found.function(Call(self.world, holdings, self.settings, now, lag), wanted)
        if found.writes and "EdgeDeploymentPlanName" in wanted:
            holdings.note(wanted["EdgeDeploymentPlanName"], now)
        return result

    def _error_of(self, fault: Fault, request: Request) -> ApiError:
        message = fault.message
        if message is None and fault.error in ("AccessDeniedException", "AccessDenied"):
            action = f"{request.service}:{request.operation}"
            message = access_denied(request.caller.arn, action, request.resource).message
        if message is None and fault.error == "ResourceLimitExceeded":
            used = len(self.world.holdings(request.caller.scope).plans)
            message = plans_reached(used, used).message
        return ApiError(fault.error, message, fault.status)
