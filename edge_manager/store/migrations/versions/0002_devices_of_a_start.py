"""Whom a start was offered to, once per start instead of once per device."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from edge_manager.domain.numbers import Numbers

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Write down who is in each start; keep a row of those devices alone that asked or answered."""
    db = op.get_bind()
    old = db.execute(
        sa.text(
            "SELECT d.stage_id, d.device_id, d.sequence, d.state, d.message, d.superseded, p.fleet_id, "
            "p.name AS plan, s.name AS stage FROM deployments d JOIN stages s ON s.id = d.stage_id "
            "JOIN plans p ON p.id = s.plan_id ORDER BY d.device_id"
        )
    ).all()
    starts = {row.id: {"id": row.id, "time": row.time} for row in db.execute(sa.text("SELECT id, time FROM starts"))}
    _fill(starts, old)
    op.drop_table("deployments")
    op.drop_table("starts")
    op.add_column("fleets", sa.Column("latest", ID))
    new = op.create_table(
        "starts",
        sa.Column("id", ID, nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("stage_id", ID),
        sa.Column("fleet_id", ID),
        sa.Column("title", sa.Text()),
        sa.Column("devices", sa.JSON(none_as_null=True)),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name="fk_starts_stage_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["fleet_id"], ["fleets.id"], name="fk_starts_fleet_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_starts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_starts_stage_id", "starts", ["stage_id"])
    op.create_index("ix_starts_fleet_id_id", "starts", ["fleet_id", "id"])
    empty = {"stage_id": None, "fleet_id": None, "title": None, "devices": None}
    if starts:
        db.execute(sa.insert(new), [empty | starts[number] for number in sorted(starts)])
    db.execute(sa.text("UPDATE fleets SET latest = (SELECT max(id) FROM starts WHERE fleet_id = fleets.id)"))
    deployments = op.create_table(
        "deployments",
        sa.Column("start_id", ID, autoincrement=False, nullable=False),
        sa.Column("device_id", ID, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("message", sa.Text()),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_deployments_device_id"),
        sa.ForeignKeyConstraint(["start_id"], ["starts.id"], name="fk_deployments_start_id"),
        sa.PrimaryKeyConstraint("start_id", "device_id", name="pk_deployments"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_deployments_device_id_start_id", "deployments", ["device_id", "start_id"])
    kept = [
        {"start_id": row.sequence, "device_id": row.device_id, "state": row.state, "message": row.message}
        for row in old
        if row.state != "READY"
    ]
    if kept:
        db.execute(sa.insert(deployments), kept)


def _fill(starts: dict[int, dict[str, Any]], old: Sequence[Any]) -> None:
    """Say of each start who was in it. What superseded a device and is gone becomes a start without a stage."""
    stages: defaultdict[int, list[Any]] = defaultdict(list)
    gone: defaultdict[tuple[int, int, str], list[int]] = defaultdict(list)
    for row in old:
        stages[row.stage_id].append(row)
        if row.superseded is not None:
            gone[row.sequence, row.fleet_id, row.superseded].append(row.device_id)
    for stage, rows in stages.items():
        for sequence in {row.sequence for row in rows}:
            # A stage that is started again takes all that did not succeed: whoever is in a start was in those before.
            starts[sequence] |= {
                "stage_id": stage,
                "fleet_id": rows[0].fleet_id,
                "title": f"stage {rows[0].stage} of edge deployment plan {rows[0].plan}",
                "devices": Numbers.of(row.device_id for row in rows if row.sequence >= sequence).bounds,
            }
    for (sequence, fleet, title), devices in gone.items():
        number = sequence + 1
        while number in starts:
            number += 1
        starts[number] = {
            "id": number,
            "time": starts[sequence]["time"],
            "fleet_id": fleet,
            "title": title,
            "devices": Numbers.of(devices).bounds,
        }
