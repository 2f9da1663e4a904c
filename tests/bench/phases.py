"""The phases: what is done to N objects, and how it is known that a controller is through with it."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.bench import figures, probe
from tests.bench.figures import Figures, Meters
from tests.bench.kinds import REGION
from tests.bench.process import Measured, TooSlowError
from tests.integration.operators import stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_manager.sandbox.client import SandboxClient
    from playground.cluster import Cluster
    from tests.bench.kinds import Kind
    from tests.bench.objects import Objects

# No sweep falls into a phase unless the phase is about sweeps.
_NO_SWEEP: Final = ("--sweep-interval", "10h")
_SWEEP: Final = 5.0
_THROTTLED: Final = 400.0
_OF_A_STAGE: Final = ("StageName", "DeviceSelectionConfig", "DeploymentConfig")
_LEAST: Final = {"ours": 0.4, "go": 0.02}  # seconds of CPU without which it has not begun


@dataclass
class Stand:
    """One controller, one number of objects, a cluster and an endpoint of their own."""

    kind: Kind
    count: int
    cluster: Cluster
    sandbox: SandboxClient
    meters: Meters
    objects: Objects
    folder: Path
    latency: float
    profile: Path | None = None
    premade: int = 2000
    """So many objects are made as after a long life, where a phase only needs them to be there."""
    rate: float = 10
    """Calls a second that AWS takes where it throttles."""
    controller: Measured | None = field(default=None, init=False)
    _flags: tuple[str, ...] = field(default=(), init=False)
    _starts: int = field(default=0, init=False)

    @property
    def names(self) -> list[str]:
        return [f"{self.objects.namespace}-{number:05}" for number in range(self.count)]

    @property
    def ours(self) -> bool:
        return self.kind.name == "ours"

    @property
    def patience(self) -> float:
        """Seconds that a phase may take: far more than it needs on a busy machine."""
        return 120 + self.count * (0.1 + self.latency)

    # -- the controller ---------------------------------------------------------------------------------------------

    def run(self, *flags: str) -> Measured:
        """The controller with these flags, at rest: another one only if it runs with others."""
        flags = flags if self.ours else ()
        if self.controller is None or flags != self._flags:
            self.stop()
            self.start(*flags)
            self.rest()
        assert self.controller is not None
        return self.controller

    def start(self, *flags: str) -> Measured:
        self._starts += 1  # one that still runs has a probe of its own
        probe.make(self._probe)
        command = [*self.kind.command(self.cluster, self.objects.namespace, self.sandbox.url)]
        if self.ours:
            command += flags
            if self.profile is not None:
                command[1:1] = ["-m", "cProfile", "-o", str(self.profile.absolute())]
        environment = {
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.sandbox.url,
            "AWS_ENDPOINT_URL_STS": self.sandbox.url,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_CA_BUNDLE": None,  # the endpoint has no TLS, and ACK's own HTTP client takes no bundle
            probe.VARIABLE: str(self._probe),
        }
        self._flags = flags
        self.controller = Measured(command, self.folder / f"{self.kind.name}.log", environment).__enter__()
        return self.controller

    def stop(self) -> float:
        """Have it end by itself; how long that took."""
        controller, self.controller = self.controller, None
        if controller is None:
            return 0.0
        began = time.monotonic()
        try:
            controller.signal(signal.SIGTERM)
            controller.wait(120 if self.profile else 60)
            return time.monotonic() - began
        finally:
            controller.__exit__()

    def holder(self, lease: str) -> str:
        """Who holds that lease, given as namespace and name; empty if nobody does."""
        namespace, _, name = lease.partition("/")
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
        return self.cluster.client.request("GET", path)["spec"].get("holderIdentity") or ""

    def rest(self) -> float:
        """Wait until it has nothing to do; how long that took."""
        assert self.controller is not None
        return self.controller.wait_idle(self.patience, least=_LEAST[self.kind.name])

    @property
    def _probe(self) -> Path:
        return self.folder / f"probe-{self._starts}"

    # -- what is asked of AWS ---------------------------------------------------------------------------------------

    def calls(self, operation: str) -> int:
        return self.sandbox.counts().get(operation, 0)

    def calls_from_now(self, operation: str) -> Callable[[], int]:
        """How many there have been since this moment: an earlier phase may have made some."""
        before = self.calls(operation)
        return lambda: self.calls(operation) - before

    def calls_beside_lists(self) -> Counter[str]:
        return Counter(
            {name: count for name, count in self.sandbox.counts().items() if not name.startswith("ListEdge")}
        )

    # -- measuring --------------------------------------------------------------------------------------------------

    def measure(self, result: Figures, work: Callable[[], float], *, running: bool = True) -> None:
        """Do the work, which returns the moment of its end, and enter what it cost until all is at rest again."""
        probe.take(self._probe)
        before = self.meters.before(self.controller if running else None)
        began = time.monotonic()
        ended = work()
        assert self.controller is not None
        after = self.meters.after(self.controller)
        figures.fill(result, before, after)
        result.wall = round(ended - began, 2)
        result.memory, result.peak = round(self.controller.memory(), 1), round(self.controller.peak(), 1)
        if self.ours:
            result.longest_block, result.longest_block_own = (round(each, 4) for each in probe.take(self._probe))

    @staticmethod
    def paced(names: list[str], act: Callable[[str], None]) -> dict[str, float]:
        """Act on four a second; when each one's turn came."""
        began = {}
        for name in names:
            began[name] = time.monotonic()
            act(name)
            time.sleep(max(0.0, began[name] + 0.25 - time.monotonic()))
        return began


