"""Request → **parsing** → typed values: query, path and body as msgspec structs, refusals by field and remedy. Pure
but for reading the body."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from aiohttp import ClientError, hdrs, web

from rec.errors import BadInput, TooSlow, UnknownEncoding
from rec.events import ID_RULE, Id
from rec.halves import decoded
from rec.ingest import explain, not_json
from rec.protocol import (
    MAX_SCREENS,
    MAX_SUGGESTIONS,
    SEARCH_REMEDIES,
    Count,
    Placement,
    Query,
    RateKind,
    Search,
    check_names,
    unknown_name,
)
from rec.slates import MAX_VERSION

T = TypeVar("T", bound=msgspec.Struct)

ENCODINGS = ("", "identity", "gzip", "deflate")
ENCODING_REMEDY = "This Content-Encoding is not read here. Send the body as it is, or as gzip or deflate."
BODY_S = 10.0  # from the head of a request to the end of its body

REMEDIES = {
    "user_id": f"Send {ID_RULE}",
    "visitor_id": f"Send {ID_RULE}, or leave it out",
    "item_id": f"Send {ID_RULE}",
    "placement": "Send 1 to 64 letters, digits, dots, hyphens or underscores, for example home",
    "by": f"Send one of {', '.join(get_args(RateKind))}",
    "key": f"Send {ID_RULE}, or leave it out",
    **SEARCH_REMEDIES,
    "after": "Send next of the page before, as it is, or leave it out",
    "letter_id": "Send letter_id of GET /v1/dead-letters, as it is",
    "token": "Send a token from POST /v1/tokens",
    "events": 'Send {"events":[…]}, a list of event objects',
    "items": 'Send {"items":[…]}, a list of item objects',
    "resume": f'Send {{"home":{{"epoch":"…","version":41}}}}, by placement the position of the list that is shown, '
    f"at most {MAX_SCREENS}, or leave it out",
    "version": f"Send a whole number from 0 to {MAX_VERSION}",
    "title": "Send a title of 1 to 1024 characters",
    "price": "Send a number of at least 0, or leave it out",
    "url": "Send http://host/…, https://host/… or a path of this server like /p/1, or leave it out",
    "image_url": "Send http://host/…, https://host/… or a path of this server like /p/1, or leave it out",
    "attributes": "Send an object, or leave it out",
    "flagged": "Send true or false, or leave it out",
    "why": "Send in 1 to 500 characters why this is changed",
}


class RecommendationQuery(msgspec.Struct, frozen=True):
    """GET /v1/recommendations. A browser may leave its own user out."""

    user_id: Id | None = None
    placement: Placement = "home"
    n: Count = 20
    item_id: Id | None = None


class SearchQuery(Search, frozen=True):
    """GET /v1/search: the websocket's command, and as whom."""

    user_id: Id | None = None


class SuggestQuery(msgspec.Struct, frozen=True):
    """GET /v1/suggest. Suggestions are the same for all, but a browser says who asks: so many a minute."""

    q: Query
    user_id: Id | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_SUGGESTIONS)] = 10


class FeedbackQuery(msgspec.Struct, frozen=True):
    """GET /v1/feedback."""

    by: RateKind = "all"
    n: Count = 50
    key: Id | None = None


class AdsQuery(msgspec.Struct, frozen=True):
    """GET /v1/ads."""

    n: Count = 50
    campaign: Id | None = None


class StreamQuery(msgspec.Struct, frozen=True):
    """GET /v1/sse. EventSource sends no headers, so the token may come in the query; it is never logged."""

    placement: Placement = "home"
    n: Count = 20
    item_id: Id | None = None
    token: str | None = None


class TokenRequest(msgspec.Struct, frozen=True):
    """POST /v1/tokens."""

    user_id: Id
    visitor_id: Id | None = None


class UserPath(msgspec.Struct, frozen=True):
    user_id: Id


class ItemPath(msgspec.Struct, frozen=True):
    item_id: Id


class ErasurePath(msgspec.Struct, frozen=True):
    erasure_id: Id


def query_of(request: web.Request, type_: type[T], remedies: Mapping[str, str] | None = None) -> T:
    """The query string; a parameter that does not exist, or comes twice, is refused rather than ignored. `remedies`:
    those that differ from `REMEDIES`."""
    check_names(request.query, type_)
    for name in request.query:
        if (times := len(request.query.getall(name))) > 1:
            raise BadInput(f"{name} is there {times} times. Send it once.", code="repeated_parameter", field=name)
    return _convert(request.query, type_, {**REMEDIES, **(remedies or {})})


def path_of(request: web.Request, type_: type[T]) -> T:
    """The ids in the path, decoded."""
    return _convert(request.match_info, type_)


def as_in_path(values: Mapping[str, Any], name: str, value: str, within: str = "") -> dict[str, Any]:
    """What the body says, of the name in the path. `within` is what the field of an error begins with, where `values`
    are inside of something. Raises BadInput where the body says another."""
    if values.get(name, value) != value:
        message = f"{within}{name}: is another one in the path. Leave it out of the body."
        raise BadInput(message, field=within + name)
    return {**values, name: value}


async def body_of(request: web.Request, type_: type[T]) -> T:
    """The body as JSON; one that is too large ends in 413 while it is read."""
    return decode(await read(request), type_)


async def read(request: web.Request) -> bytes:
    """The whole body, within `BODY_S`. Raises TooSlow, BadInput, or ConnectionError if the client went away.

    aiohttp leaves a Content-Encoding that it does not know as it is: that is refused, or it would be taken for JSON.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower() not in ENCODINGS:
        raise UnknownEncoding(ENCODING_REMEDY)
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise TooSlow(f"The body did not come within {BODY_S:g} s. Send it at once.", retry_after=1) from None
    except (web.RequestPayloadError, ClientError):
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client went away while its body was read") from None
        raise BadInput("The body is not as its headers say. See Content-Encoding and Transfer-Encoding.") from None


def decode(raw: bytes | msgspec.Raw, type_: type[T]) -> T:
    """JSON → a struct. Raises BadInput."""
    try:
        return decoded(lambda raw: msgspec.json.decode(raw, type=type_), raw)
    except msgspec.ValidationError as error:
        raise explain(error, REMEDIES) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def decode_known(raw: bytes | msgspec.Raw, type_: type[T], remedy: str = "") -> T:
    """JSON → a struct; a field that does not exist is refused, with the `remedy`. Raises BadInput."""
    made, known = decode(raw, type_), type_.__struct_fields__
    for name in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]):
        if name not in known:
            error = unknown_name(name, known, "field")
            error.message += remedy
            raise error
    return made


def _convert(values: Mapping[str, str], type_: type[T], remedies: dict[str, str] = REMEDIES) -> T:
    try:
        return msgspec.convert(dict(values), type_, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error, remedies) from None
