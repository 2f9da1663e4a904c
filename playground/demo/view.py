"""What is seen of the demo: narration that stays, and on a terminal a live table below it."""

from __future__ import annotations

import contextlib
import time
from textwrap import shorten
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from playground.demo.world import DeviceView, PlanView, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

_MESSAGE: Final = 100  # the place in the queue and the beginning of what AWS says
_NOTHING: Final = Snapshot((), (), "")
_READY_STYLE: Final = {"True": "green", "False": "red"}
_DEVICE_STYLE: Final = {"DEPLOYED": "green", "FAILED": "red"}


class View:
    """Tells the story on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._seen = _NOTHING
        self._doing = ""
        self._began = time.monotonic()

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show the table for the block, where there is a terminal to show it on."""
        if not self._console.is_terminal:
            yield
            return
        # Refreshed by this thread only: a print of ours between two refreshes of another would garble the lines.
        with Live(self._render(), console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None
        for part in self._tables() if self._seen.plans or self._seen.devices else (self._seen.caption,):
            self._console.print(part)

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def command(self, text: str) -> None:
        """Show the command that does the next thing, for a reader to type later."""
        self._console.print(Text(f"$ {text}", style="cyan"))

    def doing(self, text: str) -> None:
        """Say what is waited for."""
        self._doing, self._began = text, time.monotonic()
        self._refresh()

    def done(self, text: str) -> None:
        """Say what has come true, and how long it took."""
        took = f"  {time.monotonic() - self._began:.1f} s" if self._doing else ""
        self._doing = ""
        self._console.print(Text.assemble(("✓ ", "green"), text, (took, "dim")))

    def failed(self, text: str) -> None:
        """Say what has not come true."""
        self._console.print(Text.assemble(("✗ ", "bold red"), text))

    def log(self, title: str, text: str) -> None:
        """Show the end of a log."""
        self._console.print(Text(f"--- {title}", style="dim"))
        self._console.print(Text(text), soft_wrap=True)

    def say(self, text: str) -> None:
        """Leave a line."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, seen: Snapshot) -> None:
        """Update the tables; without a terminal, print the plans and devices that look different from before."""
        if self._live is None:
            for plan in seen.plans:
                if plan.ready != "-" and plan != self._seen.plan(plan.name):
                    self._console.print(Text(f"    {_line(plan)}"), soft_wrap=True)
            for device in seen.devices:
                if device not in self._seen.devices:
                    self._console.print(Text(f"    {_device_line(device)}"), soft_wrap=True)
        self._seen = seen
        self._refresh()

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._render(), refresh=True)

    def _render(self) -> Group:
        waiting = Text(f"… {self._doing}  {time.monotonic() - self._began:.0f} s", style="dim")
        return Group(*((waiting,) if self._doing else ()), *self._tables())

    def _tables(self) -> tuple[Table, ...]:
        return (self._plans(), self._devices()) if self._seen.devices else (self._plans(),)

    def _devices(self) -> Table:
        table = Table(expand=True, border_style="dim", box=box.ROUNDED)
        for column in ("Device", "Runs", "Deployment"):
            table.add_column(column, no_wrap=True)
        table.add_column("What it says", ratio=1, overflow="fold")
        for device in self._seen.devices:
            status = Text(device.status, style=_DEVICE_STYLE.get(device.status, "yellow"))
            table.add_row(device.name, device.runs, status, shorten(device.message, _MESSAGE, placeholder=" …"))
        return table

    def _plans(self) -> Table:
        caption = self._seen.caption or None
        table = Table(caption=caption, caption_justify="left", expand=True, border_style="dim", box=box.ROUNDED)
        table.add_column("Plan", no_wrap=True)
        table.add_column("Ready", no_wrap=True)
        table.add_column("Reason", no_wrap=True)
        table.add_column("ARN, or what it waits for", ratio=1, overflow="fold")
        for plan in self._seen.plans:
            detail = Text(plan.arn, style="green") if plan.ready == "True" else Text(_waits_for(plan), style="yellow")
            reason = Text(plan.reason, style="yellow" if plan.limited else "")
            table.add_row(plan.name, Text(plan.ready, style=_READY_STYLE.get(plan.ready, "dim")), reason, detail)
        return table


def _line(plan: PlanView) -> str:
    limited = " ResourceLimitExceeded=True" if plan.limited else ""
    return f"{plan.name}: Ready={plan.ready} {plan.reason}{limited} {plan.arn if plan.ready == 'True' else _waits_for(plan)}"


def _waits_for(plan: PlanView) -> str:
    return shorten(plan.message, _MESSAGE, placeholder=" …")


def _device_line(device: DeviceView) -> str:
    return " ".join(filter(None, (f"{device.name}: runs {device.runs}, {device.status}", device.message)))
