"""`python -m tests.bench.probe run …`: the operator, which also says how long its event loop was blocked.

How late a beat of its own came at most goes into the file that EDGEPLAN_BENCH_PROBE names, as two doubles: seconds that
passed, and those of them in which the loop's thread had a core or did not ask for one, by the kernel's account: for how
long other processes kept it from running is no matter of the loop's. Both are more than the longest callback took, as
several may have run. Whoever reads them may set them to zero.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.cli import main
from controller.operator import eventloop

if TYPE_CHECKING:
    import asyncio

VARIABLE: Final = "EDGEPLAN_BENCH_PROBE"
_BEAT: Final = 0.01  # seconds
FIGURES: Final = struct.Struct("dd")
_SCHEDULER: Final = "/proc/thread-self/schedstat"  # nanoseconds that the thread ran, and waited for a core


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


def watch(loop: asyncio.AbstractEventLoop, path: Path) -> None:
    """Have it beat while it runs, and note for how long at most it did not: no callback took longer than that."""
    with path.open("r+b") as file:
        shared = mmap.mmap(file.fileno(), FIGURES.size)
    noted, kept = 0.0, 0.0
    scheduler = os.open(_SCHEDULER, os.O_RDONLY)  # of the thread that opens it, which the loop runs in

    def beat() -> None:
        nonlocal noted, kept
        now, waited = time.perf_counter(), int(os.pread(scheduler, 100, 0).split()[1]) / 1e9
        if noted:
            longest, own = FIGURES.unpack_from(shared)
            passed = now - noted
            late = passed - _BEAT
            FIGURES.pack_into(shared, 0, max(late, longest), max(min(late, passed - (waited - kept)), own))
        noted, kept = now, waited
        loop.call_later(_BEAT, beat)

    loop.call_soon(beat)


def install(path: Path) -> None:
    """Watch the loop that the operator will run in."""
    new_event_loop = eventloop.new_event_loop

    def watched() -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        watch(loop, path)
        return loop

    eventloop.new_event_loop = watched


if __name__ == "__main__":
    if VARIABLE in os.environ:
        install(Path(os.environ[VARIABLE]))
    sys.exit(main())
