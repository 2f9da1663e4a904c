"""Agents as processes, and what must hold of their folders at every instant.

Run as a program it is the parent of agents that are killed over and over: one that has imported boto3 and made its
clients forks an agent whenever a JSON line tells it to, and answers with its process number.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_manager.store.keys import Key

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
PYTHON = os.environ.get("EDGEPLAN_AGENT_PYTHON", sys.executable)  # a device's may be older, with boto3 alone
GOOD = "ok"  # a file that a model needs to pass the check


@dataclass
class Device:
    """A device's files: configuration, key, check command, log and state folder."""

    folder: Path
    name: str
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = Path(self.fields.get("state-dir", self.folder / "state"))
        self.config, self.log = self.folder / "agent.conf", self.folder / "agent.log"

    def configure(self, service: str, s3: str, key: Key, **fields: str) -> Device:
        """Write what an owner writes; fields may replace those that are good for tests."""
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = {"key.json": (key.principal.access_key, key.secret), "s3.json": ("s3", "s3")}
        for file, (access_key, secret) in keys.items():
            content = {"Version": 1, "AccessKeyId": access_key, "SecretAccessKey": secret}
            (self.folder / file).write_text(json.dumps(content))
        check = self.folder / "check"
        check.write_text(
            f'#!/bin/sh\necho "$EDGE_EVENT $EDGE_MODEL_NAME $EDGE_MODEL_VERSION"\ntest -f "$EDGE_MODEL_PATH/{GOOD}"\n'
        )
        check.chmod(0o755)
        said = {
            "fleet": "shops",
            "device": self.name,
            "endpoint": service,
            "region": REGION,
            "key-file": self.folder / "key.json",
            "state-dir": self.state,
            "poll": "0.1",
            "heartbeat": "60",
            "longest-wait": "0.4",
            "check": check,
            "keep-free": "0",
            **self.fields,
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        lines = [f"{name} = {value}" for name, value in said.items()]
        lines = ["[agent]", *lines, "[s3]", f"endpoint = {s3}", f"key-file = {self.folder / 's3.json'}"]
        self.config.write_text("\n".join(lines) + "\n")
        return self

    def spawn(self) -> subprocess.Popen[bytes]:
        """The agent as its users start it."""
        command = [PYTHON, "-m", "edge_manager.agent", "--config", str(self.config)]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, stderr=log, env=environment())

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def remembered(self) -> dict[str, Any]:
        """The state file."""
        file = self.state / "state.json"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def running(self) -> dict[str, dict[str, bytes]] | None:
        """The files of each model that `current` leads to, by handle; None if there is no `current`."""
        current = self.state / "current"
        if not current.is_symlink():
            return None
        return {
            handle.name: {str(path.relative_to(handle)): path.read_bytes() for path in files_of(handle)}
            for handle in sorted(current.iterdir())
            if handle.name != "release.json"
        }


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def environment() -> dict[str, str]:
    """Without the settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def package(files: dict[str, bytes]) -> bytes:
    """A gzipped tar."""
    target = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=target, mode="wb", mtime=0, compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


class Agents:
    """The parent of agents that are killed over and over."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-m", "tests.edge_manager.agents"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, device: Device, *, largest_file: int | None = None) -> int:
        """An agent; its process number. `largest_file` is a full disk for those who may not mount one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"config": str(device.config), "log": str(device.log), "largest_file": largest_file}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


def kill(number: int) -> None:
    """SIGKILL, and wait until nothing is left that could hold a lock."""
    os.kill(number, signal.SIGKILL)
    gone(number)


def gone(number: int) -> None:
    """Wait for the end of a process that is not this one's child."""
    deadline = time.monotonic() + 30
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def main() -> None:
    import logging  # noqa: PLC0415  the importer only starts this program

    from edge_manager.agent.config import read  # noqa: PLC0415
    from edge_manager.agent.loop import Agent  # noqa: PLC0415
    from edge_manager.agent.service import Service  # noqa: PLC0415

    services: dict[str, Any] = {}
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    children = []
    for line in sys.stdin:
        order = json.loads(line)
        config = read(Path(order["config"]))
        if order["config"] not in services:
            services[order["config"]] = Service(config)
            assert services[order["config"]].s3
            assert services[order["config"]].edge
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
            if order["largest_file"] is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
            try:
                Agent(config, services[order["config"]]).run()
            except BaseException:  # noqa: BLE001  whatever it is, a test wants to read it
                traceback.print_exc()
            finally:
                os._exit(0)
        children.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
