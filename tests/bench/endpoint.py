"""`python -m tests.bench.endpoint`: the sandbox, which also answers for ModelPackageGroups, as a Go controller needs it.

They are an extension for the benchmark: no tags are checked, nothing takes time but the latency that the sandbox has set.
Throttle, faults, counts and the log of requests are the sandbox's own.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from edge_manager.api.calls import OPERATIONS
from edge_manager.sandbox.clock import Clock
from edge_manager.sandbox.memory import Call
from edge_manager.sandbox.server import application
from edge_manager.sandbox.service import Service
from edge_manager.sandbox.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_MARK: Final = ":model-package-group/"


class _Missing(Exception):  # noqa: N818 - an answer, not a fault
    pass


@dataclass
class Groups:
    """All model package groups, by name."""

    service: Service
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, operation: str, wanted: dict[str, Any], arn: str) -> dict[str, Any]:
        """Do what a call asks for."""
        name = str(wanted.get("ModelPackageGroupName", wanted.get("ResourceArn", "").rpartition("/")[2]))
        if operation == "CreateModelPackageGroup":
            self.known[name] = {
                "ModelPackageGroupName": name,
                "ModelPackageGroupArn": arn + name,
                "ModelPackageGroupDescription": wanted.get("ModelPackageGroupDescription", ""),
                "CreationTime": time.time(),
                "CreatedBy": {},
                "ModelPackageGroupStatus": "Completed",
                "Tags": wanted.get("Tags", []),
            }
            return {"ModelPackageGroupArn": arn + name}
        if name not in self.known:
            raise _Missing(f"ModelPackageGroup {arn}{name} does not exist.")
        if operation == "DeleteModelPackageGroup":
            del self.known[name]
            return {}
        if operation == "ListTags":
            return {"Tags": self.known[name]["Tags"]}
        return {key: value for key, value in self.known[name].items() if key != "Tags"}

    def handles(self, operation: str, body: bytes) -> bool:
        """Whether a call is for these."""
        return operation.endswith("ModelPackageGroup") or (operation == "ListTags" and _MARK.encode() in body)


def extended(service: Service) -> web.Application:
    """The sandbox's application with the groups in front of it, and what the benchmark does behind everybody's back."""
    groups = Groups(service)

    @web.middleware
    async def in_front(request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if request.path != "/" or not groups.handles(operation, await request.read()):
            return await handler(request)
        return await _answer(request, groups, operation)

    async def seed(http: web.Request) -> web.Response:
        wanted = await http.json()
        _seed(service, wanted["plans"], wanted["like"])
        return web.json_response({})

    async def drop(http: web.Request) -> web.Response:
        for name in await http.json():
            for holdings in service.world.scopes.values():
                if holdings.plans.pop(name, None) is not None:
                    holdings.note(name, service.clock.now(time.time()))
        return web.json_response({})

    async def held(_http: web.Request) -> web.Response:
        plans = sum(len(holdings.plans) for holdings in service.world.scopes.values())
        return web.json_response({"held": plans + len(groups.known)})

    app = application(service)
    app.middlewares.append(in_front)
    app.add_routes([web.post("/_bench/seed", seed), web.post("/_bench/drop", drop), web.get("/_bench/held", held)])
    return app


async def _answer(http: web.Request, groups: Groups, operation: str) -> web.Response:
    """A call for groups on the sandbox's own way: signature, throttle, latency, log."""
    service, body = groups.service, await http.read()
    request = replace(service.open(http.headers, body, time.time()), refusal=None)
    fault = service.obstruct(request)
    if delay := service.delay(request, fault):
        await asyncio.sleep(delay)
    status, code, answer = 200, "OK", b""
    if fault is not None:
        refusal = service.answer(request, fault, time.time())
        status, code, answer = refusal.status, refusal.code, refusal.body
    else:
        scope = request.caller.scope
        try:
            arn = f"arn:aws:sagemaker:{scope.region}:{scope.account}{_MARK}"
            answer = json.dumps(groups.answer(operation, json.loads(body), arn)).encode()
        except _Missing as error:
            status, code = 400, "ValidationException"
            answer = json.dumps({"__type": code, "message": str(error)}).encode()
    service.record(request, status, code, time.time())
    headers = {"x-amzn-RequestId": request.id, "Content-Type": _CONTENT_TYPE}
    return web.Response(status=status, body=answer, headers=headers)


def _seed(service: Service, plans: list[dict[str, Any]], like: str) -> None:
    """Make plans that are as old as another one, each from the parameters of CreateEdgeDeploymentPlan."""
    now = service.clock.now(time.time())
    (holdings,) = (holdings for holdings in service.world.scopes.values() if like in holdings.plans)
    model, create = holdings.plans[like], OPERATIONS["CreateEdgeDeploymentPlan"].function
    for wanted in plans:
        create(Call(service.world, holdings, service.settings, now), wanted)
        plan = holdings.plans[wanted["EdgeDeploymentPlanName"]]
        plan.created, plan.modified = model.created, model.modified
        holdings.note(plan.name, now)


async def _serve() -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    wall = time.time()
    settings = Settings.model_validate({"quota": None})
    runner = web.AppRunner(extended(Service(settings, Clock(wall, wall, 1.0))), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    await web.SockSite(runner, listener).start()
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await over.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve())
