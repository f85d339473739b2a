"""Since when a choice lets the archive keep events, and which rows are kept without their content.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-24 18:10:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("choices", sa.Column("since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("choices", sa.Column("follows", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("events", sa.Column("withheld", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("events") as events:
        events.drop_column("withheld")
    with op.batch_alter_table("choices") as choices:
        choices.drop_column("follows")
        choices.drop_column("since")
