"""Versions of the model: at most one is live, at most one is pinned.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-24 18:00:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
COUNTERS = sa.table("counters", sa.column("name", sa.String), sa.column("value", sa.BigInteger))


def upgrade() -> None:
    op.create_table(
        "model_versions",
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.String(128), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("learned_through", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_model_versions"),
        sa.UniqueConstraint("seq", name="uq_model_versions_seq"),
    )
    for column, where in (("state", sa.text("state = 'live'")), ("pinned", sa.text("pinned"))):
        op.create_index(
            f"uq_model_versions_{column}",
            "model_versions",
            [column],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
    op.bulk_insert(COUNTERS, [{"name": "models", "value": 0}])


def downgrade() -> None:
    op.drop_table("model_versions")
    op.execute(sa.delete(COUNTERS).where(COUNTERS.c.name == "models"))
