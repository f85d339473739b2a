"""Strategies, and experiments that compare them.

Revision ID: 0006
Revises: 0004
Create Date: 2026-11-27 14:00:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COUNTERS = sa.table("counters", sa.column("name", sa.String), sa.column("value", sa.BigInteger))


def upgrade() -> None:
    for table in ("strategies", "experiments"):
        op.create_table(
            table,
            sa.Column("name", sa.String(64), nullable=False),
            sa.Column("seq", sa.BigInteger(), nullable=False),
            sa.Column("body", sa.JSON(), nullable=False),
            sa.PrimaryKeyConstraint("name", name=f"pk_{table}"),
            sa.UniqueConstraint("seq", name=f"uq_{table}_seq"),
        )
    op.bulk_insert(COUNTERS, [{"name": "strategies", "value": 0}])


def downgrade() -> None:
    op.drop_table("experiments")
    op.drop_table("strategies")
    op.execute(sa.delete(COUNTERS).where(COUNTERS.c.name == "strategies"))