def converge(stand: Stand, result: Figures) -> None:
    """N objects are created; until all are ready."""
    stand.run(*_NO_SWEEP)

    def work() -> float:
        began = time.monotonic()
        stand.objects.create(stand.names)
        result.extra["posted"] = round(time.monotonic() - began, 2)
        ended = stand.objects.all_ready(stand.count, stand.patience)
        stand.rest()
        return ended

    stand.measure(result, work)


def restart(stand: Stand, result: Figures) -> None:
    """It is told to stop, and started again with N objects at rest; until it has nothing to do."""
    _converged(stand)
    stand.run(*_NO_SWEEP)
    result.extra["stopped"] = round(stand.stop(), 3)

    def work() -> float:
        began = time.monotonic()
        stand.start(*_NO_SWEEP)
        return began + stand.rest()

    stand.measure(result, work, running=False)


def takeover(stand: Stand, result: Figures) -> None:
    """One that stands by takes N objects at rest over from one that is told to stop; until it has nothing to do."""
    _converged(stand)
    lease = f"{stand.objects.namespace}/edgeplan"
    stand.run(*_NO_SWEEP, "--lease", lease)
    first, stand.controller = stand.controller, None
    assert first is not None
    before = stand.holder(lease)
    stand.start(*_NO_SWEEP, "--lease", lease)
    stand.rest()

    def work() -> float:
        began = time.monotonic()
        first.signal(signal.SIGTERM)
        _until(lambda: stand.holder(lease) not in ("", before), 60)
        result.extra["taken"] = round(time.monotonic() - began, 2)
        first.wait(60)
        return time.monotonic() + stand.rest()

    try:
        stand.measure(result, work)
    finally:
        first.__exit__()


def delete(stand: Stand, result: Figures) -> None:
    """All are deleted at once; until none is left."""
    _converged(stand)
    stand.run(*_NO_SWEEP)

    def work() -> float:
        stand.objects.delete()
        ended = stand.objects.all_gone(stand.patience)
        stand.rest()
        return ended

    stand.measure(result, work)
    if left := stand.meters.held():
        result.trouble = f"{left} are left in AWS"


def idle(stand: Stand, result: Figures) -> None:
    """N objects at rest: the first sweep, which lists all of them, and six more of what changed."""
    _converged(stand)
    stand.run("--sweep-interval", f"{_SWEEP:.0f}s", "--audit-interval", "1000h")

    def work() -> float:
        if stand.ours:
            result.extra["settling"] = _settled(stand)
        time.sleep(6 * _SWEEP)
        return time.monotonic()

    stand.measure(result, work)


