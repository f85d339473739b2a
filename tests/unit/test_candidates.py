"""The sources of candidates: what each says of which item, and that joining them loses and invents nothing."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rec.candidates import (
    SOURCES,
    Anchor,
    Found,
    anchors_of,
    by_content,
    by_history,
    by_interest,
    by_neighbours,
    by_rules,
    by_taste,
    gather,
)
from rec.catalog import Floats
from rec.recommend import World
from rec.shelf import Shelf, shelf, tail, top
from rec.state import FoldRules, UserState
from tests.unit.shop import CATEGORIES, NOW, after, event, item, shop

RULES = FoldRules()


def views(*ids: str, user: str = "u1", at: float = NOW) -> UserState:
    state = after([event("view_item", i, at=at + n, user_id=user) for n, i in enumerate(ids)], shop())
    assert state is not None
    return state


def anchors(*ids: str) -> list[Anchor]:
    """The first is the most recent."""
    return [Anchor(item_id, NOW - n, 1, "view_item") for n, item_id in enumerate(ids)]


def named(found: Found, on: Shelf) -> dict[str, float]:
    totals: dict[str, float] = {}
    for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True):
        totals[on.view.ids[row]] = totals.get(on.view.ids[row], 0.0) + score
    return totals


def taught(*trails: tuple[str, ...], world: World | None = None) -> World:
    world = world or shop()
    for n, trail in enumerate(trails):
        after([event("view_item", i, at=NOW + k, user_id=f"t{n}") for k, i in enumerate(trail)], world)
    return world


# ---------------------------------------------------------------- anchors
def test_anchors_are_the_items_wanted_each_once_the_most_recent_first() -> None:
    state = views("camping-1", "music-1", "camping-1")
    assert [(a.item_id, a.times) for a in anchors_of(state)] == [("camping-1", 2), ("music-1", 1)]


def test_an_anchor_carries_the_strongest_action_on_it() -> None:
    state = after([event("add_to_cart", "music-1"), event("view_item", "music-1", at=NOW + 5)], shop())
    assert state is not None
    assert [(a.item_id, a.action, a.at) for a in anchors_of(state)] == [("music-1", "add_to_cart", NOW + 5)]


def test_what_was_told_off_is_no_anchor_until_it_is_wanted_again() -> None:
    told_off = [event("view_item", "music-1"), event("not_interested", "music-1", at=NOW + 1)]
    state = after(told_off, shop())
    again = after([*told_off, event("view_item", "music-1", at=NOW + 2)], shop())
    assert state is not None
    assert again is not None
    assert anchors_of(state) == []
    assert [a.item_id for a in anchors_of(again)] == ["music-1"]


# ---------------------------------------------------------------- each source
def test_rules_name_what_followed_and_the_sooner_it_followed_the_louder() -> None:
    world = taught(*[("camping-1", "music-1", "garden-1")] * 5)
    on = world.shelf(NOW)
    found = named(by_rules(on, anchors("camping-1")), on)
    assert found.keys() == {"music-1", "garden-1"}
    assert found["music-1"] > found["garden-1"] > 0


def test_what_followed_once_says_less_than_what_followed_often() -> None:
    once, often = taught(("camping-1", "music-1")), taught(*[("camping-1", "music-1")] * 50)
    said = [named(by_rules(w.shelf(NOW), anchors("camping-1")), w.shelf(NOW))["music-1"] for w in (once, often)]
    assert said[0] < said[1] / 5


def test_neighbours_of_a_recent_item_count_for_more_than_those_of_an_earlier_one() -> None:
    world = taught(*[("camping-1", "music-1")] * 9, *[("kitchen-1", "garden-1")] * 9)
    on = world.shelf(NOW)
    found = named(by_neighbours(on, anchors("camping-1", "kitchen-1")), on)
    assert found["music-1"] == pytest.approx(2 * found["garden-1"])


def test_a_taste_is_made_of_the_whole_history_and_fades_slowly() -> None:
    """What goes with the thirtieth item back is not named by the last ten."""
    world = taught(*[("camping-1", "music-1")] * 9, *[("kitchen-1", "garden-1")] * 9)
    on, between = world.shelf(NOW), [f"books-{n}" for n in range(28)]
    history = anchors("camping-1", *between, "kitchen-1")
    assert "garden-1" not in named(by_neighbours(on, history), on)
    taste = named(by_taste(on, history), on)
    assert 0 < taste["garden-1"] < taste["music-1"] < 30 * taste["garden-1"]


def test_items_that_the_catalog_does_not_know_are_counted_but_never_named() -> None:
    world = taught(*[("camping-1", "unknown-1", "music-1")] * 3)
    on = world.shelf(NOW)
    for found in (by_rules(on, anchors("camping-1")), by_neighbours(on, anchors("camping-1"))):
        assert named(found, on).keys() == {"music-1"}


def test_own_items_come_back_the_most_recent_first() -> None:
    on = shop().shelf(NOW)
    found = named(by_history(on.view, anchors("music-1", "unknown-1", "camping-1")), on)
    assert list(found) == ["music-1", "camping-1"]
    assert found["music-1"] > found["camping-1"]


def test_content_finds_the_category_from_vectors_alone() -> None:
    on = shop().shelf(NOW)
    (scores,) = by_content(on.view, [anchors("garden-1", "garden-2")])
    assert scores is not None
    best = np.argsort(-scores)[:15]
    assert {on.view.items[row].category for row in best.tolist()} == {"garden"}


def test_content_is_the_same_for_each_user_whoever_else_is_in_the_batch() -> None:
    on = shop().shelf(NOW)
    users = [anchors("garden-1"), [], anchors("music-3", "camping-2"), anchors("unknown-1")]
    together = by_content(on.view, users)
    for user, scores in zip(users, together, strict=True):
        (alone,) = by_content(on.view, [user])
        assert (scores is None) == (alone is None)
        if scores is not None and alone is not None:
            np.testing.assert_allclose(scores, alone, atol=1e-5)


def test_content_says_nothing_before_there_are_vectors() -> None:
    on = shop(vectors=False).shelf(NOW)
    assert by_content(on.view, [anchors("garden-1")]) == [None]


def test_interest_names_the_category_looked_at_popular_items_first() -> None:
    world = taught(*[("garden-5",)] * 9)
    state = views("garden-1", "garden-2")
    on = world.shelf(NOW)
    scores = by_interest(on, state, anchors_of(state), NOW + 5, RULES)
    assert scores is not None
    assert on.view.ids[int(scores.argmax())] == "garden-5"
    assert {on.view.items[row].category for row in np.argsort(-scores)[:20].tolist()} == {"garden"}


def test_interest_in_what_was_told_off_is_below_nothing() -> None:
    state = after([event("not_interested", "garden-1")], shop())
    assert state is not None
    on = shop().shelf(NOW)
    scores = by_interest(on, state, [], NOW, RULES)
    assert scores is not None
    row = on.view.row("garden-2")
    assert row is not None
    assert scores[row] < 0


def test_no_interest_is_none() -> None:
    assert by_interest(shop().shelf(NOW), UserState(epoch="e"), [], NOW, RULES) is None


# ---------------------------------------------------------------- the shelf and the tail
def test_the_tail_is_popular_first_then_new_and_as_long_as_there_are_items() -> None:
    world = taught(*[("garden-5",)] * 3, ("music-1",))
    world.catalog.upsert([item("camping-99")])
    on = world.shelf(NOW)
    rows = tail(on, on.view.listed, 1_000).tolist()
    assert [on.view.ids[row] for row in rows[:3]] == ["garden-5", "music-1", "camping-99"]
    assert sorted(rows) == np.flatnonzero(on.view.listed).tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 90), st.randoms(use_true_random=False))
def test_the_tail_is_the_beginning_of_the_whole_order(n: int, rng: random.Random) -> None:
    world = taught(*[(f"{rng.choice(CATEGORIES)}-{rng.randrange(20)}",) for _ in range(30)])
    on = shelf(world.catalog.view(), world.counters.tables, leaders=7)
    mask = on.view.listed.copy()
    mask[rng.sample(range(on.view.size), 20)] = False
    everything = tail(on, mask, on.view.size).tolist()
    assert tail(on, mask, n).tolist() == everything[:n]
    assert sorted(everything) == np.flatnonzero(mask).tolist()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "delete", "learn", "vector"]), st.integers(0, 9)), max_size=40))
def test_an_alignment_carried_on_is_the_one_made_afresh(steps: list[tuple[str, int]]) -> None:
    world = shop(each=2)
    carried = world.shelf(NOW)
    for n, (what, number) in enumerate(steps):
        item_id = f"camping-{number}"
        if what == "put":
            world.catalog.upsert([item(item_id)])
        elif what == "delete":
            world.catalog.delete([item_id])
        elif what == "vector":
            world.catalog.set_vectors({item_id: np.eye(16)[n % 16]})
        else:
            world.counters.learn(event("view_item", item_id, at=NOW + n))
        carried = shelf(world.catalog.view(), world.counters.tables, carried)
    fresh = shelf(world.catalog.view(), world.counters.tables)
    for code, row in enumerate(fresh.row_of_code.tolist()):
        assert row == carried.row_of_code[code] or (row < 0 and not carried.view.listed[carried.row_of_code[code]])
    np.testing.assert_array_equal(
        np.where(fresh.view.listed, fresh.popularity, 0), np.where(carried.view.listed, carried.popularity, 0)
    )
    assert fresh.popular_rows.tolist() == carried.popular_rows.tolist()


# ---------------------------------------------------------------- joining
@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 700), elements=st.floats(-1, 1, width=32)),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_the_top_is_exact(scores: Floats, k: int, rng: random.Random) -> None:
    eligible = np.array([rng.random() < 0.8 for _ in scores])
    rows = top(scores, eligible, k)
    wanted = np.sort(scores[eligible & (scores > 0)])[::-1][:k]
    assert len(set(rows.tolist())) == len(rows)
    assert eligible[rows].all()
    np.testing.assert_array_equal(np.sort(scores[rows])[::-1], wanted)


def test_a_pool_holds_eligible_rows_once_with_all_that_speaks_for_them() -> None:
    world = taught(*[("camping-1", "music-1", "garden-1")] * 4)
    on = world.shelf(NOW)
    start = anchors("camping-1", "music-1")
    found = {"rules": by_rules(on, start), "knn": by_neighbours(on, start), "history": by_history(on.view, start)}
    eligible = on.view.listed.copy()
    garden = on.view.row("garden-1")
    eligible[garden] = False
    pool = gather(on, found, {}, eligible, depth=5)
    assert len(set(pool.rows.tolist())) == len(pool.rows)
    assert garden not in pool.rows.tolist()
    for column, source in enumerate(SOURCES[:3]):
        expected = named(found[source], on)
        for place, row in enumerate(pool.rows.tolist()):
            assert pool.features[place, column] == pytest.approx(expected.get(on.view.ids[row], 0.0), rel=1e-5)


def test_nothing_to_go_by_still_gives_the_popular_ones() -> None:
    world = taught(("garden-5",))
    on = world.shelf(NOW)
    pool = gather(on, {}, {}, on.view.listed, depth=5)
    assert on.view.row("garden-5") in pool.rows.tolist()
    assert len(pool.rows) == 5


def test_counts_over_the_whole_catalog_are_as_old_as_the_world_allows_and_a_new_product_is_there_at_once() -> None:
    plain = shop()
    world = World(plain.catalog, plain.counters, shelf_s=0.1)
    first = world.shelf(NOW)
    after([event("view_item", "books-1")], world)
    assert world.shelf(NOW + 0.05) is first
    assert world.shelf(NOW + 0.11) is not first
    world.catalog.upsert([item("books-901")])
    assert world.shelf(NOW + 0.12).view.row("books-901") is not None


def test_a_world_that_learns_from_its_lists_counts_anew_for_each() -> None:
    world = shop()
    assert world.shelf(NOW) is not world.shelf(NOW)
