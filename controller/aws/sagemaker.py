"""SageMaker through boto3: one client for each account and region, whose calls are made in the event loop where they can.

Else, and to make clients, there is a thread pool, as wide as the client's connection pool: boto3 blocks. botocore's own
retries are off (the loop retries, with its state in status), and so is its token bucket, in which calls wait in threads:
where AWS throttles, they wait in `throttle.py`. Client and threads are made for the first call, let go while nobody calls,
and made again for the next one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, TypeVar, assert_never

from botocore.config import Config
from botocore.exceptions import ClientError

from controller.aws.answers import (
    DevicesPage,
    Identity,
    ListPage,
    Page,
    PlanCreated,
    PlanPage,
    Referent,
    TagsPage,
    read,
    refuse_rubbish,
)
from controller.aws.errors import UnreadableAnswerError, failure_of
from controller.aws.requests import request_of
from controller.aws.throttle import Throttle, Ticket
from controller.aws.wire import Wire
from controller.domain.actions import Action, CreatePlan
from controller.domain.desired import Reference
from controller.domain.failures import Failure, FailureKind
from controller.domain.observed import Created, ObservedPlan, ObservedStage, PlanSummary
from controller.domain.resource import Scope, account_of
from controller.domain.status import FailedDevice
from controller.engine.ports import AwsError, EdgePlanError

logger = logging.getLogger(__name__)

LIST_PAGE = 100
STAGE_PAGE = 10
FAILED_DEVICES = 5
"""As many of the devices that failed are named, of each stage."""
_DEVICE_PAGES = 5  # searched for them: what a stage of a hundred thousand devices would cost is worth no name
_REMEMBERED = 1024  # deployments whose failed devices are known
_TIMES = 3  # that a call is made which AWS's throttle refuses; it has done nothing then
IDENTITY_HOLDS = timedelta(minutes=5)
_DATE_IS_COARSE = timedelta(seconds=2)  # the Date header has whole seconds, and is written after the work


class NotLeading(EdgePlanError):  # noqa: N818 - a state, not a fault
    """The call was not made: another operator acts by now."""


class _Held(Exception):  # noqa: N818 - no fault either
    """The call was not made: AWS has begun to throttle since it was let go."""


_TICKET: ContextVar[Ticket | None] = ContextVar("ticket", default=None)

Called = Callable[[Scope, str, Failure | None, float, str | None], None]
"""Told of each call: where, which operation, how it failed if it did, how many seconds it took, AWS's id of the request."""


@dataclass(frozen=True)
class Change:
    """A call that changes AWS, as it ended."""

    scope: Scope
    action: Action
    operation: str
    parameters: Mapping[str, Any]
    failure: Failure | None
    request_id: str | None


Changed = Callable[[Change], None]
"""Told of each call that changes AWS."""

Waited = Callable[[Scope, float], None]
"""Told of each call that waited for AWS's throttle: where, and for how many seconds."""

PageT = TypeVar("PageT", bound=Page)
_T = TypeVar("_T")


def client_config(connections: int, timeout: float) -> Config:
    """The botocore configuration that goes with a pool of that many threads; `timeout` in seconds per call."""
    return Config(
        max_pool_connections=connections,
        connect_timeout=min(timeout, 10.0),
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": 1},
    )


