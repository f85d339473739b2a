"""Backends of `rec.ports`: which one a setting selects. Drivers are imported only when they are chosen.

SQL has its own door, `rec.store.sql.open_database`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rec.config import Settings

if TYPE_CHECKING:
    from rec.store.kafka import KafkaLog
    from rec.store.memory import MemoryExchange, MemoryLog
    from rec.store.redis import RedisExchange

MEMORY = "memory://"


def open_log(settings: Settings) -> KafkaLog | MemoryLog:
    """The log of `REC_BROKER_URL`, to be entered; `memory://` is a fresh one inside this process."""
    if settings.broker_url.startswith(MEMORY):
        from rec.store.memory import MemoryLog

        return MemoryLog()
    from rec.store.kafka import KafkaLog
    from rec.store.kafka.security import Security

    return KafkaLog(
        settings.bootstrap,
        client_id=settings.app_id,
        security=Security.from_settings(settings),
        replication_factor=settings.replication_factor,
        session_timeout_s=settings.session_timeout_s,
        rebalance_timeout_s=settings.rebalance_timeout_s,
    )


def open_exchange(settings: Settings) -> RedisExchange | MemoryExchange:
    """The exchange of `REC_REDIS_URL`, to be entered; `memory://` is a fresh one inside this process."""
    if settings.redis_url.startswith(MEMORY):
        from rec.store.memory import MemoryExchange

        return MemoryExchange()
    from rec.store.redis import RedisExchange

    return RedisExchange(settings.redis_url, prefix=f"{settings.app_id}:")
