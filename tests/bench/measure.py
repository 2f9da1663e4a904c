"""What is measured: the life of N plans under one way, and what only ours has: sweeps and the quota queue."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.bench.load import USER_AGENT, Load, wait_until
from tests.bench.process import Measured
from tests.bench.ways import OURS

if TYPE_CHECKING:
    from pathlib import Path

    from edge_manager.sandbox.client import SandboxClient
    from playground.cluster import Cluster
    from tests.bench.ways import Way

REGION: Final = "eu-west-1"
_LIST_PAGE: Final = 100


@dataclass(frozen=True)
class Stand:
    """The test stand: a cluster, a sandbox, a folder for logs, the load."""

    cluster: Cluster
    sandbox: SandboxClient
    folder: Path
    plans: int
    latency: float

    @property
    def patience(self) -> float:
        """Seconds that any one step may take: far more than the slowest way needs on a busy machine."""
        return 60 + self.plans * (0.3 + self.latency)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.sandbox.url,
            "AWS_ENDPOINT_URL_STS": self.sandbox.url,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
        }

    def run(self, way: Way, namespace: str, *flags: str, before: tuple[str, ...] = ()) -> Measured:
        command = [*way.command(namespace, *before), *flags]
        return Measured(command, self.folder / f"{namespace}.log", self.environment)

    def calls(self) -> int:
        return sum(self.sandbox.counts().values())

    def writes(self, namespace: str) -> Counter[str]:
        """Writes of the operator so far, by verb and resource."""
        return Counter(
            f"{write.verb} {write.resource}"
            for write in self.cluster.writes(namespace=namespace)
            if write.user_agent != USER_AGENT
        )


@dataclass
class Life:
    """N plans created, kept over a restart, deleted. Times in seconds, memory in MB."""

    start_seconds: float = math.nan
    """Start of the process until it is idle, no plans."""
    start_cpu: float = math.nan
    rss_before: float = math.nan
    posted_seconds: float = math.nan
    """How long the client took to create the objects: a floor that no operator can get below."""
    arn_seconds: float = math.nan
    create_cpu: float = math.nan
    rss_after: float = math.nan
    writes_per_plan: dict[str, float] = field(default_factory=dict)
    aws_calls_per_plan: float = math.nan
    restart_seconds: float = math.nan
    restart_cpu: float = math.nan
    restart_aws_calls: int = -1
    delete_seconds: float = math.nan
    delete_cpu: float = math.nan
    delete_writes_per_plan: dict[str, float] = field(default_factory=dict)
    delete_aws_calls_per_plan: float = math.nan
    trouble: str = ""


@dataclass
class Idle:
    """What N plans that rest cost, per sweep."""

    settling_calls_per_plan: dict[str, float]
    """Calls of the first sweep after the creation: what the create does not tell, such as the statuses of stages."""
    sweeps: int
    list_calls_per_sweep: float
    other_calls: int
    cpu_per_sweep: float


@dataclass
class Quota:
    """From the deletion of a plan until the next one is admitted."""

    round_trips: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.round_trips)


def life(stand: Stand, way: Way, result: Life, *, before: tuple[str, ...] = ()) -> None:
    """Measure one way; `result` keeps what was measured before a step that took too long."""
    stand.sandbox.reset()
    stand.sandbox.settings(quota=None, latency=stand.latency)
    namespace = f"bench-{way.name}"
    load = Load(stand.cluster, namespace)
    with stand.run(way, namespace, before=before) as operator:
        result.start_seconds = operator.wait_idle(stand.patience)
        result.start_cpu, result.rss_before = operator.cpu(), operator.memory()
        _create(stand, load, operator, result)
        if before:
            _delete(stand, load, operator, result)
            operator.end()
            return
        operator.kill()
    calls = stand.calls()
    with stand.run(way, namespace) as operator:
        result.restart_seconds = operator.wait_idle(stand.patience)
        result.restart_cpu = operator.cpu()
        result.restart_aws_calls = stand.calls() - calls
        _delete(stand, load, operator, result)


def _create(stand: Stand, load: Load, operator: Measured, result: Life) -> None:
    cpu, began = operator.cpu(), time.monotonic()
    load.create(range(stand.plans))
    result.posted_seconds = time.monotonic() - began
    # Asking the sandbox is cheap; the API server is asked for all objects only when they can be done.
    wait_until(
        lambda: stand.sandbox.counts_by_code().get("CreateEdgeDeploymentPlan", {}).get("OK", 0) >= stand.plans,
        seconds=stand.patience,
        every=0.1,
    )
    wait_until(lambda: len(load.with_arn()) == stand.plans, seconds=stand.patience, every=0.2)
    result.arn_seconds = time.monotonic() - began
    operator.wait_idle(stand.patience)
    result.create_cpu = operator.cpu() - cpu
    result.rss_after = operator.memory()
    result.aws_calls_per_plan = stand.calls() / stand.plans
    result.writes_per_plan = _per_plan(stand.writes(load.namespace), stand.plans)


def _delete(stand: Stand, load: Load, operator: Measured, result: Life) -> None:
    cpu, calls, writes = operator.cpu(), stand.calls(), stand.writes(load.namespace)
    began = time.monotonic()
    load.delete_all()
    wait_until(lambda: not stand.sandbox.plans(), seconds=stand.patience, every=0.1)
    wait_until(lambda: not load.objects(), seconds=stand.patience, every=0.2)
    result.delete_seconds = time.monotonic() - began
    operator.wait_idle(stand.patience)
    result.delete_cpu = operator.cpu() - cpu
    result.delete_aws_calls_per_plan = (stand.calls() - calls) / stand.plans
    result.delete_writes_per_plan = _per_plan(stand.writes(load.namespace) - writes, stand.plans)


def _per_plan(writes: Counter[str], plans: int) -> dict[str, float]:
    return {name: round(count / plans, 2) for name, count in sorted(writes.items())}


def idle(stand: Stand, *, interval: float = 2.0, sweeps: int = 5) -> Idle:
    """Measure sweeps over N plans that rest."""
    stand.sandbox.reset()
    stand.sandbox.settings(quota=None, latency=stand.latency)
    load = Load(stand.cluster, "bench-idle")
    load.create(range(stand.plans))
    with stand.run(OURS, "bench-idle", "--sweep-interval", f"{interval:.0f}s", "--audit-interval", "1000h") as operator:
        wait_until(lambda: len(load.with_arn()) == stand.plans, seconds=stand.patience, every=0.5)
        settling = _settled(stand, interval)
        stand.sandbox.reset_counts()
        cpu = operator.cpu()
        time.sleep(interval * sweeps)
        spent = operator.cpu() - cpu
        counts = stand.sandbox.counts()
        times = sorted(request["time"] for request in stand.sandbox.requests("ListEdgeDeploymentPlans"))
    done = sum(later - earlier > interval / 2 for earlier, later in itertools.pairwise(times)) + 1
    listed = counts.pop("ListEdgeDeploymentPlans", 0)
    return Idle(settling, done, listed / done, sum(counts.values()), spent / done)


def _settled(stand: Stand, interval: float) -> dict[str, float]:
    """Wait until sweeps find nothing new; the calls per plan that it took beside the creates and the listings."""

    def calls() -> dict[str, int]:
        counts = stand.sandbox.counts()
        beside = ("CreateEdgeDeploymentPlan", "ListEdgeDeploymentPlans")
        return {operation: number for operation, number in counts.items() if operation not in beside}

    def unchanged() -> bool:
        before = calls()
        time.sleep(1.5 * interval)
        return calls() == before

    time.sleep(1.5 * interval)
    wait_until(unchanged, seconds=stand.patience, every=0)
    return _per_plan(Counter(calls()), stand.plans)


def quota(stand: Stand, *, limit: int = 5, rounds: int = 7) -> Quota:
    """Measure admissions: the quota is full, a plan is deleted, the next in line is created."""
    stand.sandbox.reset()
    stand.sandbox.settings(quota=limit, latency=stand.latency)
    load = Load(stand.cluster, "bench-quota")
    load.create(range(limit + rounds))
    took = []
    with stand.run(OURS, "bench-quota"):
        wait_until(lambda: len(load.with_arn()) == limit, seconds=stand.patience, every=0.1)
        time.sleep(1)
        for number in range(rounds):
            admitted = set(load.with_arn())
            began = time.monotonic()
            load.delete(min(admitted))
            wait_until(lambda admitted=admitted: bool(set(load.with_arn()) - admitted), seconds=90, every=0.01)  # type: ignore[misc]
            took.append(time.monotonic() - began)
            wait_until(lambda: len(load.with_arn()) == limit, seconds=90, every=0.1)
            del number
    return Quota(took)


def list_calls(plans: int) -> int:
    """Pages that a listing of so many plans has."""
    return max(1, math.ceil(plans / _LIST_PAGE))
