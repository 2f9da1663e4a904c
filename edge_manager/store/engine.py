"""Connections and transactions, the same for SQLite and PostgreSQL: `Store.read` and `Store.write`.

A write that loses against another one (a deadlock, a serialization failure, a busy file) starts over, so callers never see
that. Therefore `work` may run more than once: it must do nothing but talk to its connection.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from edge_manager.errors import ConfigurationError
from edge_manager.store.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

Result = TypeVar("Result")

_EXAMPLES = "sqlite:////var/lib/edge-manager/store.db, or postgresql://user:password@host/database"
PATIENCE = 30.0  # seconds that a write starts over and over before its trouble is the caller's
BUSY = 5.0  # seconds that SQLite waits for another process by itself
# PostgreSQL's classes of failures that a second try may mend.
SERIALIZATION_FAILURE, DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE = "40001", "40P01", "55P03"
RETRIED = frozenset({SERIALIZATION_FAILURE, DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE})


class Store:
    """A database, brought up to date when it is opened."""

    def __init__(self, url: str, *, pool: int = 8) -> None:
        self.engine = _engine(url, pool)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        # Threads of one process queue here; SQLite lets those that wait for its file starve.
        self._turn: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        )
        self._reading = self._engine("BEGIN", "REPEATABLE READ")
        self._writing = {level: self._engine("BEGIN IMMEDIATE", level) for level in ("SERIALIZABLE", "READ COMMITTED")}
        try:
            # READ COMMITTED: who waited for another replica's migration has to see it.
            self.write(upgrade, isolation="READ COMMITTED")
        except DBAPIError as error:
            self.close()
            shown, why = self.engine.url.render_as_string(hide_password=True), str(error.orig).strip()
            raise ConfigurationError(f"the store {shown} cannot be opened: {' '.join(why.split())}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` finds in one snapshot."""
        with self._reading.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], Result], *, isolation: str = "SERIALIZABLE") -> Result:
        """What `work` returns once all that it did is on disk. READ COMMITTED is for work that locks what it read."""
        engine, deadline, attempts = self._writing[isolation], time.monotonic() + PATIENCE, 0
        while True:
            try:
                with self._turn, engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not is_transient(error) or time.monotonic() > deadline:
                    raise
            attempts += 1
            time.sleep(random.uniform(0, min(0.5, 0.005 * 2**attempts)))  # noqa: S311  no secret

    def check(self) -> None:
        """Raise unless the database answers."""
        self.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())

    def _engine(self, begin: str, isolation: str) -> Engine:
        """SQLite knows one isolation level and says at the beginning who writes; PostgreSQL is told the level."""
        options = {"begin": begin} if self.is_sqlite else {"isolation_level": isolation}
        return self.engine.execution_options(**options)


def is_transient(error: DBAPIError) -> bool:
    """Whether a second try may mend it."""
    if getattr(error.orig, "sqlstate", None) in RETRIED:
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _engine(url: str, pool: int) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(f"the store {url.rpartition('@')[2]} is no URL: {_EXAMPLES}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    options: dict[str, Any] = {"pool_size": pool, "max_overflow": pool, "hide_parameters": True}  # logs are for reading
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed, **options, pool_pre_ping=True)
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError(f"the store {parsed.drivername} is neither SQLite nor PostgreSQL: {_EXAMPLES}")
    if parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(f"SQLite needs a file: {_EXAMPLES}")
    _make_private(Path(str(parsed.database)))
    engine = create_engine(parsed, **options, connect_args={"timeout": BUSY})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _make_private(file: Path) -> None:
    """Make the file, for its owner alone; SQLite gives what it puts beside it the same rights."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the store {file} cannot be opened: {error.strerror}") from None


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    # FULL: in WAL mode that is one fsync per commit, and what was answered survives a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-65536", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
