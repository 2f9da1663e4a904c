"""The phases: what is done to N objects, and how it is known that a controller is through with it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edge_manager.sandbox.client import SandboxClient
from tests.bench import figures, probe
from tests.bench.figures import Figures, Meters
from tests.bench.kinds import REGION
from tests.bench.process import Measured, TooSlowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playground.cluster import Cluster
    from tests.bench.kinds import Kind
    from tests.bench.objects import Objects

# No sweep falls into a phase unless the phase is about sweeps.
_NO_SWEEP: Final = ("--sweep-interval", "10h")
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
    controller: Measured | None = field(default=None, init=False)
    _flags: tuple[str, ...] = field(default=(), init=False)

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

    def rest(self) -> float:
        """Wait until it has nothing to do; how long that took."""
        assert self.controller is not None
        return self.controller.wait_idle(self.patience, least=_LEAST[self.kind.name])

    @property
    def _probe(self) -> Path:
        return self.folder / "probe"

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
            result.longest_block, result.longest_block_cpu = (round(each, 4) for each in probe.take(self._probe))


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

    probe.make(stand._probe)
    stand.measure(result, work, running=False)


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


def _converged(stand: Stand) -> None:
    """N objects at rest, whatever was asked for before."""
    if len(stand.objects.present) < stand.count:
        stand.run(*_NO_SWEEP)
        stand.objects.create(sorted(set(stand.names) - stand.objects.present))
        stand.objects.all_ready(stand.count, stand.patience)
        stand.rest()


PHASES: Final[dict[str, Callable[[Stand, Figures], None]]] = {
    "converge": converge,
    "restart": restart,
    "delete": delete,
}
OF_GO: Final = ("converge", "restart", "delete")
"""The phases that a Go controller knows, too."""


def run(stand: Stand, phase: str) -> Figures:
    """Measure one phase; one that takes too long says so, and what was measured till then is kept."""
    result = Figures(stand.kind.name, stand.count, phase)
    try:
        PHASES[phase](stand, result)
    except TooSlowError as error:
        result.trouble = str(error)
    return result
