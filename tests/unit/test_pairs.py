"""Pairs for tuning the encoder: what follows what, each once, and some of them never learned from."""

from __future__ import annotations

from rec.events import EventItem
from rec.examples import Example, example_of
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


# ---------------------------------------------------------------- queries
def chosen(pairs: Pairs, query: str, *items: str) -> None:
    """Somebody who has been here before chooses these for a query."""
    before, _ = fold(None, event("view_item", "i0", at=NOW), lambda _: None, epoch="e")
    for n, item_id in enumerate(items):
        pairs.see(example_of(event("select_item", item_id, at=NOW + 60 * n, search_term=query), before))


def test_what_was_chosen_for_a_query_is_a_pair_whose_first_text_is_the_query_as_the_encoder_reads_it() -> None:
    pairs = Pairs()
    chosen(pairs, "  Two-man TENT ", "i1", "i2")
    assert {("two-man tent", "text 1"), ("two-man tent", "text 2"), ("text 0", "text 1")} <= texts_of(pairs)
    said = pairs.lessons(TEXTS, 1_000)
    assert [said.texts[place] for place in said.queries] == ["two-man tent"]
    kinds = said.apart(said.train)
    assert {said.texts[said.train[at][0]] for at in kinds[0]} <= {"text 0"}


def test_of_a_query_all_pairs_are_held_out_or_none() -> None:
    pairs = Pairs()
    for n in range(60):
        chosen(pairs, f"query {n}", "i1", "i2", "i3")
    said = pairs.lessons(TEXTS, 1_000)
    held = {said.texts[said.held[at][0]] for at in said.apart(said.held)[1]}
    learned = {said.texts[said.train[at][0]] for at in said.apart(said.train)[1]}
    assert held
    assert learned
    assert not held & learned


def test_queries_and_items_do_not_take_room_from_each_other() -> None:
    pairs = Pairs(capacity=2, queries=2)
    chosen(pairs, "tent", "i1", "i2", "i3")
    walk(pairs, "i4", "i5", "i6", "i7")
    assert {pair for pair in texts_of(pairs) if pair[0] == "tent"} == {("tent", "text 2"), ("tent", "text 3")}
    assert len(pairs) == 4


def test_a_query_that_is_the_text_of_an_item_is_another_text() -> None:
    pairs = Pairs()
    chosen(pairs, "text 0", "i1")
    said = pairs.lessons(TEXTS, 1_000)
    assert len(said.train) + len(said.held) == 2
    assert said.texts.count("text 0") == 2


def test_a_long_query_and_one_of_whom_nothing_is_known_are_learned_from_by_nobody() -> None:
    before, _ = fold(None, event("view_item", "i0", at=NOW), lambda _: None, epoch="e")
    choice = event("select_item", "i1", at=NOW + 60, search_term="x" * 81)
    assert example_of(choice, before).event.search_term is None
    short = event("select_item", "i1", at=NOW + 60, search_term="tent")
    assert example_of(short, None).event.search_term is None
    assert example_of(short, before).event.search_term == "tent"


def test_who_is_forgotten_takes_the_queries_along() -> None:
    pairs = Pairs()
    chosen(pairs, "tent", "i1")
    pairs.clear()
    assert len(pairs) == 0
