"""Pairs for tuning the encoder: what follows what, each once, and some of them never learned from."""

from __future__ import annotations

from rec.events import EventItem
from rec.examples import Example
from rec.pairs import Pairs, is_held
from rec.state import UserState, fold
from tests.unit.shop import NOW, event

TEXTS = {f"i{n}": f"text {n}" for n in range(60)}


def walk(pairs: Pairs, *items: str, action: str = "view_item") -> None:
    state: UserState | None = None
    for n, item_id in enumerate(items):
        each = event(action, item_id, at=NOW + 60 * n)
        pairs.see(Example(each, state))
        state, _ = fold(state, each, lambda _: None, epoch="e")


def texts_of(pairs: Pairs) -> set[tuple[str, str]]:
    said = pairs.lessons(TEXTS, 1_000)
    return {(said.texts[a], said.texts[b]) for a, b in [*said.train, *said.held]}


def test_a_pair_is_what_was_acted_on_last_and_what_is_acted_on_now() -> None:
    pairs = Pairs()
    walk(pairs, "i1", "i2", "i3")
    assert texts_of(pairs) == {("text 1", "text 2"), ("text 2", "text 3")}


def test_repetition_and_the_same_text_teach_nothing_new() -> None:
    pairs = Pairs()
    walk(pairs, "i1", "i2", "i1", "i2", "i2")
    assert texts_of(pairs) == {("text 1", "text 2"), ("text 2", "text 1")}
    same = Pairs()
    walk(same, "i1", "i2")
    assert same.lessons({"i1": "one", "i2": "one"}, 10).train == []


def test_what_somebody_turned_away_from_and_what_nobody_describes_is_no_pair() -> None:
    pairs = Pairs()
    walk(pairs, "i1", "i2", action="not_interested")
    walk(pairs, "i1", "unknown", "i2")
    assert texts_of(pairs) == set()


def test_the_pair_that_was_longest_unseen_makes_room() -> None:
    pairs = Pairs(capacity=2)
    walk(pairs, "i1", "i2", "i3", "i4")
    assert texts_of(pairs) == {("text 2", "text 3"), ("text 3", "text 4")}


def test_a_held_out_pair_is_never_learned_from_in_either_direction() -> None:
    pairs = Pairs()
    for n in range(50):
        walk(pairs, f"i{n}", f"i{n + 1}", f"i{n}")
    said = pairs.lessons(TEXTS, 1_000)
    assert said.held
    learned = {(said.texts[a], said.texts[b]) for a, b in said.train}
    held = {(said.texts[a], said.texts[b]) for a, b in said.held}
    assert not held & (learned | {(b, a) for a, b in learned})
    assert all(is_held(a, b) for a, b in held)


def test_at_most_so_many_are_held_out_the_newest() -> None:
    pairs = Pairs()
    for n in range(50):
        walk(pairs, f"i{n}", f"i{n + 1}")
    everything, few = pairs.lessons(TEXTS, 1_000), pairs.lessons(TEXTS, 2)
    assert len(few.held) == 2
    assert len(few.train) == len(everything.train)


def test_an_order_of_many_items_is_a_few_pairs() -> None:
    pairs = Pairs()
    state, _ = fold(None, event("view_item", "i0", at=NOW), lambda _: None, epoch="e")
    order = event("purchase", *(f"i{n}" for n in range(1, 30)), at=NOW + 60)
    assert isinstance(order.items[0], EventItem)
    pairs.see(Example(order, state))
    assert len(pairs) == 8
