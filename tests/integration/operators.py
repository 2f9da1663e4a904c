"""Running operators for tests: one in a thread of this process, or one as a process that can be killed."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

import kopf

from controller.domain.api import API_VERSION, GROUP, KIND, PLURAL, RECONCILE_ANNOTATION
from controller.operator.eventloop import new_event_loop
from controller.operator.handlers import WatchLost, register
from controller.operator.process import Operator
from controller.operator.settings import Settings
from edge_manager.sandbox.server import Sandbox
from playground.cluster import ApiError, Cluster

REGION = "eu-west-1"
T = TypeVar("T")
COLLECTION = f"/apis/{API_VERSION}/namespaces/{{}}/{PLURAL}"


def wait_until(question: Callable[[], T], *, seconds: float = 20, every: float = 0.05) -> T:
    """The first answer that is true; AssertionError with the last one when none came in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {question.__doc__ or question.__name__}; last: {answer!r}")
        time.sleep(every)


def install(cluster: Cluster) -> None:
    """Apply crds/ and wait until the kind is served."""
    cluster.kubectl("apply", "--server-side", "-f", str(Path(__file__).parents[2] / "crds"))
    wait = ("wait", "--for=condition=Established", f"crd/{PLURAL}.{GROUP}", "--timeout=30s")
    # kubectl wait fails at once while a new definition has no conditions at all.
    wait_until(lambda: cluster.kubectl(*wait, check=False).returncode == 0, seconds=40)


class OperatorThread:
    """The operator in a thread, watching one namespace."""

    def __init__(self, settings: Settings) -> None:
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._settings = settings
        self._operator = Operator(settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="operator")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30), self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._operator.deaf.set)
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def knows(self) -> list[str]:
        """The names of the objects that the operator takes for living."""
        return sorted(resource.key.name for resource in self._operator.index)

    def ghosts(self) -> list[str]:
        """The names of those that are gone, and whose deletion it carries out all the same."""
        return [resource.key.name for resource in self._operator.index.ghosts()]

    def works_on(self) -> list[int]:
        """The shards that the operator works on."""
        return [shard for shard, held in self._operator.shards.items() if held]

    def _run(self) -> None:
        async def operate() -> None:
            self._loop = asyncio.get_running_loop()
            registry = kopf.OperatorRegistry()
            register(registry, self._operator)
            await kopf.operator(
                registry=registry,
                namespaces=self._settings.namespaces,
                standalone=True,
                stop_flag=self._operator.deaf,
                ready_flag=self._ready,
            )
            await asyncio.sleep(0.2)  # aiohttp closes TLS transports a moment after their session

        try:
            while not self._stop.is_set():
                # As `edgeplan run` does.
                with contextlib.suppress(WatchLost), asyncio.Runner(loop_factory=new_event_loop) as runner:
                    runner.run(operate())
                self._operator = Operator(self._settings)
        except BaseException as failure:  # noqa: BLE001 - handed to the test's thread
            self._failure = failure
            self._ready.set()


class OperatorProcess:
    """The operator as its users run it: `edgeplan run` in a process of its own."""

    def __init__(self, *flags: str, log: Path, **environment: str) -> None:
        self._command = [sys.executable, "-m", "controller.cli", "run", *flags]
        self._environment = {**os.environ, **environment}
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)


