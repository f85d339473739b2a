"""socket → **session** → commands. What a frame means at this moment of a connection. No I/O; time is an argument.

Invariants: the first frame is `connect`; one command a frame; whatever comes in, the outcome is one of the four below.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from rec.errors import BadInput, RateLimited, RecError
from rec.halves import decoded
from rec.ingest import explain, not_json
from rec.protocol import CloseCode, Command, Search, Subscribe, check_names, decode_command, unknown_name
from web.limits import Bucket
from web.parsing import REMEDIES

FORGIVEN_S = 600  # after this long without a refusal, a client has all of its patience again

COMMANDS = ("connect", "subscribe", "unsubscribe", "track", "search", "refresh")


class Pong(NamedTuple):
    """The client is alive; nothing to do."""


class Ask(NamedTuple):
    """A command to carry out and answer."""

    id: int
    name: str
    command: Command


class Refuse(NamedTuple):
    """Answer with this error; the connection stays."""

    id: int | None
    error: RecError


class Hangup(NamedTuple):
    """Answer with this error and close."""

    id: int | None
    error: RecError
    code: CloseCode


Reading = Pong | Ask | Refuse | Hangup


class _Id(msgspec.Struct):
    id: int | None = None


class _Wanted(msgspec.Struct):
    search: dict[str, msgspec.Raw] = {}
    subscribe: dict[str, msgspec.Raw] = {}


_decode_id = msgspec.json.Decoder(_Id).decode
_decode_wanted = msgspec.json.Decoder(_Wanted).decode
_decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Session:
    """One connection's side of the protocol, from its first frame to its last."""

    def __init__(self, frames_per_minute: int, now: float) -> None:
        """`now` here and below is the loop's time, in seconds."""
        self._bucket = Bucket(frames_per_minute / 60, frames_per_minute, now)
        # refusals before a client that does not slow down is closed
        self._patience = Bucket(frames_per_minute / FORGIVEN_S, frames_per_minute - 1, now)
        self.connected = False

    def read(self, data: bytes, now: float, text: bool = True) -> Reading:
        """One frame, as it came. One that is not text is none of this protocol, and ends the connection."""
        if not text:
            error = BadInput("This is a binary frame. Send JSON in text frames.", code="not_text")
            return Hangup(None, error, CloseCode.BAD_REQUEST)
        if wait := self._bucket.take(now):
            return self._too_fast(data, wait, now)
        reading = self._meaning(data)
        if self.connected or not isinstance(reading, Refuse):
            return reading
        return Hangup(reading.id, reading.error, CloseCode.BAD_REQUEST)

    def _too_fast(self, data: bytes, wait: float, now: float) -> Reading:
        error = RateLimited(f"Too many frames. Wait {wait:.2g} s.", retry_after=round(wait, 3))
        if self._patience.take(now) or not self.connected:
            return Hangup(_id_of(data), error, CloseCode.TOO_MANY)
        return Refuse(_id_of(data), error)

    def _meaning(self, data: bytes) -> Pong | Ask | Refuse:
        try:
            command = decoded(decode_command, data)
        except msgspec.ValidationError as error:
            return Refuse(_id_of(data), explain(error, REMEDIES))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Refuse(None, not_json(error))
        name = command.name
        if name is None:
            return self._nothing(data, command.id)
        if sum(getattr(command, other) is not None for other in COMMANDS) > 1:
            return Refuse(command.id, BadInput("Several commands in one frame. Send each in a frame of its own."))
        if command.id is None:
            message = f"id: is missing. Number your frames, so that {name} can be answered."
            return Refuse(None, BadInput(message, code="missing_field", field="id"))
        if self.connected == (name == "connect"):
            message = "This connection is connected already." if self.connected else "The first frame must be connect."
            code = "already_connected" if self.connected else "not_connected"
            return Refuse(command.id, BadInput(message, code=code))
        try:
            if command.search is not None:
                check_names(_decode_wanted(data).search, Search, within="search.")
            if command.subscribe is not None:
                check_names(_decode_wanted(data).subscribe, Subscribe, within="subscribe.")
        except BadInput as error:
            return Refuse(command.id, error)
        return Ask(command.id, name, command)

    def _nothing(self, data: bytes, id: int | None) -> Pong | Refuse:
        """No command that is known: a pong, or a mistake."""
        names = [name for name in _decode_names(data) if name not in ("id", *COMMANDS)]
        if names:
            return Refuse(id, unknown_name(names[0], COMMANDS, "command"))
        if id is not None:
            return Refuse(id, BadInput(f"There is no command. Known are: {', '.join(COMMANDS)}."))
        return Pong() if self.connected else Refuse(None, BadInput("The first frame must be connect."))


def _id_of(data: bytes) -> int | None:
    try:
        return _decode_id(data).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
