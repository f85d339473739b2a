"""Erasure → **privacy** → suppression list. How an erased user is remembered without keeping their id.

Pure. Invariant: without the secret, a hash can be neither made from an id nor turned back into one.
"""

from __future__ import annotations

import hmac
from datetime import datetime

from rec.config import Settings
from rec.errors import ConfigError

MIN_SECRET = 32  # characters
VISITOR_ROW = "visitor-"  # begins the ids of rows that only suppress: their lines are on the user's receipt


def user_hash(secret: str, user_id: str) -> str:
    """HMAC-SHA256 of the id, 64 hexadecimal digits (RFC 2104).

    >>> user_hash("k" * 32, "u1") == user_hash("k" * 32, "u1") != user_hash("x" * 32, "u1")
    True
    """
    return hmac.digest(secret.encode(), user_id.encode(), "sha256").hex()


def visitor_row(secret: str, visitor_id: str, at: datetime) -> str:
    """The id of the row that suppresses a visitor who was erased with their user; the same whoever writes it."""
    return VISITOR_ROW + user_hash(secret, f"{visitor_id} {at.isoformat()}")[:40]


def erasure_secret(settings: Settings) -> str:
    """The secret that keys the hashes. Every process must have the same one, and keep it as long as the database.

    Raises ConfigError when there is none: a short one would let anybody who sees a hash find the id by trying.
    """
    secret = settings.erasure_secret.get_secret_value() or settings.token_secret.get_secret_value()
    if len(secret) < MIN_SECRET:
        raise ConfigError(
            f"REC_ERASURE_SECRET (else REC_TOKEN_SECRET) needs at least {MIN_SECRET} characters. "
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            field="REC_ERASURE_SECRET",
        )
    return secret
