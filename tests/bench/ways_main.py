"""`python -m tests.bench ways`: measure the operator, and two other ways of using Kopf beside it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import pstats
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edge_manager.sandbox.client import SandboxClient
from playground.cluster import LocalCluster
from playground.programs.process import spawn, stop
from tests.bench import measure, report
from tests.bench.measure import Idle, Life, Quota, Stand
from tests.bench.process import TooSlowError
from tests.bench.ways import OURS, WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.ways import Way

CRDS = Path(__file__).parents[2] / "crds"
# Progress to stderr, the result to stdout.
progress, output = Console(stderr=True, highlight=False), Console(highlight=False)


def main(arguments: list[str]) -> int:
    chosen = _arguments(arguments)
    # The last resort: whatever hangs, the benchmark ends, and its cluster and processes with it.
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, _too_long)
    signal.alarm(chosen.deadline)
    with tempfile.TemporaryDirectory(prefix="edgeplan-bench-") as folder, stand_of(Path(folder), chosen) as stand:
        if chosen.profile:
            return _profile(stand, chosen.profile)
        lives = {way: _life(stand, way) for way in WAYS if way.name in chosen.ways}
        idle, quota = _extras(stand) if "ours" in chosen.ways else (None, None)
    title = f"{chosen.plans} plans, AWS at {chosen.latency * 1000:.0f} ms a call; {machine()}; in brackets: times ours"
    output.print(report.table(lives, title))
    if idle and quota:
        for line in report.ours(idle, quota, chosen.plans):
            output.print(line)
    if chosen.json:
        chosen.json.write_text(json.dumps(_result(chosen, lives, idle, quota), indent=2) + "\n")
    return 1 if any(life.trouble for life in lives.values()) else 0


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench ways", description=__doc__)
    parser.add_argument("--plans", type=int, default=500, help="how many plans (default: 500)")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that an AWS call takes (default: 0.02)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="only run ours, under cProfile; stats go there")
    parser.add_argument("--deadline", type=int, default=1200, help="seconds after which it gives up (default: 1200)")
    parser.add_argument(
        "ways", nargs="*", default=[way.name for way in WAYS], help="ours, default, tuned (default: all)"
    )
    return parser.parse_args(arguments)


@contextlib.contextmanager
def stand_of(folder: Path, chosen: argparse.Namespace) -> Iterator[Stand]:
    sandbox = [sys.executable, "-m", "edge_manager", "sandbox", "--port", "0"]
    with LocalCluster(audit=True) as cluster:
        cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
        cluster.kubectl("wait", "--for=condition=Established", "crd/edgedeploymentplans.edgeplan.dev", "--timeout=30s")
        process = spawn(sandbox, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            if process.stdout is None or not (line := process.stdout.readline().decode()):
                raise TooSlowError("the sandbox did not start")
            client = SandboxClient(line.partition(" on ")[2].partition(",")[0])
            yield Stand(cluster, client, folder, chosen.plans, chosen.latency)
        finally:
            if process.stdout is not None:
                process.stdout.close()
            stop(process)


def _life(stand: Stand, way: Way) -> Life:
    progress.print(f"{way.title} ...")
    result = Life()
    try:
        measure.life(stand, way, result)
    except TooSlowError as error:
        result.trouble = str(error)
    return result


def _extras(stand: Stand) -> tuple[Idle | None, Quota | None]:
    progress.print("sweeps and the quota queue ...")
    try:
        return measure.idle(stand), measure.quota(stand)
    except TooSlowError as error:
        progress.print(str(error))
        return None, None


def _profile(stand: Stand, file: Path) -> int:
    """Run ours through creation and deletion under cProfile, which sees the event loop's thread."""
    result = Life()
    measure.life(stand, OURS, result, before=("-m", "cProfile", "-o", str(file.absolute())))
    for order in ("tottime", "cumulative"):
        pstats.Stats(str(file)).sort_stats(order).print_stats(40)
    output.print(
        f"created in {result.arn_seconds:.2f} s, {result.create_cpu:.2f} s of CPU; "
        f"deleted in {result.delete_seconds:.2f} s, {result.delete_cpu:.2f} s of CPU (with the profiler)"
    )
    return 0


def _result(
    chosen: argparse.Namespace, lives: dict[Way, Life], idle: Idle | None, quota: Quota | None
) -> dict[str, object]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "plans": chosen.plans,
        "latency": chosen.latency,
        "ways": {way.name: dataclasses.asdict(life) for way, life in lives.items()},
        "idle": dataclasses.asdict(idle) if idle else None,
        "quota": dataclasses.asdict(quota) if quota else None,
    }


def machine() -> str:
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load}, {time.strftime('%Y-%m-%d')}"


def _too_long(number: int, _frame: object) -> None:
    raise SystemExit(f"given up: {signal.Signals(number).name}")
