"""What an action is worth orders the list: by the settings, each candidate for itself, and by the gate where nothing
speaks against it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rec.catalog import Floats, View
from rec.config import load_settings
from rec.gate import Gate
from rec.lessons import ReadAhead
from rec.model.encode import HEADS
from rec.recommend import Brain, Judged, World, judge
from rec.state import UserState
from rec.value import LEAST, Heard, Worth, hear, log_value
from tests.unit.shop import NOW, after, ask, event, shop

CLICKS_ALONE = Worth(1.0, 0.0, 0.0, 0.0)
SURE, NEVER = 9.0, -9.0


class Reader:
    """A network that finds all items alike, and knows what people do with some of them: item_id → head."""

    version = "reader"

    def __init__(self, **then: str) -> None:
        self.then = then

    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        return [np.full(view.size, -5.0, np.float32) for _ in users]

    def hear(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard | None]:
        items = np.zeros((view.size, len(HEADS)), np.float32)
        for item_id, head in self.then.items():
            items[view.row_of[item_id.replace("_", "-")], HEADS.index(head)] = 2 * SURE
        base = np.array([SURE, NEVER, NEVER, NEVER], np.float32)  # all of it is clicked on, and that is that
        after, places = np.eye(len(HEADS), dtype=np.float32), np.arange(view.size)
        said = self.log_probabilities(view, users, now)
        return [Heard(log_p, after, base, items, places) for log_p in said if log_p is not None]


def ranked(world: World, worth: Worth | None, **then: str) -> list[str]:
    world.worth = worth
    state = after([event("view_item", "camping-1"), event("view_item", "camping-2", at=NOW + 1)], world, learn=False)
    (judged,) = judge([ask(state)], world, Brain(Gate.prior(), Reader(**then)), NOW + 60)
    return ids(judged)


def ids(judged: Judged) -> list[str]:
    return [judged.shelf.view.ids[row] for row in judged.pool.rows[judged.order]]


def test_the_worth_of_an_action_changes_the_order() -> None:
    world = shop()
    then = {"camping_5": "purchase", "camping_6": "cart"}
    plain = ranked(world, None, **then)
    assert plain[:2] not in (["camping-5", "camping-6"], ["camping-6", "camping-5"])
    assert ranked(world, Worth(1, 100, 10_000, 0), **then)[:2] == ["camping-5", "camping-6"]
    assert ranked(world, Worth(1, 10_000, 100, 0), **then)[:2] == ["camping-6", "camping-5"]


def test_what_is_disliked_goes_down() -> None:
    world = shop()
    first = ranked(world, None)[0]
    found = ranked(world, Worth(), **{first.replace("-", "_"): "dislike"})
    assert found.index(first) > 3


def test_where_the_heads_say_the_same_of_all_the_order_is_the_gates() -> None:
    world = shop()
    assert ranked(world, Worth()) == ranked(world, None)
    assert ranked(world, CLICKS_ALONE, camping_5="purchase") == ranked(world, None)
    assert ranked(world, Worth(0, 0, 0, 0), camping_5="purchase") == ranked(world, None)


def test_scores_stay_shares_of_the_candidates() -> None:
    world = shop()
    world.worth = Worth()
    state = after([event("view_item", "camping-1")], world)
    (judged,) = judge([ask(state)], world, Brain(Gate.prior(), Reader(camping_5="purchase")), NOW)
    assert judged.scores.min() >= 0
    np.testing.assert_allclose(judged.scores.sum(), 1.0, rtol=1e-5)


def test_the_value_of_a_candidate_does_not_depend_on_who_else_is_there() -> None:
    chances = np.random.default_rng(1).random((40, len(HEADS))).astype(np.float32)
    whole = log_value(chances, Worth())
    np.testing.assert_allclose(log_value(chances[7:9], Worth()), whole[7:9], rtol=1e-6)


def test_it_is_the_sum_of_chances_times_worths_and_never_less_than_a_hundredth_of_the_smallest() -> None:
    chances = np.random.default_rng(2).random((50, len(HEADS))).astype(np.float32)
    worth = Worth(1, 2, 4, -4)
    slow = [np.log(max(sum(float(p) * w for p, w in zip(row, worth, strict=True)), LEAST * 1)) for row in chances]
    np.testing.assert_allclose(log_value(chances, worth), slow, rtol=1e-4)


def test_the_worths_are_settings() -> None:
    assert Worth.from_settings(load_settings()) == Worth()
    assert Worth.from_settings(load_settings(value_purchase=50.0)) == Worth(purchase=50.0)


def test_items_that_came_in_since_the_network_read_are_worth_what_is_usual() -> None:
    world = shop()
    view = world.catalog.view()
    (heard,) = Reader(camping_5="purchase").hear(view, [None], [NOW])
    assert heard is not None
    assert heard.items is not None
    items = np.concatenate([np.zeros((1, len(HEADS)), np.float32), heard.items])  # of row 0 nothing is known
    fewer = heard._replace(log_p=heard.log_p[:-3], places=np.arange(1, view.size - 2), items=items)
    (grown,) = hear(ReadAhead(fewer), view, [None], [NOW])
    assert grown is not None
    chances = grown.chances(np.arange(view.size))
    assert chances is not None
    assert chances[-3:].tolist() == [chances[-1].tolist()] * 3
    assert chances[view.row_of["camping-5"]][HEADS.index("purchase")] == pytest.approx(1.0, abs=1e-3)
