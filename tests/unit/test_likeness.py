"""What is kept of the likeness of items: the same as without it, whatever becomes of the catalog meanwhile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.candidates import Anchor, by_content
from rec.catalog import Catalog, Item
from rec.likeness import FEWEST, ItemLikeness, Mean

DIM = 8
IDS = [f"i{n}" for n in range(30)]


def vector(seed: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=DIM)


def catalog(vectors: int = 20, items: int = 30) -> Catalog:
    made = Catalog("e")
    made.upsert(Item(item_id=f"i{n}", title=f"item {n}") for n in range(items))
    made.set_vectors({f"i{n}": vector(n) for n in range(vectors)})
    return made


def shoppers(*trails: list[str]) -> list[list[Anchor]]:
    return [[Anchor(item_id, 100.0 - n, 1, "view_item") for n, item_id in enumerate(trail)] for trail in trails]


def same_as_without(made: Catalog, kept: ItemLikeness, *trails: list[str]) -> None:
    users = shoppers(*trails)
    for with_it, without in zip(by_content(made.view(), users, kept), by_content(made.view(), users), strict=True):
        assert (with_it is None) == (without is None)
        if with_it is not None and without is not None:
            np.testing.assert_allclose(with_it, without, atol=1e-5)


TRAILS = st.lists(st.lists(st.sampled_from(IDS), min_size=0, max_size=12, unique=True), min_size=1, max_size=4)
CHANGES = st.one_of(
    st.tuples(st.just("vector"), st.sampled_from(IDS), st.integers(100, 999)),
    st.tuples(st.just("price"), st.sampled_from(IDS), st.integers(1, 9)),
    st.tuples(st.just("delete"), st.sampled_from(IDS), st.just(0)),
    st.tuples(st.just("new"), st.sampled_from([f"n{n}" for n in range(5)]), st.integers(1000, 1999)),
    st.tuples(st.just("import"), st.just(""), st.integers(1, 80)),
    st.tuples(st.just("compact"), st.just(""), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TRAILS, CHANGES), min_size=1, max_size=8), st.sampled_from([10**6, 4 * 40 * 5, 0]))
def test_likeness_is_the_same_with_what_is_kept_and_without(
    steps: list[tuple[list[list[str]], tuple[str, str, int]]], budget: int
) -> None:
    made, kept = catalog(), ItemLikeness(budget)
    for trails, (change, item_id, number) in steps:
        same_as_without(made, kept, *trails)
        if change == "vector":
            made.set_vectors({item_id: vector(number)})
        elif change == "price":
            made.upsert([Item(item_id=item_id, title=f"item {item_id}", price=float(number))])
        elif change == "delete":
            made.delete([item_id])
        elif change == "new":
            made.upsert([Item(item_id=item_id, title="new")])
            made.set_vectors({item_id: vector(number)})
        elif change == "import":
            made.upsert(Item(item_id=f"m{n}", title="many") for n in range(number))
            made.set_vectors({f"m{n}": vector(2000 + n) for n in range(number)})
        else:
            made._compact()  # comes by itself after a thousand changed texts
            made._publish()
        same_as_without(made, kept, *trails)


def test_an_item_that_was_asked_for_is_kept_until_there_is_no_room_and_it_was_used_least() -> None:
    made = catalog(vectors=100, items=100)
    view = made.view()
    kept = ItemLikeness(budget_bytes=4 * 125 * FEWEST)
    for row in range(100):
        kept.of(view, [Mean([0, row] if row else [0], [1.0] * (2 if row else 1))])
    assert len(kept) == FEWEST
    assert set(kept._slots) == {0, *range(100 - FEWEST + 1, 100)}


def test_where_few_rows_would_fit_none_is_kept() -> None:
    made = catalog(vectors=100, items=100)
    kept = ItemLikeness(budget_bytes=4 * 125 * (FEWEST - 1))
    same_as_without(made, kept, ["i1", "i2"])
    assert len(kept) == 0


@pytest.mark.parametrize("asked", [1, 2, 10])
def test_of_what_a_list_misses_two_items_are_kept_and_the_others_come_with_later_lists(asked: int) -> None:
    made = catalog(vectors=100, items=100)
    kept = ItemLikeness(budget_bytes=4 * 125 * 99)  # not all fit
    view = made.view()
    for turn in range(5):
        kept.of(view, [Mean(list(range(asked)), [1.0] * asked)])
        assert len(kept) == min(asked, 2 * (turn + 1))


def test_where_all_fit_misses_take_others_along_until_all_are_kept() -> None:
    made, kept = catalog(vectors=100, items=100), ItemLikeness()
    view = made.view()
    for missed, row in enumerate(range(99, 79, -1), start=1):
        kept.of(view, [Mean([row], [1.0])])
        assert len(kept) == min(100, 8 * missed)
    same_as_without(made, kept, [f"i{row}" for row in range(10)])
