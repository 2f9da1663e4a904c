"""Runs the owner's command: it says whether a model works here, and may restart what uses it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from edge_manager.agent.values import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAIL = 400  # bytes of what it printed last, for the message
TICK = 0.05


def run(command: Sequence[str], variables: Mapping[str, str], timeout: float) -> str | None:
    """Why the command did not say yes; None if it did."""
    try:
        process = subprocess.Popen(  # noqa: S603  the owner's own
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"The check command cannot be run: {error.strerror}."
    try:
        said = _wait(process, time.monotonic() + timeout)
    except BaseException:
        _kill(process)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
    if said is None:
        _kill(process)
        return f"The check command did not end within {timeout:g} seconds."
    if process.returncode == 0:
        return None
    return f"The check command ended with {process.returncode}{': ' if said else ''}{said}."


def _wait(process: subprocess.Popen[bytes], deadline: float) -> str | None:
    """What it printed last, once it ended; None if it did not in time.

    The end of the process counts, not that of its output: a program that it started may hold that open.
    """
    if process.stdout is None:
        raise ValueError("Its output is not read.")
    output, tail = process.stdout.fileno(), b""
    os.set_blocking(output, False)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            ended = process.poll() is not None
            if selector.get_map() and selector.select(0 if ended else TICK):
                chunk = os.read(output, 1 << 16)
                if not chunk:
                    selector.unregister(output)
                tail = (tail + chunk)[-TAIL:]
            elif ended:
                return _words(tail)
            elif not selector.get_map():
                time.sleep(TICK)
            if time.monotonic() > deadline:
                return None if process.poll() is None else _words(tail)


def _words(printed: bytes) -> str:
    return " ".join(clean(printed.decode(errors="replace")).split())


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
