"""The names of keys and channels, and the bytes under them. Pure.

A slate is stored and published as a JSON line `[placement,epoch,version,n]` and then its own JSON, untouched: who
routes it reads the line alone. An announcement is a JSON object placement → [n, item_id].
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from rec.ports import Hint, Pushed, Reply, StoredSlate, Wanted
from rec.slates import Position
from rec.store.presence import Placements, merged

_encode = msgspec.json.Encoder().encode
_header = msgspec.json.Decoder(tuple[str, str, int, int]).decode
decode_placements = msgspec.json.Decoder(dict[str, tuple[int, str | None]]).decode
_arrival = msgspec.msgpack.Decoder(tuple[str, list[str]]).decode
_pair = msgspec.json.Decoder(tuple[str, str]).decode


class Names:
    """Keys and channels under one prefix. Ids of users come last, so none can imitate another name."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes = f"{prefix}nodes"  # sorted set: node → when its announcements expire, ms since 1970
        self.presence = f"{prefix}presence:"  # + node: hash user → announcement
        self.workers = f"{prefix}workers"  # sorted set: worker → when its state expires
        self.worker = f"{prefix}worker:"  # + worker: its state
        self.denied = f"{prefix}denied"  # set of users
        self.arrivals = f"{prefix}arrivals".encode()  # channel
        self.hints = f"{prefix}hints".encode()  # channel
        self._pushes = f"{prefix}push:"

    def slate(self, user_id: str, placement: str) -> str:
        return f"{self.prefix}slate:{placement}:{user_id}"

    def slates(self, user_id: str) -> str:
        """The set of placements that have a slate of this user."""
        return f"{self.prefix}slates:{user_id}"

    def pushes(self, user_id: str) -> bytes:
        return f"{self._pushes}{user_id}".encode()

    def replies(self, node: str) -> bytes:
        return f"{self.prefix}reply:{node}".encode()

    def event(self, event_id: str) -> bytes:
        """A digest, because millions of these are kept: 16 bytes each, however long the id."""
        return f"{self.prefix}event:".encode() + blake2b(event_id.encode(), digest_size=16).digest()

    def lease(self, name: str) -> str:
        return f"{self.prefix}lease:{name}"


def encode_slate(slate: StoredSlate) -> bytes:
    """
    >>> encode_slate(StoredSlate("home", Position("a1", 42), 20, b'{"version":42}'))
    b'["home","a1",42,20]\\n{"version":42}'
    """
    header = _encode((slate.placement, slate.position.epoch, slate.position.version, slate.n))
    return b"%b\n%b" % (header, slate.body)


def decode_slate(raw: bytes) -> StoredSlate:
    """The header is parsed, the body is not. JSON escapes line feeds, so the first one ends the header."""
    at = raw.index(b"\n")
    placement, epoch, version, n = _header(raw[:at])
    return StoredSlate(placement, Position(epoch, version), n, raw[at + 1 :])


def decode_push(user_id: str, raw: bytes) -> Pushed:
    return Pushed(user_id, decode_slate(raw))


def encode_placements(placements: Placements) -> bytes:
    return _encode(placements)


def decode_users(raw: Mapping[bytes, bytes]) -> dict[str, Placements]:
    """The announcements of one node: user → placements."""
    return {user_id.decode(): decode_placements(placements) for user_id, placements in raw.items()}


def decode_arrival(raw: bytes) -> Wanted | None:
    """What `announce` publishes: the user and their announcements at all nodes; empty: look at everybody."""
    if not raw:
        return None
    user_id, nodes = _arrival(raw)
    return merged(user_id, map(decode_placements, nodes))


def encode_reply(reply: Reply) -> bytes:
    return b"%b\n%b" % (_encode(reply.request_id), reply.body)


def decode_reply(raw: bytes) -> Reply:
    at = raw.index(b"\n")
    return Reply(msgspec.json.decode(raw[:at], type=str), raw[at + 1 :])


def encode_hint(hint: Hint) -> bytes:
    return _encode((hint.kind, hint.subject))


def decode_hint(raw: bytes) -> Hint:
    return Hint(*_pair(raw))