def drift(stand: Stand, result: Figures) -> None:
    """A tenth of the plans is deleted in AWS by somebody else; until all are there again. A sweep comes every 5 s."""
    _converged(stand)
    stand.run("--sweep-interval", f"{_SWEEP:.0f}s", "--settle", "1s", "--audit-interval", "1000h")
    _settled(stand)
    gone = stand.names[::10]

    def work() -> float:
        stand.meters.drop(gone)
        deadline = time.monotonic() + stand.patience
        while stand.meters.held() < stand.count:
            if time.monotonic() > deadline:
                raise TooSlowError(f"{stand.meters.held()} of {stand.count} plans are there")
            time.sleep(0.2)
        ended = stand.objects.all_ready(stand.count, stand.patience)
        stand.rest()
        return ended

    stand.measure(result, work)
    result.extra["deleted"] = len(gone)


def edit(stand: Stand, result: Figures) -> None:
    """A tag of all is changed; until all are ready in their new generation."""
    _converged(stand)
    stand.run(*_NO_SWEEP)

    def work() -> float:
        value = str(time.time_ns())
        stand.objects.edit(stand.names, {"tags": [{"key": "team", "value": value}]})
        ended = stand.objects.all_ready(stand.count, stand.patience, generation=2)
        stand.rest()
        return ended

    stand.measure(result, work)


def backlog(stand: Stand, result: Figures) -> None:
    """Forty plans come and go one after the other, while all N are due for an audit."""
    _converged(stand)
    audits = stand.calls_from_now("ListTags")
    # A sweep wakes all: the audits' share of a sweep is one.
    stand.run("--sweep-interval", "10s", "--audit-interval", "1s", "--audits-per-minute", "999999")
    _until(lambda: audits() > 0, 60)
    names = [f"{stand.objects.namespace}-new-{number}" for number in range(40)]
    audits = stand.calls_from_now("ListTags")

    def work() -> float:
        began = stand.paced(names, lambda name: stand.objects.create([name]))
        stand.objects.wait(lambda: all(name in stand.objects.ready for name in names), stand.patience)
        came = [stand.objects.ready[name] - began[name] for name in names]
        began = stand.paced(names, stand.objects.delete_one)
        stand.objects.wait(lambda: not any(name in stand.objects.present for name in names), stand.patience)
        went = [stand.objects.gone[name] - began[name] for name in names]
        result.extra |= {"to_ready": _quantiles(came), "to_gone": _quantiles(went)}
        result.extra["audits_meanwhile"] = audits()
        return time.monotonic()

    stand.measure(result, work)
    stand.stop()  # its audits would go on for ever


def rollout(stand: Stand, result: Figures) -> None:
    """N plans whose first stage is under way for an hour, looked at for two minutes: some listings fall into them."""
    _cleared(stand)
    stand.run("--sweep-interval", "60s")
    stand.sandbox.settings(deploy_duration_per_stage=3600, start_duration=0)
    stages, starts = [stage("canary", 10), stage("fleet", 100)], stand.calls_from_now("StartEdgeDeploymentStage")
    stand.objects.create(stand.names, stages=stages, rollout={"strategy": "Sequential"})
    _until(lambda: starts() >= stand.count, stand.patience)
    time.sleep(10)

    def work() -> float:
        time.sleep(120)
        return time.monotonic()

    stand.measure(result, work)
    result.extra["aws_calls_a_second"] = round(sum(result.aws.values()) / result.wall, 2)
    stand.sandbox.settings(deploy_duration_per_stage=1, stop_duration=0)
    _cleared(stand)


def throttle(stand: Stand, result: Figures) -> None:
    """Two hundred objects (or N, if that is less) are created and deleted, where AWS takes so many calls a second."""
    _cleared(stand)
    stand.run(*_NO_SWEEP)
    names = stand.names[:200]
    stand.sandbox.settings(rate=stand.rate)

    def work() -> float:
        began = time.monotonic()
        try:
            stand.objects.create(names)
            ended = stand.objects.all_ready(len(names), _THROTTLED)
            result.extra |= {
                "created": round(ended - began, 1),
                "calls_to_create": sum(stand.sandbox.counts().values()),
            }
            stand.rest()
            stand.objects.delete()
            deletion = time.monotonic()
            ended = stand.objects.all_gone(_THROTTLED)
            result.extra["deleted"] = round(ended - deletion, 1)
        except TooSlowError as error:
            result.trouble = str(error)
        return time.monotonic()

    stand.measure(result, work)
    stand.sandbox.settings(rate=None)
    result.extra |= {"objects": len(names), "rate": stand.rate}
    result.extra["refused_share"] = round(result.throttled / max(1, sum(result.aws.values())), 4)


