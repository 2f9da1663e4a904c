"""`python -m tests.bench shards`: one operator for all objects, and several with a shard each, on the same machine.

Where there are fewer cores than shards, the time tells of the cores: what a shard costs is the CPU of each process.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.load import Load, wait_until
from tests.bench.measure import Stand
from tests.bench.process import TooSlowError
from tests.bench.ways import OURS
from tests.bench.ways_main import machine, output, progress, stand_of

if TYPE_CHECKING:
    from tests.bench.process import Measured

_REST = 10.0  # seconds over which the cost of leases is measured, and after which nothing of a phase is under way


@dataclass
class Figures:
    """What so many operators cost. CPU is seconds for each process, memory MB."""

    shards: int
    load: float
    """The machine's load at the beginning: of others, as far as it is over nothing."""
    create_seconds: float = 0.0
    create_cpu: list[float] = field(default_factory=list)
    delete_seconds: float = 0.0
    delete_cpu: list[float] = field(default_factory=list)
    rest_cpu: list[float] = field(default_factory=list)
    """CPU of each process in a second at rest with all plans: leases, the check of the watch."""
    memory_before: list[float] = field(default_factory=list)
    """Of each process with no plans."""
    memory: list[float] = field(default_factory=list)
    """With all of them, at rest."""
    object_bytes: float = 0.0
    """An object as the API server gives it, in JSON, which is about what etcd keeps."""
    creates: int = 0
    """Calls of CreateEdgeDeploymentPlan: as many as plans, or something was done twice."""
    deletes: int = 0
    trouble: str = ""


def main(arguments: list[str]) -> int:
    chosen = _arguments(arguments)
    with tempfile.TemporaryDirectory(prefix="edgeplan-bench-") as folder, stand_of(Path(folder), chosen) as stand:
        found = [_measure(stand, shards) for shards in dict.fromkeys((1, chosen.shards))]
    for each in found:
        output.print(_line(each, chosen.plans))
    if chosen.json:
        result = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "plans": chosen.plans,
            "latency": chosen.latency,
            "shards": [dataclasses.asdict(each) for each in found],
        }
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if any(each.trouble for each in found) else 0


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench shards", description=__doc__)
    parser.add_argument("--plans", type=int, default=500, help="how many plans (default: 500)")
    parser.add_argument("--shards", type=int, default=3, help="how many shards and operators (default: 3)")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that an AWS call takes (default: 0.02)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args(arguments)


def _measure(stand: Stand, shards: int) -> Figures:
    progress.print(f"{shards} shard{'s' * (shards > 1)} ...")
    figures = Figures(shards, os.getloadavg()[0])
    try:
        _life(stand, figures)
    except TooSlowError as error:
        figures.trouble = str(error)
    return figures


def _life(stand: Stand, figures: Figures) -> None:
    stand.sandbox.reset()
    stand.sandbox.settings(quota=None, latency=stand.latency)
    namespace, shards = f"bench-shards-{figures.shards}", figures.shards
    load = Load(stand.cluster, namespace)
    flags = ("--lease", f"{namespace}/edgeplan", "--shards", str(shards))
    with contextlib.ExitStack() as stack:
        operators = [stack.enter_context(stand.run(OURS, namespace, *flags)) for _ in range(shards)]
        wait_until(lambda: _acting(stand, namespace) == shards, seconds=120, every=0.5)
        _rest(operators)
        figures.memory_before = [operator.memory() for operator in operators]
        cpu, began = _cpu(operators), time.monotonic()
        load.create(range(stand.plans))
        wait_until(lambda: _done(stand, "Create") >= stand.plans, seconds=stand.patience, every=0.1)
        wait_until(lambda: len(load.with_arn()) == stand.plans, seconds=stand.patience, every=0.2)
        figures.create_seconds = time.monotonic() - began
        time.sleep(_REST)
        figures.create_cpu = _since(operators, cpu)
        figures.rest_cpu = [seconds / _REST for seconds in _rest(operators)]
        figures.memory = [operator.memory() for operator in operators]
        figures.object_bytes = statistics.mean(len(json.dumps(body, separators=(",", ":"))) for body in load.objects())
        cpu, began = _cpu(operators), time.monotonic()
        load.delete_all()
        wait_until(lambda: not stand.sandbox.plans(), seconds=stand.patience, every=0.1)
        wait_until(lambda: not load.objects(), seconds=stand.patience, every=0.2)
        figures.delete_seconds = time.monotonic() - began
        time.sleep(_REST)
        figures.delete_cpu = _since(operators, cpu)
    counts = stand.sandbox.counts()
    figures.creates, figures.deletes = counts["CreateEdgeDeploymentPlan"], counts["DeleteEdgeDeploymentPlan"]


def _acting(stand: Stand, namespace: str) -> int:
    """How many operators hold a lease of a shard, or the one of all."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    found: list[dict[str, Any]] = stand.cluster.client.request("GET", path)["items"]
    names = {lease["metadata"]["name"]: lease["spec"].get("holderIdentity") for lease in found}
    sharded = any(name != "edgeplan" for name in names)
    return len({who for name, who in names.items() if who and name.rpartition("-")[2].isdecimal() is sharded})


def _done(stand: Stand, verb: str) -> int:
    return stand.sandbox.counts_by_code().get(f"{verb}EdgeDeploymentPlan", {}).get("OK", 0)


def _rest(operators: list[Measured]) -> list[float]:
    cpu = _cpu(operators)
    time.sleep(_REST)
    return _since(operators, cpu)


def _cpu(operators: list[Measured]) -> list[float]:
    return [operator.cpu() for operator in operators]


def _since(operators: list[Measured], cpu: list[float]) -> list[float]:
    return [round(operator.cpu() - before, 3) for operator, before in zip(operators, cpu, strict=True)]


def _line(each: Figures, plans: int) -> str:
    """One setup in words; the cost of a creation without what the processes use at rest in that time."""
    if each.trouble:
        return f"{each.shards} shards: {each.trouble}"
    create, delete = _net(each, each.create_cpu, each.create_seconds), _net(each, each.delete_cpu, each.delete_seconds)
    return (
        f"{each.shards} shards: created in {each.create_seconds:.1f} s, {_costs(create, plans)}; deleted in "
        f"{each.delete_seconds:.1f} s, {_costs(delete, plans)}; at rest {max(each.rest_cpu) * 1000:.0f} ms of CPU a "
        f"second and process, {max(each.memory):.0f} MB; {each.creates} creates, {each.deletes} deletes; "
        f"load before {each.load:.1f}"
    )


def _net(each: Figures, cpu: list[float], seconds: float) -> list[float]:
    return [used - rest * (seconds + _REST) for used, rest in zip(cpu, each.rest_cpu, strict=True)]


def _costs(cpu: list[float], plans: int) -> str:
    shown = ", ".join(f"{each / plans * 1000:.2f}" for each in cpu)
    return f"{sum(cpu) / plans * 1000:.2f} ms of CPU a plan ({shown})"
