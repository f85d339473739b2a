"""What a search can be told, and what comes of typing: the SDK's side of `rec.protocol.Search`. Pure."""

from __future__ import annotations

from typing import TypedDict

import msgspec

from rec.errors import BadInput
from rec.protocol import Search, Sort


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
    try:
        wanted = msgspec.convert({"q": q, "n": n, **more}, Search)
    except msgspec.ValidationError as error:
        raise BadInput(f"search: {error}") from error
    found = msgspec.to_builtins(wanted)
    found = {"q": wanted.q, "n": wanted.n, **found}
    return {name: value if name in ("q", "n") else _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
