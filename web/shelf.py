"""SQL → **shelf** → the demo page. Products to click on, by department or by words of their title.

A small copy of the catalog that follows its changes; the demo page alone uses it. Invariants: it holds at most
MAX_ITEMS products however large the catalog is; nothing that is out of stock is offered, and nothing but products.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

from rec.catalog import Item, card
from rec.kinds import AD_KIND, ARTICLE, VIDEO
from rec.ports import Catalogs

MAX_ITEMS = 50_000
FRESH_S = 2.0  # the catalog is asked for changes at most this often
_RUN = 4  # products of one kind in a row, before another kind has its turn


class Shelf:
    """What can be browsed. `clock` is any clock in seconds that never goes back."""

    def __init__(self, database: Catalogs, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock
        self._items: dict[str, Item] = {}
        self._stories: set[str] = set()
        self._revision = 0
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def departments(self) -> list[dict[str, Any]]:
        """[{"name", "count"}], by name. Raises Unavailable."""
        await self._follow()
        counts: dict[str, int] = {}
        for item in self._items.values():
            if item.category:
                counts[item.category] = counts.get(item.category, 0) + 1
        return [{"name": name, "count": count} for name, count in sorted(counts.items())]

    @property
    def reading(self) -> bool:
        """Whether there is anything to read or to watch."""
        return bool(self._stories)

    @property
    def generated(self) -> bool:
        """Whether the server draws the picture of every product, as it does for those of the generated catalog."""
        items = self._items.values()
        return bool(items) and all(item.image_url == f"/pictures/{item.item_id}.svg" for item in items)

    async def find(
        self, category: str | None, words: str, limit: int, offset: int = 0
    ) -> tuple[list[dict[str, Any]], int]:
        """Cards of up to `limit` products from `offset` on, of a department (all if None) with all these words, and how
        many there are in all. Raises Unavailable."""
        await self._follow()
        wanted = [_stem(word) for word in words.casefold().split()]
        found = (item for item in self._items.values() if category in (None, item.category) and _has(item, wanted))
        mixed = _mixed(found)
        return [{"item_id": item.item_id, **card(item)} for item in mixed[offset : offset + limit]], len(mixed)

    async def _follow(self) -> None:
        async with self._asking:
            if self._clock() - self._asked_at < FRESH_S:
                return
            while True:
                page = await self._database.changes(self._revision)
                for item in page.items:
                    self._put(item)
                for item_id in page.deleted:
                    self._items.pop(item_id, None)
                    self._stories.discard(item_id)
                if page.revision == self._revision:
                    break
                self._revision = page.revision
            self._asked_at = self._clock()

    def _put(self, item: Item) -> None:
        story = item.kind in (ARTICLE, VIDEO)
        if story and item.may_be_shown and len(self._stories) < MAX_ITEMS:
            self._stories.add(item.item_id)
        elif item.item_id in self._stories:
            self._stories.discard(item.item_id)
        offered = item.may_be_shown and not story and item.kind != AD_KIND
        if offered and (item.item_id in self._items or len(self._items) < MAX_ITEMS):
            self._items[item.item_id] = item
        elif not offered:
            self._items.pop(item.item_id, None)


def _has(item: Item, wanted: list[str]) -> bool:
    text = f"{item.title} {item.category} {item.brand}".casefold()
    return all(word in text for word in wanted)


def _stem(word: str) -> str:
    """Without the plural's s: who looks for tents means a tent.

    >>> _stem("tents"), _stem("glass"), _stem("as")
    ('tent', 'glass', 'as')
    """
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _mixed(items: Iterable[Item]) -> list[Item]:
    """A few of each kind in turn, so that the first dozen shows what there is."""
    kinds: dict[str, list[Item]] = {}
    for item in items:
        kinds.setdefault(str(item.attributes.get("family", "")), []).append(item)
    runs = [[kind[at : at + _RUN] for at in range(0, len(kind), _RUN)] for kind in kinds.values()]
    return [item for turn in zip_longest(*runs, fillvalue=[]) for run in turn for item in run]
