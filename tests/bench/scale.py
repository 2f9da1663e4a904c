"""`python -m tests.bench`: the life of N objects under our operator, and under a Go controller if one is given."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from edge_manager.sandbox.client import SandboxClient
from playground.cluster import LocalCluster
from playground.programs.process import spawn, stop
from tests.bench import phases, scale_report
from tests.bench.figures import Meters
from tests.bench.kinds import OURS, go_controller, install
from tests.bench.objects import Api, Objects
from tests.bench.phases import OF_GO, PHASES, Stand
from tests.bench.process import TooSlowError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.figures import Figures
    from tests.bench.kinds import Kind

_DEFAULT: Final = ("converge", "restart", "delete")
# Progress to stderr, the result to stdout.
progress, output = Console(stderr=True, highlight=False), Console(highlight=False)


def main(arguments: list[str]) -> int:
    """Run the phases that are asked for; 1 if one of them did not come to its end."""
    chosen = _arguments(arguments)
    signal.signal(signal.SIGALRM, _give_up)
    signal.signal(signal.SIGTERM, _give_up)
    signal.alarm(chosen.deadline)
    result: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"Python {platform.python_version()}, {os.cpu_count()} cores",
        "load_before": round(os.getloadavg()[0], 1),
        "latency": chosen.latency,
        "stages": chosen.stages,
        "figures": [],
    }
    found: list[Figures] = []
    for count in chosen.objects:
        for kind in _kinds(chosen):
            wanted = [phase for phase in chosen.phases if kind is OURS or phase in OF_GO]
            with (
                tempfile.TemporaryDirectory(prefix="edgeplan-bench-") as folder,
                _stand(Path(folder), kind, count, chosen) as stand,
            ):
                for phase in wanted:
                    progress.print(f"{kind.name}, {count} objects: {phase} ...")
                    figures = phases.run(stand, phase)
                    found.append(figures)
                    result["figures"].append(dataclasses.asdict(figures))
                    result["load_after"] = round(os.getloadavg()[0], 1)
                    if chosen.out:  # at once: whatever comes later, this much is known
                        chosen.out.write_text(json.dumps(result, indent=2) + "\n")
                    if figures.trouble:
                        progress.print(figures.trouble)
    for line in scale_report.table(found):
        output.print(line, markup=False, soft_wrap=True)
    return 1 if any(figures.trouble for figures in found) else 0


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--objects", type=_numbers, default=[100], metavar="N,…", help="how many (default: 100)")
    parser.add_argument(
        "--phases",
        type=_phases,
        default=_DEFAULT,
        metavar="PHASE,…",
        help=f"of {', '.join(PHASES)}; `all`: all of them",
    )
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that an AWS call takes (default: 0.02)")
    parser.add_argument("--stages", type=int, default=0, help="stages of each plan (default: 0)")
    parser.add_argument(
        "--premade",
        type=int,
        default=2000,
        metavar="N",
        help="from so many on, objects at rest are written (default: 2000)",
    )
    parser.add_argument(
        "--rate", type=float, default=10, help="AWS calls a second in the phase `throttle` (default: 10)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures there, as JSON")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the controllers' logs there")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="run ours under cProfile; its figures go there")
    parser.add_argument(
        "--go-controller", type=Path, metavar="PATH", help="also run this program: ACK's sagemaker-controller"
    )
    parser.add_argument("--go-crds", type=Path, metavar="PATH", help="file or folder of the CRDs that it needs")
    parser.add_argument("--only-go", action="store_true", help="do not run ours")
    parser.add_argument("--deadline", type=int, default=7200, help="seconds after which it gives up (default: 7200)")
    chosen = parser.parse_args(arguments)
    if (chosen.go_controller is None) != (chosen.go_crds is None):
        parser.error("--go-controller and --go-crds need each other")
    return chosen


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _phases(text: str) -> list[str]:
    wanted = list(PHASES) if text == "all" else text.split(",")
    if unknown := set(wanted) - set(PHASES):
        raise argparse.ArgumentTypeError(f"no phase {', '.join(sorted(unknown))}")
    return wanted


def _kinds(chosen: argparse.Namespace) -> list[Kind]:
    ours = [] if chosen.only_go else [OURS]
    return ours + ([go_controller(chosen.go_controller, chosen.go_crds)] if chosen.go_controller else [])


@contextlib.contextmanager
def _stand(folder: Path, kind: Kind, count: int, chosen: argparse.Namespace) -> Iterator[Stand]:
    """A new cluster and a new endpoint: what one controller left behind slows down no other."""
    with LocalCluster() as cluster, _endpoint() as (sandbox, pid):
        install(cluster, kind, folder)
        sandbox.settings(latency=chosen.latency)
        api = Api(cluster)
        pids = {"apiserver": cluster._processes["kube-apiserver"].pid, "etcd": cluster._processes["etcd"].pid}
        meters = Meters(api, sandbox, pids | {"endpoint": pid})
        with Objects(api, kind, f"bench-{kind.name}", chosen.stages) as objects:
            stand = Stand(
                kind,
                count,
                cluster,
                sandbox,
                meters,
                objects,
                folder,
                chosen.latency,
                chosen.profile,
                chosen.premade,
                chosen.rate,
            )
            try:
                yield stand
            finally:
                stand.stop()
                log = folder / f"{kind.name}.log"
                if chosen.logs and log.exists():
                    chosen.logs.mkdir(parents=True, exist_ok=True)
                    (chosen.logs / f"{kind.name}-{count}.log").write_bytes(log.read_bytes())


@contextlib.contextmanager
def _endpoint() -> Iterator[tuple[SandboxClient, int]]:
    process = spawn([sys.executable, "-m", "tests.bench.endpoint"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None or not (url := process.stdout.readline().decode().strip()):
            raise TooSlowError("the AWS endpoint did not start")
        yield SandboxClient(url), process.pid
    finally:
        if process.stdout is not None:
            process.stdout.close()
        stop(process)


def _give_up(number: int, _frame: object) -> None:
    raise SystemExit(f"given up: {signal.Signals(number).name}")
