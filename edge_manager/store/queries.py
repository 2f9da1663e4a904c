"""Filters, order and pages of List operations, in SQL. A token says after which row to go on, not how many to skip."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, func, literal, select, tuple_

from edge_manager.domain.listings import TIMES, is_descending
from edge_manager.domain.paging import PAGE, decode, encode
from edge_manager.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from edge_manager.domain.listings import Listing

    AnyRow = Row[*tuple[Any, ...]]

Rows = list["AnyRow"]


def page(
    connection: Connection,
    query: Select[Any],
    keys: Sequence[ColumnElement[Any]],
    wanted: Mapping[str, Any],
    *,
    descending: bool = False,
) -> tuple[Rows, str | None]:
    """The page that was asked for and the token of the next one; `keys` must tell any two rows apart."""
    position = tuple_(*keys)
    if token := wanted.get("NextToken"):
        after = tuple_(*_decode(token, keys))
        query = query.where(position < after if descending else position > after)
    size = wanted.get("MaxResults") or PAGE
    ordered = query.add_columns(*(key.label(f"key_{number}") for number, key in enumerate(keys)))
    ordered = ordered.order_by(*(key.desc() if descending else key.asc() for key in keys)).limit(size + 1)
    rows = list(connection.execute(ordered))
    if len(rows) <= size:
        return rows, None
    return rows[:size], encode(list(rows[size - 1])[-len(keys) :])


def page_of_numbers(after: Callable[[int], Iterator[int]], wanted: Mapping[str, Any]) -> tuple[list[int], str | None]:
    """The page that was asked for of ascending numbers, and the token of the next one."""
    last = -1
    if token := wanted.get("NextToken"):
        found = decode(token)
        if len(found) != 1 or not isinstance(found[0], int) or isinstance(found[0], bool):
            raise invalid("Invalid NextToken.")
        last = found[0]
    size = wanted.get("MaxResults") or PAGE
    found = list(islice(after(last), size + 1))
    return found[:size], None if len(found) <= size else encode([found[size - 1]])


def numbers(connection: Connection, query: Select[Any]) -> list[int]:
    """The one column `number` of a query: one value on the wire, not a row for each of a hundred thousand."""
    rows = query.subquery()
    collect = func.json_group_array if connection.dialect.name == "sqlite" else func.json_agg
    found = connection.execute(select(cast(collect(rows.c.number), Text))).scalar()
    return json.loads(found) if found else []


def contains(column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    """Whether a text has another one in it, upper and lower case apart (LIKE of SQLite takes them for the same)."""
    return func.replace(column, part, "") != column


def reports(models: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether a device reports a model, in the JSON that it is kept as."""
    return contains(cast(models, Text), f'"ModelName": {json.dumps(name)}')


def listed(
    connection: Connection,
    query: Select[Any],
    listing: Listing,
    columns: Mapping[str, ColumnElement[Any]],
    wanted: Mapping[str, Any],
) -> tuple[Rows, str | None]:
    """The page of a listing that was asked for, with its filters and in its order."""
    keys = [columns[name] for name in listing.order(wanted)]
    query = query.where(*_filters(wanted, listing, columns))
    return page(connection, query, keys, wanted, descending=is_descending(wanted))


def _filters(
    wanted: Mapping[str, Any], listing: Listing, columns: Mapping[str, ColumnElement[Any]]
) -> list[ColumnElement[bool]]:
    """The conditions of a request: `<time>After`, `<time>Before` and parts of names."""
    found = [contains(columns[part], wanted[name]) for name, part in listing.parts.items() if wanted.get(name)]
    for name, column in ((name, columns[column]) for name, column in TIMES.items()):
        if (after := wanted.get(f"{name}After")) is not None:
            found.append(column > after)
        if (before := wanted.get(f"{name}Before")) is not None:
            found.append(column < before)
    return found


def _decode(token: str, keys: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    values = decode(token)
    if len(values) != len(keys) or not all(map(_suits, values, keys)):
        raise invalid("Invalid NextToken.")  # a token of another operation or order
    return [literal(value, key.type) for value, key in zip(values, keys, strict=True)]


def _suits(value: Any, key: ColumnElement[Any]) -> bool:
    numeric = key.type.python_type in (int, float)
    return isinstance(value, (int, float) if numeric else str) and not isinstance(value, bool)
