"""What a person sees while programs are built and started: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

_PLAIN_INTERVAL: Final = 15.0


class Progress(Protocol):
    """Where long-running steps report to."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def step(self, text: str) -> None:
        """Begin a step; the one before it is over."""
        ...

    def count(self, done: int, total: int | None = None, detail: str = "") -> None:
        """Tell how far the step has come."""
        ...

    def say(self, text: str) -> None:
        """Leave a line that stays."""
        ...


def progress_for(console: Console | None = None) -> Progress:
    """The progress that fits where stderr goes: stdout stays free for what a program prints as its result."""
    console = console or Console(stderr=True, highlight=False)
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)


class TerminalProgress:
    """A spinner, a bar and the elapsed time, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[counted]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, counted="", detail="", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.stop()

    def step(self, text: str) -> None:
        """Begin a step."""
        self._bar.reset(self._task, description=text, total=None, visible=True, counted="", detail="")

    def count(self, done: int, total: int | None = None, detail: str = "") -> None:
        """Tell how far the step has come."""
        self._bar.update(self._task, completed=done, total=total, counted=_counted(done, total), detail=detail[-60:])

    def say(self, text: str) -> None:
        """Leave a line that stays."""
        self._console.print(text)


class PlainProgress:
    """A line when a step begins, and one every quarter of a minute while it lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._text = ""
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def step(self, text: str) -> None:
        """Begin a step."""
        self._text = text
        self._began = self._said = time.monotonic()
        self.say(f"{text} ...")

    def count(self, done: int, total: int | None = None, detail: str = "") -> None:
        """Tell how far the step has come."""
        del detail
        now = time.monotonic()
        if now - self._said >= _PLAIN_INTERVAL:
            self._said = now
            counted = _counted(done, total)
            self.say(f"{self._text}: {counted + ', ' if counted else ''}{now - self._began:.0f} s")

    def say(self, text: str) -> None:
        """Leave a line that stays."""
        self._console.print(text, soft_wrap=True)


def _counted(done: int, total: int | None) -> str:
    if total:
        return f"{done} of {total}"
    return str(done) if done else ""
