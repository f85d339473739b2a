"""Of which category an item without one is: that of the nearest mean, and only where it is near."""

from __future__ import annotations

import numpy as np
import pytest

from rec.candidates import anchors_of, by_interest
from rec.kin import LEAST_ALIKE, MEMBERS, kin_of
from rec.recommend import World
from rec.state import FoldRules
from tests.unit.shop import CATEGORIES, NOW, after, event, item, shop, vector

RULES = FoldRules()


def unit(*rows: list[float]) -> np.ndarray:
    found = np.array(rows, np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def there(size: int, *without: int) -> np.ndarray:
    mask = np.ones(size, np.bool_)
    mask[list(without)] = False
    return mask


def test_the_nearest_mean_is_that_of_a_slow_and_obvious_search() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(*(rng.normal(size=(60, 8)) + np.eye(8)[rng.integers(0, 3, 60)] * 3).tolist())
    category = rng.integers(0, 4, 60).astype(np.int32)
    found = kin_of(category, there(60), vectors)
    for row in range(60):
        cosines = {}
        for code in (1, 2, 3):
            mean = vectors[category == code].mean(axis=0)
            cosines[code] = float(vectors[row] @ mean / np.linalg.norm(mean))
        best = max(cosines, key=lambda code: cosines[code])
        expected = category[row] or (best if cosines[best] >= LEAST_ALIKE else 0)
        assert found[row] == expected


def test_what_is_like_nothing_and_what_has_no_vector_stays_without() -> None:
    vectors = unit([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0.1, 0])
    category = np.array([1, 2, 0, 0], np.int32)
    assert kin_of(category, there(4), vectors).tolist() == [1, 2, 0, 1]
    assert kin_of(category, there(4, 3), vectors).tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("category", [[0, 0], [1, 2]], ids=["none has one", "all have one"])
def test_without_anything_to_ask_all_stays_as_it_is(category: list[int]) -> None:
    given = np.array(category, np.int32)
    assert kin_of(given, there(2), unit([1, 0], [0, 1])) is given
    assert kin_of(given, there(2), np.zeros((2, 0), np.float32)) is given


def test_a_large_category_is_its_first_members() -> None:
    far = [[0.0, 1.0]] * 3 * MEMBERS
    vectors = unit(*([[1.0, 0.0]] * MEMBERS), *far, [0.9, 0.1], [0.7, 0.7])
    category = np.array([1] * 4 * MEMBERS + [0, 2], np.int32)
    assert kin_of(category, there(len(category)), vectors)[-2] == 1


def with_one_without_a_category(like: str) -> World:
    world = shop()
    world.catalog.upsert([item("new-77", category="", brand="")])
    world.catalog.set_vectors({"new-77": vector(like)})
    return world


def interest_in(world: World, item_id: str, *looked_at: str, rules: FoldRules = RULES) -> float:
    world.rules = rules
    state = after([event("view_item", each, at=NOW + n) for n, each in enumerate(looked_at)], world)
    assert state is not None
    found = by_interest(world.shelf(NOW), state, anchors_of(state), NOW + 9, rules)
    row = world.catalog.view().row(item_id)
    assert row is not None
    return 0.0 if found is None else float(found[row])


def test_an_interest_in_a_category_is_one_in_what_its_texts_are_like() -> None:
    world = with_one_without_a_category("camping-77")
    view = world.catalog.view()
    row = view.row("new-77")
    assert row is not None
    assert world.shelf(NOW).kin[row] == view.categories["camping"]
    assert view.category[row] == 0  # what the shop has said stays what filters, rules and cards go by
    fits = interest_in(world, "new-77", "camping-1", "camping-2")
    assert fits == pytest.approx(interest_in(world, "camping-9", "camping-1", "camping-2"), rel=0.35)
    assert fits > 0
    assert interest_in(with_one_without_a_category("camping-77"), "new-77", "music-1", "music-2") == 0


def test_looking_at_one_without_a_category_is_an_interest_in_its_kin() -> None:
    assert interest_in(with_one_without_a_category("camping-77"), "camping-3", "new-77") > 0


def test_what_is_like_a_sensitive_category_enters_no_interest() -> None:
    rules = FoldRules(sensitive=frozenset({"camping"}))
    assert interest_in(with_one_without_a_category("camping-77"), "camping-3", "new-77", rules=rules) == 0
    assert set(CATEGORIES) == set(shop().catalog.view().categories) - {""}


def test_kin_is_worked_out_anew_when_a_category_changes_and_not_for_a_price() -> None:
    world = with_one_without_a_category("camping-77")
    first = world.shelf(NOW).kin
    world.catalog.upsert([item("camping-1", price=3.0)])
    assert world.shelf(NOW).kin is first
    world.catalog.upsert([item("new-77", category="music", brand="")])
    row = world.catalog.view().row("new-77")
    assert row is not None
    assert world.shelf(NOW).kin[row] == world.catalog.view().categories["music"]


def test_what_is_read_or_sold_as_an_ad_is_no_kin_of_a_product() -> None:
    world = shop()
    names = [f"reading-{n}" for n in range(5)]
    world.catalog.upsert([item(name, kind="article") for name in names])
    world.catalog.upsert([item("new-77", category="", brand="")])
    away = np.eye(len(vector("camping-1")), dtype=np.float32)[-1]
    world.catalog.set_vectors({name: away for name in [*names, "new-77"]})
    row = world.catalog.view().row("new-77")
    assert row is not None
    assert world.shelf(NOW).kin[row] == 0
