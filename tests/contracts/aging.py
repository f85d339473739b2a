"""Time for a Redis: as if so many seconds had passed, for the keys of one prefix."""

from __future__ import annotations

from redis import Redis


def age(url: str, prefix: str, seconds: float) -> None:
    """Bring every expiry nearer by `seconds`, also those kept as scores (milliseconds since 1970)."""
    with Redis.from_url(url) as redis:
        for key in list(redis.scan_iter(match=f"{prefix}*", count=1_000)):
            if redis.type(key) == b"zset":
                for member, _ in redis.zrange(key, 0, -1, withscores=True):
                    redis.zincrby(key, -seconds * 1_000, member)
            left = redis.pttl(key)
            if isinstance(left, int) and left >= 0:
                redis.pexpire(key, max(0, left - int(seconds * 1_000)))
