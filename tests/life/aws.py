"""AWS: the sandbox behind real boto3 clients, whose requests go there without a network, on the virtual loop's clock."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from controller.aws.answers import refuse_rubbish
from controller.domain.resource import Resource
from controller.engine.index import Index
from edge_manager.api.dispatch import Reply
from edge_manager.api.plan_calls import describe
from edge_manager.domain.scope import Scope
from edge_manager.sandbox.clock import Clock
from edge_manager.sandbox.faults import Fault, Faults
from edge_manager.sandbox.memory import Call
from edge_manager.sandbox.service import Request, Service
from edge_manager.sandbox.settings import Settings
from edge_manager.sandbox.stages import Failure
from edge_manager.sandbox.state import Holdings, World
from tests.life.crash import Mortality
from tests.life.virtual import VirtualLoop

ACCOUNT = "123456789012"
REGIONS = ("eu-west-1", "us-east-1")
START = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
READS = frozenset(
    {
        *("DescribeEdgeDeploymentPlan", "ListEdgeDeploymentPlans", "ListTags", "ListStageDevices"),
        *("DescribeDeviceFleet", "DescribeEdgePackagingJob", "DescribeDevice"),
    }
)
PATIENCE = 5.0
"""Seconds after which a client gives up waiting."""


class Caller(Protocol):
    """An operator's process."""

    mortality: Mortality
    index: Index
    leads: bool


@dataclass
class Silence:
    """How long a client waits for nothing before it gives up."""

    seconds: float = 0.0


