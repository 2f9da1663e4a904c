"""What a phase costs: the kernel's, the API server's and the endpoint's counters before and after it."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

if TYPE_CHECKING:
    from edge_manager.sandbox.client import SandboxClient
    from tests.bench.objects import Api
    from tests.bench.process import Measured

_TICK: Final = os.sysconf("SC_CLK_TCK")
_REQUEST: Final = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@dataclass
class Figures:
    """One phase of one controller. Times in seconds, memory in MB."""

    controller: str
    objects: int
    phase: str
    wall: float = 0.0
    """Until the last object was there, or for how long it was looked at; the CPU is until all is at rest again."""
    cpu: dict[str, float] = field(default_factory=dict)
    """Of the controller, the API server, etcd, the AWS endpoint and this client."""
    aws: dict[str, int] = field(default_factory=dict)
    """AWS calls by operation."""
    errors: int = 0
    """AWS calls that were answered with an error, also with one that is expected, such as ResourceNotFound."""
    throttled: int = 0
    """Of these: with ThrottlingException."""
    api: dict[str, int] = field(default_factory=dict)
    """Requests to the API server by verb and resource, without this client's own."""
    memory: float = 0.0
    peak: float = 0.0
    longest_block: float | None = None
    """How late a beat of the event loop came at most, in seconds; no callback ran longer."""
    longest_block_own: float | None = None
    """The same without what the thread waited for a core that other processes had."""
    extra: dict[str, Any] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True)
class Snapshot:
    """All counters at a moment."""

    moment: float
    cpu: dict[str, float]
    calls: dict[str, Counter[str]]
    api: Counter[str]


@dataclass(frozen=True)
class Meters:
    """Where the counters are."""

    api: Api
    sandbox: SandboxClient
    pids: dict[str, int]
    """Of the API server, etcd and the endpoint."""

    def before(self, controller: Measured | None) -> Snapshot:
        """The counters as a phase begins: reading them costs the API server something, so CPU is read last."""
        api = self._requests()
        calls = {name: Counter(codes) for name, codes in self.sandbox.counts_by_code().items()}
        return Snapshot(time.monotonic(), self._cpu(controller), calls, api)

    def after(self, controller: Measured | None) -> Snapshot:
        """The counters as a phase ends: CPU is read first."""
        moment, cpu = time.monotonic(), self._cpu(controller)
        calls = {name: Counter(codes) for name, codes in self.sandbox.counts_by_code().items()}
        return Snapshot(moment, cpu, calls, self._requests())

    def held(self) -> int:
        """How many things the endpoint holds."""
        with urlopen(f"{self.sandbox.url}/_bench/held") as answer:  # noqa: S310 - the URL is our own
            return int(json.loads(answer.read())["held"])

    def seed(self, plans: list[dict[str, object]], like: str) -> None:
        """Have plans in AWS without a call each, as old as that one."""
        self._bench("seed", {"plans": plans, "like": like})

    def drop(self, names: list[str]) -> None:
        """Delete plans in AWS behind the operator's back."""
        self._bench("drop", names)

    def _bench(self, verb: str, body: object) -> None:
        with urlopen(f"{self.sandbox.url}/_bench/{verb}", json.dumps(body).encode()):  # noqa: S310 - our own
            pass

    def _cpu(self, controller: Measured | None) -> dict[str, float]:
        found = {name: cpu_of(pid) for name, pid in self.pids.items()}
        return found | {"controller": controller.cpu() if controller else 0.0, "client": time.process_time()}

    def _requests(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for labels, count in _REQUEST.findall(str(self.api.request("GET", "/metrics"))):
            label = dict(_LABEL.findall(labels))
            resource = "/".join(filter(None, (label.get("resource", ""), label.get("subresource", ""))))
            if resource and not resource.startswith("openapi"):  # its own, for kinds that it aggregates
                found[f"{label['verb']} {resource}"] += int(float(count))
        found.subtract(self.api.asked)
        return found


def fill(figures: Figures, before: Snapshot, after: Snapshot) -> None:
    """Enter what happened between the two."""
    figures.cpu = {name: round(after.cpu[name] - spent, 3) for name, spent in before.cpu.items()}
    calls = {name: codes - before.calls.get(name, Counter()) for name, codes in after.calls.items()}
    figures.aws = {name: codes.total() for name, codes in sorted(calls.items()) if codes.total()}
    figures.throttled = sum(codes["ThrottlingException"] for codes in calls.values())
    figures.errors = sum(codes.total() - codes["OK"] for codes in calls.values())
    figures.api = dict(sorted((+(after.api - before.api)).items()))
