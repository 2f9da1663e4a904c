"""The tables as they are now; `migrations/` says how they came to be, and a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
# Names are ordered by their bytes in both databases.
NAME = String(63).with_variant(String(63, collation="C"), "postgresql")
# SQLite numbers rows by itself only in a column of exactly this type. AUTOINCREMENT: no number is ever used again.
ID = BigInteger().with_variant(Integer, "sqlite")


def _number() -> Column[int]:
    return Column("id", ID, primary_key=True)


def _scoped(*more: Column[object]) -> list[Column[object] | UniqueConstraint]:
    """What every resource has."""
    return [
        Column("account", String(12), nullable=False),
        Column("region", String(64), nullable=False),
        Column("name", NAME, nullable=False),
        Column("arn", String(256), nullable=False),
        Column("created", Double, nullable=False),
        Column("modified", Double, nullable=False),
        Column("tags", JSON, nullable=False),
        *more,
        UniqueConstraint("account", "region", "name"),
    ]


FLEETS = Table(
    "fleets",
    METADATA,
    _number(),
    *_scoped(
        Column("details", JSON, nullable=False),
        Column("version", Integer, nullable=False),  # moves with every change of its devices
        Column("latest", ID),  # the last start on its devices
    ),
    sqlite_autoincrement=True,
)

DEVICES = Table(
    "devices",
    METADATA,
    _number(),
    Column("fleet_id", ID, ForeignKey(FLEETS.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("registered", Double, nullable=False),
    Column("is_registered", Boolean, nullable=False),  # one that a stage went to stays in that stage's counts
    Column("description", String(40)),
    Column("thing", String(128)),
    Column("heartbeat", Double),
    Column("agent", String(64)),
    Column("models", JSON(none_as_null=True)),  # as the device reports them
    Column("bundle_id", ID, index=True),  # what it deployed last with success
    UniqueConstraint("fleet_id", "name"),
    sqlite_autoincrement=True,
)

# The models of a plan, in the form that devices fetch; it outlives the plan for as long as devices run it.
BUNDLES = Table("bundles", METADATA, _number(), Column("models", JSON, nullable=False), sqlite_autoincrement=True)

PLANS = Table(
    "plans",
    METADATA,
    _number(),
    *_scoped(
        Column("fleet_id", ID, ForeignKey(FLEETS.c.id), nullable=False, index=True),
        Column("bundle_id", ID, ForeignKey(BUNDLES.c.id), nullable=False, index=True),
    ),
    sqlite_autoincrement=True,
)

STAGES = Table(
    "stages",
    METADATA,
    _number(),
    Column("plan_id", ID, ForeignKey(PLANS.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("position", Integer, nullable=False),
    Column("selection", JSON, nullable=False),
    Column("policy", String(32), nullable=False),
    Column("created", Double, nullable=False),
    Column("sequence", ID),  # of the latest start
    Column("started", Double),
    Column("stopped", Double),
    Column("total", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("failure", Text),  # what the device that failed last said
    UniqueConstraint("plan_id", "name"),
    sqlite_autoincrement=True,
)

# One number per start of a stage: it orders starts over all plans of a fleet. Each says once, as ranges of devices, whom
# it was offered to. One whose stage is gone still hides what was started before it; when nothing is left that it could
# hide, the number alone is kept, so that none is ever used again.
STARTS = Table(
    "starts",
    METADATA,
    _number(),
    Column("time", Double, nullable=False),
    Column("stage_id", ID, ForeignKey(STAGES.c.id, ondelete="SET NULL"), index=True),
    Column("fleet_id", ID, ForeignKey(FLEETS.c.id, ondelete="SET NULL")),
    Column("title", Text),  # how messages name its stage
    Column("devices", JSON(none_as_null=True)),
    Index("ix_starts_fleet_id_id", "fleet_id", "id"),
    sqlite_autoincrement=True,
)

# What is known of a device in a start once it asked or answered; until then it is READY.
DEPLOYMENTS = Table(
    "deployments",
    METADATA,
    Column("start_id", ID, ForeignKey(STARTS.c.id), primary_key=True, autoincrement=False),
    Column("device_id", ID, ForeignKey(DEVICES.c.id), primary_key=True, autoincrement=False),
    Column("state", String(8), nullable=False),
    Column("message", Text),
    Index("ix_deployments_device_id_start_id", "device_id", "start_id"),
    sqlite_with_rowid=False,
)

PACKAGING_JOBS = Table(
    "packaging_jobs",
    METADATA,
    _number(),
    *_scoped(
        Column("details", JSON, nullable=False),
        Column("model", NAME, nullable=False),
        Column("version", String(30), nullable=False),
        Column("status", String(16), nullable=False, index=True),
        Column("message", Text),
        Column("artifact", String(1024)),
        Column("sha1", String(40)),
        Column("claimed", Double, nullable=False),  # somebody works on it until then
    ),
    sqlite_autoincrement=True,
)

COMPILATION_JOBS = Table(
    "compilation_jobs",
    METADATA,
    _number(),
    *_scoped(
        Column("details", JSON, nullable=False),
        Column("status", String(16), nullable=False, index=True),
        Column("message", Text),
        Column("ended", Double),
        Column("claimed", Double, nullable=False),
    ),
    sqlite_autoincrement=True,
)

KEYS = Table(
    "keys",
    METADATA,
    Column("access_key", String(32), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(64)),
    Column("role", String(16), nullable=False),
    Column("fleet", String(63)),
    Column("device", String(63)),
    Column("assumable", JSON, nullable=False),
    Column("secret", LargeBinary, nullable=False),  # encrypted
    Column("created", Double, nullable=False),
)
