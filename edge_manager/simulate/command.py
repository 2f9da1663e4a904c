"""What `edge-manager fleet simulate` does: a line every few seconds, and the figures at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.session

from edge_manager.simulate.agent import Habits
from edge_manager.simulate.api import CallError
from edge_manager.simulate.fleet import Credentials, Simulation, Wanted, read_keys

if TYPE_CHECKING:
    import argparse


def simulate(parsed: argparse.Namespace) -> int:
    """Play a fleet until its time is over or a signal comes."""
    session = botocore.session.get_session()
    region = parsed.region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if region is None:
        sys.exit("No region: --region or AWS_REGION.")
    found = session.get_credentials()
    caller = None if found is None else Credentials(*found.get_frozen_credentials()[:3])
    keys = read_keys(Path(parsed.keys), parsed.fleet) if parsed.keys else {}
    habits = Habits(parsed.interval, parsed.work, parsed.fail_percent)
    wanted = Wanted(parsed.endpoint_url, region, parsed.fleet, parsed.devices, habits, caller, keys)
    try:
        result = asyncio.run(_play(wanted, parsed.duration, parsed.report))
    except CallError as error:
        sys.exit(f"The fleet cannot be played: {error}")
    if parsed.json:
        Path(parsed.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


async def _play(wanted: Wanted, duration: float | None, report: float) -> dict[str, object]:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    async with Simulation.of(wanted) as simulation:
        devices = await simulation.begin()
        print(f"{devices} agents of fleet {wanted.fleet} poll {wanted.url}", flush=True)  # noqa: T201  what it is for
        end = None if duration is None else loop.time() + duration
        while not over.is_set() and (end is None or loop.time() < end):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), report if end is None else min(report, max(0, end - loop.time())))
            print(simulation.figures.line(devices), flush=True)  # noqa: T201
        return simulation.figures.result()
