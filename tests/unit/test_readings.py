"""Time on an item that is told again and again: each second counts once, in whatever order and however often."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.events import Consent, Event
from rec.interest import Interest
from rec.merging import merged
from rec.readings import MOST_READ, MOST_TOLD, PAUSE_S, gain_of
from rec.state import Facets, FoldRules, UserState, decode_state, encode_state, fold
from tests.unit.test_state import NOW, event, facets, folded

LASTING = FoldRules(short_half_life_s=1e12, long_half_life_s=1e12)  # so that only what was added shows


def read(*told: tuple[float, float], item: str = "tent-1", **more: Any) -> list[Event]:
    """dwell events (second, seconds so far), each with an id of its own."""
    named = more.get("session_id", "") + more.get("user_id", "u1")
    return [
        event(
            "dwell", item, at=NOW + at, received=NOW + 9_000, value=value, id=f"{item}/{named}/{n}/{at}/{value}", **more
        )
        for n, (at, value) in enumerate(told)
    ]


def interest(state: UserState, category: str = "tent") -> float:
    kept: Interest = state.categories.get(category, Interest(0.0, 0.0, 0.0))
    return kept.short


def test_what_is_told_again_and_again_counts_as_much_as_if_it_were_told_once() -> None:
    often = folded(*read((5, 5), (10, 10), (20, 20), (40, 40), (43, 43)), rules=LASTING)
    once = folded(*read((43, 43)), rules=LASTING)
    assert interest(often) == pytest.approx(interest(once)) == pytest.approx(gain_of(43))
    assert often.brands["brand-1"].short == pytest.approx(once.brands["brand-1"].short)
    assert often.version == 5  # each report moves the list all the same


def test_each_part_decays_from_when_it_was_told() -> None:
    rules = FoldRules(short_half_life_s=100.0)
    state = folded(*read((100, 30), (200, 60)), rules=rules)
    assert state.categories["tent"].as_of(NOW + 200, rules)[0] == pytest.approx(0.5 * gain_of(30) + gain_of(30))


def test_a_report_that_is_told_twice_or_says_no_more_adds_nothing() -> None:
    state = folded(*read((5, 5), (20, 20), (20, 20), (30, 20), (31, 19)), rules=LASTING)
    assert interest(state) == pytest.approx(gain_of(20))


def test_who_never_says_how_long_counts_each_time_as_before() -> None:
    state = folded(*(event("dwell", "tent-1", at=NOW + n) for n in range(3)), rules=LASTING)
    assert interest(state) == pytest.approx(1.5)
    assert state.readings == ()


@pytest.mark.parametrize(
    ("first", "again", "more"),
    [
        ([(43.0, 43.0)], [(50.0, 5.0), (55.0, 10.0)], {}),  # from the beginning
        ([(5.0, 5.0)], [(15.0, 5.0), (20.0, 10.0)], {"session_id": "another"}),  # in another tab
        ([(20.0, 20.0)], [(PAUSE_S + 90.0, 30.0)], {}),  # much later, and longer
    ],
)
def test_another_visit_counts_anew(
    first: list[tuple[float, float]], again: list[tuple[float, float]], more: dict[str, str]
) -> None:
    state = folded(*read(*first), *read(*again, **more), rules=LASTING)
    assert interest(state) == pytest.approx(gain_of(first[-1][1]) + gain_of(again[-1][1]))


def test_a_long_film_is_one_reading_however_long_nothing_is_told() -> None:
    state = folded(*read((30, 30), (30 + 2 * PAUSE_S, 30 + 2 * PAUSE_S)), rules=LASTING)
    assert interest(state) == pytest.approx(gain_of(30 + 2 * PAUSE_S)) == 2.0


def test_two_reports_whose_times_are_in_the_wrong_order_are_no_new_visit() -> None:
    state = folded(*read((40.0, 43.0), (40.2, 40.0)), rules=LASTING)
    assert interest(state) == pytest.approx(gain_of(43))


stories = st.lists(
    st.tuples(
        st.sampled_from(["tent-1", "boot-1"]),
        st.sampled_from(["", "a", "b"]),
        st.floats(0, 8_000).map(lambda at: round(at, 1)),
        st.floats(0, 200).map(lambda seconds: round(seconds, 1)),
    ),
    min_size=1,
    max_size=MOST_TOLD,
)


@given(stories=stories, seed=st.integers(0, 1_000))
@settings(max_examples=200, deadline=None)
def test_whatever_the_order_and_however_often_the_interest_is_that_of_the_order(
    stories: list[tuple[str, str, float, float]], seed: int
) -> None:
    once = [
        event("dwell", item, at=NOW + at, received=NOW + 9_000, value=value, session_id=session or None, id=f"{n}")
        for n, (item, session, at, value) in enumerate(stories)
    ]
    in_order = folded(*sorted(once, key=lambda e: (e.at, e.value)))
    shuffled = once * 2
    random.Random(seed).shuffle(shuffled)
    state = folded(*shuffled)
    assert state.readings == in_order.readings
    assert state.categories.keys() == in_order.categories.keys()
    for name, kept in state.categories.items():
        expected = in_order.categories[name].as_of(NOW + 9_000, FoldRules())
        assert kept.as_of(NOW + 9_000, FoldRules()) == pytest.approx(expected, abs=1e-9)


@given(stories=stories, split=st.integers(0, 4_095))
@settings(max_examples=100, deadline=None)
def test_who_signs_in_while_they_read_counts_no_second_twice(
    stories: list[tuple[str, str, float, float]], split: int
) -> None:
    def told(who: str, n: int) -> Event:
        item, session, at, value = stories[n]
        return event(
            "dwell", item, at=NOW + at, received=NOW + 9_000, value=value, session_id=session or None, id=f"{n}",
            user_id=who,
        )  # fmt: skip

    visitors = [n for n in range(len(stories)) if split >> n & 1]
    users = [n for n in range(len(stories)) if not split >> n & 1]
    alone = folded(*(told("u1", n) for n in range(len(stories))))
    user = folded(*(told("u1", n) for n in users)) if users else UserState(epoch="e")
    visitor = folded(*(told("v1", n) for n in visitors)) if visitors else UserState(epoch="e")
    both = merged(user, "v1", visitor)
    assert both.readings == alone.readings
    for name, kept in alone.categories.items():
        expected = kept.as_of(NOW + 9_000, FoldRules())
        assert both.categories[name].as_of(NOW + 9_000, FoldRules()) == pytest.approx(expected, abs=1e-9)


def test_a_client_that_tells_every_second_keeps_a_bounded_reading_and_counts_no_more() -> None:
    chatty = folded(*read(*((float(n), float(n)) for n in range(1, 100))), rules=LASTING)
    assert interest(chatty) == pytest.approx(gain_of(99))
    [reading] = chatty.readings
    assert len(reading.told) == MOST_TOLD
    late = folded(*read((0.5, 0.5), (60.5, 60.4)), state=chatty, rules=LASTING)  # older than what is kept
    assert interest(late) == pytest.approx(gain_of(99))


def test_of_many_items_those_told_of_last_are_kept() -> None:
    state = folded(*(one for n in range(40) for one in read((float(n), 9.0), item=f"tent-{n}")))
    assert [reading.item_id for reading in state.readings] == [f"tent-{n}" for n in range(40 - MOST_READ, 40)]


def test_nothing_is_kept_of_what_moves_no_interest() -> None:
    rules = FoldRules(sensitive=frozenset({"tent"}))
    assert folded(*read((9, 9)), *read((9, 9), item="unknown-1"), rules=rules).readings == ()

    def of_ads(item_id: str) -> Facets | None:
        known = facets(item_id)
        return None if known is None else known._replace(kind="ad")

    state, _ = fold(None, read((9, 9))[0], of_ads, epoch="e")
    assert state is not None
    assert (state.readings, state.history, state.categories) == ((), (), {})


def test_readings_go_with_the_interests_when_consent_is_withdrawn() -> None:
    denied = event("search", at=NOW + 50, search_term="x", consent=Consent(personalization_storage="denied"))
    granted = event("search", at=NOW + 60, search_term="x", consent=Consent(personalization_storage="granted"))
    state = folded(*read((43, 43)), denied)
    assert (state.readings, state.categories) == ((), {})
    again = folded(granted, *read((70, 5)), state=state, rules=LASTING)
    assert interest(again) == pytest.approx(gain_of(5))
    assert len(again.readings) == 1


def test_a_state_of_before_has_no_readings_and_one_of_now_comes_back_whole() -> None:
    state = folded(*read((5, 5), (20, 20), session_id="s"), *read((30, 9)))
    assert decode_state(encode_state(state)) == state
    assert b"readings" not in encode_state(folded(event("view_item", "tent-1")))
