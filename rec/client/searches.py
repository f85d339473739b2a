"""What a search can be told, and what comes of typing: the SDK's side of `rec.protocol.Search`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypedDict

import msgspec

from rec.errors import BadInput
from rec.protocol import (
    MAX_QUERY,
    MAX_SUGGESTIONS,
    SEARCH_REMEDIES,
    SUGGEST_REMEDIES,
    Query,
    Search,
    Sort,
    check_names,
    check_query,
)


class SearchOptions(TypedDict, total=False):
    """See `rec.protocol.Search`."""

    category: str | None
    brand: str | None
    price_min: float | None
    price_max: float | None
    in_stock: bool
    sort: Sort
    page: str | None


class Suggested(msgspec.Struct, frozen=True):
    """`text` is what to search for; `kind`: query, category, brand, word, or product, whose `item_id` is there."""

    text: str
    kind: str
    item_id: str | None = None


class Suggestions(msgspec.Struct, frozen=True):
    suggestions: tuple[Suggested, ...]


def search_query(q: str, n: int, more: SearchOptions) -> dict[str, str | int | None]:
    """The query string of a search; BadInput for what the server would refuse.

    >>> search_query("tent", 5, {"price_max": 99.5, "in_stock": False})
    {'q': 'tent', 'n': 5, 'price_max': '99.5', 'in_stock': 'false'}
    """
    check_names(more, Search)
    _check_words(q)
    try:
        wanted = msgspec.convert({"q": q, "n": n, **more}, Search)
    except msgspec.ValidationError as error:
        raise _refused(error, SEARCH_REMEDIES) from None
    wanted.check()
    found = msgspec.to_builtins(wanted)
    found = {"q": wanted.q, "n": wanted.n, **found}
    return {name: value if name in ("q", "n") else _text(value) for name, value in found.items()}


def suggest_query(q: str, n: int) -> dict[str, str | int | None]:
    """The query string of suggestions; BadInput for what the server would refuse.

    >>> suggest_query("te", 21)
    Traceback (most recent call last):
    rec.errors.BadInput: n: expected `int` <= 20. Send a whole number from 1 to 20.
    """
    _check_words(q)
    try:
        wanted = msgspec.convert({"q": q, "n": n}, _Suggest)
    except msgspec.ValidationError as error:
        raise _refused(error, SUGGEST_REMEDIES) from None
    check_query(wanted.q)
    return {"q": wanted.q, "n": wanted.n}


class _Suggest(msgspec.Struct, frozen=True):
    q: Query
    n: Annotated[int, msgspec.Meta(ge=1, le=MAX_SUGGESTIONS)]


def _refused(error: msgspec.ValidationError, remedies: Mapping[str, str]) -> BadInput:
    """The refusal by field and remedy, in the server's words."""
    what, _, path = str(error).rstrip("`").partition(" - at `$.")
    if "matching regex" in what:  # the pattern would help nobody
        what = "is not of the form that is allowed here"
    return BadInput(f"{path}: {what[:1].lower()}{what[1:]}. {remedies[path]}.", code="invalid_field", field=path)


def _check_words(q: str) -> None:
    if not isinstance(q, str) or not 1 <= len(q) <= MAX_QUERY:
        what = f"has {len(q)} characters" if isinstance(q, str) else f"is a {type(q).__name__}"
        message = f"q {what}. Send 1 to {MAX_QUERY} characters that are to be searched for."
        raise BadInput(message, code="invalid_field", field="q")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
