"""Starts of stages: each says once whom it was offered to, which never changes, and the latest one on a device counts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, select, update

from edge_manager.domain.deployments import State
from edge_manager.domain.numbers import Numbers
from edge_manager.store.queries import numbers
from edge_manager.store.tables import DEPLOYMENTS, FLEETS, STARTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection

    from edge_manager.store.caches import Caches

OFFERED = select(STARTS.c.devices).where(STARTS.c.id == bindparam("start"))
OF_FLEET = select(STARTS.c.id).where(STARTS.c.fleet_id == bindparam("fleet")).order_by(STARTS.c.id.desc())
FORGOTTEN: dict[str, Any] = {"fleet_id": None, "title": None, "devices": None}


class Start(NamedTuple):
    """What is known of a start when it happens; `title` is how messages name its stage."""

    fleet: int
    stage: int
    title: str
    devices: Numbers


def record(connection: Connection, now: float, start: Start) -> int:
    """A new start, later than all others of the store; its number."""
    # None that the store knew once and lost when it was restored from a backup, either: devices still do.
    last = connection.execute(select(func.max(STARTS.c.id))).scalar() or 0
    number = max(last + 1, int(now * 1000) * 1000 + secrets.randbelow(1000))
    values = {"stage_id": start.stage, "fleet_id": start.fleet, "title": start.title, "devices": start.devices.bounds}
    connection.execute(insert(STARTS).values(id=number, time=now, **values))
    connection.execute(update(FLEETS).where(FLEETS.c.id == start.fleet).values(latest=number))
    return number


def of_stages(connection: Connection, stages: Sequence[int]) -> dict[int, list[int]]:
    """The starts of stages, the first one first."""
    found: dict[int, list[int]] = {stage: [] for stage in stages}
    query = select(STARTS.c.stage_id, STARTS.c.id).where(STARTS.c.stage_id.in_(stages)).order_by(STARTS.c.id)
    for stage, number in connection.execute(query):
        found[stage].append(number)
    return found


def offered(connection: Connection, caches: Caches, start: int) -> Numbers:
    """The devices that a start was offered to."""
    read = lambda: Numbers(connection.execute(OFFERED, {"start": start}).scalar_one() or ())  # noqa: E731
    return caches.offered.get(start, None, read)


def on_device(connection: Connection, caches: Caches, fleet: int, latest: int | None, device: int) -> Iterator[int]:
    """The starts on a device, the latest first. `latest` is the fleet's last one: with it the list is known to hold.

    One that was forgotten since hid nothing any more, so a list that still has it says the same.
    """
    if latest is None:
        return
    read = lambda: connection.execute(OF_FLEET, {"fleet": fleet}).scalars().all()  # noqa: E731
    for start in caches.starts.get(fleet, latest, read):
        if device in offered(connection, caches, start):
            yield start


def titles(connection: Connection, starts: Collection[int]) -> dict[int, str]:
    """How messages name the stages of starts."""
    query = select(STARTS.c.id, STARTS.c.title).where(STARTS.c.id.in_(starts))
    return {number: title for number, title in connection.execute(query)} if starts else {}  # noqa: C416  rows, to mypy


def is_gone(connection: Connection, start: int) -> bool:
    """Whether a start's stage was deleted."""
    return connection.execute(select(STARTS.c.stage_id).where(STARTS.c.id == start)).scalar() is None


def succeeded(connection: Connection, starts: Sequence[int]) -> Numbers:
    """The devices that deployed one of these starts with success."""
    mine = (DEPLOYMENTS.c.start_id.in_(starts), DEPLOYMENTS.c.state == State.SUCCESS)
    return Numbers.of(numbers(connection, select(DEPLOYMENTS.c.device_id.label("number")).where(*mine)))


def forget(connection: Connection, fleet: int, starts: Sequence[int]) -> None:
    """Let go of what devices said about starts whose stage is going; the starts stay for as long as they hide others."""
    connection.execute(delete(DEPLOYMENTS).where(DEPLOYMENTS.c.start_id.in_(starts)))
    connection.execute(update(STARTS).where(STARTS.c.id.in_(starts)).values(stage_id=None))
    oldest = select(func.min(STARTS.c.id)).where(STARTS.c.fleet_id == fleet, STARTS.c.stage_id.is_not(None))
    first = connection.execute(oldest).scalar()
    idle = [STARTS.c.fleet_id == fleet, STARTS.c.stage_id.is_(None)]
    if first is not None:
        idle.append(STARTS.c.id < first)
    connection.execute(update(STARTS).where(*idle).values(**FORGOTTEN))
