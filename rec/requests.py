"""web → log `requests` → the worker that owns the user. What is asked about a user, answered from their state.

A request is keyed by the user, so it meets the state where the events do, in the order of the partition.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from rec.protocol import RateKind, Search
from rec.slates import Cause, Position
from rec.state import UserState


class SlateRequest(msgspec.Struct, frozen=True, tag="slate", tag_field="kind"):
    """GET /v1/recommendations: one slate, to the asker alone. Not answered after `deadline` (seconds since 1970, by
    `rec.clock.SharedClock`)."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float
    placement: str = "home"
    n: int = 20
    item_id: str | None = None


class SearchRequest(msgspec.Struct, frozen=True, tag="search", tag_field="kind"):
    """GET /v1/search: one slate, to the asker alone. Fields as in `rec.protocol.Search`."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float
    search: Search


class SuggestRequest(msgspec.Struct, frozen=True, tag="suggest", tag_field="kind"):
    """GET /v1/suggest, to the asker alone. Nobody's state is looked at: any worker may answer, so the key is none's."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float
    q: str
    n: int


class Refresh(msgspec.Struct, frozen=True, tag="refresh", tag_field="kind"):
    """Make the user's lists anew and push them, unless the state still is where `have` says.

    Sent by the web process at a subscription, and by workers for the sweep and for model and catalog changes.
    `have`: the stored list, if it is long enough; `shown`: what the client says that it shows.
    """

    user_id: str
    cause: Cause
    placement: str
    n: int
    have: Position | None = None
    item_id: str | None = None
    shown: Position | None = None


class Inspect(msgspec.Struct, frozen=True, tag="inspect", tag_field="kind"):
    """GET /v1/users/{id}: the state as JSON, to the asker alone."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float


class Explain(msgspec.Struct, frozen=True, tag="explain", tag_field="kind"):
    """GET /v1/users/{id}/candidates: a list made now and where each of the `top` best candidates fell out, to the asker
    alone. Fields as in `SlateRequest`."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float
    placement: str = "home"
    n: int = 20
    item_id: str | None = None
    top: int = 30


class AskRates(msgspec.Struct, frozen=True, tag="rates", tag_field="kind"):
    """GET /v1/feedback: CTR and CVR, to the asker alone. Of any worker: `user_id` is only the key of the record."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float
    by: RateKind = "all"
    n: int = 50
    key: str | None = None


class AskAds(msgspec.Struct, frozen=True, tag="ads", tag_field="kind"):
    """GET /v1/ads: how campaigns stand, to the asker alone. Of any worker, as `AskRates`."""

    user_id: str
    request_id: str
    reply_to: str
    deadline: float
    n: int = 50
    campaign: str | None = None


class MergeOut(msgspec.Struct, frozen=True, tag="merge_out", tag_field="kind"):
    """To the visitor's owner: `user_id` is this visitor, send your state to `into`. Recognised at `at`, in seconds."""

    user_id: str
    into: str
    at: float


class MergeIn(msgspec.Struct, frozen=True, tag="merge_in", tag_field="kind"):
    """To the user's owner: what was known of `visitor_id`. Applied once, however often it arrives."""

    user_id: str
    visitor_id: str
    state: UserState
    at: float


class MergeRefused(msgspec.Struct, frozen=True, tag="merge_refused", tag_field="kind"):
    """To the user's owner: `visitor_id` is a user's own id, or somebody else's visitor. Do not ask again."""

    user_id: str
    visitor_id: str


class EraseVisitor(msgspec.Struct, frozen=True, tag="erase_visitor", tag_field="kind"):
    """To the visitor's owner: `of` was erased at `at`. If this visitor is theirs, it is erased with them.

    Comes behind every `MergeOut` that the user caused, so the owner knows by then whose the visitor is. `erasure_id`
    and `number` name the line on the user's receipt.
    """

    user_id: str
    of: str
    erasure_id: str
    number: int
    at: datetime


class Expire(msgspec.Struct, frozen=True, tag="expire", tag_field="kind"):
    """To the owner, from itself: this state is idle (see rec.idle); drop it if it still is when this is read."""

    user_id: str


Asked = (
    SlateRequest | SearchRequest | SuggestRequest | Inspect | Explain | AskRates | AskAds
)  # with a deadline, by the shared clock
Request = (
    SlateRequest
    | SearchRequest
    | SuggestRequest
    | Refresh
    | Inspect
    | Explain
    | AskRates
    | AskAds
    | MergeOut
    | MergeIn
    | MergeRefused
    | EraseVisitor
    | Expire
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def encode_request(request: Request) -> bytes:
    return _encoder.encode(request)


def decode_request(raw: bytes) -> Request:
    """Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _decoder.decode(raw)
