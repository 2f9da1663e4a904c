"""`python -m tests.bench shards`: one operator for all objects, and several with a shard each, on the same machine.

Where there are fewer cores than shards, the time tells of the cores: what a shard costs is the CPU of each process. And a
process that waits for its core takes more of it for the same work. So in between there are as many operators as shards
that have nothing to do with each other, each with its part of the objects: what they take together is what one operator
for all takes in such a crowd, and that over what the busiest shard takes is how many times as much several can do. As
the machine is faster in one minute than in the next, both are measured several times in turn, and the median counts.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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
    from collections.abc import Callable

    from tests.bench.process import Measured

_REST = 10.0  # seconds over which the cost of leases is measured, and after which nothing of a phase is under way


@dataclass
class Figures:
    """What so many operators cost. CPU is seconds for each process, memory MB."""

    setup: str
    round: int
    operators: int
    namespaces: int
    """As many as operators where each works for itself; else one."""
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
        count = chosen.shards
        found = [_measure(stand, Figures("one", 0, 1, 1, os.getloadavg()[0]))]
        for number in range(chosen.rounds):
            setups = (("alone", count), ("shards", 1))
            for name, namespaces in setups if number % 2 == 0 else reversed(setups):
                found.append(_measure(stand, Figures(name, number, count, namespaces, os.getloadavg()[0])))
    for each in found:
        output.print(_line(each, chosen.plans))
    if not any(each.trouble for each in found):
        output.print(_gain(found, chosen.plans))
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
    parser.add_argument("--plans", type=int, default=900, help="how many plans (default: 900)")
    parser.add_argument("--shards", type=int, default=3, help="how many shards and operators (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often several are measured (default: 3)")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that an AWS call takes (default: 0.02)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args(arguments)


def _measure(stand: Stand, figures: Figures) -> Figures:
    progress.print(f"{figures.setup}: operators: {figures.operators} ...")
    try:
        _life(stand, figures)
    except TooSlowError as error:
        figures.trouble = str(error)
    return figures


def _life(stand: Stand, figures: Figures) -> None:
    stand.sandbox.reset()
    stand.sandbox.settings(quota=None, latency=stand.latency)
    names = [f"bench-{figures.setup}-{figures.round}-{number}" for number in range(figures.namespaces)]
    loads = [Load(stand.cluster, name) for name in names]
    parts = {load: range(number, stand.plans, len(loads)) for number, load in enumerate(loads)}
    with contextlib.ExitStack() as stack:
        operators = [
            stack.enter_context(stand.run(OURS, name, *_leases(name, figures)))
            for name in itertools.islice(itertools.cycle(names), figures.operators)
        ]
        wait_until(lambda: sum(_acting(stand, name) for name in names) == figures.operators, seconds=120, every=0.5)
        _rest(operators)
        figures.memory_before = [operator.memory() for operator in operators]
        cpu, began = _cpu(operators), time.monotonic()
        _at_once(loads, lambda load: load.create(parts[load]))
        wait_until(lambda: _done(stand, "Create") >= stand.plans, seconds=stand.patience, every=0.2)
        wait_until(
            lambda: all(len(load.with_arn()) == len(parts[load]) for load in loads), seconds=stand.patience, every=0.5
        )
        figures.create_seconds = time.monotonic() - began
        time.sleep(_REST)
        figures.create_cpu = _since(operators, cpu)
        figures.rest_cpu = [seconds / _REST for seconds in _rest(operators)]
        figures.memory = [operator.memory() for operator in operators]
        bodies = [body for load in loads for body in load.objects()]
        figures.object_bytes = statistics.mean(len(json.dumps(body, separators=(",", ":"))) for body in bodies)
        cpu, began = _cpu(operators), time.monotonic()
        _at_once(loads, Load.delete_all)
        wait_until(lambda: not stand.sandbox.plans(), seconds=stand.patience, every=0.2)
        wait_until(lambda: not any(load.objects() for load in loads), seconds=stand.patience, every=0.5)
        figures.delete_seconds = time.monotonic() - began
        time.sleep(_REST)
        figures.delete_cpu = _since(operators, cpu)
    counts = stand.sandbox.counts()
    figures.creates, figures.deletes = counts["CreateEdgeDeploymentPlan"], counts["DeleteEdgeDeploymentPlan"]


def _leases(namespace: str, figures: Figures) -> tuple[str, ...]:
    shards = figures.operators if figures.namespaces == 1 else 1
    return "--lease", f"{namespace}/edgeplan", "--shards", str(shards)


def _at_once(loads: list[Load], act: Callable[[Load], None]) -> None:
    with ThreadPoolExecutor(len(loads)) as threads:
        list(threads.map(act, loads))


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
        return f"{each.setup}: {each.trouble}"
    create, delete = _used(each)
    return (
        f"{each.setup}: created in {each.create_seconds:.1f} s, {_costs(create, plans)}; deleted in "
        f"{each.delete_seconds:.1f} s, {_costs(delete, plans)}; at rest {max(each.rest_cpu) * 1000:.0f} ms of CPU a "
        f"second and process, {max(each.memory):.0f} MB; {each.creates} creates, {each.deletes} deletes; "
        f"load before {each.load:.1f}"
    )


def _gain(found: list[Figures], plans: int) -> str:
    """How many times as much several shards can do as one operator, each with a core of its own."""
    crowds, shards = ([_used(each) for each in found if each.setup == setup] for setup in ("alone", "shards"))
    gains = [
        [sum(together) / max(busiest) for together, busiest in zip(crowd, several, strict=True)]
        for crowd, several in zip(crowds, shards, strict=True)
    ]
    create, delete = (
        f"{statistics.median(each):.2f} ({', '.join(f'{x:.2f}' for x in each)})" for each in zip(*gains, strict=True)
    )
    return f"of {plans} plans: with a core each, shards create {create} and delete {delete} times as fast as one"


def _used(each: Figures) -> tuple[list[float], list[float]]:
    """CPU of each process for all creations and for all deletions."""
    return _net(each, each.create_cpu, each.create_seconds), _net(each, each.delete_cpu, each.delete_seconds)


def _net(each: Figures, cpu: list[float], seconds: float) -> list[float]:
    return [used - rest * (seconds + _REST) for used, rest in zip(cpu, each.rest_cpu, strict=True)]


def _costs(cpu: list[float], plans: int) -> str:
    shown = ", ".join(f"{each / plans * 1000:.2f}" for each in cpu)
    return f"{sum(cpu) / plans * 1000:.2f} ms of CPU a plan ({shown})"
