"""Bring a database to the schema that this version knows, whichever of its predecessors wrote it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from edge_manager.errors import ConfigurationError

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6564_6765_6D67  # any number that no other program locks in the same database


class UnknownSchemaError(ConfigurationError):
    """A database that a newer version has written to."""


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Migrate within the transaction of `connection`; of several replicas that start together, one does it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    scripts = ScriptDirectory(str(FOLDER))
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise UnknownSchemaError(
            f"The store has the schema {current}, which this version does not know; use a newer one."
        )
    if current != (scripts.get_current_head() if revision == "head" else revision):
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
