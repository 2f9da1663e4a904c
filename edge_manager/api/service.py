"""A request's way through the service, without the HTTP: identify, parse, authorize, perform, audit."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from edge_manager.api import device_calls, sts
from edge_manager.api.calls import CONTROL, EDGE, OPERATIONS, Result
from edge_manager.api.dispatch import TOKENS, Reply, answered, asked, codec, parameters, refused
from edge_manager.api.stored import Call, Pending
from edge_manager.api.watch import Watch
from edge_manager.domain.access import SUBJECTS
from edge_manager.domain.texts import LONGEST_QUOTE, shortened
from edge_manager.errors import ApiError
from edge_manager.store import devices
from edge_manager.store.caches import Caches
from edge_manager.store.devices import Fetch
from edge_manager.store.groups import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from edge_manager.api import ports
    from edge_manager.api.door import Caller, Door
    from edge_manager.api.signatures import Incoming
    from edge_manager.domain.rules import Rules
    from edge_manager.store.engine import Store

REGISTERED = (device_calls,)  # its operations are in OPERATIONS by now, with those of the control API
Found = TypeVar("Found")
THREADS = 8
TRIES = 5  # of a device that asks while what it is offered changes
LOG = logging.getLogger(__name__)
AUDIT = logging.getLogger("edge_manager.audit")


@dataclass
class Request:
    """A call on its way; what is found out about it is noted here, for the audit log."""

    incoming: Incoming
    service: str
    operation: str
    id: str = field(default_factory=lambda: str(uuid4()))
    caller: Caller | None = None
    wanted: Any = None

    @property
    def known_as(self) -> str:
        """The operation, or one word for all that there is none of: callers choose what they call it."""
        known = self.operation in OPERATIONS or self.operation in ("GetCallerIdentity", "AssumeRole")
        return self.operation if known else "Unknown"

    @property
    def is_change(self) -> bool:
        """Whether it belongs in the audit log: calls that write, results of devices, and keys handed out."""
        if self.service == EDGE:
            return isinstance(self.wanted, dict) and bool(self.wanted.get("DeploymentResult"))
        if self.service == TOKENS:
            return self.operation == "AssumeRole"
        return self.operation in OPERATIONS and OPERATIONS[self.operation].writes


@dataclass(frozen=True)
class Prepared:
    """An operation on its parameters, of which each try gets a copy of its own."""

    function: Callable[[ports.Call, dict[str, Any]], Any]
    wanted: dict[str, Any]

    def __call__(self, call: ports.Call) -> Any:
        """Do it."""
        return self.function(call, dict(self.wanted))


class Service:
    """The API over one store."""

    def __init__(
        self,
        store: Store,
        door: Door,
        rules: Rules,
        *,
        job_created: Callable[[], None] = lambda: None,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._door, self._rules, self._clock, self._job_created = store, door, rules, clock, job_created
        self._caches = Caches()
        self._threads = ThreadPoolExecutor(THREADS, "call")
        self._watch = watch or Watch()
        apply = functools.partial(devices.apply, self._caches)
        self._group: Group[Any, bool] = Group(store, apply, committed=self._watch.grouped)

    def close(self) -> None:
        """Finish what was begun."""
        self._threads.shutdown()
        self._group.close()

    async def check(self) -> None:
        """Raise unless the store answers."""
        await self._in_thread(self._store.check)

    async def answer(self, incoming: Incoming) -> Reply:
        """Do what a request asks for. Whatever goes wrong, it is answered as AWS does."""
        request, begun = _open(incoming), time.perf_counter()
        try:
            reply = await self._answer(request)
        except ApiError as error:
            reply = refusal(request, error)
        except Exception:  # whatever it was, the caller gets no more than AWS's words
            LOG.exception("%s failed, request %s", request.operation, request.id)
            reply = refusal(request, ApiError("InternalFailure"))
        self._watch.called(request.known_as, reply.code, time.perf_counter() - begun)
        if request.is_change:
            _audit(request, reply, self._clock())
        return reply

    async def _answer(self, request: Request) -> Reply:
        for _ in range(TRIES):
            found = await self._in_thread(lambda: self._begin(request))
            if not isinstance(found, Pending):
                return found
            is_news = await asyncio.wrap_future(self._group.submit(found.item))
            self._watch.heard(found.item, is_news=is_news)
            if is_news or not isinstance(found.item, Fetch):
                return _reply(request, found.answer)
        return _reply(request, {"Deployments": []})

    def _begin(self, request: Request) -> Reply | Pending:
        """Do what can be done in a thread of its own: all but the writes that devices share."""
        now = round(self._clock(), 3)
        found = self._store.read(lambda db: self._read(db, request, now))
        if not isinstance(found, Prepared):
            return found
        result = self._store.write(lambda db: found(self._call(db, request, now)))
        if request.operation in ("CreateCompilationJob", "CreateEdgePackagingJob"):
            self._job_created()
        return _reply(request, result or {})

    def _read(self, db: Connection, request: Request, now: float) -> Reply | Pending | Prepared:
        """Let the caller in and do what a read transaction can do: everything, or all but the write."""
        signed_for = TOKENS if request.service == TOKENS else CONTROL
        request.caller = self._door.identify(db, request.incoming, signed_for, now)
        principal, scope = request.caller.principal, request.caller.scope
        if request.service == TOKENS:
            identity = sts.Identity(principal.access_key, principal.account, principal.arn)
            assume = functools.partial(self._door.assume, principal)
            body = sts.answer(identity, request.wanted, assume, request.id, now)
            return Reply(200, sts.CONTENT_TYPE, body, request.id)
        request.wanted = parameters(request.service, request.operation, request.incoming.body)
        operation = OPERATIONS[request.operation]
        principal.check(request.operation, scope, request.wanted if isinstance(request.wanted, dict) else {})
        prepared = Prepared(operation.function, codec(request.service).parse(request.operation, request.wanted))
        if operation.writes:
            return prepared
        found = prepared(self._call(db, request, now))
        return found if isinstance(found, Pending) else _reply(request, found or {})

    def _call(self, db: Connection, request: Request, now: float) -> Call:
        if request.caller is None:
            raise ApiError("MissingAuthenticationTokenException")
        return Call(db, request.caller.scope, now, self._rules, self._caches)

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def refusal(request: Request, error: ApiError) -> Reply:
    """An error in the form of the service that was called."""
    return refused(request.service, error, request.id)


def _open(incoming: Incoming) -> Request:
    """What is asked for; by whom is to be found out yet."""
    if incoming.path != "/":
        return Request(incoming, EDGE, incoming.path.removeprefix("/"))
    found = asked(incoming.headers.get("x-amz-target"), incoming.query, incoming.body)
    return Request(incoming, found.service, found.operation, wanted=found.form)


def _reply(request: Request, result: Result) -> Reply:
    return answered(request.service, request.operation, result, request.id)


def _audit(request: Request, reply: Reply, now: float) -> None:
    """One line, without secrets: who wanted what of which resource, and what became of it.

    Of a call whose signature was not verified it says no more than that there was one: anybody can send it.
    """
    if request.caller is None:
        line: dict[str, Any] = {"time": round(now, 3), "requestId": request.id}
        line |= {"operation": request.operation, "code": reply.code}
        AUDIT.info(json.dumps(line))
        return
    wanted = request.wanted if isinstance(request.wanted, dict) else {}
    subjects = (*SUBJECTS, "StageName", "DeviceName", "ResourceArn", "RoleArn")
    principal, scope = request.caller.principal, request.caller.scope
    line = {
        "time": round(now, 3),
        "requestId": request.id,
        "operation": request.operation,
        "code": reply.code,
        "subject": _quoted(wanted, subjects),
        "account": scope.account,
        "region": scope.region,
        "key": principal.access_key,
        "arn": principal.arn,
    }
    if isinstance(result := wanted.get("DeploymentResult"), dict):
        line["result"] = _quoted(result, ("DeploymentName", "DeploymentStatus"))
    AUDIT.info(json.dumps(line))


def _quoted(values: dict[str, Any], names: Iterable[str]) -> dict[str, str]:
    """The texts of these names, as long as a line of the log may be."""
    return {name: shortened(values[name], LONGEST_QUOTE) for name in names if isinstance(values.get(name), str)}
