"""words → **browsing** → items. How a person finds a product in the catalog: by id, title, brand or category. Pure.

Not search: nobody's taste orders it, nothing is left out (neither what is out of stock nor what is flagged), and it
reads the catalog itself, not a worker's index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rec.catalog import Item


class Browsing(Protocol):
    """A part of `rec.ports.Database`."""

    async def find_items(self, words: Sequence[str], limit: int, after: str = "") -> list[Item]:
        """Items that have every word, by id, at most `limit`, with ids above `after`. No words: all of them."""


def words_of(query: str) -> tuple[str, ...]:
    """
    >>> words_of("  Trail TENT trail ")
    ('trail', 'tent')
    """
    return tuple(dict.fromkeys(query.lower().split()))


def has_words(item: Item, words: Sequence[str]) -> bool:
    """Whether each word (lower case) is in the id, title, brand or category.

    >>> has_words(Item(item_id="a-1", title="Trail tent", brand="Nord"), ["tent", "nord", "a-"])
    True
    """
    text = f"{item.item_id}\n{item.title}\n{item.brand}\n{item.category}".lower()
    return all(word in text for word in words)
