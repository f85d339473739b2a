"""event ids → **ring** → state. The last event_ids of one user, so that none is applied twice. Pure, and bounded."""

from __future__ import annotations

from hashlib import blake2b

RING = 256  # remembered event_ids: far more than a user can send within one commit interval
_DIGEST = 8


def mark_of(event_id: str) -> bytes:
    """What a ring keeps of an event_id."""
    return blake2b(event_id.encode(), digest_size=_DIGEST).digest()


def newest_marks(ring: bytes) -> bytes:
    """What a ring keeps of these, oldest first."""
    return ring[-RING * _DIGEST :]


def contains(ring: bytes, mark: bytes) -> bool:
    """Whether this event_id is among them."""
    at = ring.find(mark)
    while at % _DIGEST and at > 0:  # a hit across two digests is none
        at = ring.find(mark, at + 1)
    return at >= 0
