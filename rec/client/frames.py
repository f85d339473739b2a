"""Websocket **frames** as the client reads and writes them. Pure; the other side's half is `rec.protocol`."""

from __future__ import annotations

from typing import Any

import msgspec

from rec.protocol import Command
from rec.slates import Slate


class Push(msgspec.Struct, frozen=True):
    slate: Slate | None = None


class Connected(msgspec.Struct, frozen=True):
    """`ping`: the server sends `{}` at least this often, in seconds."""

    ping: float = 25.0
    client: str = ""


class Frame(msgspec.Struct, frozen=True):
    """A frame from the server: a reply or error with `id`, a push or error without, or nothing: the ping."""

    id: int | None = None
    push: Push | None = None
    error: dict[str, Any] | None = None
    connect: Connected | None = None

    @property
    def is_ping(self) -> bool:
        return self == _PING


_PING = Frame()
_encode = msgspec.json.Encoder().encode
decode_frame = msgspec.json.Decoder(Frame).decode


def encode_command(command: Command) -> str:
    """One command as JSON text, without the commands that it is not.

    >>> from rec.protocol import Refresh
    >>> encode_command(Command(id=5, refresh=Refresh("t")))
    '{"id":5,"refresh":{"token":"t"}}'
    """
    name = command.name
    assert name is not None
    return _encode({"id": command.id, name: getattr(command, name)}).decode()