class _Body(io.BytesIO):
    """What urllib3 would give botocore."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class Aws:
    """One sandbox that is emptied for each life, and two ways in: the operators' and that of people."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self._people = {region: self._client(region, self._serve) for region in REGIONS}
        self._operators = {region: self._client(region, self._serve_operator) for region in REGIONS}
        for client in self._operators.values():
            client.meta.events.register("before-parse.sagemaker", refuse_rubbish)
        self.reset()

    def reset(self, **changes: Any) -> None:
        """A new world."""
        self.loop.close()
        self.loop = VirtualLoop()
        settings = Settings(create_duration=2, start_duration=2, deploy_duration_per_stage=40, stop_duration=3)
        self.service = Service(settings.changed(changes), Clock(0, START, 1))
        self.calling: Callable[[Request, Sequence[Resource]], None] = lambda _request, _known: None
        self.called: Callable[[Request], None] = lambda _request: None
        self.refused_connections = 0
        self.calls = 0
        self.intruder: tuple[int, Callable[[], object]] | None = None
        self.intruded: tuple[int, dict[tuple[str, str], dict[str, Any]]] = (-100, {})
        """When the last one came, in calls, and the plans as they were before."""
        self.closed: set[str] = set()
        """Regions that no operator may use that starts from now on."""
        self.slowness = 0.0
        """Seconds that a message to or from AWS takes at the most."""
        self.dice = random.Random(0)  # noqa: S311 - repeatable journeys
        self._caller: Caller | None = None
        self._known: Sequence[Resource] = ()
        self._silence = Silence()

    def close(self) -> None:
        """Done."""
        self.loop.close()

    def by_hand(self, region: str) -> Any:
        """What a person with the AWS CLI would use: no faults, no crashes."""
        return self._people[region]

    def operators_client(self, region: str) -> Any:
        """What operators use."""
        return self._operators[region]

    def _client(self, region: str, serve: Callable[..., AWSResponse]) -> Any:
        client = boto3.client(
            "sagemaker",
            region_name=region,
            endpoint_url="http://sandbox.invalid",
            aws_access_key_id="key",
            aws_secret_access_key="secret",  # noqa: S106
            config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.sagemaker", serve)
        return client

    # -- time -------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """AWS's time, and the cluster's, to the microsecond: a timer must not be early by what rounding took off."""
        return datetime.fromtimestamp(START + self.loop.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Time goes on while the operators sleep."""
        self.loop.jump(seconds)

    def travel(self) -> float:
        """Seconds that the next message takes."""
        return self.dice.uniform(0, self.slowness) if self.slowness else 0.0

    # -- dials ------------------------------------------------------------------------------------------------------

    def settings(self, **changes: Any) -> None:
        """Change the sandbox's settings."""
        self.service.settings = self.service.settings.changed(changes)

    def fault(self, operation: str, **rule: Any) -> None:
        """Put a fault in force."""
        self.service.faults.add(Fault(operation=operation, **rule))

    def calm(self) -> None:
        """No more trouble."""
        self.service.faults = Faults()
        self.refused_connections = 0
        self.intruder = None

    def fail_devices(self, stage: str, percent: int) -> None:
        """Let devices fail in stages started from now on."""
        self.service.world.failures.append(("*", stage, Failure(percent=percent)))

    def heal_devices(self) -> None:
        """Let no more devices fail."""
        self.service.world.failures.clear()

    # -- what is there ----------------------------------------------------------------------------------------------

    def holdings(self, region: str) -> Holdings:
        """What one region holds."""
        self.service.catch_up(self.loop.time())
        return self.service.world.holdings(Scope(ACCOUNT, region))

    def plan(self, name: str, region: str) -> dict[str, Any] | None:
        """A plan as it is, with its tags, however far behind Describe may be."""
        plan = self.holdings(region).plans.get(name)
        if plan is None:
            return None
        now = self.service.clock.now(self.loop.time())
        call = Call(self.service.world, self.holdings(region), self.service.settings, now)
        return {**describe(call, plan), "Tags": dict(plan.tags)}

    @property
    def world(self) -> World:
        """All scopes."""
        return self.service.world

    # -- the wire ---------------------------------------------------------------------------------------------------

    @contextmanager
    def called_by(self, caller: Caller, known: Sequence[Resource]) -> Iterator[Silence]:
        """Whose calls these are, made knowing which objects; how long they wait for nothing is told in the value."""
        self._caller, self._known, self._silence = caller, known, Silence()
        yield self._silence
        self._caller = None

    def _serve(self, request: Any, **_: Any) -> AWSResponse:
        return self._respond(request, self.service.answer(self._open(request), None, self.loop.time()), "by-hand")

    def _serve_operator(self, request: Any, **_: Any) -> AWSResponse:
        caller = self._caller
        assert caller is not None
        caller.mortality.before_work()
        self.calls += 1
        if self.intruder is not None and self.calls >= self.intruder[0]:
            intrude, self.intruder = self.intruder[1], None
            self.intruded = (
                self.calls,
                {(name, at): self.plan(name, at) or {} for at in REGIONS for name in self.holdings(at).plans},
            )
            intrude()
        if self.refused_connections:
            self.refused_connections -= 1
            raise EndpointConnectionError(endpoint_url=request.url)
        opened = self._open(request)
        fault = self.service.obstruct(opened)
        mode = fault.mode if fault else None
        if mode == "drop_before":
            raise ConnectionClosedError(endpoint_url=request.url)
        if mode == "hang":
            raise self._time_out(request)
        self.calling(opened, self._known)
        if fault and mode == "late":
            self.service.postpone(opened, fault.seconds, self.loop.time())
            caller.mortality.after_work()
            raise self._time_out(request)
        reply = self.service.answer(opened, fault, self.loop.time())
        if reply.code == "OK" or (fault and mode == "rubbish" and fault.body == "half"):
            self.called(opened)
        caller.mortality.after_work()
        if mode == "drop_after":
            raise self._time_out(request)
        return self._respond(request, reply, opened.id)

    def _time_out(self, request: Any) -> ReadTimeoutError:
        self._silence.seconds = PATIENCE if self.slowness else 0.0
        return ReadTimeoutError(endpoint_url=request.url)

    def _open(self, request: Any) -> Request:
        headers = {key: value if isinstance(value, str) else value.decode() for key, value in request.headers.items()}
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        return self.service.open(headers, body, self.loop.time())

    def _respond(self, request: Any, reply: Reply, request_id: str) -> AWSResponse:
        headers = {
            "x-amzn-RequestId": request_id,
            "Content-Type": reply.content_type,
            "Date": self.service.date(self.loop.time()),
        }
        return AWSResponse(request.url, reply.status, headers, _Body(reply.body))
