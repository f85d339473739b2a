"""Scenes on the page: who gets which list, where, and what it says about itself."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.events import Event, instant
from rec.features import FEATURES
from rec.gate import BUCKETS, Gate
from rec.ids import uuid7
from rec.recommend import MODEL_VERSION, NOWHERE, Brain, World, recommend, recommend_many
from rec.slates import Slate, decode_slate, encode_slate
from rec.state import FoldRules, UserState
from tests.unit.shop import CATEGORIES, NOW, after, ask, event, item, shop

LATER = NOW + 100


def views(*ids: str, user: str = "u1", at: float = NOW) -> list[Event]:
    return [event("view_item", i, at=at + n, user_id=user) for n, i in enumerate(ids)]


def made(world: World, state: UserState | None = None, seed: int = 1, **more: Any) -> Slate:
    return recommend(ask(state, **more), world, now=LATER, rng=random.Random(seed))


def ids(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items]


def kinds(slate: Slate, n: int = 10) -> Counter[str]:
    return Counter(place.item["category"] for place in slate.items[:n])


def crowded(world: World) -> World:
    """Everybody looks at kitchen things; a few at camping things, tents and stoves together."""
    for n in range(30):
        after(views(f"kitchen-{n % 3}", f"kitchen-{n % 4}", user=f"k{n}"), world)
    for n in range(8):
        after(views("camping-1", "camping-9", user=f"c{n}"), world)
    return world


def test_three_tents_turn_one_list_to_camping_and_the_other_shoppers_list_stays() -> None:
    world = crowded(shop())
    other = after(views("music-1", user="u2"), world)
    others_before = ids(made(world, other, user="u2"))
    before = kinds(made(world))
    me = after(views("camping-1", "camping-2", "camping-3"), world)
    assert before["camping"] < 5 <= kinds(made(world, me))["camping"]
    others_after = made(world, other, user="u2")
    assert kinds(others_after)["camping"] <= 3
    assert others_after.items[0].item_id == others_before[0]


def test_one_click_changes_the_list_but_does_not_fill_it_with_one_category() -> None:
    world = crowded(shop())
    me = after(views("music-1"), world)
    seen = kinds(made(world, me), 20)
    assert seen["music"] > kinds(made(world), 20)["music"]
    assert len(seen) > 1
    assert max(seen.values()) <= 14


def test_a_new_interest_takes_over_within_three_clicks() -> None:
    world = crowded(shop())
    me = after(views(*(f"music-{n}" for n in range(8)), *(f"garden-{n}" for n in range(3))), world, learn=False)
    assert kinds(made(world, me)).most_common(1)[0][0] == "garden"


def test_what_others_looked_at_next_is_offered_with_its_reason() -> None:
    world = crowded(shop(vectors=False))
    me = after(views("camping-1"), world, learn=False)
    offered = {place.item_id: place for place in made(world, me).items}
    assert offered["camping-9"].reason.kind == "because_you_viewed"
    assert offered["camping-9"].reason.item_id == "camping-1"
    assert offered["camping-9"].source in ("rules", "knn")


def test_the_cart_offers_what_goes_with_its_contents_and_not_the_contents() -> None:
    world = crowded(shop())
    me = after([event("add_to_cart", "camping-1")], world, learn=False)
    slate = made(world, me, placement="cart")
    assert slate.items[0].item_id == "camping-9"
    assert slate.items[0].reason.kind == "goes_with"
    assert "camping-1" not in ids(slate)


def test_an_empty_cart_shows_what_the_home_page_would() -> None:
    world = crowded(shop())
    me = after(views("camping-1"), world)
    assert ids(made(world, me, placement="cart")) == ids(made(world, me)) == ids(made(world, me, placement="any.other"))


def test_what_goes_with_an_item_of_long_ago_is_offered_for_that_items_sake() -> None:
    world = shop(vectors=False)
    for n in range(9):
        after(views("kitchen-1", "garden-9", user=f"k{n}", at=NOW - 900), world)
    me = after(views("kitchen-1", *(f"music-{n}" for n in range(12))), world, learn=False)
    tastes = tuple(float(name == "taste") for name in FEATURES)
    world.brain = Brain(Gate((tastes, *((0.0,) * len(FEATURES) for _ in BUCKETS))))
    first = made(world, me).items[0]
    assert (first.item_id, first.source) == ("garden-9", "knn")
    assert (first.reason.kind, first.reason.item_id) == ("because_you_viewed", "kitchen-1")


def test_an_unknown_item_on_the_page_is_no_reason_for_an_empty_list() -> None:
    world = crowded(shop())
    me = after(views("camping-1"), world)
    assert ids(made(world, me, placement="item", item_id="nobody-knows-it")) == ids(made(world, me))
    assert len(made(world, None, placement="item", item_id="nobody-knows-it").items) == 20


def test_beside_a_known_item_everyone_without_consent_gets_the_same_list() -> None:
    world = crowded(shop())
    denied = UserState(epoch="e", version=7, consent=False)
    lists = [made(world, state, placement="item", item_id="camping-1") for state in (None, denied)]
    assert ids(lists[0]) == ids(lists[1])
    assert kinds(lists[0])["camping"] >= 5


def test_where_consent_must_be_given_first_a_state_without_a_choice_is_not_used() -> None:
    world = crowded(shop())
    me = after(views("music-1", "music-2", "music-3"), world)
    strict = World(world.catalog, world.counters, rules=FoldRules(consent_default=False))
    assert ids(made(strict, me)) == ids(made(world))


def test_a_user_without_a_state_stands_nowhere_and_one_without_consent_stands_where_they_said_so() -> None:
    world = shop()
    assert made(world).position == NOWHERE
    denied = UserState(epoch="e", version=7, consent=False)
    assert made(world, denied).position == denied.position


def test_tired_items_come_back_when_there_is_nothing_else() -> None:
    world = shop(each=2)
    shown = [event("view_item_list", i.item_id, at=NOW + n) for n in range(6) for i in world.catalog.view().items]
    me = after([event("view_item", "music-1"), *shown], world)
    assert len(made(world, me).items) == 8


def test_a_new_product_beside_the_ones_just_viewed_is_listed_at_once() -> None:
    world = shop(vectors=False)
    me = after(views("garden-1", "garden-2", "garden-3"), world)
    world.catalog.upsert([item("garden-77")])
    assert "garden-77" in ids(made(world, me, n=50))


def test_a_slate_survives_the_wire() -> None:
    world = crowded(shop())
    me = after(views("camping-1"), world)
    slate = made(world, me)
    assert decode_slate(encode_slate(slate)) == slate
    assert (slate.model_version, slate.strategy, slate.cause.event_id) == (MODEL_VERSION, "default", "e1")
    assert slate.created_at == instant(LATER)


def test_slate_ids_are_of_version_7_sort_by_time_and_differ() -> None:
    rng = random.Random(2)
    made_ids = [uuid7(NOW + n / 100, rng.getrandbits) for n in range(500)]
    assert made_ids == sorted(made_ids)
    assert len(set(made_ids)) == 500
    assert {UUID(each).version for each in made_ids} == {7}


Step = st.tuples(
    st.sampled_from(["view_item", "add_to_cart", "purchase", "not_interested", "view_item_list", "remove_from_cart"]),
    st.sampled_from([*CATEGORIES, "unknown"]),
    st.integers(0, 6),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(Step, max_size=40),
    st.integers(1, 60),
    st.sampled_from(["home", "item", "cart", "elsewhere"]),
    st.sampled_from([None, "camping-1", "gone-1"]),
    st.booleans(),
)
def test_the_laws_hold_for_any_past(
    steps: list[tuple[str, str, int]], n: int, placement: str, item_id: str | None, vectors: bool
) -> None:
    world = shop(each=6, vectors=vectors)
    world.catalog.upsert([item("music-0", in_stock=False)])
    world.catalog.delete(["kitchen-0"])
    me = after([event(name, f"{kind}-{k}", at=NOW + j) for j, (name, kind, k) in enumerate(steps)], world)
    slate = made(world, me, n=n, placement=placement, item_id=item_id)
    listed = ids(slate)
    view = world.catalog.view()
    banned = {"music-0", "kitchen-0", *([item_id] if item_id else [])}
    if me is not None:
        banned |= set(me.bought)
        last = {t.item_id: t.action for t in me.history}
        banned |= {i for i in me.hidden if last[i] == "not_interested"}
        if placement == "cart" and item_id != "camping-1":
            banned |= set(me.cart())
    stock = {view.ids[row] for row in range(view.size) if view.listed[row]}
    assert len(listed) == len(set(listed))
    assert set(listed) <= stock - banned
    if me is None or not me.hidden:  # an item told off and wanted again may or may not be back: the filters' own test
        assert len(listed) == min(n, len(stock - banned))
    scores = [place.score for place in slate.items]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("size", [1, 3])
def test_no_questions_get_no_answers_and_more_get_as_many(size: int) -> None:
    world = shop()
    assert recommend_many([], world, now=LATER, rng=random.Random(1)) == []
    users = [f"u{n}" for n in range(size)]
    slates = recommend_many([ask(None, user=u) for u in users], world, now=LATER, rng=random.Random(1))
    assert [slate.user_id for slate in slates] == users
