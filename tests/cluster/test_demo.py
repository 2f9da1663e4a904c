"""The demo, played as a user plays it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from playground import demo
from playground.demo.world import World
from playground.programs import find_or_build
from playground.programs.process import spawn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = (sys.executable, "-m", "playground", "demo")

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True, scope="module")
def _programs() -> None:
    find_or_build(["etcd", "kube-apiserver", "kubectl"])


def test_demo_keeps_its_promises_and_leaves_nothing() -> None:
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        wait_for(playing.stdout, "$ kubectl apply")
        started = children(playing.pid)
        assert len(started) == 4, started  # etcd, kube-apiserver, the operator; their folder
        output = playing.stdout.read()
    assert playing.returncode == 0, output
    assert not any(path.exists() for path in started)
    told = [line.rsplit("  ", 1)[0] for line in output.splitlines() if line.startswith("✓")]
    assert told == [
        "✓ store-cameras is Ready and carries the ARN that AWS gave it",
        "✓ self-checkout is Ready, with three stages in AWS",
        "✓ shelf-scanners got the last place",
        "✓ freezer-monitors is refused: ResourceLimitExceeded",
        "✓ parking-counters waits behind it",
        told[5],
        "✓ store-cameras is gone, in Kubernetes and in AWS",
        "✓ freezer-monitors got its place",
        "✓ parking-counters still waits, now first in line",
        "✓ no object is left in Kubernetes and no plan in AWS",
    ]
    assert "2nd of 2 waiting for quota" in output
    assert shown("make demo") == [re.sub(r"\d+", "#", line) for line in told]


def test_second_act_puts_models_on_devices_and_leaves_nothing() -> None:
    with subprocess.Popen([*COMMAND, "--devices"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        wait_for(playing.stdout, "$ kubectl apply")
        started = children(playing.pid)
        output = playing.stdout.read()
    assert playing.returncode == 0, output
    assert len(started) == 11, started  # etcd, kube-apiserver, the service, six agents, the operator; their folder
    assert not any(path.exists() for path in started)
    told = [line.rsplit("  ", 1)[0] for line in output.splitlines() if line.startswith("✓")]
    assert told == [
        "✓ till-canary runs counter 1, the others nothing",
        "✓ all six devices run counter 1",
        "✓ queue-counters is Ready: the rollout is complete",
        "✓ till-canary failed its check of counter 2",
        "✓ queue-counters is Stalled: the rollout stopped",
        "✓ all six devices run counter 1 still",
        "✓ all six devices run counter 3",
        "✓ queue-counters is Ready: the rollout is complete",
        "✓ no object is left in Kubernetes and no plan in AWS",
    ]
    assert shown("make demo ARGS=--devices") == [re.sub(r"\d+", "#", line) for line in told]


def test_kept_demo_can_be_used_until_interrupted() -> None:
    with subprocess.Popen([*COMMAND, "--keep"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        exported = dict(part.split("=", 1) for part in wait_for(playing.stdout, "export ").split()[1:])
        kubectl = find_or_build(["kubectl"])["kubectl"]
        wide = [str(kubectl), "get", "edp", "-nretail", "-owide", "--cache-dir=" + exported["KUBECONFIG"] + "-cache"]
        seen = subprocess.run(wide, env={**os.environ, **exported}, capture_output=True, text=True, check=True).stdout
        assert re.search(r"freezer-monitors +True .* arn:aws:sagemaker:eu-west-1:\d{12}:edge-deployment/freezer", seen)
        playing.send_signal(signal.SIGINT)
        assert playing.wait(timeout=30) == 0
    assert not Path(exported["KUBECONFIG"]).exists()


def test_interrupted_demo_cleans_up() -> None:
    with subprocess.Popen(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True) as playing:
        assert playing.stdout is not None
        wait_for(playing.stdout, "$ kubectl apply")
        started = children(playing.pid)
        playing.send_signal(signal.SIGINT)
        assert playing.wait(timeout=30) == 130
    assert not any(path.exists() for path in started)


def test_broken_promise_fails_the_demo_and_shows_the_operators_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start_operator(self: World) -> None:
        with (self.cluster.folder / "operator.log").open("wb") as log:
            self._operator = spawn(["sh", "-c", "echo cannot find my shoes; exit 7"], stdout=log, stderr=log)

    monkeypatch.setattr(World, "start_operator", start_operator)
    assert demo.run(keep=False, embedded=False) == 1
    told = capsys.readouterr().out
    assert "✗ the operator ended with code 7" in told
    assert "cannot find my shoes" in told


def test_embedded_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(keep=False, embedded=True) == 2
    told = capsys.readouterr().out
    assert "There is no embedded Kubernetes" in told
    assert "KUBEBUILDER_ASSETS" in told


def shown(command: str) -> list[str]:
    """What README.md promises after that command, from the first manifest on, with # for each number."""
    (block,) = [
        text for text in re.findall(r"(?ms)^```console\n(.*?)^```", README) if text.startswith(f"$ {command}\n")
    ]
    lines = block.split("$ kubectl apply", 1)[1].splitlines()
    return [re.sub(r"\d+", "#", line.rsplit("  ", 1)[0]) for line in lines if line.startswith("✓")]


def children(parent: int) -> list[Path]:
    """The folders in /proc of the children that a process keeps, and the folder that a local cluster works in."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            # What spawn() starts leads a session of its own; a kubectl that runs for a moment does not.
            kept = os.getsid(int(process.name)) == int(process.name)
            if kept and f"PPid:\t{parent}\n" in (process / "status").read_text():
                found.append(process)
    return [*found, *{folder for child in found if "edgeplan-cluster" in str(folder := (child / "cwd").readlink())}]


def wait_for(output: IO[str], beginning: str) -> str:
    deadline = time.monotonic() + 120
    for line in lines(output):
        if line.startswith(beginning):
            return line.strip()
        assert time.monotonic() < deadline
    raise AssertionError(f"ended without {beginning!r}")


def lines(output: IO[str]) -> Iterator[str]:
    while line := output.readline():
        yield line
