"""The control endpoint under `/_sandbox/`: plain JSON to look at the sandbox and to turn its dials while it runs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import TypeAdapter

from edge_manager.api.plan_calls import describe
from edge_manager.api.throttle import Throttle
from edge_manager.domain.scope import Scope
from edge_manager.sandbox.client import PREFIX
from edge_manager.sandbox.clock import Clock
from edge_manager.sandbox.faults import Fault, Faults
from edge_manager.sandbox.identity import DEFAULT_ACCOUNT
from edge_manager.sandbox.memory import Call
from edge_manager.sandbox.stages import Failure
from edge_manager.sandbox.state import World, device_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from edge_manager.sandbox.service import Service
    from edge_manager.sandbox.state import Holdings


class Control:
    """The routes over one service, and the state that a reset goes back to."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.initial_settings = service.settings
        self.initial_speed = service.clock.speed

    def routes(self) -> list[web.RouteDef]:
        """All routes; each handler takes the request's JSON and answers with JSON."""
        table: list[tuple[str, str, Callable[[web.Request, Any], Any]]] = [
            ("GET", "/", self.overview),
            ("POST", "/reset", self.reset),
            ("GET", "/settings", lambda _request, _body: self.service.settings.model_dump(by_alias=True)),
            ("PUT", "/settings", self.change_settings),
            ("DELETE", "/settings", self.restore_settings),
            ("GET", "/clock", self.clock),
            ("PUT", "/clock", self.set_clock),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.add_fault),
            ("DELETE", "/faults", lambda _request, _body: self.service.faults.remove()),
            (
                "DELETE",
                "/faults/{id:[0-9]+}",
                lambda request, _: self.service.faults.remove(int(request.match_info["id"])),
            ),
            ("GET", "/failures", self.failures),
            ("POST", "/failures", self.add_failure),
            ("DELETE", "/failures", lambda _request, _body: self.service.world.failures.clear()),
            ("GET", "/counts", self.counts),
            ("DELETE", "/counts", self.reset_counts),
            ("GET", "/requests", self.requests),
            ("GET", "/plans", self.plans),
            ("GET", "/plans/{name}", self.plan),
            ("POST", "/fleets", self.seed_fleet),
        ]
        return [web.route(method, PREFIX + path, _json(self._late_first(handler))) for method, path, handler in table]

    def _late_first(self, handler: Callable[[web.Request, Any], Any]) -> Callable[[web.Request, Any], Any]:
        """Do the late work that is due before anybody looks."""

        def handle(request: web.Request, body: Any) -> Any:
            self.service.catch_up(time.time())
            return handler(request, body)

        return handle

    def overview(self, _request: web.Request, _body: Any) -> dict[str, Any]:
        """What there is, in numbers."""
        scopes = [
            {
                "account": scope.account,
                "region": scope.region,
                "plans": len(holdings.plans),
                "fleets": len(holdings.fleets),
                "devices": sum(len(fleet.devices) for fleet in holdings.fleets.values()),
                "packagingJobs": len(holdings.packages),
            }
            for scope, holdings in self.service.world.scopes.items()
        ]
        settings = self.service.settings.model_dump(by_alias=True)
        return {"scopes": scopes, "settings": settings, "clock": self.clock(_request, _body)}

    def reset(self, _request: web.Request, _body: Any) -> None:
        """Back to how it was started: empty, initial settings, no faults, real time at the initial speed."""
        service, wall = self.service, time.time()
        service.settings = self.initial_settings
        service.clock = Clock(wall, wall, self.initial_speed)
        service.world, service.faults, service.throttle = World(), Faults(), Throttle()
        service.late.clear()
        service.counts.clear()
        service.log.clear()

    def change_settings(self, _request: web.Request, body: Any) -> dict[str, Any]:
        """Change some settings; the others stay."""
        self.service.settings = self.service.settings.changed(body)
        return self.service.settings.model_dump(by_alias=True)

    def restore_settings(self, _request: web.Request, _body: Any) -> dict[str, Any]:
        """Back to the settings that the sandbox was started with."""
        self.service.settings = self.initial_settings
        return self.service.settings.model_dump(by_alias=True)

    def clock(self, _request: web.Request, _body: Any) -> dict[str, float]:
        """The sandbox's time, in seconds since the epoch, and its pace."""
        return {"now": self.service.clock.now(time.time()), "speed": self.service.clock.speed}

    def set_clock(self, request: web.Request, body: Any) -> dict[str, float]:
        """Change the pace (0: manual), jump ahead, or both."""
        if unknown := set(body) - {"speed", "advance"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        speed, advance = float(body.get("speed", self.service.clock.speed)), float(body.get("advance", 0))
        if speed < 0 or advance < 0:
            raise ValueError("time does not go backwards")
        self.service.clock.set_speed(speed, time.time())
        self.service.clock.advance(advance)
        return self.clock(request, body)

    def faults(self, _request: web.Request, _body: Any) -> list[dict[str, Any]]:
        """The rules in force, with how many calls each has met."""
        faults = self.service.faults
        return [
            {"id": number, "met": faults.met[number], **rule.model_dump(by_alias=True)}
            for number, rule in faults.rules.items()
        ]

    def add_fault(self, _request: web.Request, body: Any) -> dict[str, int]:
        """Put a rule in force."""
        return {"id": self.service.faults.add(Fault.model_validate(body))}

    def failures(self, _request: web.Request, _body: Any) -> list[dict[str, Any]]:
        """The failures that devices will meet."""
        return [{"plan": plan, "stage": stage, **each._asdict()} for plan, stage, each in self.service.world.failures]

    def add_failure(self, _request: web.Request, body: Any) -> None:
        """Let devices fail in stages that are started from now on."""
        known = {"plan", "stage", *Failure._fields}
        if unknown := set(body) - known:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        given = {key: body[key] for key in Failure._fields if body.get(key) is not None}
        failure = TypeAdapter(Failure).validate_python(given)
        self.service.world.failures.append((body.get("plan") or "*", body.get("stage") or "*", failure))

    def counts(self, _request: web.Request, _body: Any) -> dict[str, dict[str, Any]]:
        """Calls by operation, and by operation and result code."""
        counts = self.service.counts
        return {"operations": {name: codes.total() for name, codes in counts.items()}, "codes": dict(counts)}

    def reset_counts(self, _request: web.Request, _body: Any) -> None:
        """Count from zero, and empty the log."""
        self.service.counts.clear()
        self.service.log.clear()

    def requests(self, request: web.Request, _body: Any) -> list[dict[str, Any]]:
        """The latest calls in the order in which they were answered; filters: operation, name, since."""
        operation, name = request.query.get("operation"), request.query.get("name")
        since = float(request.query.get("since", 0))
        return [
            entry
            for entry in self.service.log
            if operation in (None, entry["operation"]) and name in (None, entry["name"]) and entry["time"] >= since
        ]

    def plans(self, request: web.Request, _body: Any) -> list[str]:
        """The names of all plans; filters: account, region."""
        return sorted(name for holdings in self._chosen(request) for name in holdings.plans)

    def plan(self, request: web.Request, _body: Any) -> dict[str, Any]:
        """A plan as DescribeEdgeDeploymentPlan has it, with its tags, account and region."""
        now = self.service.clock.now(time.time())
        for holdings in self._chosen(request):
            plan = holdings.plans.get(request.match_info["name"])
            if plan is not None:
                described = describe(Call(self.service.world, holdings, self.service.settings, now), plan)
                return {
                    **described,
                    "Tags": plan.tags,
                    "Account": holdings.scope.account,
                    "Region": holdings.scope.region,
                }
        raise LookupError(f"no plan {request.match_info['name']}")

    def seed_fleet(self, _request: web.Request, body: Any) -> dict[str, int]:
        """Add devices to a fleet by a name template, for instance `{fleet}-canary-{number:04d}`."""
        scope = Scope(body.get("account") or DEFAULT_ACCOUNT, body.get("region") or "us-east-1")
        names = device_names(body["name"], int(body["devices"]), body.get("template") or "{fleet}-{number:04d}")
        fleet = self.service.world.holdings(scope).seed(body["name"], names, self.service.clock.now(time.time()))
        return {"devices": len(fleet.devices)}

    def _chosen(self, request: web.Request) -> Iterator[Holdings]:
        account, region = request.query.get("account"), request.query.get("region")
        for scope, holdings in self.service.world.scopes.items():
            if account in (None, scope.account) and region in (None, scope.region):
                yield holdings


def _json(handler: Callable[[web.Request, Any], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read() or b"{}")
            if not isinstance(body, dict):
                raise TypeError("the body must be a JSON object")  # noqa: TRY301
            return web.json_response(handler(request, body))
        except LookupError as error:
            return web.json_response({"error": str(error)}, status=404)
        except (ValueError, TypeError) as error:  # pydantic's ValidationError is a ValueError
            return web.json_response({"error": str(error)}, status=400)

    return handle
