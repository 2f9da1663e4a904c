"""An agent whose power goes at random instants, with a full disk, a service and an S3 away in between.

At every instant `current` is absent or a whole model that was offered, and no longer absent once a model was good.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from moto.server import ThreadedMotoServer

from edge_manager.domain.access import Role
from tests.edge_manager.agents import GOOD, Agents, Device, gone, kill, package
from tests.edge_manager.conftest import ACCOUNTS
from tests.edge_manager.processes import served, sqlite
from tests.edge_manager.teams import Shop, named
from tests.edge_manager.zygote import Zygote, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLS = int(os.environ.get("EDGEPLAN_AGENT_KILLS", "200"))
SUPERSEDED = 0.03  # how often a plan is started over one that is under way
BAD = 2  # the number of the model that fails the check
SIZE = 300_000  # bytes of a model
DISK = 4 * 2**20


@dataclass
class Cloud:
    """The service and the S3, which come and go."""

    shop: Shop
    services: Zygote
    port: int
    s3_port: int
    number: int = 0
    s3: Any = None

    def start(self) -> None:
        if not self.number:
            key = self.shop.service.secret_key
            self.number = self.services.start(self.port, store=self.shop.service.store, secret_key=key, rate=None)
        if self.s3 is None:
            self.s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=self.s3_port, verbose=False)
            self.s3.start()

    def stop_service(self) -> None:
        if self.number:
            kill(self.number)
            self.number = 0

    def stop_s3(self) -> None:
        if self.s3 is not None:
            self.s3.stop()
            self.s3 = None


@dataclass
class Bench:
    """A device, what goes wrong around it, and what was deployed to it."""

    cloud: Cloud
    device: Device
    agents: Agents
    is_mounted: bool
    dice: random.Random
    contents: dict[str, dict[str, bytes]] = field(default_factory=dict)
    is_full: bool = False
    plans: int = 0
    usual: float = 0.0  # seconds that a deployment takes on this machine
    works: set[str] = field(default_factory=set)  # models that passed the check last, as far as the test can know
    ended: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)  # what the agent was at when its power went

    @property
    def plan(self) -> str:
        return f"plan-{self.plans}"

    @property
    def model(self) -> str:
        """The model of the last plan; each third is bad."""
        return f"model-{self.plans % 3}"

    def is_good(self, model: str) -> bool:
        return GOOD in self.contents[model]

    def fill(self) -> None:
        """Leave no byte, or some, on the device's disk."""
        self.is_full = True
        if self.is_mounted:
            ballast = self.device.state / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            os.truncate(ballast, ballast.stat().st_size - self.dice.choice([0, SIZE // 2, SIZE]))

    def free(self) -> None:
        self.is_full = False
        (self.device.state / "ballast").unlink(missing_ok=True)

    def deploy(self) -> None:
        """Start a plan of the next model, whatever became of the last one."""
        if self.plans and self.is_good(self.model):
            self.works.add(self.model)
        self.plans += 1
        self.cloud.shop.plan(self.plan, named("all", "till"), job=self.model)
        self.cloud.shop.start(self.plan, "all")

    def live(self) -> None:
        """An agent lives for a random part of what a deployment takes; each second one from when it begins to work."""
        limit = 2**12 if self.is_full and not self.is_mounted else None
        number = self.agents.start(self.device, largest_file=limit)
        longest, until = self.usual, time.monotonic() + self.usual / 2
        if self.dice.random() < 0.5:
            while time.monotonic() < until and self.device.remembered().get("job") is None:
                time.sleep(0.002)
            longest /= 4
        time.sleep(self.dice.uniform(0, longest))
        try:
            kill(number)
        except ProcessLookupError:
            pytest.fail(f"The agent died by itself: {self.device.said()[-3000:]}")
        self.inspect()

    def finish(self) -> None:
        """An agent lives until the service knows of the end, and is told to stop."""
        number, begin = self.agents.start(self.device), time.monotonic()
        while not self.has_ended():
            assert time.monotonic() < begin + 120, self.device.said()[-3000:]
            time.sleep(0.01)
        self.usual = min(time.monotonic() - begin, 1.0)
        os.kill(number, signal.SIGTERM)
        gone(number)
        self.inspect()

    def inspect(self) -> None:
        """What must hold at every instant."""
        running, job = self.device.running(), self.device.remembered().get("job")
        if running is None:
            assert not self.ended["DEPLOYED"], "what worked is gone"
        else:
            [(handle, files)] = running.items()
            assert files == self.contents[handle]
            on_trial = {model[0] for model in job["offer"]["models"]} if job and job["phase"] != "FETCH" else set()
            assert self.is_good(handle) or handle in on_trial, "a model that is not good runs without being on trial"
        leftovers = {path.parent.name for path in self.device.state.glob("*/.*")}
        self.cut[" ".join([job["phase"] if job else "nothing", *sorted(leftovers)])] += 1

    def has_ended(self) -> bool:
        """Whether the service knows of an end; then what works must run, and the service must say so."""
        memory = self.device.remembered()
        if memory.get("job") or memory.get("results") or not self.cloud.number:
            return False
        status = self.cloud.shop.status(self.plan, "all")
        if status[0] not in {"DEPLOYED", "FAILED"}:
            return False
        self.ended[status[0]] += 1
        assert status == (("DEPLOYED", 1, 0, 0) if self.is_good(self.model) else ("FAILED", 0, 0, 1))
        running = set(self.device.running() or {})
        assert running <= ({self.model} if self.is_good(self.model) else self.works)
        assert running or not self.works
        self.works = running
        return True


@pytest.fixture
def bench(s3: Any, s3_url: str, tmp_path: Path) -> Iterator[Bench]:
    state, port = tmp_path / "device" / "state", free_port()
    state.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(state)]
    try:
        is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        is_mounted = False
    with served(sqlite(tmp_path), s3=s3_url) as service, contextlib.ExitStack() as stack:
        if is_mounted:
            stack.callback(lambda: subprocess.run(["umount", "--lazy", state], check=True))
        services = Zygote(service.environment)
        stack.callback(services.close)
        agents = Agents()
        stack.callback(agents.close)
        service.url = f"http://127.0.0.1:{port}"
        account = str(next(ACCOUNTS))
        key = service.key(Role.ADMIN, account)
        cloud = Cloud(Shop(service, s3, account, key), services, port, free_port())
        stack.callback(cloud.stop_service)
        stack.callback(cloud.stop_s3)
        cloud.start()
        device = Device(tmp_path / "device", "till-1")
        own = cloud.shop.device_key("till-1")
        device.configure(service.url, f"http://127.0.0.1:{cloud.s3_port}", own)
        yield Bench(cloud, device, agents, is_mounted, random.Random(7))  # noqa: S311


def test_an_agent_killed_at_any_instant_ends_with_the_right_model_and_the_service_knows(bench: Bench) -> None:
    shop, dice, cloud = bench.cloud.shop, bench.dice, bench.cloud
    shop.fleet("till-1")
    for number in range(3):
        name = f"model-{number}"
        files = {"weights.bin": dice.randbytes(SIZE), "labels/en.txt": name.encode(), "config.json": b"{}"}
        bench.contents[name] = files if number == BAD else {**files, GOOD: b""}
        shop.package(name, package(bench.contents[name]))
    bench.deploy()
    bench.finish()
    bench.deploy()
    events = {8: bench.fill, 12: bench.free, 18: cloud.stop_service, 22: cloud.start}
    events |= {28: cloud.stop_s3, 32: cloud.start}
    for count in range(KILLS):
        events.get(count % 40, lambda: None)()
        bench.live()
        if bench.has_ended() or (cloud.number and dice.random() < SUPERSEDED):
            bench.deploy()
    bench.free()
    cloud.start()
    bench.plans += 2 - bench.plans % 3  # the next one is good, and not the one that fails
    bench.deploy()
    bench.finish()
    assert bench.device.running() == {"model-0": bench.contents["model-0"]}
    described = shop.sagemaker.describe_device(DeviceFleetName="shops", DeviceName="till-1")
    assert [model["ModelName"] for model in described["Models"]] == ["model-0"]
    left = {folder: len(list((bench.device.state / folder).iterdir())) for folder in ("models", "releases", "partial")}
    assert left == {"models": 1, "releases": 1, "partial": 0}
    assert {"FETCH", "CHECK"} <= {phase.split()[0] for phase in bench.cut}, bench.cut
