"""`edgeplan get [NAME]`: how plans are, once or live (`-w`), from the objects alone."""

import asyncio
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, Any, cast

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from controller.cluster.access import Access, Occurrence
from controller.commands.options import ClusterFlags, cluster_options, output_option
from controller.commands.session import DONE, NO, complain, resource_of, with_cluster, write_bodies
from controller.commands.view import detail, overview
from controller.domain.resource import parse
from controller.engine.ports import ObjectError

_EVER = datetime.min.replace(tzinfo=UTC)
_FRAMES = 2  # a second: a countdown goes by seconds
_EVENTS_EVERY = 5.0  # seconds between two looks at events while nothing else changes


@click.command()
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Stay and show changes as they come, until Ctrl-C.")
@click.option("-A", "--all-namespaces", is_flag=True, help="Plans of all namespaces.")
@output_option("json", "yaml")
@cluster_options
def get(name: str | None, *, watch: bool, all_namespaces: bool, output: str | None, cluster: ClusterFlags) -> int:
    """Show the plans of a namespace, or all about the plan NAME.

    That is: its stages with their devices, the gate, how long a stage still bakes, what failed in AWS's own words, its
    place in the quota queue, when the next try comes, and the last events. The right to read objects is all that it
    needs. Exit code 0, 1: there is no plan of that name, 2: an error.
    """
    if name and all_namespaces:
        raise click.UsageError("NAME is of one namespace: not with --all-namespaces")
    if watch and output:
        raise click.UsageError("--watch is for people: not with --output")

    async def work(access: Access) -> int:
        if watch:
            return await _follow(access, name, everywhere=all_namespaces)
        if name:
            resource = await resource_of(access, name)
            if output is None:
                now, console = datetime.now(UTC), make_console()
                console.print(detail(resource, await access.events(name), now, console.width))
                return DONE
            write_bodies([await access.get(name)], output, single=True)
            return DONE
        bodies = await access.objects(everywhere=all_namespaces)
        if output is None:
            console = make_console()
            console.print(_overview(bodies, datetime.now(UTC), console.width, everywhere=all_namespaces))
        else:
            write_bodies(bodies, output, single=False)
        return DONE

    return with_cluster(cluster, work)


def make_console() -> Console:
    """The terminal; rich keeps to NO_COLOR and COLUMNS, and to plain text where there is no terminal."""
    return Console(file=sys.stdout if sys.stdout.isatty() else cast("IO[str]", _Trimmed(sys.stdout)), highlight=False)


class _Trimmed:
    """A file that gets no blanks at the ends of lines: rich fills tables up to the width of the terminal."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(re.sub(r" +(?=\n|$)", "", text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _overview(bodies: Sequence[Mapping[str, Any]], now: datetime, width: int, *, everywhere: bool) -> RenderableType:
    return overview([parse(body) for body in bodies], now, width, with_namespace=everywhere)


class _Picture:
    """What is known by now, to be drawn whenever the terminal wants it."""

    def __init__(self, access: Access, name: str | None, console: Console, *, everywhere: bool) -> None:
        self._access = access
        self.bodies: Sequence[Mapping[str, Any]] | None = None
        self.events: Sequence[Occurrence] | None = ()
        self.name = name
        self._console = console
        self._everywhere = everywhere

    async def look_at_events(self) -> None:
        """Read the events of the one plan; those known stay where they cannot be had now."""
        if self.name is not None:
            with suppress(ObjectError):
                self.events = await self._access.events(self.name)

    def __rich__(self) -> RenderableType:
        return self.at(datetime.now(UTC))

    def at(self, now: datetime) -> RenderableType:
        """The picture at that moment, which decides about ages and countdowns alone."""
        if self._access.trouble is None:
            return self._objects(now)
        old = Text(f"not up to date: {self._access.trouble}", style="bold yellow")
        return Group(self._objects(now), Text(), old)

    def _objects(self, now: datetime) -> RenderableType:
        if self.bodies is None:
            return Text("asking the cluster ...", style="dim")
        if self.name is None:
            return _overview(self.bodies, now, self._console.width, everywhere=self._everywhere)
        if not self.bodies:
            return Text(f"{self.name} is gone")
        return detail(parse(self.bodies[0]), self.events, now, self._console.width)


def _printed_if_new(console: Console, picture: _Picture, before: str) -> str:
    """Print the picture unless nothing but ages is new in it since `before`; what to give next time."""
    with console.capture() as capture:
        console.print(picture.at(_EVER))
    if capture.get() != before:
        console.print(picture)
        console.print()
    return capture.get()


async def _follow(access: Access, name: str | None, *, everywhere: bool) -> int:
    """Draw changes until the plan goes; those of a list for ever."""
    if name:
        await resource_of(access, name)  # not there at all: told as such
    console = make_console()
    picture = _Picture(access, name, console, everywhere=everywhere)

    async def keep_events() -> None:
        while True:
            await picture.look_at_events()
            await asyncio.sleep(_EVENTS_EVERY)

    shown = ""
    reading = asyncio.create_task(keep_events())
    try:
        with _drawing(console, picture):
            async for bodies in access.follow(name, everywhere=everywhere):
                picture.bodies = bodies
                await picture.look_at_events()
                if not console.is_terminal:
                    shown = _printed_if_new(console, picture, shown)
                if name and not bodies:
                    break
    finally:
        reading.cancel()
    complain(f"{access.namespace}/{name} is gone")
    return NO


def _drawing(console: Console, picture: _Picture) -> Live:
    # Without a terminal nothing is drawn over: each change is printed below the one before it.
    return Live(
        console=console,
        get_renderable=lambda: picture if console.is_terminal else Text(),
        refresh_per_second=_FRAMES,
        auto_refresh=console.is_terminal,
    )
