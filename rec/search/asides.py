"""what was typed → **asides** → filters, order. What a query says of a price, an order, and of what it is not about.

    under 50 · below $1,000   no more than that; the number is the last word, or has a currency beside it, so that
                              `under 30 in cabinet` stays words
    cheap · cheapest          the lowest price first
    -lamp                     nothing with this word in its title, brand or category

Only beside other words: `cheap` alone is what is searched for. Prices and orders are read in English alone. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_PRICE = re.compile(
    r"\b(?:under|below)\s+(?:(?P<sign>[$€£])\s*)?(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:[.,]\d{1,2})?)"
    r"(?P<unit>\s*(?:[$€£]|(?:dollars?|usd|euros?|eur|pounds?|gbp)\b))?"
    r"(?![\w.,-]*\w)(?P<last>\s*$)?",
    re.IGNORECASE,
)
_THOUSANDS = re.compile(r",(?=\d{3})")
_CHEAP = re.compile(r"(?<![\w-])(?:cheap|cheapest)(?![\w-])", re.IGNORECASE)
_WITHOUT = re.compile(r"(?:^|(?<=\s))-(?P<word>[^\W\d_][\w'-]*)(?=\s|$)")
_WORD = re.compile(r"\w")


class Asides(NamedTuple):
    """`text`: the query without them."""

    text: str
    price_max: float | None = None
    cheapest: bool = False
    without: tuple[str, ...] = ()

    @property
    def said(self) -> list[str]:
        """In words, for who asked."""
        said = [] if self.price_max is None else [f"at most {self.price_max:g}"]
        return said + ["cheapest first"] * self.cheapest + [f"without {word}" for word in self.without]


def asides(query: str, language: str = "en") -> Asides:
    """
    >>> asides("cheap tent under $99.50 -lantern")
    Asides(text='tent', price_max=99.5, cheapest=True, without=('lantern',))
    >>> asides("vanity under 30 in").price_max, asides("cheapest").text, asides("+tent -5").without
    (None, 'cheapest', ())
    >>> asides("tent under $1,000"), asides("tent under 9,50").price_max, asides("tent under 1,0000").price_max
    (Asides(text='tent', price_max=1000.0, cheapest=False, without=()), 9.5, None)
    """
    whole = Asides(query)
    text, without = _WITHOUT.sub(" ", query), tuple(found["word"] for found in _WITHOUT.finditer(query))
    price_max, cheapest = None, False
    if language == "en":
        for found in _PRICE.finditer(text):
            if found["sign"] or found["unit"] or found["last"] is not None:
                price_max = _number(found["number"])
                text = f"{text[: found.start()]} {text[found.end() :]}"
                break
        shorter = _CHEAP.sub(" ", text)
        if _WORD.search(shorter):
            text, cheapest = shorter, shorter != text
    text = " ".join(text.split())
    return Asides(text, price_max, cheapest, without) if _WORD.search(text) else whole


def _number(written: str) -> float:
    """A comma is before thousands where three digits follow, else before cents."""
    return float(_THOUSANDS.sub("", written).replace(",", "."))
