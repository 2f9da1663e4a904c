"""AWS: the sandbox behind real boto3 clients, whose requests go there without a network, on a clock of its own."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from controller.aws.accounts import Accounts
from controller.aws.sagemaker import SageMakerPlans
from controller.domain.resource import Scope
from edge_manager.calls import Call
from edge_manager.clock import Clock
from edge_manager.faults import Fault, Faults
from edge_manager.plan_calls import describe
from edge_manager.service import Request, Service
from edge_manager.settings import Settings
from edge_manager.stages import Failure
from edge_manager.state import Place, World

if TYPE_CHECKING:
    from tests.life.crash import Mortality

ACCOUNT = "123456789012"
REGIONS = ("eu-west-1", "us-east-1")
START = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
READS = frozenset({"DescribeEdgeDeploymentPlan", "ListEdgeDeploymentPlans", "ListTags", "ListStageDevices"})


class _Body(io.BytesIO):
    """What urllib3 would give botocore."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


class _AtOnce(Executor):
    """Runs work where it is submitted, so that the order of calls depends on nothing but the seed."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - what a thread would hand over
            future.set_exception(error)
        return future


async def _account_id() -> str:
    return ACCOUNT


class LocalAccounts(Accounts):
    """The operator's accounts, with clients that reach the sandbox in this process."""

    def __init__(self, aws: Aws) -> None:
        super().__init__(region=REGIONS[0], accounts={}, threads=1, timeout=5)
        self._aws = aws

    def plans(self, scope: Scope) -> SageMakerPlans:
        """The plans there, with calls in order."""
        found = super().plans(scope)
        found._threads = _AtOnce()  # type: ignore[assignment]
        found.account_id = _account_id  # type: ignore[method-assign]
        return found

    def _client(self, scope: Scope) -> Any:
        return self._aws.client(scope.region, by_operator=True)


class Aws:
    """One sandbox that is emptied for each life, and two ways in: the operator's and that of people."""

    def __init__(self) -> None:
        self.reset()
        self._clients = {region: self.client(region, by_operator=False) for region in REGIONS}
        self.accounts = LocalAccounts(self)

    def reset(self, **changes: Any) -> None:
        """A new world."""
        settings = Settings(create_duration=2, start_duration=2, deploy_duration_per_stage=40, stop_duration=3)
        self.service = Service(settings.changed(changes), Clock(0, START, 0))
        self.mortality: Mortality | None = None
        self.calling: Callable[[Request], None] = lambda _request: None
        self.called: Callable[[Request], None] = lambda _request: None
        self.refused_connections = 0
        self.calls = 0
        self.intruder: tuple[int, Callable[[], object]] | None = None

    def client(self, region: str, *, by_operator: bool) -> Any:
        """A boto3 client."""
        client = boto3.client(
            "sagemaker",
            region_name=region,
            endpoint_url="http://sandbox.invalid",
            aws_access_key_id="key",
            aws_secret_access_key="secret",  # noqa: S106
            config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.sagemaker", self._serve_operator if by_operator else self._serve)
        return client

    def by_hand(self, region: str) -> Any:
        """What a person with the AWS CLI would use: no faults, no crashes."""
        return self._clients[region]

    # -- time -------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The one clock of the operator and of AWS."""
        return datetime.fromtimestamp(self.service.clock.now(0), UTC)

    def advance(self, seconds: float) -> None:
        """Time goes on."""
        self.service.clock.advance(seconds)

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

    def place(self, region: str) -> Place:
        """What one region holds."""
        return self.service.world.place(ACCOUNT, region)

    def plan(self, name: str, region: str) -> dict[str, Any] | None:
        """A plan as AWS describes it, with its tags."""
        plan = self.place(region).plans.get(name)
        if plan is None:
            return None
        call = Call(self.service.world, self.place(region), self.service.settings, self.service.clock.now(0))
        return {**describe(plan, call), "Tags": dict(plan.tags)}

    @property
    def world(self) -> World:
        """All places."""
        return self.service.world

    # -- the wire ---------------------------------------------------------------------------------------------------

    def _serve(self, request: Any, **_: Any) -> AWSResponse:
        opened = self._open(request)
        return self._respond(request, opened, None)

    def _serve_operator(self, request: Any, **_: Any) -> AWSResponse:
        assert self.mortality is not None
        self.mortality.before_work()
        self.calls += 1
        if self.intruder is not None and self.calls >= self.intruder[0]:
            intrude, self.intruder = self.intruder[1], None
            intrude()
        if self.refused_connections:
            self.refused_connections -= 1
            raise EndpointConnectionError(endpoint_url=request.url)
        opened = self._open(request)
        fault = self.service.obstruct(opened)
        if fault is not None and fault.mode == "drop_before":
            raise ConnectionClosedError(endpoint_url=request.url)
        self.calling(opened)
        response = self._respond(request, opened, fault)
        if response.status_code == 200:
            self.called(opened)
        self.mortality.after_work()
        if fault is not None and fault.mode == "drop_after":
            raise ReadTimeoutError(endpoint_url=request.url)
        return response

    def _open(self, request: Any) -> Request:
        headers = {key: value if isinstance(value, str) else value.decode() for key, value in request.headers.items()}
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        return self.service.open(headers, body, time.time())

    def _respond(self, request: Any, opened: Request, fault: Fault | None) -> AWSResponse:
        reply = self.service.answer(opened, fault, 0)
        headers = {"x-amzn-RequestId": opened.id, "Content-Type": reply.content_type}
        return AWSResponse(request.url, reply.status, headers, _Body(reply.body))


class Loop:
    """One event loop for all lives."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, *work: Any) -> list[Any]:
        """Run coroutines side by side to the end of all; their results or exceptions."""

        async def together() -> list[Any]:
            return await asyncio.gather(*work, return_exceptions=True)

        return self._runner.run(together())

    def close(self) -> None:
        """Done."""
        self._runner.close()
