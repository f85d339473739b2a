"""What was shown and left alone: of the newest list, not acted on since, and in the example that the trainer reads."""

from __future__ import annotations

from rec.candidates import TASTE_FROM
from rec.events import Event
from rec.examples import Example, decode_lesson, encode_lesson, example_of
from rec.impressions import MAX_LEFT, ONE_LIST_S, left_alone
from rec.state import UserState, fold
from tests.unit.shop import NOW, event


def state(*events: Event) -> UserState:
    folded: UserState | None = None
    for each in events:
        folded, _ = fold(folded, each, lambda _: None, epoch="e")
    assert folded is not None
    return folded


def shown(*ids: str, at: float = NOW) -> Event:
    return event("view_item_list", *ids, at=at)


CHOICE = event("view_item", "a", at=NOW + 10)


def test_what_was_seen_beside_the_choice_was_left_alone() -> None:
    assert set(left_alone(state(shown("a", "b", "c")), CHOICE)) == {"b", "c"}


def test_an_older_list_says_nothing_of_this_choice_and_parts_of_one_belong_together() -> None:
    before = state(shown("old", at=NOW - 2 * ONE_LIST_S), shown("b", at=NOW - 20), shown("c"))
    assert set(left_alone(before, CHOICE)) == {"b", "c"}


def test_what_was_acted_on_after_it_was_shown_was_not_left_alone_and_before_that_it_was() -> None:
    early, late = event("view_item", "b", at=NOW - 9), event("view_item", "c", at=NOW + 5)
    assert set(left_alone(state(early, shown("b", "c", "d"), late), CHOICE)) == {"b", "d"}


def test_what_is_shown_later_than_the_event_says_nothing_of_it() -> None:
    assert left_alone(state(shown("b", at=NOW + 20)), CHOICE) == {}


def test_without_impressions_there_is_nothing() -> None:
    assert left_alone(state(event("view_item", "b")), CHOICE) == {}


def test_the_example_carries_as_many_actions_as_the_network_reads_and_those_that_the_gate_looks_back_to() -> None:
    before = state(*(event("view_item", f"i{n % 60}", at=NOW - 900 + n) for n in range(220)))
    found = {steps: example_of(CHOICE, before, steps).state for steps in (10, 50, 120, 200)}
    carried = {steps: len(each.history) for steps, each in found.items() if each is not None}
    assert carried == {10: TASTE_FROM, 50: 50, 120: 120, 200: 200}
    assert found[200] is not None
    assert found[200].history == before.history[-200:]


def test_the_example_carries_it_and_no_more_of_what_was_shown() -> None:
    ids = [f"i{n}" for n in range(40)]
    example = decode_lesson(encode_lesson(example_of(CHOICE, state(shown("old", at=NOW - 900), shown(*ids)))))
    assert isinstance(example, Example)
    assert example.state is not None
    assert len(example.state.shown) == MAX_LEFT
    assert left_alone(example.state, CHOICE) == example.state.shown
