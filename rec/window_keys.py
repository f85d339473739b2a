"""The keys of the table of lists that wait for what becomes of them (rec.feedback.Window). Pure."""

from __future__ import annotations

Key = tuple[str, str]  # user_id, slate_id


def window_key(user_id: str, slate_id: str) -> bytes:
    """The table's key. Its partition is the user's, for it is written where the user's records are read.

    >>> split_key(window_key("u/1", "s")), split_key(b"u1")
    (('u/1', 's'), ('u1', ''))
    """
    return f"{user_id}\0{slate_id}".encode()


def split_key(key: bytes) -> Key:
    """(user_id, slate_id); no id has a NUL in it (rec.events.Id)."""
    user_id, _, slate_id = key.decode().partition("\0")
    return user_id, slate_id
