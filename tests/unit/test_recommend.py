"""Laws of a list, whatever it is made from; and the scenes that a shopper would notice."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from rec.catalog import Catalog, Item
from rec.counters import Counters
from rec.events import Event, EventItem, instant
from rec.policy.filters import ListRules
from rec.policy.spread import spread
from rec.recommend import Ask, World, recommend, recommend_many
from rec.slates import Cause, Slate
from rec.state import UserState, encode_state, fold

NOW = 1_700_000_000.0
KINDS = ("Camping", "Kitchen", "Books", "Audio", "Garden", "Toys")
WHY = Cause("request")


def shop() -> list[Item]:
    pairs = [(kind, n) for kind in KINDS for n in range(20)]
    return [Item(item_id=f"{kind}-{n}", title=f"{kind} {n}", category=kind, brand=f"B{n % 5}") for kind, n in pairs]


def world(vectors: bool = True, **rules: Any) -> World:
    """A shop with some past: vectors by category, and a crowd that bought here and there."""
    items, catalog, counters, rng = shop(), Catalog(), Counters(), random.Random(3)
    catalog.upsert(items)
    if vectors:
        noise = np.random.default_rng(5)
        centres = {kind: noise.normal(size=16) for kind in KINDS}
        catalog.set_vectors({i.item_id: centres[i.category] + 0.3 * noise.normal(size=16) for i in items})
    for n in range(400):
        kind = rng.choice(KINDS)
        counters.learn(event("view_item", f"{kind}-{rng.randrange(20)}", user=f"crowd{n % 40}", at=NOW - 4_000 + n))
    return World(catalog, counters, lists=ListRules(**rules))


def event(name: str, *items: str, user: str = "u1", at: float = NOW) -> Event:
    return Event(
        event=name, event_id=f"{user}-{name}-{items}-{at}", user_id=user,
        items=tuple(EventItem(item) for item in items), event_ts=instant(at), received_ts=instant(at),
    )  # fmt: skip


def state(of: World, *events: Event) -> UserState:
    folded: UserState | None = None
    for one in events:
        folded, _ = fold(folded, one, of.catalog.facets, epoch="e")
    assert folded is not None
    return folded


def viewed(of: World, *items: str) -> UserState:
    return state(of, *(event("view_item", item, at=NOW - 60 + n) for n, item in enumerate(items)))


def ask(who: UserState | None, n: int = 10, placement: str = "home", item_id: str | None = None) -> Ask:
    return Ask("u1", placement, n, item_id, WHY, who)


def made(of: World, who: UserState | None, **more: Any) -> Slate:
    return recommend(ask(who, **more), of, now=NOW, rng=random.Random(1))


def ids(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items]


def kinds(slate: Slate) -> Counter[str]:
    return Counter(place.item["category"] for place in slate.items)


@pytest.mark.parametrize("vectors", [True, False], ids=["with vectors", "before the vectors are there"])
def test_three_tents_turn_the_list_to_camping(vectors: bool) -> None:
    shop = world(vectors)
    slate = made(shop, viewed(shop, "Camping-1", "Camping-2", "Camping-3"))
    assert kinds(slate)["Camping"] >= 5
    assert kinds(made(shop, None))["Camping"] < 5


def test_a_list_is_as_long_as_asked_and_names_nothing_twice() -> None:
    shop = world()
    for n in (1, 7, 50, 120, 200):
        found = ids(made(shop, viewed(shop, "Books-1"), n=n))
        assert len(found) == len(set(found)) == min(n, 120)


def test_nothing_that_must_not_be_listed_is_ever_listed() -> None:
    shop = world()
    shop.catalog.upsert([Item(item_id="Toys-3", title="Toys 3", category="Toys", in_stock=False)])
    shop.catalog.delete(["Toys-4"])
    who = state(
        shop,
        event("purchase", "Books-1", at=NOW - 100),
        event("not_interested", "Books-2", at=NOW - 90),
        event("view_item", "gone-for-good", at=NOW - 80),
    )
    listed = set(ids(made(shop, who, n=200)))
    assert listed.isdisjoint({"Books-1", "Books-2", "Toys-3", "Toys-4", "gone-for-good"})
    assert len(listed) == 116


def test_what_was_hidden_comes_back_when_it_is_wanted_again() -> None:
    shop = world()
    who = state(shop, event("not_interested", "Books-2", at=NOW - 90), event("add_to_cart", "Books-2", at=NOW - 10))
    assert "Books-2" in ids(made(shop, who, n=200))


def test_seen_items_are_left_out_only_if_the_setting_says_so() -> None:
    for excluded in (False, True):
        shop = world(seen_excluded=excluded)
        assert ("Books-1" in ids(made(shop, viewed(shop, "Books-1"), n=200))) is not excluded


def test_what_was_shown_often_and_never_touched_makes_room() -> None:
    shop = world()
    first = ids(made(shop, viewed(shop, "Books-1")))[1]
    shown = [event("view_item_list", first, at=NOW - 50 + n) for n in range(6)]
    tired = state(shop, event("view_item", "Books-1", at=NOW - 60), *shown)
    assert first not in ids(made(shop, tired))


@pytest.mark.parametrize("who", ["nobody", "denied"])
def test_without_consent_or_history_everybody_gets_the_same_popular_list(who: str) -> None:
    shop = world()
    denied = UserState(epoch="e", version=3, consent=False)
    slate = made(shop, None if who == "nobody" else denied)
    assert ids(slate) == ids(made(shop, None))
    assert {place.reason.kind for place in slate.items} <= {"popular", "new", "popular_in_category"}


def test_the_same_question_gets_the_same_answer_and_nothing_is_changed_by_asking() -> None:
    shop = world()
    who = viewed(shop, "Garden-1", "Garden-2")
    before = encode_state(who), shop.counters.to_bytes()
    assert made(shop, who) == made(shop, who)
    assert (encode_state(who), shop.counters.to_bytes()) == before


def test_a_batch_is_a_loop_of_ones() -> None:
    shop = world()
    asks = [ask(viewed(shop, f"{kind}-1", f"{kind}-2")) for kind in KINDS] + [ask(None)]
    together = recommend_many(asks, shop, now=NOW, rng=random.Random(1))
    alone = [recommend(one, shop, now=NOW, rng=random.Random(1)) for one in asks]
    assert [ids(slate) for slate in together] == [ids(slate) for slate in alone]


def test_scores_lie_between_nought_and_one_and_every_item_says_why() -> None:
    shop = world()
    for slate in (made(shop, viewed(shop, "Audio-1", "Audio-2"), n=50), made(shop, None, n=50)):
        assert all(0 <= place.score <= 1 for place in slate.items)
        assert all(place.source and place.reason.kind for place in slate.items)
        assert all(place.propensity == 1.0 for place in slate.items)


def test_beside_an_item_stand_its_like_and_not_itself() -> None:
    shop = world()
    slate = made(shop, None, placement="item", item_id="Kitchen-3")
    assert kinds(slate).most_common(1)[0][0] == "Kitchen"
    assert "Kitchen-3" not in ids(slate)


def test_the_slate_carries_where_it_stands() -> None:
    shop = world()
    who = viewed(shop, "Books-1")
    slate = made(shop, who)
    assert slate.position == who.position
    assert slate.events_through == instant(who.events_through)
    assert slate.learned_through == instant(shop.counters.learned_through)
    assert slate.items[0].item["title"]


def test_an_empty_catalog_gives_an_empty_list() -> None:
    assert made(World(Catalog(), Counters()), None).items == ()


def test_no_category_takes_more_than_its_share_while_there_is_another() -> None:
    chosen = spread([1] * 20 + [2] * 20, 10, 0.7)
    assert Counter(1 if place < 20 else 2 for place in chosen) == {1: 7, 2: 3}
