"""A small shop for tests of the recommender: four categories of items, with vectors that tell them apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from rec.catalog import Catalog, Item
from rec.counters import Counters
from rec.events import Event, EventItem, instant
from rec.policy.filters import ListRules
from rec.recommend import Ask, World
from rec.slates import Cause
from rec.state import UserState, fold

NOW = 1_700_000_000.0
CATEGORIES = ("camping", "kitchen", "music", "garden")
DIM = 16


def item(item_id: str, **more: Any) -> Item:
    category, _, number = item_id.partition("-")
    more.setdefault("brand", f"brand-{number[-1:]}")
    return Item(**{"item_id": item_id, "title": f"The {category} thing {number}", "category": category, **more})


def items(each: int = 20) -> list[Item]:
    return [item(f"{category}-{n}") for category in CATEGORIES for n in range(each)]


def vector(item_id: str) -> npt.NDArray[np.float32]:
    """Items of a category lie close together, each in its own place."""
    category, _, number = item_id.partition("-")
    noise = np.random.default_rng(int(number) + 1).normal(size=DIM) * 0.15
    noise[CATEGORIES.index(category)] += 1.0
    return noise.astype(np.float32)


def event(name: str, *ids: str, at: float = NOW, id: str | None = None, **more: Any) -> Event:
    more.setdefault("user_id", "u1")
    return Event(
        event=name,
        event_id=id or f"{name}/{'+'.join(ids)}/{at}/{more['user_id']}",
        items=tuple(EventItem(item_id) for item_id in ids),
        event_ts=instant(at),
        received_ts=instant(at),
        **more,
    )


def shop(*, each: int = 20, vectors: bool = True, lists: ListRules | None = None) -> World:
    catalog = Catalog()
    catalog.upsert(items(each))
    if vectors:
        catalog.set_vectors({i.item_id: vector(i.item_id) for i in items(each)})
    return World(catalog, Counters(), lists=lists)


def after(events: Iterable[Event], world: World, *, learn: bool = True) -> UserState | None:
    """The state of the one user these events are of; the shop's counters learn from them too."""
    state: UserState | None = None
    for each in events:
        state, _ = fold(state, each, world.catalog.facets, epoch="e", rules=world.rules)
        if learn:
            world.counters.learn(each)
    return state


def ask(state: UserState | None = None, *, user: str = "u1", placement: str = "home", n: int = 20, **more: Any) -> Ask:
    return Ask(user, placement, n, more.pop("item_id", None), Cause("event", "e1"), state)
