"""The first schema."""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(63).with_variant(sa.String(63, collation="C"), "postgresql")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "bundles",
        sa.Column("id", ID, nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bundles"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "compilation_jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("arn", sa.String(length=256), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("ended", sa.Double()),
        sa.Column("claimed", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_compilation_jobs"),
        sa.UniqueConstraint("account", "region", "name", name="uq_compilation_jobs_account_region_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_compilation_jobs_status", "compilation_jobs", ["status"])

    op.create_table(
        "fleets",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("arn", sa.String(length=256), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fleets"),
        sa.UniqueConstraint("account", "region", "name", name="uq_fleets_account_region_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "keys",
        sa.Column("access_key", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=64)),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("fleet", sa.String(length=63)),
        sa.Column("device", sa.String(length=63)),
        sa.Column("assumable", sa.JSON(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("access_key", name="pk_keys"),
    )
    op.create_table(
        "packaging_jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("arn", sa.String(length=256), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("model", NAME, nullable=False),
        sa.Column("version", sa.String(length=30), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("artifact", sa.String(length=1024)),
        sa.Column("sha1", sa.String(length=40)),
        sa.Column("claimed", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_packaging_jobs"),
        sa.UniqueConstraint("account", "region", "name", name="uq_packaging_jobs_account_region_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_packaging_jobs_status", "packaging_jobs", ["status"])

    op.create_table(
        "starts",
        sa.Column("id", ID, nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_starts"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "devices",
        sa.Column("id", ID, nullable=False),
        sa.Column("fleet_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("registered", sa.Double(), nullable=False),
        sa.Column("is_registered", sa.Boolean(), nullable=False),
        sa.Column("description", sa.String(length=40)),
        sa.Column("thing", sa.String(length=128)),
        sa.Column("heartbeat", sa.Double()),
        sa.Column("agent", sa.String(length=64)),
        sa.Column("models", sa.JSON()),
        sa.Column("bundle_id", ID),
        sa.ForeignKeyConstraint(["fleet_id"], ["fleets.id"], name="fk_devices_fleet_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("fleet_id", "name", name="uq_devices_fleet_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_devices_bundle_id", "devices", ["bundle_id"])
    op.create_table(
        "plans",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("arn", sa.String(length=256), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("fleet_id", ID, nullable=False),
        sa.Column("bundle_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["bundle_id"], ["bundles.id"], name="fk_plans_bundle_id"),
        sa.ForeignKeyConstraint(["fleet_id"], ["fleets.id"], name="fk_plans_fleet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
        sa.UniqueConstraint("account", "region", "name", name="uq_plans_account_region_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_plans_bundle_id", "plans", ["bundle_id"])
    op.create_index("ix_plans_fleet_id", "plans", ["fleet_id"])

    op.create_table(
        "stages",
        sa.Column("id", ID, nullable=False),
        sa.Column("plan_id", ID, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("selection", sa.JSON(), nullable=False),
        sa.Column("policy", sa.String(length=32), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("sequence", ID),
        sa.Column("started", sa.Double()),
        sa.Column("stopped", sa.Double()),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name="fk_stages_plan_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_stages"),
        sa.UniqueConstraint("plan_id", "name", name="uq_stages_plan_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deployments",
        sa.Column("stage_id", ID, autoincrement=False, nullable=False),
        sa.Column("device_id", ID, autoincrement=False, nullable=False),
        sa.Column("sequence", ID, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("message", sa.Text()),
        sa.Column("superseded", sa.Text()),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name="fk_deployments_device_id"),
        sa.ForeignKeyConstraint(["stage_id"], ["stages.id"], name="fk_deployments_stage_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("stage_id", "device_id", name="pk_deployments"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_deployments_device_id_sequence", "deployments", ["device_id", "sequence"])