class SageMakerPlans:
    """The edge deployment plans of one account and region."""

    def __init__(
        self,
        scope: Scope,
        make_client: Callable[[], Any],
        threads: int,
        *,
        make_sts: Callable[[], Any] | None = None,
        make_wire: Callable[[Any], Wire | None] = lambda _client: None,
        account_id: str | None = None,
        identity: bool = True,
        may_call: Callable[[], bool] = lambda: True,
        called: Called = lambda *_: None,
        changed: Changed = lambda _: None,
        waited: Waited = lambda *_: None,
    ) -> None:
        self._scope = scope
        # STS has a throttle of its own.
        self._throttles = {"sagemaker": Throttle(lambda seconds: waited(scope, seconds)), "sts": Throttle()}
        self._called = called
        self._changed = changed
        self._makers = {"sagemaker": make_client} | ({"sts": make_sts} if make_sts else {})
        self._make_wire = make_wire
        self._clients: dict[str, Any] = {}
        self._wire: Wire | None = None
        self._making = asyncio.Lock()
        self._width = threads
        self._threads: ThreadPoolExecutor | None = None
        self._under_way = 0
        self._known_id = account_id
        self._identity = identity
        self._may_call = may_call
        self._asked_id: tuple[str, float] | None = None
        self._failed_devices: dict[tuple[str, str, datetime | None], tuple[int, tuple[FailedDevice, ...]]] = {}
        """Of each deployment of a stage: how many had failed when their names were asked for, and the names."""
        self.last_used = time.monotonic()
        """When the latest call ended, by the monotonic clock."""

    @property
    def scope(self) -> Scope:
        """Account and region."""
        return self._scope

    @property
    def rate(self) -> float | None:
        """Calls a second that go at present; None while AWS does not throttle."""
        return self._throttles["sagemaker"].rate

    @property
    def opened(self) -> bool:
        """Whether there is a client, or threads."""
        return bool(self._clients) or self._threads is not None

    async def prepare(self) -> None:
        """Make the client now, which takes a tenth of a second of CPU: the first plan need not wait for that."""
        with suppress(Exception):  # whatever is wrong, the first call tells its object
            await self._client("sagemaker")

    async def describe(self, name: str, *, with_tags: bool) -> ObservedPlan | None:
        """The plan of that name with all its stages, or None."""
        request = {"EdgeDeploymentPlanName": name, "MaxResults": STAGE_PAGE}
        try:
            pages = await self._pages("DescribeEdgeDeploymentPlan", request, PlanPage)
        except AwsError as error:
            if error.failure.code == "ResourceNotFound":
                return None
            raise
        self._saw(pages[-1].edge_deployment_plan_arn)
        stages = [stage.observed() for page in pages for stage in page.stages]
        plan = pages[-1].observed(tuple([await self._with_failed_devices(name, stage) for stage in stages]))
        return plan.with_tags(await self.tags(plan.arn)) if with_tags else plan

    async def _with_failed_devices(self, plan: str, stage: ObservedStage) -> ObservedStage:
        """The stage with some of the devices that failed, asked for when there are more of them; a failure hides nothing."""
        deployment = (plan, stage.name, stage.started)
        counted, named = self._failed_devices.pop(deployment, (0, ()))
        if not stage.failed:
            return stage
        if stage.failed > counted and len(named) < FAILED_DEVICES:
            request = {"EdgeDeploymentPlanName": plan, "StageName": stage.name, "MaxResults": LIST_PAGE}
            request["ExcludeDevicesDeployedInOtherStage"] = True
            try:
                pages = await self._pages("ListStageDevices", request, DevicesPage, most=_DEVICE_PAGES)
            except AwsError as error:
                logger.info("the failed devices of stage %s of %s are not known: %s", stage.name, plan, error)
            else:
                named = tuple(device for page in pages for device in page.failed)[:FAILED_DEVICES]
        self._failed_devices[deployment] = (stage.failed, named)
        if len(self._failed_devices) > _REMEMBERED:
            del self._failed_devices[next(iter(self._failed_devices))]
        return replace(stage, failed_devices=named)

    async def tags(self, arn: str) -> dict[str, str]:
        """The tags of a plan."""
        pages = await self._pages("ListTags", {"ResourceArn": arn}, TagsPage)
        return {tag.key: tag.value for page in pages for tag in page.tags}

    async def list_plans(self, since: datetime | None = None) -> Mapping[str, PlanSummary]:
        """All plans, or those that were modified after `since`, by name."""
        changed = {"LastModifiedTimeAfter": since} if since is not None else {}
        request = {"MaxResults": LIST_PAGE, **changed}
        rows: dict[str, PlanSummary] = {}
        async for page in self._each_page("ListEdgeDeploymentPlans", request, ListPage):
            # At once: five hundred pages together would hold up the event loop.
            rows |= {row.name: row for row in (each.summary() for each in page.edge_deployment_plan_summaries)}
        for row in rows.values():
            self._saw(row.arn)
            break
        return rows

    async def status_of(self, reference: Reference) -> str:
        """The status of a packaging job; of a fleet or a device, which have none, nothing but that it is there."""
        operation, request = _lookup(reference)
        answer = await self._call(operation, request, lambda raw: read(Referent, raw))
        return answer.edge_packaging_job_status

    async def account_id(self) -> str:
        """The id of the AWS account that answers here: that of the role, of the ARNs seen, or by sts:GetCallerIdentity.

        Empty where a service that is not AWS knows no accounts.
        """
        if self._known_id is not None:
            return self._known_id
        if self._asked_id is not None and time.monotonic() - self._asked_id[1] <= IDENTITY_HOLDS.total_seconds():
            return self._asked_id[0]
        try:
            return (await self._caller()).account
        except AwsError:
            if self._identity:
                raise
            return ""  # only guessed that it might: whatever is no answer of STS's means that nobody knows accounts

    async def identity(self) -> str:
        """Who makes the calls, by sts:GetCallerIdentity: an ARN, or the account where there is none."""
        answer = await self._caller()
        return answer.arn or answer.account

    async def _caller(self) -> Identity:
        caller = await self._call("GetCallerIdentity", {}, lambda answer: read(Identity, answer), service="sts")
        self._asked_id = (caller.account, time.monotonic())
        return caller

    def _saw(self, arn: str) -> None:
        # The credentials of a process stay in their account: whose plans it shows is who answers.
        self._known_id = self._known_id or account_of(arn)

    async def count_devices(self, plan: str, stage: str) -> int:
        """How many devices a stage selects."""
        request = {"EdgeDeploymentPlanName": plan, "StageName": stage, "MaxResults": LIST_PAGE}
        pages = await self._pages("ListStageDevices", request, DevicesPage)
        return sum(len(page.device_deployment_summaries) for page in pages)

    async def apply(self, action: Action, still: Callable[[], object] = lambda: None) -> Created | None:
        """Make the call; what was made where the action is CreatePlan.

        `still` is asked each time that the call has its turn, which may be long after it was decided on: it raises
        where the call is not to be made any more.
        """
        operation, request = request_of(action)
        begun, request_id = time.monotonic(), None

        def made(answer: Any) -> Created | None:
            nonlocal request_id
            request_id = _request_id(answer)
            if not isinstance(action, CreatePlan):
                return None
            arn = read(PlanCreated, answer).edge_deployment_plan_arn
            self._saw(arn)
            return Created(arn, _since(answer, timedelta(seconds=time.monotonic() - begun)))

        try:
            created = await self._call(operation, request, made, still=still)
        except AwsError as error:
            failure = error.failure
            self._changed(Change(self._scope, action, operation, request, failure, failure.request_id or request_id))
            raise
        self._changed(Change(self._scope, action, operation, request, None, request_id))
        return created

    async def _pages(
        self, operation: str, request: Mapping[str, Any], model: type[PageT], *, most: int | None = None
    ) -> list[PageT]:
        """All pages of an answer, or the first `most`: one at the least."""
        pages: list[PageT] = []
        async with aclosing(self._each_page(operation, request, model)) as found:
            async for page in found:
                pages.append(page)
                if len(pages) == most:
                    break
        return pages

    async def _each_page(
        self, operation: str, request: Mapping[str, Any], model: type[PageT]
    ) -> AsyncGenerator[PageT, None]:
        seen: set[str] = set()
        token: dict[str, str] = {}
        while True:
            page = await self._call(operation, {**request, **token}, lambda answer: _next_page(model, answer, seen))
            yield page
            if not page.next_token:
                return
            token = {"NextToken": page.next_token}

    async def _call(
        self,
        operation: str,
        request: Mapping[str, Any],
        parse: Callable[[Any], _T],
        *,
        service: str = "sagemaker",
        still: Callable[[], object] = lambda: None,
    ) -> _T:
        """Make the call as soon as AWS's throttle lets it; one that is refused has its turn again before it fails."""
        throttle, left = self._throttles[service], _TIMES
        self._under_way += 1
        try:
            while True:
                ticket = await throttle.turn(operation)
                try:
                    still()
                    return await self._once(operation, request, parse, service, ticket)
                except _Held:
                    continue
                except AwsError as error:
                    failure = error.failure
                    if failure.kind is not FailureKind.THROTTLED or failure.operation != operation:
                        raise
                    throttle.refused(ticket, failure)
                    left -= 1
                    if not (left and failure.harmless):
                        raise
                finally:
                    throttle.over()
        finally:
            self._under_way -= 1
            self.last_used = time.monotonic()

    async def _once(
        self, operation: str, request: Mapping[str, Any], parse: Callable[[Any], _T], service: str, ticket: Ticket
    ) -> _T:
        """The one place where calls are made and answers read: whatever goes wrong is an AwsError."""
        begun, request_id = time.monotonic(), None
        try:
            client = await self._client(service)
            begun = time.monotonic()
            make = partial(self._make, client, operation, request, ticket)
            if service == "sagemaker" and self._wire is not None and self._wire.ready:
                raw = await self._wire.call(make, operation)
            else:
                task = copy_context()  # for whom the call is made matters where it is signed
                raw = await asyncio.get_running_loop().run_in_executor(self._threads, task.run, make)
            request_id = _request_id(raw)
            answer = parse(raw)
        except AwsError as error:  # the role could not be assumed: the call itself was not made
            self._note(error.failure.operation, error.failure, begun)
            raise
        except (EdgePlanError, _Held):
            raise  # another operator leads, or AWS throttles all of a sudden: no call was made
        except Exception as error:
            failure = failure_of(operation, error)
            self._note(operation, failure, begun, request_id)
            raise AwsError(failure) from error
        else:
            self._note(operation, None, begun, request_id)
            return answer

    def _note(self, operation: str, failure: Failure | None, begun: float, request_id: str | None = None) -> None:
        known = request_id or (failure.request_id if failure is not None else None)
        self._called(self._scope, operation, failure, time.monotonic() - begun, known)

    def _make(self, client: Any, operation: str, request: Mapping[str, Any], ticket: Ticket) -> Any:
        """Make the call if it is still this process's to make: it may have waited for its turn. Called in any thread."""
        if not self._may_call():
            raise NotLeading(f"{operation} was not called: this operator does not hold the lease at this moment")
        _TICKET.set(ticket)
        try:
            return client._make_api_call(operation, request)  # noqa: SLF001 - the method behind every client method
        except ClientError as error:
            if failure_of(operation, error).kind is FailureKind.THROTTLED:
                self._throttles[client.meta.service_model.service_name].heard()
            raise

    def _hold(self, **_: Any) -> None:
        """Called by botocore right before it sends: when AWS begins to refuse, many calls may be on their way to here."""
        ticket = _TICKET.get()
        if ticket is not None and self._throttles["sagemaker"].holds(ticket):
            raise _Held

    async def _client(self, service: str) -> Any:
        if self._threads is None:
            name = f"aws-{self._scope.account}-{self._scope.region}"
            self._threads = ThreadPoolExecutor(self._width, thread_name_prefix=name)
        if service not in self._clients:
            async with self._making:
                if service not in self._clients:
                    loop = asyncio.get_running_loop()
                    client = await loop.run_in_executor(self._threads, self._makers[service])
                    if service == "sagemaker":
                        client.meta.events.register("before-parse.sagemaker", refuse_rubbish)
                        client.meta.events.register("before-send.sagemaker", self._hold)
                        self._wire = await loop.run_in_executor(self._threads, self._make_wire, client)
                    self._clients[service] = client
        return self._clients[service]

    def let_go(self) -> None:
        """Close client and threads unless a call is under way; the next call makes others."""
        if self._under_way:
            return
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def close(self) -> None:
        """Let the threads go once their calls are done; no other call is made after that."""
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        if self._wire is not None and not self._under_way:
            self._wire.close()


