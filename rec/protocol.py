"""web ⇄ client: websocket **frames** of `shunxi.v1`, close codes, limits. Shared by the server and the SDK, no I/O.

A frame is one JSON object. `id` pairs a reply with its command; a frame without `id` is a push; `{}` is a ping
and its own pong. One command a frame: the field that is set says which.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import Annotated, Any, Literal, get_args

import msgspec

from rec.errors import BadInput
from rec.events import Id
from rec.slates import Position

SUBPROTOCOL = "shunxi.v1"
CONNECT_TIMEOUT_S = 5.0  # the first frame must be `connect`, within this
PING_S = 25
PONG_GRACE_S = 8.0  # no pong for this long after a ping: the connection is dead
MAX_BODY_BYTES = 256 * 1024
MAX_FRAME_BYTES = MAX_BODY_BYTES + 1024  # as many events as a request may bring, in their envelope
MAX_EVENTS = 500
MAX_N = 200
MAX_QUERY = 1024  # characters of a query
MAX_SUGGESTIONS = 20

Placement = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+\Z")]
RateKind = Literal["all", "item", "category", "placement", "strategy"]  # what CTR and CVR are kept by
Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_N)]
Query = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QUERY)]
Facet = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QUERY)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Sort = Literal["relevance", "price_asc", "price_desc", "newest", "popular"]
Page = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f-]{36}\.[0-9]{1,4}\.[0-9a-f]{8}\Z")]
MAX_SCREENS = 16  # placements on one connection
MAX_USER_SCREENS = 32  # lists (see rec.screens) of one user over all connections: each event makes all of them anew


# What to do about a field of a search that is refused, for the server and the SDK alike; see `rec.ingest.explain`.
SEARCH_REMEDIES = {
    "n": f"Send a whole number from 1 to {MAX_N}",
    "q": f"Send 1 to {MAX_QUERY} characters that are to be searched for",
    "category": "Send the category as it is in the catalog, or leave it out",
    "brand": "Send the brand as it is in the catalog, or leave it out",
    "price_min": "Send a number of at least 0, or leave it out",
    "price_max": "Send a number of at least 0, or leave it out",
    "in_stock": "Send true or false, or leave it out",
    "sort": f"Send one of {', '.join(get_args(Sort))}, or leave it out",
    "page": "Send search.next of the slate before, as it is, or leave it out",
}
SUGGEST_REMEDIES = {"n": f"Send a whole number from 1 to {MAX_SUGGESTIONS}", "q": SEARCH_REMEDIES["q"]}


class CloseCode(IntEnum):
    """4000–4499: reconnect with back-off. 4500–4999: do not, mend the cause first."""

    SHUTDOWN = 4001
    TOKEN_EXPIRED = 4005
    SLOW = 4008
    CROWDED = 4009
    NO_PONG = 4012
    INVALID_TOKEN = 4500
    BAD_REQUEST = 4501
    STALE = 4502
    FORCED = 4503
    TOO_MANY = 4504

    @property
    def reconnect(self) -> bool:
        """
        >>> CloseCode.SLOW.reconnect, CloseCode.INVALID_TOKEN.reconnect
        (True, False)
        """
        return self < 4500

    @property
    def about(self) -> str:
        """When a connection ends with it, for the reference."""
        return _WHEN[self]


_WHEN = {
    CloseCode.SHUTDOWN: "the process ends",
    CloseCode.TOKEN_EXPIRED: "the token ran out; come back with a fresh one",
    CloseCode.SLOW: "nothing was read for `REC_SEND_TIMEOUT_S`",
    CloseCode.CROWDED: "the user has `REC_MAX_CONNECTIONS_PER_USER` connections to this process already; answered with "
    "`too_many_connections`",
    CloseCode.NO_PONG: f"a ping was not answered within {PONG_GRACE_S:g} s",
    CloseCode.INVALID_TOKEN: "the token is not valid here",
    CloseCode.BAD_REQUEST: "the first frame was no valid `connect`, or a frame was binary",
    CloseCode.STALE: "no `connect` came in time",
    CloseCode.FORCED: "the user was erased",
    CloseCode.TOO_MANY: "the client does not slow down: as many frames refused as `rate_limited` as a minute allows. "
    "Refusals are forgiven evenly, all of them within 10 min",
}


class Connect(msgspec.Struct, frozen=True):
    """The first frame. `resume`: the position of each list on screen."""

    token: str
    resume: Annotated[dict[Placement, Position], msgspec.Meta(max_length=MAX_SCREENS)] = {}


class Subscribe(msgspec.Struct, frozen=True):
    """Show a list, from now on. `item_id`: the product that it stands beside."""

    placement: Placement = "home"
    n: Count = 20
    item_id: Id | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """Show it no longer."""

    placement: Placement


class Track(msgspec.Struct, frozen=True):
    """Behavior events, as of POST /v1/events."""

    events: list[msgspec.Raw]


class Search(msgspec.Struct, frozen=True, omit_defaults=True):
    """Filters are combined; category and brand are exact but for case, prices are inclusive. `page`: `search.next` of
    the slate before, with the same q, filters and sort."""

    q: Query
    n: Count = 20
    category: Facet | None = None
    brand: Facet | None = None
    price_min: Amount | None = None
    price_max: Amount | None = None
    in_stock: bool = True  # False: those that are not in stock, too
    sort: Sort = "relevance"
    page: Page | None = None

    def check(self) -> None:
        """Raises BadInput for what no type can say."""
        check_query(self.q)
        if self.price_min is not None and self.price_max is not None and self.price_min > self.price_max:
            raise BadInput("price_min is above price_max. Swap them, or leave one out.", field="price_min")


def check_query(q: str) -> None:
    """Raises BadInput for a query in which nothing can be seen."""
    if not any(char.isprintable() and not char.isspace() for char in q):
        raise BadInput(f"q is empty. {SEARCH_REMEDIES['q']}.", field="q")


def check_names(names: Iterable[str], type_: type[msgspec.Struct], what: str = "parameter", within: str = "") -> None:
    """Refuse what `type_` does not have: ignored, a filter that is misspelt would answer with everything.

    `within` is what the field of the error begins with, where the names are inside of something. Raises BadInput.

    >>> check_names(["q", "categroy"], Search)
    Traceback (most recent call last):
    rec.errors.BadInput: There is no parameter 'categroy'. Did you mean category?
    """
    known = type_.__struct_fields__
    for name in names:
        if name not in known:
            raise unknown_name(name, known, what, within)


def unknown_name(name: str, known: tuple[str, ...], what: str, within: str = "") -> BadInput:
    """The refusal of a name that does not exist, with the one that was probably meant."""
    close = get_close_matches(name[:64].lower(), known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(known)}."
    return BadInput(
        f"There is no {what} {name[:64]!r}. {hint}",
        code=f"unknown_{what}",
        field=within + name[:64],
        did_you_mean=close[0] if close else None,
    )


class Refresh(msgspec.Struct, frozen=True):
    """A fresh token, before the one in use runs out."""

    token: str


class Command(msgspec.Struct, frozen=True):
    """A frame from a client. Exactly one of the named commands is set, or none at all: `{}`, the pong."""

    id: int | None = None
    connect: Connect | None = None
    subscribe: Subscribe | None = None
    unsubscribe: Unsubscribe | None = None
    track: Track | None = None
    search: Search | None = None
    refresh: Refresh | None = None

    @property
    def name(self) -> str | None:
        """The command's name; None for a pong.

        >>> Command(id=1, refresh=Refresh("t")).name
        'refresh'
        """
        for name in ("connect", "subscribe", "unsubscribe", "track", "search", "refresh"):
            if getattr(self, name) is not None:
                return name
        return None


decode_command = msgspec.json.Decoder(Command).decode
_encode = msgspec.json.Encoder().encode


def reply(id: int | None, name: str, result: Any) -> bytes:
    """
    >>> reply(1, "connect", {"client": "c1"})
    b'{"id":1,"connect":{"client":"c1"}}'
    """
    return _encode({"id": id, name: result})


def error_reply(id: int | None, body: dict[str, object]) -> bytes:
    return _encode({"id": id, "error": body} if id is not None else {"error": body})


def push(slate_json: bytes) -> bytes:
    """A slate that is already JSON, wrapped without being parsed.

    >>> push(b'{"version":2}')
    b'{"push":{"slate":{"version":2}}}'
    """
    return b'{"push":{"slate":' + slate_json + b"}}"


PING = b"{}"
