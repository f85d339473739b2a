"""The names of keys and channels, and the bytes under them. Pure.

A slate is stored and published as a JSON line `[screen,epoch,version,n]` and then its own JSON, untouched: who
routes it reads the line alone. An announcement is a JSON object screen → n.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from urllib.parse import quote

import msgspec

from rec.ports import Hint, Pushed, Reply, StoredSlate, Wanted
from rec.slates import Position
from rec.store.presence import Screens, merged

_encode = msgspec.json.Encoder().encode
_header = msgspec.json.Decoder(tuple[str, str, int, int]).decode
decode_screens = msgspec.json.Decoder(dict[str, int]).decode
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
        self.reporting = f"{prefix}reporting"  # sorted set: process → when its report expires
        self.reported = f"{prefix}report:"  # + process: its report
        self.denied = f"{prefix}denied"  # set of users
        self.arrivals = f"{prefix}arrivals".encode()  # channel
        self.hints = f"{prefix}hints".encode()  # channel
        self.slates = f"{prefix}slate:"  # + screen, quoted, + user: a hash
        self._pushes = f"{prefix}push:"

    def slate(self, user_id: str, screen: str) -> str:
        """Quoted, so that the id of a product cannot reach into the user's.

        >>> Names("").slate("u:1", "pdp/a:b")
        'slate:pdp/a%3Ab:u:1'
        """
        return f"{self.slates}{quote(screen)}:{user_id}"

    def screens(self, user_id: str) -> str:
        """The sorted set of this user's screens with a slate: screen → when it expires, ms since 1970."""
        return f"{self.prefix}screens:{user_id}"

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
    header = _encode((slate.screen, slate.position.epoch, slate.position.version, slate.n))
    return b"%b\n%b" % (header, slate.body)


def decode_slate(raw: bytes) -> StoredSlate:
    """The header is parsed, the body is not. JSON escapes line feeds, so the first one ends the header."""
    at = raw.index(b"\n")
    screen, epoch, version, n = _header(raw[:at])
    return StoredSlate(screen, Position(epoch, version), n, raw[at + 1 :])


def decode_push(user_id: str, raw: bytes) -> Pushed:
    return Pushed(user_id, decode_slate(raw))


def encode_screens(screens: Screens) -> bytes:
    return _encode(screens)


def decode_users(raw: Mapping[bytes, bytes]) -> dict[str, Screens]:
    """The announcements of one node: user → screens."""
    return {user_id.decode(): decode_screens(screens) for user_id, screens in raw.items()}


def decode_arrival(raw: bytes) -> Wanted | None:
    """What `announce` publishes: the user and their announcements at all nodes; empty: look at everybody."""
    if not raw:
        return None
    user_id, nodes = _arrival(raw)
    return merged(user_id, map(decode_screens, nodes))


def encode_reply(reply: Reply) -> bytes:
    return b"%b\n%b" % (_encode(reply.request_id), reply.body)


def decode_reply(raw: bytes) -> Reply:
    at = raw.index(b"\n")
    return Reply(msgspec.json.decode(raw[:at], type=str), raw[at + 1 :])


def encode_hint(hint: Hint) -> bytes:
    return _encode((hint.kind, hint.subject))


def decode_hint(raw: bytes) -> Hint:
    return Hint(*_pair(raw))
