"""A process and what the kernel says about it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from playground.programs.process import spawn, stop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TICK = os.sysconf("SC_CLK_TCK")


class TooSlowError(Exception):
    """Something did not come within its time."""


class Measured:
    """A running program, from `with` to the end of the block."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._environment = environment

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = spawn(self._command, stdout=log, stderr=log, env={**os.environ, **self._environment})
        self._folder = Path(f"/proc/{self._process.pid}")
        return self

    def __exit__(self, *_: object) -> None:
        stop(self._process, grace=20)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float) -> None:
        """Wait for its end.

        Raises:
            TooSlowError: it did not come.

        """
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TooSlowError(f"the operator did not end within {seconds:.0f} s of SIGTERM") from error

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def end(self) -> None:
        """Let it end by itself, with time for cProfile to write its file."""
        self.signal(signal.SIGTERM)
        self.wait(60)

    def cpu(self) -> float:
        """Seconds of CPU so far, of all its threads."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> float:
        """Resident memory in MB."""
        return self._status("VmRSS:")

    def peak(self) -> float:
        """The most resident memory that it ever had, in MB."""
        return self._status("VmHWM:")

    def _status(self, field: str) -> float:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

    def wait_idle(self, seconds: float, *, window: float = 1.0, share: float = 0.04, least: float = 0.4) -> float:
        """Seconds from now to the beginning of the first window in which it neither runs nor waits for a CPU.

        A process that has not used `least` seconds of CPU has not begun: Python, Kopf and boto3 need more for imports.
        """
        began = time.monotonic()
        deadline = began + seconds
        samples = [(began, self._busy())]
        while time.monotonic() < deadline:
            time.sleep(0.05)
            if self._process.poll() is not None:
                raise TooSlowError(f"the operator ended:\n{self._log.read_text()[-2000:]}")
            now, busy = time.monotonic(), self._busy()
            samples.append((now, busy))
            then, before = next(
                sample for sample in reversed(samples) if now - sample[0] >= window or sample is samples[0]
            )
            if now - then >= window and self.cpu() > least and busy - before < share * window:
                return then - began
        raise TooSlowError(f"the operator was not idle within {seconds:.0f} s")

    def _busy(self) -> float:
        """Seconds that its threads have run or waited for a CPU: on a loaded machine it must not look idle."""
        total = 0
        for thread in (self._folder / "task").iterdir():
            try:
                ran, waited, _ = (thread / "schedstat").read_text().split()
            except OSError:
                continue  # it has just ended
            total += int(ran) + int(waited)
        return total / 1e9
