"""Compilation and packaging jobs, and the claims of those that work on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from edge_manager.domain import listings
from edge_manager.domain.jobs import ENDED, UNDER_WAY, Packaged
from edge_manager.domain.rules import exists
from edge_manager.errors import not_found
from edge_manager.store.queries import Rows, listed
from edge_manager.store.tables import COMPILATION_JOBS, PACKAGING_JOBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Table

    from edge_manager.domain.listings import Listing
    from edge_manager.domain.scope import Scope
    from edge_manager.store.queries import AnyRow


class Jobs:
    """The jobs of one kind in a scope, within one transaction."""

    table: Table
    title: str
    kind: str
    listing: Listing

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._db, self._scope = connection, scope
        self._mine = (self.table.c.account == scope.account, self.table.c.region == scope.region)

    def find(self, name: str) -> AnyRow:
        """A job by name."""
        row = self._db.execute(select(self.table).where(*self._mine, self.table.c.name == name)).one_or_none()
        if row is None:
            raise not_found(self.title, name)
        return row

    def create(self, name: str, details: Mapping[str, Any], tags: Mapping[str, str], now: float, **more: Any) -> str:
        """A job that waits to be worked on; its ARN."""
        if self._db.execute(select(self.table.c.id).where(*self._mine, self.table.c.name == name)).first():
            raise exists(self.title, name)
        arn = self._scope.arn(self.kind, name)
        self._db.execute(
            insert(self.table).values(
                account=self._scope.account,
                region=self._scope.region,
                name=name,
                arn=arn,
                created=now,
                modified=now,
                tags=dict(tags),
                details=dict(details),
                status=UNDER_WAY,
                claimed=0.0,
                **more,
            )
        )
        return arn

    def stop(self, name: str, now: float) -> None:
        """Stop a job; one that is over stays as it ended."""
        end(self._db, self.table, self.find(name).id, status="STOPPED", now=now)

    def page(self, wanted: Mapping[str, Any]) -> tuple[Rows, str | None]:
        """A page of jobs."""
        query = select(self.table).where(*self._mine)
        if status := wanted.get("StatusEquals"):
            query = query.where(self.table.c.status == status)
        return listed(self._db, query, self.listing, dict(self.table.c), wanted)


class PackagingJobs(Jobs):
    """Packaging jobs."""

    table, title, kind = PACKAGING_JOBS, "Edge packaging job", "edge-packaging-job"
    listing = listings.PACKAGING_JOBS

    def packaged(self, names: Iterable[str]) -> dict[str, Packaged]:
        """Those of these jobs that there are."""
        query = select(self.table).where(*self._mine, self.table.c.name.in_(set(names)))
        return {
            row.name: Packaged(row.status, row.artifact, row.sha1, row.model, row.version)
            for row in self._db.execute(query)
        }


class CompilationJobs(Jobs):
    """Compilation jobs."""

    table, title, kind = COMPILATION_JOBS, "Compilation job", "compilation-job"
    listing = listings.COMPILATION_JOBS


def claim(connection: Connection, table: Table, now: float, until: float) -> AnyRow | None:
    """The oldest job that nobody works on, claimed; one whose worker was killed is free again when its claim is over."""
    columns = table.c
    row = connection.execute(
        select(table)
        .where(columns.status == UNDER_WAY, columns.claimed <= now)
        .order_by(columns.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is not None:
        connection.execute(update(table).where(columns.id == row.id).values(claimed=until))
    return row


def postpone(connection: Connection, table: Table, number: int, until: float) -> None:
    """Let a job wait."""
    connection.execute(update(table).where(table.c.id == number).values(claimed=until))


def end(connection: Connection, table: Table, number: int, *, status: str, now: float, **more: Any) -> bool:
    """Let a job end, unless it did so already."""
    if status not in ENDED:
        raise ValueError(status)
    running = (table.c.id == number, table.c.status == UNDER_WAY)
    return bool(connection.execute(update(table).where(*running).values(status=status, modified=now, **more)).rowcount)
