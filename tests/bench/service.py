"""`python -m tests.bench service`: measure the Edge Manager service."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from rich.console import Console
from sqlalchemy import insert

from edge_manager.domain.access import Principal, Role
from edge_manager.domain.deployments import Answer, State
from edge_manager.domain.scope import Scope
from edge_manager.store import devices, keys
from edge_manager.store.caches import Caches
from edge_manager.store.devices import Beat, Device
from edge_manager.store.engine import Store
from edge_manager.store.fleets import Fleets
from edge_manager.store.keys import Key, Seal
from edge_manager.store.tables import PACKAGING_JOBS
from tests.bench.hammer import hammer
from tests.bench.process import Measured, TooSlowError
from tests.edge_manager.databases import create_database, postgresql
from tests.edge_manager.lean import Lean
from tests.edge_manager.processes import REGION
from tests.edge_manager.zygote import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT, FLEET = "123456789012", "shops"
SCOPE = Scope(ACCOUNT, REGION)
FILE = Path(__file__).with_name("service.json")
PARTS = ["fleet", "rate", "stage"]
SAMPLES = 15
GROUP = 500
progress, output = Console(stderr=True, highlight=False), Console(highlight=False, soft_wrap=True)


@dataclass
class Stand:
    """A store with a fleet, a package and keys, and processes that serve it."""

    url: str
    folder: Path
    secret_key: str
    ports: list[int]
    admin: Key
    processes: list[Measured]

    def client(self) -> Lean:
        return Lean(self.ports[0], self.admin)

    def cpu(self) -> float:
        return sum(process.cpu() for process in self.processes)

    def bytes(self) -> int:
        """What the store takes on disk, after what is in its log was moved into it."""
        if self.url.startswith("sqlite"):
            store = Store(self.url)
            with store.engine.connect() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            store.close()
            return Path(self.url.removeprefix("sqlite:///")).stat().st_size
        with psycopg.connect(self.url) as db:
            [size] = db.execute("SELECT pg_database_size(current_database())").fetchone() or [0]
        return int(size)


@contextlib.contextmanager
def stand(url: str, folder: Path, processes: int, fleet: int) -> Iterator[Stand]:
    """Fill a store and serve it."""
    secret_key = Seal.new_key()
    store, seal = Store(url), Seal(secret_key)
    admin = store.write(lambda db: _fill(db, seal, fleet))
    store.close()
    ports = [free_port() for _ in range(processes)]
    environment = {"EDGE_MANAGER_STORE": url, "EDGE_MANAGER_SECRET_KEY": secret_key}
    with contextlib.ExitStack() as stack:
        running = []
        for port in ports:
            command = [sys.executable, "-m", "edge_manager", "serve", "--rate", "0", "--port", str(port)]
            running.append(stack.enter_context(Measured(command, folder / f"{port}.log", environment)))
        made = Stand(url, folder, secret_key, ports, admin, running)
        for port in ports:
            _await(Lean(port, admin), folder / f"{port}.log")
        yield made


def _fill(db: Any, seal: Seal, fleet: int) -> Key:
    fleets = Fleets(db, SCOPE)
    fleets.create(FLEET, {"OutputConfig": {"S3OutputLocation": "s3://models/out"}}, {}, 1.0)
    fleets.register(FLEET, [{"DeviceName": name(number)} for number in range(fleet)], 1.0)
    common = {"account": ACCOUNT, "region": REGION, "created": 1.0, "modified": 1.0, "tags": {}, "details": {}}
    job = {"name": "counter", "model": "counter", "version": "1", "status": "COMPLETED", "claimed": 0.0}
    made = {"arn": SCOPE.arn("edge-packaging-job", "counter"), "artifact": "s3://models/counter", "sha1": "0" * 40}
    db.execute(insert(PACKAGING_JOBS).values(**common, **job, **made))
    return keys.create(db, seal, 1.0, Principal("", ACCOUNT, "", Role.ADMIN))


def name(number: int) -> str:
    return f"device-{number:06d}"


def _await(client: Lean, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.control("ListEdgeDeploymentPlans")
        except ConnectionError as error:
            if time.monotonic() > deadline:
                raise TooSlowError(f"the service did not start:\n{log.read_text()[-2000:]}") from error
            time.sleep(0.1)
        else:
            client.close()
            return


def make_keys(at: Stand, count: int) -> list[Key]:
    """Keys of the first devices."""
    store, seal = Store(at.url), Seal(at.secret_key)
    wanted = [Principal("", ACCOUNT, "", Role.DEVICE, REGION, FLEET, name(number)) for number in range(count)]
    made = store.write(lambda db: keys.create_all(db, seal, 1.0, wanted))
    store.close()
    return made


def rate(url: str, folder: Path, processes: int, seconds: float) -> dict[str, Any]:
    """The most heartbeats a second."""
    with stand(url, folder, processes, 2000) as at:
        made = make_keys(at, 2000)
        before = at.cpu()
        hits = hammer(at.ports, FLEET, made, seconds)
        cpu = at.cpu() - before
    return {
        "processes": processes,
        "per_second": round(hits.count / hits.seconds, 1),
        # A tenth more was sent before the measurement began.
        "cpu_ms_per_heartbeat": round(cpu * 1000 / (hits.count * 1.1), 2),
        **{key: value for key, value in dataclasses.asdict(hits).items() if key.startswith("p")},
    }


def fleet(url: str, folder: Path, count: int, seconds: float) -> dict[str, Any]:
    """A fleet that polls once a minute: what the process takes for it."""
    with stand(url, folder, 1, count) as at:
        lines = [
            {"AccessKeyId": key.principal.access_key, "SecretAccessKey": key.secret, "Fleet": FLEET}
            | {"Device": device}
            for key in make_keys(at, count)
            if (device := key.principal.device)
        ]
        file, result = folder / "keys", folder / "fleet.json"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        command = [sys.executable, "-m", "edge_manager", "fleet", "simulate", "--fleet", FLEET, "--devices", str(count)]
        command += ["--keys", str(file), "--endpoint-url", f"http://127.0.0.1:{at.ports[0]}", "--json", str(result)]
        command += ["--duration", str(seconds), "--region", REGION]
        nobody = {
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ACCESS_KEY_ID": "",
        }
        log = folder / "fleet.log"
        with Measured(command, log, nobody) as players:
            began, before = time.monotonic(), at.cpu()
            while not result.exists():
                time.sleep(0.2)
                if time.monotonic() - began > seconds * 3 + 60:
                    raise TooSlowError(f"the agents did not end:\n{log.read_text()[-2000:]}")
            cpu, players_cpu = at.cpu() - before, players.cpu()
        memory = at.processes[0].memory()
    figures = json.loads(result.read_text())
    took = figures["seconds"]
    return {
        "devices": count,
        "interval": 60,
        "seconds": took,
        "cpu_share": round(cpu / took, 3),
        "agents_cpu_share": round(players_cpu / took, 3),
        "memory_mb": round(memory),
        "operations": figures["operations"],
        "errors": figures["errors"],
    }


def stage(url: str, folder: Path, count: int) -> dict[str, Any]:
    """A stage over a large fleet: each call in milliseconds, and what the store takes."""
    empty = folder / "empty"
    empty.mkdir()
    with stand(url, folder, 1, 0) as at:
        client = at.client()
        found: dict[str, Any] = {"devices": count}
        nothing = at.bytes()
        began = time.monotonic()
        for start in range(0, count, 1000):
            batch = [{"DeviceName": name(number)} for number in range(start, min(start + 1000, count))]
            client.control("RegisterDevices", DeviceFleetName=FLEET, Devices=batch)
        found["register_seconds"] = round(time.monotonic() - began, 1)
        found["bytes_per_device"] = round((at.bytes() - nothing) / count)
        before = at.bytes()
        make_keys(at, count)
        found["bytes_per_key"] = round((at.bytes() - before) / count)
        calls = _Calls(client, found)
        _story(calls, count)
        before = at.bytes()
        began = time.monotonic()
        _answer_all(at, calls.offer, count)
        found["all_answered_seconds"] = round(time.monotonic() - began, 1)
        found["bytes_per_answer"] = round((at.bytes() - before) / count)
        calls.looks("all answered")
        calls.once("start again", "StartEdgeDeploymentStage", StageName="all")
        calls.looks("started again")
        calls.once("stop again", "StopEdgeDeploymentStage", StageName="all")
        calls.once("stop the canary", "StopEdgeDeploymentStage", StageName="canary")
        calls.once("delete the plan", "DeleteEdgeDeploymentPlan")
        found["memory_mb"] = round(at.processes[0].memory())
        client.close()
    return found


class _Calls:
    """Calls about one plan, timed."""

    def __init__(self, client: Lean, found: dict[str, Any]) -> None:
        self._client, self._found = client, found
        self.offer = ""

    def once(self, label: str, operation: str, **wanted: Any) -> dict[str, Any]:
        """Something that cannot be repeated."""
        began = time.perf_counter()
        answer = self._client.control(operation, EdgeDeploymentPlanName="plan", **wanted)
        self._found[f"{label}, ms"] = round((time.perf_counter() - began) * 1000, 1)
        return answer

    def often(self, label: str, call: Callable[[], dict[str, Any]]) -> None:
        """The median of some."""
        took = []
        for _ in range(SAMPLES):
            began = time.perf_counter()
            call()
            took.append((time.perf_counter() - began) * 1000)
        self._found[f"{label}, ms"] = round(statistics.median(took), 1)

    def looks(self, when: str) -> None:
        """What an operator and its users look at."""
        control = self._client.control
        plan = {"EdgeDeploymentPlanName": "plan"}
        self.often(f"DescribeEdgeDeploymentPlan, {when}", partial(control, "DescribeEdgeDeploymentPlan", **plan))
        self.often(f"ListEdgeDeploymentPlans, {when}", partial(control, "ListEdgeDeploymentPlans"))
        self.often(f"ListStageDevices, {when}", partial(control, "ListStageDevices", **plan, StageName="all"))

    def device(self, number: int) -> None:
        """What one device asks and says."""
        device = {"DeviceFleetName": FLEET, "DeviceName": name(number)}
        edge = self._client.edge
        self.offer = edge("GetDeployments", **device)["Deployments"][0]["DeploymentName"]
        self.often("GetDeployments, started", partial(edge, "GetDeployments", **device))
        self.often("SendHeartbeat, started", partial(edge, "SendHeartbeat", AgentVersion="1.0", **device))


def _story(calls: _Calls, count: int) -> None:
    share = {"DeviceSubsetType": "PERCENTAGE"}
    chosen = {"canary": share | {"Percentage": 1}, "all": share | {"Percentage": 100}}
    some = {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": "7"}
    stages = {**chosen, "sevens": some}
    calls.once(
        "create",
        "CreateEdgeDeploymentPlan",
        DeviceFleetName=FLEET,
        ModelConfigs=[{"ModelHandle": "counter", "EdgePackagingJobName": "counter"}],
        Stages=[{"StageName": each, "DeviceSelectionConfig": how} for each, how in stages.items()],
    )
    calls.once("describe after a change of the fleet", "DescribeEdgeDeploymentPlan")
    calls.looks("not started")
    calls.once("start of a canary of 1 %", "StartEdgeDeploymentStage", StageName="canary")
    calls.once("start of all others", "StartEdgeDeploymentStage", StageName="all")
    calls.once("describe after it", "DescribeEdgeDeploymentPlan")
    calls.looks("started")
    calls.once("start by a part of names", "StartEdgeDeploymentStage", StageName="sevens")
    calls.once("stop", "StopEdgeDeploymentStage", StageName="sevens")
    calls.device(50_000 * count // 100_000)  # in no other stage


def _answer_all(at: Stand, offer: str, count: int) -> None:
    """All devices of the stage answer, in groups as large as they come in under load."""
    store, caches, number = Store(at.url), Caches(), int(offer.rpartition("-")[2])
    states = (State.FAIL if device % 100 == 0 else State.SUCCESS for device in range(count))
    beats = [
        Beat(Device(SCOPE, FLEET, name(device)), 2.0, "1.0", [], Answer(number, state))
        for device, state in enumerate(states)
    ]
    for start in range(0, count, GROUP):
        group = beats[start : start + GROUP]
        store.write(partial(lambda group, db: devices.apply(caches, db, group), group), isolation="READ COMMITTED")
    store.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench service", description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000, help="that poll once a minute (default: 10000)")
    parser.add_argument("--stage", type=int, default=100_000, help="devices of the large stage (default: 100000)")
    parser.add_argument("--minutes", type=float, default=2, help="that the fleet polls (default: 2)")
    parser.add_argument("--seconds", type=float, default=15, help="of each run for the most heartbeats (default: 15)")
    parser.add_argument(
        "--json", type=Path, default=FILE, metavar="FILE", help=f"default: {FILE.name} beside this file"
    )
    parser.add_argument("parts", nargs="*", default=PARTS, help="default: fleet rate stage; others are kept")
    chosen = parser.parse_args(arguments)
    kept: dict[str, Any] = json.loads(chosen.json.read_text()) if chosen.json.exists() else {}
    found: dict[str, Any] = kept | {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"Python {platform.python_version()}, {os.cpu_count()} cores",
        "load_before": round(os.getloadavg()[0], 1),
    }
    with tempfile.TemporaryDirectory(prefix="edge-manager-bench-") as folder, contextlib.ExitStack() as stack:
        places = _Places(Path(folder), _server(stack))
        if "fleet" in chosen.parts:
            progress.print(f"{chosen.devices} agents, one poll a minute, for {chosen.minutes:g} min ...")
            found["fleet"] = fleet(*places.sqlite(), chosen.devices, chosen.minutes * 60)
        if "rate" in chosen.parts:
            found["rate"] = [_rate(places, kind, count, chosen.seconds) for kind, count in places.ways()]
        if "stage" in chosen.parts:
            found["stage"] = {}
            for kind in places.kinds():
                progress.print(f"a stage over {chosen.stage} devices, {kind} ...")
                found["stage"][kind] = stage(*places.of(kind), chosen.stage)
    found["load_after"] = round(os.getloadavg()[0], 1)
    chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    for line in table(found):
        output.print(line, markup=False)
    return 0


def _rate(places: _Places, kind: str, processes: int, seconds: float) -> dict[str, Any]:
    progress.print(f"the most heartbeats, {kind}, {processes} processes ...")
    return {"store": kind, **rate(*places.of(kind), processes, seconds)}


def _server(stack: contextlib.ExitStack) -> str | None:
    try:
        return stack.enter_context(postgresql(durable=True))
    except pytest.skip.Exception as error:
        progress.print(str(error))
        return None


class _Places:
    """A new store for each measurement."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder, self._server, self._count = folder, server, 0

    def kinds(self) -> list[str]:
        return ["SQLite"] + ["PostgreSQL"] * (self._server is not None)

    def ways(self) -> list[tuple[str, int]]:
        """SQLite's file is for one process."""
        return [("SQLite", 1)] + [("PostgreSQL", count) for count in (1, 2) if self._server is not None]

    def of(self, kind: str) -> tuple[str, Path]:
        if kind == "SQLite" or self._server is None:
            return self.sqlite()
        return create_database(self._server, f"bench{self._count}"), self._next()

    def sqlite(self) -> tuple[str, Path]:
        folder = self._next()
        return f"sqlite:///{folder / 'store.db'}", folder

    def _next(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder


def table(found: dict[str, Any]) -> list[str]:
    """The figures as Markdown, for docs/edge-manager-sizing.md."""
    lines = [f"{found['machine']}, load {found['load_before']} before, {found['time'][:10]}."]
    if fleet_ := found.get("fleet"):
        beat, poll = (fleet_["operations"][each] for each in ("SendHeartbeat", "GetDeployments"))
        lines += [
            "",
            f"| {fleet_['devices']} devices on SQLite, one process | |",
            "|---|---|",
            f"| calls a second | {beat['per_second'] + poll['per_second']:.0f}: a poll and a heartbeat a minute each |",
            f"| CPU of one core | {fleet_['cpu_share']:.0%} |",
            f"| heartbeat p50, p99 | {beat['p50_ms']:.1f} ms, {beat['p99_ms']:.1f} ms |",
            f"| poll p50, p99 | {poll['p50_ms']:.1f} ms, {poll['p99_ms']:.1f} ms |",
            f"| memory | {fleet_['memory_mb']} MB |",
            f"| errors | {sum(fleet_['errors'].values())} |",
        ]
    if rates := found.get("rate"):
        lines += ["", "| store | processes | heartbeats a second | CPU each | p50 | p99 |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {each['store']} | {each['processes']} | {each['per_second']:.0f} | {each['cpu_ms_per_heartbeat']:.2f} ms "
            f"| {each['p50_ms']:.0f} ms | {each['p99_ms']:.0f} ms |"
            for each in rates
        ]
    if stages := found.get("stage"):
        count = next(iter(stages.values()))["devices"]
        lines += ["", f"| a stage over {count} devices | {' | '.join(stages)} |", "|---" * (len(stages) + 1) + "|"]
        labels = [label for label in next(iter(stages.values())) if label != "devices"]
        lines += [f"| {label} | {' | '.join(str(each[label]) for each in stages.values())} |" for label in labels]
    return lines
