"""The newest choice of each subject, by keyed hash: what the archive may keep of later events.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-24 16:20:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "choices",
        sa.Column("subject_hash", sa.String(128), nullable=False),
        sa.Column("use", sa.String(32), nullable=False),
        sa.Column("denied", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject_hash", "use", name="pk_choices"),
    )


def downgrade() -> None:
    op.drop_table("choices")
