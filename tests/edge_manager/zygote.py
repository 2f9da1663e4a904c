"""A process that has imported the service and forks one whenever it is told to: a restart takes no time to import.

Run as a program it reads one JSON line of options per service to start, and answers with its process number.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Zygote:
    """The parent of services that are killed over and over."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.edge_manager.zygote"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, port: int, *, shift: float = 0, **options: Any) -> int:
        """A service that listens, with a clock that is so many seconds ahead; its process number."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"port": port, "shift": shift, **options}) + "\n")
        self.process.stdin.flush()
        number = int(self.process.stdout.readline())
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            else:
                return number

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


def free_port() -> int:
    """A port that no outgoing connection is given while the service is dead."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311  no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def main() -> None:
    real, shift = time.time, [0.0]
    time.time = lambda: real() + shift[0]  # before anybody takes it
    from edge_manager.api.dispatch import codec  # noqa: PLC0415
    from edge_manager.api.http import Options, run  # noqa: PLC0415  the parent only starts this program

    for service in ("sagemaker", "sagemaker-edge"):
        codec(service)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are killed
    children = []
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            options = json.loads(line)
            shift[0] = options.pop("shift")
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            run(Options(**options))
            os._exit(0)
        children.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
