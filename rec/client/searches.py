"""What a search can be told, and what comes of typing: the SDK's side of `rec.protocol.Search`. Pure."""

from __future__ import annotations

from typing import TypedDict

import msgspec

from rec.errors import BadInput
from rec.protocol import MAX_QUERY, Search, Sort, check_names


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
        raise BadInput(f"search: {error}") from error
    found = msgspec.to_builtins(wanted)
    found = {"q": wanted.q, "n": wanted.n, **found}
    return {name: value if name in ("q", "n") else _text(value) for name, value in found.items()}


def suggest_query(q: str, n: int) -> dict[str, str | int | None]:
    """The query string of suggestions; BadInput for words that no server takes.

    >>> suggest_query("a" * 10_000, 5)
    Traceback (most recent call last):
    rec.errors.BadInput: q has 10000 characters. Send 1 to 1024 characters that are to be searched for.
    """
    _check_words(q)
    return {"q": q, "n": n}


def _check_words(q: str) -> None:
    if not isinstance(q, str) or not 1 <= len(q) <= MAX_QUERY:
        what = f"has {len(q)} characters" if isinstance(q, str) else f"is a {type(q).__name__}"
        message = f"q {what}. Send 1 to {MAX_QUERY} characters that are to be searched for."
        raise BadInput(message, code="invalid_field", field="q")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