def _next_page(model: type[PageT], answer: Any, seen: set[str]) -> PageT:
    page = read(model, answer)
    if page.next_token in seen:
        raise UnreadableAnswerError("NextToken of the answer is one that was given before: the pages have no end")
    if page.next_token:
        seen.add(page.next_token)
    return page


def _request_id(answer: Any) -> str | None:
    """AWS's id of the request: a proxy's answer may have none."""
    try:
        return str(answer["ResponseMetadata"]["RequestId"])
    except (KeyError, TypeError):
        return None


def _since(answer: Mapping[str, Any], took: timedelta) -> datetime | None:
    """The earliest moment, by AWS's own clock, at which what the answer tells can have been done."""
    try:
        answered = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, TypeError, ValueError):
        return None
    if answered.tzinfo is None:
        answered = answered.replace(tzinfo=UTC)
    return answered.astimezone(UTC) - took - _DATE_IS_COARSE


def _lookup(reference: Reference) -> tuple[str, dict[str, Any]]:
    """The operation and the request that tell whether what a spec names is there."""
    match reference.field:
        case "deviceFleetName":
            return "DescribeDeviceFleet", {"DeviceFleetName": reference.name}
        case "edgePackagingJobName":
            return "DescribeEdgePackagingJob", {"EdgePackagingJobName": reference.name}
        case "deviceNames":
            return "DescribeDevice", {"DeviceName": reference.name, "DeviceFleetName": reference.fleet}
        case _:
            assert_never(reference.field)