class Objects:
    """One namespace, AWS at an address, and what a test does to the objects."""

    def __init__(self, cluster: Cluster, namespace: str, url: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.settings = Settings(
            namespaces=(namespace,),
            cluster_id="test",
            aws_region=REGION,
            aws_endpoint_url=url,
        )

    def operator(self, **changes: Any) -> OperatorThread:
        return OperatorThread(replace(self.settings, **changes))

    # -- objects ----------------------------------------------------------------------------------------------------

    def create(self, name: str, **spec: Any) -> dict[str, Any]:
        return self.post({"metadata": {"name": name}, "spec": minimal_spec() | spec})

    def post(self, body: dict[str, Any]) -> dict[str, Any]:
        return dict(
            self.cluster.client.request(
                "POST", COLLECTION.format(self.namespace), {"apiVersion": API_VERSION, "kind": KIND, **body}
            )
        )

    def edit(self, name: str, **spec: Any) -> dict[str, Any]:
        """Merge-patch the spec; None removes a field."""
        return self._patch(name, {"spec": spec})

    def ask(self, name: str, token: str) -> dict[str, Any]:
        return self._patch(name, {"metadata": {"annotations": {RECONCILE_ANNOTATION: token}}})

    def delete(self, name: str) -> None:
        self.cluster.client.request("DELETE", f"{COLLECTION.format(self.namespace)}/{name}")

    def get(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self.cluster.client.request("GET", f"{COLLECTION.format(self.namespace)}/{name}"))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def all(self) -> list[dict[str, Any]]:
        return list(self.cluster.client.request("GET", COLLECTION.format(self.namespace))["items"])

    def _patch(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        path = f"{COLLECTION.format(self.namespace)}/{name}"
        return dict(self.cluster.client.request("PATCH", path, body, "application/merge-patch+json"))

    # -- what they say ----------------------------------------------------------------------------------------------

    def status(self, name: str) -> dict[str, Any]:
        return dict((self.get(name) or {}).get("status", {}))

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        return condition(self.get(name) or {}, kind)

    def wait_for(
        self, name: str, kind: str, status: str = "True", reason: str | None = None, **how: Any
    ) -> dict[str, Any]:
        """The condition, once it is so for the object's present generation."""

        def so() -> dict[str, Any] | None:
            body = self.get(name) or {}
            found = condition(body, kind)
            current = found.get("observedGeneration") == body.get("metadata", {}).get("generation")
            fits = found.get("status") == status and reason in (None, found.get("reason"))
            return found if current and fits else None

        try:
            return wait_until(lambda: so() or {}, **how)
        except AssertionError as failure:
            raise AssertionError(
                f"{name}: {kind}={status} {reason or ''} did not come: {self.status(name)}"
            ) from failure

    def wait_gone(self, name: str, **how: Any) -> None:
        wait_until(lambda: self.get(name) is None, **how)

    def writes(self, resource: str) -> list[Any]:
        """Write requests of the operator to that resource in this namespace."""
        return [
            write
            for write in self.cluster.writes(namespace=self.namespace, resource=resource)
            if write.user_agent == "edgeplan"
        ]

    def events(self, name: str) -> list[dict[str, Any]]:
        items = self.cluster.client.request("GET", f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")[
            "items"
        ]
        return [event for event in items if event["regarding"]["name"] == name]


class World(Objects):
    """One namespace, one sandbox, and what a test does to them."""

    def __init__(self, cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
        super().__init__(cluster, namespace, sandbox.url)
        self.sandbox = sandbox

    def process(self, log: Path, *flags: str) -> OperatorProcess:
        return OperatorProcess(
            *("--namespace", self.namespace, "--cluster-id", "test", *flags),
            log=log,
            AWS_REGION=REGION,
            AWS_ENDPOINT_URL_SAGEMAKER=self.sandbox.url,
            AWS_ENDPOINT_URL_STS=self.sandbox.url,
        )

    def calls(self) -> dict[str, int]:
        """Calls by operation, but for the one by which an operator learns at its start who it is."""
        return {name: count for name, count in self.sandbox.counts().items() if name != "GetCallerIdentity"}

    def creates(self) -> int:
        return self.sandbox.counts().get("CreateEdgeDeploymentPlan", 0)


def condition(body: dict[str, Any], kind: str) -> dict[str, Any]:
    conditions = body.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def minimal_spec() -> dict[str, Any]:
    return {
        "modelConfigs": [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}],
        "deviceFleetName": "store-cameras",
    }


def stage(name: str, percentage: int = 100) -> dict[str, Any]:
    return {
        "stageName": name,
        "deviceSelectionConfig": {"deviceSubsetType": "PERCENTAGE", "percentage": percentage},
    }
