"""How much there is of everything, counted in one pass for whoever watches over the whole store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, func, select

from edge_manager.store.tables import COMPILATION_JOBS, DEVICES, PACKAGING_JOBS

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table


class Census(NamedTuple):
    """Devices over all fleets, and jobs by their status."""

    registered: int
    connected: int
    packaging_jobs: dict[str, int]
    compilation_jobs: dict[str, int]


def take(connection: Connection, since: float) -> Census:
    """Count; connected are the devices that were heard of since then."""
    heard = func.coalesce(func.sum(case((DEVICES.c.heartbeat >= since, 1), else_=0)), 0)
    registered, connected = connection.execute(select(func.count(), heard).where(DEVICES.c.is_registered)).one()
    return Census(
        registered, int(connected), _by_status(connection, PACKAGING_JOBS), _by_status(connection, COMPILATION_JOBS)
    )


def _by_status(connection: Connection, table: Table) -> dict[str, int]:
    rows = connection.execute(select(table.c.status, func.count()).group_by(table.c.status))
    return dict(rows.tuples().all())
