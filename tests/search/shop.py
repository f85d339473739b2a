"""A small shop to search in, and one call that searches."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np

from rec.catalog import Catalog, Floats, Item
from rec.counters import Counters
from rec.events import Event, EventItem, instant
from rec.protocol import Search
from rec.recommend import Brain, World
from rec.search.engine import Engine
from rec.search.reading import read_synonyms
from rec.search.words import Words
from rec.slates import SearchFacts, Slate
from rec.state import UserState, fold

NOW = 1_700_000_000.0
THINGS = [
    ("tent-1", "Family tent for four", "Camping", "Oak", 200.0),
    ("tent-2", "Trekking tent", "Camping", "Birch", 150.0),
    ("tent-3", "Tent pegs", "Camping", "Oak", 9.0),
    ("lamp-1", "Tent lantern", "Lighting", "Glim", 25.0),
    ("lamp-2", "Desk lamp", "Lighting", "Glim", 40.0),
    ("sofa-1", "Green couch", "Furniture", "Oak", 900.0),
    ("shoe-1", "Running shoes, men", "Shoes", "Fleet", 80.0),
    ("shoe-2", "Trail running shoes", "Shoes", "Birch", 95.0),
    ("deck-1", "Deckover wood coating 1-gal.", "Paint", "Behr", 35.0),
]


def things() -> list[Item]:
    return [
        Item(item_id=item_id, title=title, category=category, brand=brand, price=price)
        for item_id, title, category, brand, price in THINGS
    ]


def many(title: str, n: int, **more: object) -> list[Item]:
    return [msgspec.convert({"item_id": f"{title}-{at}", "title": title, **more}, Item) for at in range(n)]


class Shop:
    """Catalog, counters and engine. `vectors`: item_id → vector."""

    def __init__(
        self, items: list[Item] | None = None, language: str = "en", synonyms: tuple[str, ...] = (),
        known: frozenset[str] = frozenset(), **vectors: Any,
    ) -> None:  # fmt: skip
        items = things() if items is None else items
        words = Words(language)
        catalog = Catalog()
        catalog.upsert(items)
        if vectors:
            catalog.set_vectors({name.replace("_", "-"): vector for name, vector in vectors.items()})
        self.world = World(catalog, Counters(), brain=Brain.untaught())
        self.engine = Engine(words, read_synonyms(synonyms, words), known=known)
        self.engine.change(items)
        self.rng = random.Random(1)
        self.state: UserState | None = None

    def change(self, *items: Item, deleted: tuple[str, ...] = ()) -> int:
        self.world.catalog.delete(deleted)
        self.world.catalog.upsert(items)
        return self.engine.change(items, deleted)

    def slate(self, q: str, *, vector: Floats | None = None, user: str = "u1", **more: Any) -> Slate:
        wanted = Search(q, **{"n": 20, **more})
        state = self.state if user == "u1" else None
        return self.engine.search(user, wanted, state, self.world, vector=vector, now=NOW, rng=self.rng)

    def found(self, q: str, **more: Any) -> list[str]:
        return [place.item_id for place in self.slate(q, **more).items]

    def does(
        self, name: str, *ids: str, user: str = "u1", at: float = NOW - 60, learn: bool = True, **more: Any
    ) -> None:
        event = Event(
            event=name, event_id=f"{name}{ids}{user}{at}{more}", user_id=user, event_ts=instant(at),
            received_ts=instant(at), items=tuple(EventItem(item_id) for item_id in ids), **more,
        )  # fmt: skip
        if learn:
            self.world.counters.learn(event)
        if user == "u1":
            self.state, _ = fold(self.state, event, self.world.catalog.facets, epoch="e")


def facts(slate: Slate) -> SearchFacts:
    assert isinstance(slate.search, SearchFacts)
    return slate.search


def toward(*numbers: float) -> Floats:
    vector = np.array(numbers, np.float32)
    unit: Floats = vector / np.float32(np.linalg.norm(vector))
    return unit
