"""One operator's way to AWS: real boto3 clients whose calls run in the virtual loop, in order, and may take their time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

from controller.aws.accounts import Accounts
from controller.aws.sagemaker import SageMakerPlans
from controller.domain.ownership import Reach, Rights
from controller.domain.resource import Resource, Scope
from controller.domain.spec import Target
from controller.engine.ports import TargetRefused
from tests.life.aws import ACCOUNT, PATIENCE, REGIONS

if TYPE_CHECKING:
    from tests.life.aws import Aws, Caller


class Wire(Executor):
    """What a thread would do, done in the loop: the request travels, AWS works, the answer travels."""

    def __init__(self, aws: Aws, caller: Caller) -> None:
        self._aws = aws
        self._caller = caller

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin the journey."""
        future: Future[Any] = Future()
        known = tuple(self._caller.index)
        self._later(self._aws.travel(), lambda: self._arrive(future, known, lambda: fn(*args, **kwargs)))
        return future

    def _arrive(self, future: Future[Any], known: tuple[Resource, ...], work: Callable[[], Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        result, error = None, None
        with self._aws.called_by(self._caller, known) as silence:
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001 - what a thread would hand over
                error = raised

        def answer() -> None:
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self._later(self._aws.travel() + silence.seconds, answer)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds:
            self._aws.loop.call_later(seconds, act)
        else:
            act()


class LocalPlans(SageMakerPlans):
    """The real adapter over a wire."""

    def __init__(self, scope: Scope, make_client: Callable[[], Any], wire: Wire, caller: Caller) -> None:
        super().__init__(scope, make_client, threads=1, may_call=lambda: caller.leads)
        assert self._threads is None
        self._threads = wire  # type: ignore[assignment]
        self._clients["sagemaker"] = make_client()

    async def account_id(self) -> str:
        """The one account that there is."""
        return ACCOUNT


class LocalAccounts(Accounts):
    """The operator's accounts, with clients that reach the sandbox in this process."""

    def __init__(self, aws: Aws, caller: Caller) -> None:
        super().__init__(region=REGIONS[0], accounts={}, threads=1, timeout=PATIENCE)
        self._aws = aws
        self._closed = frozenset(aws.closed)
        self._wire = Wire(aws, caller)
        self._caller = caller
        self._local: dict[Scope, LocalPlans] = {}

    def scope(self, namespace: str, target: Target | None) -> Scope:
        """Account and region, as the configuration was when the process started."""
        scope = super().scope(namespace, target)
        if scope.region in self._closed:
            raise TargetRefused(f"region {scope.region} is closed")
        return scope

    def rights(self, namespace: str, scope: Scope) -> Rights:
        """One namespace may reach for all, the other for what the default lets it."""
        return Rights(Reach.ANY, Reach.ANY) if namespace == "retail" else super().rights(namespace, scope)

    def plans(self, scope: Scope) -> SageMakerPlans:
        """The plans there."""
        if scope not in self._local:
            client = self._aws.operators_client(scope.region)
            self._local[scope] = LocalPlans(scope, lambda: client, self._wire, self._caller)
        return self._local[scope]
