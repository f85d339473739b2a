"""The tables. Migrations make them (`migrations/`); a test holds the two against each other.

Invariant: a number from `counters` is handed out under that row's lock, which is held until the transaction ends.
So numbers become visible in order, with any number of writers, and a reader that goes on from the last number it saw
never misses a row. (A sequence of the database gives no such promise: a lower number may be committed later.)
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's INTEGER is 64 bits wide, and alone can be the rowid

CATALOG = "catalog"  # the counters that exist
ARCHIVE = "archive"
MODELS = "models"
RULES = "rules"
STRATEGIES = "strategies"


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware datetimes only, UTC in the table and out of it. (SQLite's own type drops the offset.)"""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Stable names for constraints, so that migrations can speak of them on every database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class CounterRow(Base):
    """The last number handed out for a table whose rows are numbered. Locked by the writer until it commits."""

    __tablename__ = "counters"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class ItemRow(Base):
    """An item as JSON, or a tombstone (no body), under the revision of its last change; every row has its own."""

    __tablename__ = "items"

    item_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger, unique=True)
    body: Mapped[str | None] = mapped_column(Text)


class VectorRow(Base):
    """An item text's vector, little-endian float32, by encoder and digest of the text."""

    __tablename__ = "item_vectors"

    encoder: Mapped[str] = mapped_column(String(256), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class EventRow(Base):
    """An archived behavior event: `rec.archive_rules.ArchivedEvent` under its sequence number."""

    __tablename__ = "events"

    seq: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(String(128), unique=True)
    subject: Mapped[str] = mapped_column(String(128), index=True)
    user_id: Mapped[str | None] = mapped_column(String(128))
    visitor_id: Mapped[str | None] = mapped_column(String(128))
    session_id: Mapped[str | None] = mapped_column(String(128))
    event: Mapped[str] = mapped_column(String(64))
    event_ts: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    received_ts: Mapped[datetime] = mapped_column(UtcDateTime)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    withheld: Mapped[bool] = mapped_column(Boolean, server_default=false())


class ChoiceRow(Base):
    """The newest choice of a subject about one use of their data. The id is not kept, only its keyed hash."""

    __tablename__ = "choices"

    subject_hash: Mapped[str] = mapped_column(String(128), primary_key=True)
    use: Mapped[str] = mapped_column(String(32), primary_key=True)
    denied: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    follows: Mapped[bool] = mapped_column(Boolean, server_default=false())


class VersionRow(Base):
    """A version of the model: `rec.versions.ModelVersion`, numbered as they were recorded. Weights are files."""

    __tablename__ = "model_versions"

    version: Mapped[str] = mapped_column(String(128), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, unique=True)
    parent: Mapped[str | None] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(128))
    next_offset: Mapped[int] = mapped_column(BigInteger)
    learned_through: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    metrics: Mapped[dict[str, float]] = mapped_column(JSON)
    url: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    withdrawn: Mapped[bool] = mapped_column(Boolean)
    pinned: Mapped[bool] = mapped_column(Boolean)


# The database itself refuses a second live version, and a second pin.
for _name, _where in (("state", "state = 'live'"), ("pinned", "pinned")):
    Index(
        f"uq_model_versions_{_name}",
        VersionRow.__table__.c[_name],
        unique=True,
        sqlite_where=text(_where),
        postgresql_where=text(_where),
    )


class RuleRow(Base):
    """A rule of the shop: what is in force and what is proposed, `rec.policy.desk.StoredRule` as JSON."""

    __tablename__ = "rules"

    rule_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    body: Mapped[str | None] = mapped_column(Text)
    proposal: Mapped[str | None] = mapped_column(Text)


class ErasureRow(Base):
    """A request to be forgotten. The id of the user is not kept, only its keyed hash."""

    __tablename__ = "erasures"

    erasure_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_hash: Mapped[str] = mapped_column(String(128), index=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ErasureStepRow(Base):
    """One line of a receipt: how much was removed from one store, and when."""

    __tablename__ = "erasure_steps"

    erasure_id: Mapped[str] = mapped_column(ForeignKey(ErasureRow.erasure_id, ondelete="CASCADE"), primary_key=True)
    store: Mapped[str] = mapped_column(String(256), primary_key=True)
    removed: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text)


class StrategyRow(Base):
    """A way to make lists, by name; `body` is rec.policy.chosen.Offer."""

    __tablename__ = "strategies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, unique=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


class ExperimentRow(Base):
    """Strategies that are compared; `body` is rec.policy.experiments.Experiment."""

    __tablename__ = "experiments"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, unique=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


class AuditRow(Base):
    """Who did what, when. Append only."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str] = mapped_column(String(256))
    action: Mapped[str] = mapped_column(String(256))
    target: Mapped[str] = mapped_column(String(256))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


def _table(model: type[Base]) -> Table:
    assert isinstance(model.__table__, Table)
    return model.__table__


# The bare tables: statements on them skip the ORM's bookkeeping, which bulk writes need not pay for.
ITEMS, VECTORS, EVENTS, CHOICES = _table(ItemRow), _table(VectorRow), _table(EventRow), _table(ChoiceRow)
ERASURES, ERASURE_STEPS, AUDIT = _table(ErasureRow), _table(ErasureStepRow), _table(AuditRow)
VERSIONS, SHOP_RULES = _table(VersionRow), _table(RuleRow)
STRATEGY_ROWS, EXPERIMENT_ROWS = _table(StrategyRow), _table(ExperimentRow)
