"""**UUIDv7** (RFC 9562 §5.7): ids of events and slates, which sort by time; and ids as numbers. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from hashlib import blake2b


def uuid7(now: float, bits: Callable[[int], int]) -> str:
    """A UUIDv7 for `now` (seconds since 1970); `bits(k)` gives k random bits (`Random.getrandbits`).

    >>> uuid7(1645557742.0, lambda k: 0)
    '017f22e2-79b0-7000-8000-000000000000'
    """
    value = (int(now * 1000) & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76 | bits(12) << 64  # version, rand_a
    value |= 0x2 << 62 | bits(62)  # variant, rand_b
    return str(uuid.UUID(int=value))


def mark64(text: str) -> int:
    """The same 64 bits for the same text in every process and version: for what remembers many ids in little space.

    >>> mark64("tent") == mark64("tent"), mark64("tent") == mark64("boots")
    (True, False)
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")
