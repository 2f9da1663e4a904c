"""Tags of whatever has an ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, update

from edge_manager.errors import not_found
from edge_manager.store.tables import COMPILATION_JOBS, FLEETS, PACKAGING_JOBS, PLANS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

    from edge_manager.domain.scope import Scope

KINDS = {
    "edge-deployment": PLANS,
    "device-fleet": FLEETS,
    "edge-packaging-job": PACKAGING_JOBS,
    "compilation-job": COMPILATION_JOBS,
}


class Tagged(NamedTuple):
    """A resource and its tags."""

    table: Table
    id: int
    tags: dict[str, str]


def find(connection: Connection, scope: Scope, arn: str) -> Tagged:
    """The resource with an ARN, ready to be changed; that of another account or region is nobody's here."""
    kind, name = scope.subject(arn) or ("", "")
    if (table := KINDS.get(kind)) is not None:
        mine = (table.c.account == scope.account, table.c.region == scope.region, table.c.name == name)
        row = connection.execute(select(table.c.id, table.c.tags).where(*mine)).one_or_none()
        if row is not None:
            return Tagged(table, row.id, row.tags)
    raise not_found("Resource", arn)


def put(connection: Connection, resource: Tagged, tags: Mapping[str, str]) -> None:
    """Have these tags and no others."""
    table = resource.table
    connection.execute(update(table).where(table.c.id == resource.id).values(tags=dict(tags)))
