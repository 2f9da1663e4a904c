"""`python -m tests.bench.probe run …`: the operator, which also says how long its event loop was blocked.

The longest run of one callback goes into the file that EDGEPLAN_BENCH_PROBE names, as two doubles: seconds that passed,
and seconds of CPU of the loop's thread (up to 2 ms too many), which a busy machine does not lengthen. Whoever reads them may set them to zero.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from controller.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE: Final = "EDGEPLAN_BENCH_PROBE"
_NO_BLOCK: Final = 0.002
FIGURES: Final = struct.Struct("dd")


def make(path: Path) -> None:
    """Make the file."""
    path.write_bytes(bytes(FIGURES.size))


def take(path: Path) -> tuple[float, float]:
    """The longest block since the last time, in seconds and in seconds of CPU."""
    with path.open("r+b") as file:
        found = FIGURES.unpack(file.read(FIGURES.size))
        file.seek(0)
        file.write(bytes(FIGURES.size))
    return found[0], found[1]


def install(path: Path) -> None:
    """Time every callback that asyncio's own event loop runs. Another loop, such as uvloop's, is not seen."""
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), FIGURES.size)
    run: Callable[[asyncio.Handle], Any] = asyncio.Handle._run
    thread, this, wall, cpu = threading.main_thread().ident, threading.get_ident, time.perf_counter, time.thread_time

    noted, spent = wall(), cpu()

    def timed(handle: asyncio.Handle) -> None:
        nonlocal noted, spent
        if this() != thread:
            run(handle)
            return
        began = wall()
        if began - noted > _NO_BLOCK:  # the clock of CPU is a system call, too dear for every callback
            noted, spent = began, cpu()
        run(handle)
        took = wall() - began
        if took < _NO_BLOCK:
            return
        used = cpu() - spent
        longest, most = FIGURES.unpack_from(shared)
        if took > longest or used > most:
            FIGURES.pack_into(shared, 0, max(took, longest), max(used, most))

    asyncio.Handle._run = timed  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    if VARIABLE in os.environ:
        install(Path(os.environ[VARIABLE]))
    sys.exit(main())
