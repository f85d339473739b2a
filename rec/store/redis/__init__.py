"""The exchange on Redis: latest slates, pushes, replies, presence, remembered ids, hints, leases."""

from rec.store.redis.exchange import RedisExchange

__all__ = ["RedisExchange"]