def _converged(stand: Stand) -> None:
    """N objects at rest, whatever was there before; many are made as they would be after a long life."""
    missing = sorted(set(stand.names) - stand.objects.present)
    if not missing:
        return
    if stand.ours and len(missing) >= stand.premade:
        _premade(stand, missing)
        return
    stand.run(*_NO_SWEEP)
    stand.objects.create(missing)
    stand.objects.all_ready(stand.count, stand.patience)
    stand.rest()


def _premade(stand: Stand, names: list[str]) -> None:
    """Let the operator make the first; write all others and their plans as this one became."""
    stand.run("--sweep-interval", "2s", "--settle", "1s")
    first, *others = names
    stand.objects.create([first])
    stand.objects.all_ready(1, 60)
    stand.objects.ask(first)  # what a create answers does not tell all that the status has one day
    _until(lambda: "lastModifiedTime" in stand.objects.read(first).get("status", {}), 60)
    stand.rest()
    model, plan = stand.objects.read(first), stand.sandbox.plan(first)
    stand.stop()

    def one(name: str) -> dict[str, object]:
        body = json.loads(json.dumps(model).replace(first, name))
        uid = stand.objects.put(body)
        tags = {key: value.replace(first, name) for key, value in plan["Tags"].items()}
        tags = {key: value.replace(model["metadata"]["uid"], uid) for key, value in tags.items()}
        wanted = {key: plan[key] for key in ("DeviceFleetName", "ModelConfigs")}
        stages = [{key: one[key] for key in _OF_A_STAGE if key in one} for one in plan.get("Stages", ())]
        return wanted | {
            "EdgeDeploymentPlanName": name,
            "Stages": stages,
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }

    with ThreadPoolExecutor(4) as clients:
        for start in range(0, len(others), 500):
            stand.meters.seed(list(clients.map(one, others[start : start + 500])), like=first)
    stand.objects.all_ready(stand.count, stand.patience)


def _cleared(stand: Stand) -> None:
    """No objects."""
    if stand.objects.present:
        stand.run(*_NO_SWEEP)
        stand.objects.delete()
        stand.objects.all_gone(stand.patience)
        stand.rest()


def _settled(stand: Stand) -> dict[str, float]:
    """Wait until sweeps find nothing new; the calls per object that it took beside the listings."""
    before, deadline = stand.calls_beside_lists(), time.monotonic() + stand.patience
    listed, calls = stand.calls("ListEdgeDeploymentPlans"), Counter[str]()
    pages = -(-stand.count // 100)
    while calls != (calls := stand.calls_beside_lists()) or stand.calls("ListEdgeDeploymentPlans") < listed + pages:
        if time.monotonic() > deadline:
            raise TooSlowError("sweeps went on finding something new")
        time.sleep(1.7 * _SWEEP)
    return {name: round(count / stand.count, 2) for name, count in (calls - before).items()}


def _until(question: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise TooSlowError(f"not within {seconds:.0f} s: {question.__qualname__}")
        time.sleep(0.1)


def _quantiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50": round(ordered[len(ordered) // 2], 3),
        "p99": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 3),
        "max": round(ordered[-1], 3),
    }


PHASES: Final[dict[str, Callable[[Stand, Figures], None]]] = {
    "converge": converge,
    "idle": idle,
    "drift": drift,
    "edit": edit,
    "restart": restart,
    "takeover": takeover,
    "backlog": backlog,
    "delete": delete,
    "rollout": rollout,
    "throttle": throttle,
}
OF_GO: Final = ("converge", "idle", "restart", "delete", "throttle")
"""The phases that a Go controller knows, too."""


def run(stand: Stand, phase: str) -> Figures:
    """Measure one phase; one that takes too long says so, and what was measured till then is kept."""
    result = Figures(stand.kind.name, stand.count, phase)
    try:
        gaps = stand.objects.gaps
        PHASES[phase](stand, result)
        if stand.objects.gaps > gaps:
            result.extra["gaps_of_the_clients_watch"] = stand.objects.gaps - gaps
    except TooSlowError as error:
        result.trouble = str(error)
    return result
