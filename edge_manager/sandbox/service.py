"""A request's way through the sandbox, without the HTTP: open, obstruct, answer, record."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import uuid4

from edge_manager.api import sts, wire
from edge_manager.api.throttle import Throttle
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError, access_denied, quota_reached
from edge_manager.sandbox import fleet_calls, plan_calls, tag_calls
from edge_manager.sandbox.calls import OPERATIONS, Call
from edge_manager.sandbox.clock import later
from edge_manager.sandbox.faults import Fault, Faults
from edge_manager.sandbox.identity import Caller, assume, identify
from edge_manager.sandbox.state import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.sandbox.clock import Clock
    from edge_manager.sandbox.settings import Settings

REGISTERED = (fleet_calls, plan_calls, tag_calls)  # their operations are in OPERATIONS by now
LOG_LENGTH = 20_000
NOBODY = Caller(Scope("", ""), "", "anonymous")

# The parameter that names what a call is about, and the resource type in its ARN.
SUBJECTS = {
    "EdgeDeploymentPlanName": "edge-deployment",
    "EdgePackagingJobName": "edge-packaging-job",
    "DeviceFleetName": "device-fleet",
}


@functools.cache
def codec() -> wire.Wire:
    """The codec of all operations; compiling the model takes a moment, so a process does it once."""
    return wire.Wire(OPERATIONS)


@dataclass(frozen=True)
class Request:
    """A call as it came in; `refusal` is what the front door makes of it."""

    id: str
    operation: str
    is_sts: bool
    caller: Caller
    parameters: Any
    arrived: float
    refusal: ApiError | None = None

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
        for key, kind in SUBJECTS.items():
            if key in self.parameters or key.removesuffix("Name") in self.operation:
                return self.caller.scope.arn(kind, self.parameters.get(key, "*"))
        return self.name or "*"


class Reply(NamedTuple):
    """An answer: HTTP status, content type, body, and the code to record it under."""

    status: int
    content_type: str
    body: bytes
    code: str = "OK"


def rubbish(fault: Fault, answer: bytes) -> Reply:
    """What a proxy puts in the place of an answer, or leaves of one."""
    status = fault.status or 200
    html = f"<html><head><title>{status}</title></head><body><h1>Gateway: {status}</h1></body></html>"
    content_type, body = {
        "html": ("text/html", html.encode()),
        "empty": (wire.CONTENT_TYPE, b"{}"),
        "half": (wire.CONTENT_TYPE, answer[: len(answer) // 2]),
    }[fault.body]
    return Reply(status, content_type, body, fault.mode)


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
    wire: wire.Wire = field(default_factory=codec)

    def open(self, headers: Mapping[str, str], body: bytes, wall: float) -> Request:
        """Find out what is asked for and by whom. Never raises: a refusal is counted like any other call."""
        target = headers.get("X-Amz-Target")
        operation, is_sts, caller, parameters, refusal = "Unknown", target is None, NOBODY, {}, None
        try:
            if target is None:
                parameters = dict(parse_qsl(body.decode(errors="replace")))
                operation = parameters.get("Action", operation)
            else:
                operation = target.removeprefix(wire.TARGET_PREFIX)
            caller = identify(headers, self.settings, wall)
            if target is not None:
                parameters = self._parameters(operation, body)
        except ApiError as error:
            refusal = error
        return Request(str(uuid4()), operation, is_sts, caller, parameters, wall, refusal)

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
                return rubbish(fault, b"")
            if request.is_sts:
                body = sts.answer(request.caller.identity, request.parameters, assume, request.id, wall)
                reply = Reply(200, sts.CONTENT_TYPE, body)
            else:
                reply = Reply(200, wire.CONTENT_TYPE, self._perform(request, self.clock.now(wall)))
            return rubbish(fault, reply.body) if fault is not None and fault.mode == "rubbish" else reply
        except ApiError as error:
            if request.is_sts:
                status, body = sts.error(error, request.id)
                return Reply(status, sts.CONTENT_TYPE, body, error.code)
            return Reply(error.status, wire.CONTENT_TYPE, wire.render_error(error), error.code)

    def record(self, request: Request, status: int, code: str) -> None:
        """Count a call and note it in the log."""
        self.counts[request.operation][code] += 1
        self.log.append(
            {
                "time": self.clock.now(request.arrived),
                "wallTime": request.arrived,
                "operation": request.operation,
                "name": request.name,
                "code": code,
                "status": status,
                "requestId": request.id,
                "account": request.caller.scope.account,
                "region": request.caller.scope.region,
            }
        )

    def _parameters(self, operation: str, body: bytes) -> Any:
        if operation not in OPERATIONS:
            hint = "is not part of this sandbox" if operation in self.wire.known else "does not exist"
            raise ApiError("UnknownOperationException", f"Operation {operation} {hint}.")
        return wire.loads(body)

    def _perform(self, request: Request, now: float) -> bytes:
        caller, operation = request.caller, request.operation
        parameters = self.wire.parse(operation, request.parameters)
        holdings = self.world.holdings(caller.scope)
        result = OPERATIONS[operation](Call(self.world, holdings, self.settings, now), parameters)
        if "EdgeDeploymentPlanName" in parameters and not operation.startswith(("Describe", "List")):
            holdings.note(parameters["EdgeDeploymentPlanName"], now)
        return self.wire.render(operation, result or {})

    def _error_of(self, fault: Fault, request: Request) -> ApiError:
        message = fault.message
        if message is None and fault.error in ("AccessDeniedException", "AccessDenied"):
            service = "sts" if request.is_sts else "sagemaker"
            action = f"{service}:{request.operation}"
            message = access_denied(request.caller.arn, action, request.resource).message
        if message is None and fault.error == "ResourceLimitExceeded":
            used = len(self.world.holdings(request.caller.scope).plans)
            message = quota_reached("Number of edge deployment plans", "EdgeDeploymentPlans", used, used).message
        return ApiError(fault.error, message, fault.status)
