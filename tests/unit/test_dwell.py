"""Seconds on an item: what they are worth, to the interest, to the list, whatever the order in which they are told."""

from __future__ import annotations

import random

import pytest

from rec.dwell import MOST_TOLD, Dwells, Reward, spent_by, together, told
from rec.events import Event
from rec.feedback import Close, FeedbackExample, JoinRules, Window, decode_window, encode_window, fold
from rec.rewarded import rewarded_of
from rec.scenes import BUILT_IN, Scenes
from rec.served import Packed, Served, ServedItem, pack
from tests.unit.shop import NOW, after, event, shop
from tests.unit.test_feedback import sign

RULES = JoinRules(window_s=600.0, late_s=600.0, reward=Scenes(BUILT_IN).reward)


def joined(*said: tuple[str, float, float], placement: str = "feed", length_s: float = 100.0) -> FeedbackExample:
    """The example of a list of one article, after dwells (item, second, value)."""
    items = (ServedItem("a", 0.9, "content", 0.5, "camping", length_s), ServedItem("b", 0.8, "content", 0.5, "camping"))
    window: Window | None = None
    events = [sign("view_item_list", "a", "b", at=NOW + 1)]
    events += [sign("dwell", item_id, at=NOW + at, value=value) for item_id, at, value in said]
    list_ = pack(Served("s1", "u1", placement, NOW, "d", "m", items))
    whats: list[Packed | Event | Close] = [list_, *events, Close(("u1",), NOW + 700)]
    for what in whats:
        now = NOW + 700 if isinstance(what, Close) else NOW + 9
        window, examples = fold(window, what, user_id="u1", now=now, rules=RULES)
        if window is not None:
            window = decode_window(encode_window(window))
    [example] = examples
    return example


def test_time_spent_is_the_reward_of_a_feed_and_reading_to_the_end_the_larger_part() -> None:
    glance, half, whole = (joined(("a", 9.0, seconds)).places[0] for seconds in (2.0, 50.0, 95.0))
    assert (glance.dwell, half.dwell, whole.dwell) == (2.0, 50.0, 95.0)
    assert glance.reward == pytest.approx(0.2 + 0.02)
    assert half.reward == pytest.approx(0.2 + 0.5)
    assert whole.reward == pytest.approx(0.2 + 0.95 + 2.0)


def test_an_item_that_does_not_say_how_long_it_is_is_never_completed() -> None:
    assert joined(("b", 9.0, 500.0)).places[1].reward == pytest.approx(0.2 + 1.0)


def test_elsewhere_a_dwell_is_worth_a_click_however_long_it_is() -> None:
    assert joined(("a", 9.0, 95.0), placement="home").places[0].reward == 1.0


def test_of_several_values_the_longest_counts_and_what_comes_after_the_window_does_not() -> None:
    assert joined(("a", 9.0, 10.0), ("a", 19.0, 20.0), ("a", 19.0, 20.0)).places[0].dwell == 20.0
    assert joined(("a", 9.0, 10.0), ("a", 602.0, 90.0)).places[0].dwell == 10.0


def test_what_was_read_teaches_the_network_with_what_it_earned() -> None:
    lesson = rewarded_of(joined(("a", 9.0, 95.0)))
    assert lesson is not None
    assert [(item_id, propensity) for item_id, _, propensity in lesson.earned] == [("a", 0.5)]
    assert lesson.earned[0][1] == pytest.approx(3.15)


def test_in_whatever_order_values_come_the_same_is_kept() -> None:
    rng, said = random.Random(5), [(float(at), float(at * 2 % 37)) for at in range(25)]
    kept = set()
    for _ in range(20):
        rng.shuffle(said)
        dwells: Dwells = ()
        for at, seconds in said:
            dwells = told(dwells, at, seconds)
        kept.add(dwells)
    assert len(kept) == 1
    [dwells] = kept
    assert [spent_by(dwells, at) for at in (0.0, 5.0, 18.0, 25.0)] == [0.0, 10.0, 36.0, 36.0]
    assert together({"a": dwells}, {"a": dwells, "b": ()}) == {"a": dwells}


def test_what_is_kept_of_an_item_is_bounded_and_nonsense_says_nothing() -> None:
    dwells: Dwells = ()
    for at in range(200):
        dwells = told(dwells, float(at), at + 1.0)
    assert len(dwells) == MOST_TOLD
    assert told((), 1.0, None) == told((), 1.0, -5.0) == told((), 1.0, float("nan")) == ()
    assert told((), 1.0, 1e9) == ((1.0, 14_400.0),)


def test_interest_grows_with_the_time_spent_and_a_dwell_without_one_counts_as_before() -> None:
    def gained(value: float | None) -> float:
        state = after([event("dwell", "camping-1", value=value)], shop(), learn=False)
        assert state is not None
        return state.categories["camping"].short

    assert [gained(value) for value in (None, 3.0, 30.0, 60.0, 9_000.0)] == pytest.approx([0.5, 0.05, 0.5, 1.0, 2.0])


def test_a_reward_of_nothing_read_is_that_of_the_actions() -> None:
    assert Reward(dwell=1.0, completion=2.0).of_time(0.0, 0.0) == Reward(dwell=1.0).of_time(0.0, 50.0) == 0.0
