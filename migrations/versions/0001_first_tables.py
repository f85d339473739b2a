"""First tables: catalog, item vectors, archive, erasures, audit.

Revision ID: 0001
Revises:
Create Date: 2026-11-23 23:40:00+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "catalog", "value": 0}, {"name": "archive", "value": 0}])

    op.create_table(
        "items",
        sa.Column("item_id", sa.String(128), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("item_id", name="pk_items"),
        sa.UniqueConstraint("revision", name="uq_items_revision"),
    )
    op.create_table(
        "item_vectors",
        sa.Column("encoder", sa.String(256), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("encoder", "digest", name="pk_item_vectors"),
    )

    op.create_table(
        "events",
        sa.Column("seq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=True),
        sa.Column("visitor_id", sa.String(128), nullable=True),
        sa.Column("session_id", sa.String(128), nullable=True),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("event_ts", INSTANT, nullable=False),
        sa.Column("received_ts", INSTANT, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("event_id", name="uq_events_event_id"),
    )
    op.create_index("ix_events_subject", "events", ["subject"])
    op.create_index("ix_events_event_ts", "events", ["event_ts"])

    op.create_table(
        "erasures",
        sa.Column("erasure_id", sa.String(64), nullable=False),
        sa.Column("user_hash", sa.String(128), nullable=False),
        sa.Column("requested_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_user_hash", "erasures", ["user_hash"])
    op.create_index("ix_erasures_requested_at", "erasures", ["requested_at"])
    op.create_table(
        "erasure_steps",
        sa.Column("erasure_id", sa.String(64), nullable=False),
        sa.Column("store", sa.String(256), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", "store", name="pk_erasure_steps"),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasures.erasure_id"], name="fk_erasure_steps_erasure_id_erasures", ondelete="CASCADE"
        ),
    )

    op.create_table(
        "audit",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", sa.String(256), nullable=False),
        sa.Column("action", sa.String(256), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )


def downgrade() -> None:
    for table in ("audit", "erasure_steps", "erasures", "events", "item_vectors", "items", "counters"):
        op.drop_table(table)
