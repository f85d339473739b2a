"""What a session **tells its shell to do**, and the few words that both use. Data only."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from rec.errors import RecError
from rec.slates import Slate


class State(StrEnum):
    """What an application may want to show."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class Wish(NamedTuple):
    """What is wanted of a placement: how many items, and for item pages which item."""

    n: int = 20
    item_id: str | None = None


# ------------------------------------------------------------------ outputs: what the shell must do
class Dial(NamedTuple):
    """Get a token and open a socket, then call `opened`; or else `refused`."""


class Send(NamedTuple):
    frame: str


class Hangup(NamedTuple):
    """Close the socket with this code; nothing that still arrives on it counts."""

    code: int
    reason: str


class Renew(NamedTuple):
    """Get a new token, then call `renewed` (or nothing: the server will close 4005 when the old one is over)."""


class Deliver(NamedTuple):
    slate: Slate


class Refuse(NamedTuple):
    """This placement cannot be had; its wish is withdrawn."""

    placement: str
    error: RecError


class Changed(NamedTuple):
    """The state is another one now. `retry_in`: seconds until the next try, when reconnecting."""

    state: State
    error: RecError | None = None
    retry_in: float | None = None


Output = Dial | Send | Hangup | Renew | Deliver | Refuse | Changed
