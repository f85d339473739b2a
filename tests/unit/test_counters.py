"""The shared counters: what they learn, what they forget, and that a restart changes nothing."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.counters import SHIFT, SUCCESSORS, TRAIL, Counters
from rec.errors import ModelError
from rec.events import CONSENT, ERASE, Consent, Event
from rec.recent import Recent
from rec.votes import Votes
from tests.unit.shop import NOW, event

DENIED, GRANTED = Consent(personalization_storage="denied"), Consent(personalization_storage="granted")


def views(user: str, *ids: str, at: float = NOW) -> list[Event]:
    return [event("view_item", item_id, at=at + n, user_id=user) for n, item_id in enumerate(ids)]


def learned(events: Sequence[Event], **more: Any) -> Counters:
    counters = Counters(**more)
    for each in events:
        counters.learn(each)
    return counters


def rules(counters: Counters, item_id: str) -> dict[str, float]:
    linked = counters.tables.rules_from([item_id])
    return {counters.tables.ids[code]: amount for code, amount in zip(linked.codes, linked.amounts, strict=True)}


def neighbours(counters: Counters, item_id: str) -> dict[str, float]:
    linked = counters.tables.neighbours_of([item_id])
    return {counters.tables.ids[code]: amount for code, amount in zip(linked.codes, linked.amounts, strict=True)}


def popularity(counters: Counters, item_id: str) -> float:
    return float(counters.tables.popularity[counters.tables.code_of[item_id]])


def answers(counters: Counters) -> dict[str, Any]:
    """Everything a reader can ask, by item_id, so that the codes may differ."""
    return {
        item_id: (
            rules(counters, item_id),
            neighbours(counters, item_id),
            popularity(counters, item_id) / max(counters.tables.popularity.max(), 1e-300),
        )
        for item_id in counters.tables.ids
    }


def assert_same(a: Counters, b: Counters) -> None:
    left, right = answers(a), answers(b)
    assert left.keys() == right.keys()
    for item_id, (some_rules, near, popular) in left.items():
        assert right[item_id][0] == pytest.approx(some_rules)
        assert right[item_id][1] == pytest.approx(near)
        assert right[item_id][2] == pytest.approx(popular)


# ---------------------------------------------------------------- what is learned
def test_what_follows_an_item_counts_by_its_distance() -> None:
    counters = learned(views("u", "a", "b", "c"))
    assert rules(counters, "a") == pytest.approx({"b": 1, "c": 1 / 2})
    assert rules(counters, "b") == pytest.approx({"c": 1})
    assert rules(counters, "c") == {}


def test_a_rule_reaches_ten_steps() -> None:
    counters = learned(views("u", *(f"i{n}" for n in range(12))))
    assert len(rules(counters, "i0")) == 10
    assert rules(counters, "i0")["i10"] == pytest.approx(0.1)


def test_a_click_and_the_view_it_leads_to_are_one_step() -> None:
    twice = [event("select_item", "b", at=NOW + 1), event("view_item", "b", at=NOW + 2)]
    counters = learned([event("view_item", "a"), *twice, event("view_item", "c", at=NOW + 3)])
    assert rules(counters, "a") == pytest.approx({"b": 1, "c": 1 / 2})


def test_items_of_one_order_keep_their_order_though_they_share_a_second() -> None:
    counters = learned([event("purchase", "z", "m", "a")])
    assert rules(counters, "z") == pytest.approx({"m": 1, "a": 1 / 2})
    assert rules(counters, "a") == {}


def test_items_of_the_same_trails_are_neighbours_both_ways_and_the_more_often_the_nearer() -> None:
    once = learned(views("u1", "a", "b"))
    often = learned([each for n in range(30) for each in views(f"u{n}", "a", "b")])
    assert neighbours(once, "a")["b"] == neighbours(once, "b")["a"]
    assert 0 < neighbours(once, "a")["b"] < neighbours(often, "a")["b"] <= 1


def test_an_item_that_everybody_has_is_a_weaker_neighbour() -> None:
    crowd = [each for n in range(40) for each in views(f"c{n}", "hit", f"other{n}")]
    counters = learned([*crowd, *(each for n in range(10) for each in views(f"u{n}", "a", "hit", "b"))])
    near = neighbours(counters, "a")
    assert near["b"] > near["hit"]


def test_popularity_decays_by_half_in_a_half_life() -> None:
    counters = learned([event("view_item", "old"), event("view_item", "new", at=NOW + 100)], half_life_s=100)
    assert popularity(counters, "new") == pytest.approx(2 * popularity(counters, "old"))


def test_however_often_one_shopper_comes_back_an_item_is_as_popular_as_what_they_did_most() -> None:
    often = [event("view_item", "a", at=NOW + n, user_id="u") for n in range(600)]
    two = [event("view_item", "b", at=NOW + 600, user_id=name) for name in ("v", "w")]
    counters = learned([*often, *two])
    assert popularity(counters, "b") == pytest.approx(2 * popularity(counters, "a"), rel=1e-3)
    counters.learn(event("purchase", "a", at=NOW + 600, user_id="u"))
    assert popularity(counters, "a") == pytest.approx(2 * popularity(counters, "b"), rel=1e-3)
    trend = counters.tables.trend
    assert trend[0] == pytest.approx(2 * trend[1], rel=1e-3)


def test_neither_a_long_round_nor_a_new_choice_gives_a_shopper_more_votes() -> None:
    ids = [f"i{n}" for n in range(3 * TRAIL)]
    rounds = [event("view_item", item, at=NOW + n, user_id="u") for n, item in enumerate(ids * 10)]
    choices = [event("search", at=NOW + 1_000, user_id="u", consent=choice) for choice in (DENIED, GRANTED)]
    counters = learned([*rounds, *choices, event("view_item", "i0", at=NOW + 1_001, user_id="u")])
    counters.learn(event("view_item", "other", at=NOW + 1_001, user_id="v"))
    assert popularity(counters, "i0") == pytest.approx(popularity(counters, "other"), rel=1e-2)


def test_a_vote_wears_off_comes_in_any_order_and_outlasts_a_restart() -> None:
    visits = [event("view_item", "a", at=NOW + n * 100, id=f"e{n}", user_id="u") for n in range(3)]
    new = event("view_item", "b", at=NOW + 200, user_id="v")
    in_order = learned([*visits, new], half_life_s=100)
    assert popularity(in_order, "a") == pytest.approx(popularity(in_order, "b"))
    shuffled = learned([visits[2], visits[0], new, visits[1]], half_life_s=100)
    assert popularity(shuffled, "a") == pytest.approx(popularity(shuffled, "b"))
    again = Counters.from_bytes(in_order.to_bytes(), 100)
    again.learn(event("view_item", "a", at=NOW + 200, id="again", user_id="u"))
    assert popularity(again, "a") == pytest.approx(popularity(again, "b"))
    again.forget("u")
    again.learn(event("view_item", "a", at=NOW + 200, id="anew", user_id="u"))
    assert popularity(again, "a") == pytest.approx(2 * popularity(again, "b"))


def test_votes_that_are_remembered_are_bounded() -> None:
    votes = Votes(100)
    for n in range(1_000):
        votes.cast(f"u{n}", "a", NOW + n, 1.0, 100.0)
    assert sum(map(len, votes.to_parts())) <= 100
    assert votes.cast("u999", "a", NOW + 999, 1.0, 100.0).popular == 0


def test_popularity_never_overflows_and_keeps_its_proportions() -> None:
    times = [0, 1, SHIFT - 1, SHIFT + 1, 5 * SHIFT, 5 * SHIFT + 1, 3_000]
    counters = learned([event("view_item", f"i{n}", at=NOW + 100 * n, user_id=f"u{n}") for n in times], half_life_s=100)
    assert np.isfinite(counters.tables.popularity).all()
    assert popularity(counters, "i321") == pytest.approx(2 * popularity(counters, "i320"))
    assert popularity(counters, "i3000") > 0


def test_buying_says_more_than_looking() -> None:
    counters = learned([event("view_item", "a", user_id="u1"), event("purchase", "b", user_id="u2")])
    assert popularity(counters, "b") > popularity(counters, "a")


@pytest.mark.parametrize("name", ["view_item_list", "remove_from_cart", "not_interested", "search"])
def test_what_is_no_interest_teaches_nothing_about_items(name: str) -> None:
    counters = learned([event("view_item", "a"), event(name, "b", at=NOW + 1)])
    assert "b" not in counters.tables.code_of
    assert counters.counted == 2
    assert counters.trail("u1") == [(NOW, "a")]


def test_a_repeated_event_changes_nothing() -> None:
    events = views("u", "a", "b", "c")
    counters = learned(events)
    before = counters.to_bytes()
    assert [counters.learn(each) for each in events] == [False] * 3
    assert counters.duplicates == 3
    counters.duplicates = 0
    assert counters.to_bytes() == before


def test_a_late_event_takes_its_place_in_the_trail() -> None:
    counters = learned([event("view_item", "a"), event("view_item", "c", at=NOW + 9)])
    counters.learn(event("view_item", "b", at=NOW + 5))
    assert [item_id for _, item_id in counters.trail("u1")] == ["a", "b", "c"]
    assert rules(counters, "a")["b"] == 1
    assert "b" not in rules(counters, "c")
    assert counters.learned_through == NOW + 9


# ---------------------------------------------------------------- whose it is
def test_a_visitors_trail_becomes_the_users_when_both_are_named() -> None:
    counters = learned([event("view_item", "a", user_id=None, visitor_id="v")])
    counters.learn(event("view_item", "b", at=NOW + 1, user_id="u", visitor_id="v"))
    assert [item_id for _, item_id in counters.trail("u")] == ["a", "b"]
    assert counters.trail("v") == []
    assert rules(counters, "a") == {"b": 1}


def test_without_consent_nothing_is_learned_until_it_is_given() -> None:
    counters = learned(views("u1", "a"))
    assert not counters.learn(event("view_item", "b", at=NOW + 1, consent=DENIED))
    assert not counters.learn(event("view_item", "c", at=NOW + 2)), "the choice holds for events that do not repeat it"
    assert counters.trail("u1") == []
    assert set(counters.tables.ids) == {"a"}
    assert counters.learn(event("view_item", "d", at=NOW + 3, consent=GRANTED))
    assert [item_id for _, item_id in counters.trail("u1")] == ["d"]


def test_the_newest_choice_counts_in_whatever_order_choices_arrive() -> None:
    counters = learned([event("view_item", "a", at=NOW + 5, consent=DENIED)])
    counters.learn(event("view_item", "b", at=NOW, consent=GRANTED))
    counters.learn(event("view_item", "c", at=NOW + 6))
    assert counters.tables.ids == []


def test_where_consent_must_be_given_first_only_those_who_gave_it_teach() -> None:
    counters = learned(
        [*views("u1", "a"), event("view_item", "b", user_id="u2", consent=GRANTED)], consent_default=False
    )
    assert counters.tables.ids == ["b"]


def test_denying_drops_the_trail_of_the_visitor_too() -> None:
    counters = learned([event("view_item", "a", user_id=None, visitor_id="v")])
    counters.learn(event("view_item", "b", at=NOW + 1, user_id="u", visitor_id="v", consent=DENIED))
    assert (counters.trail("u"), counters.trail("v")) == ([], [])


def test_what_the_edge_withheld_is_not_counted_and_is_no_choice() -> None:
    counters = learned([event("view_item", "a"), event("view_item", "b", at=NOW + 1, withheld=True)])
    counters.learn(event("view_item", "c", at=NOW + 2))
    assert counters.tables.ids == ["a", "c"]


def test_the_users_own_choice_decides_whatever_device_they_are_on() -> None:
    counters = learned([event("view_item", "a", user_id=None, visitor_id="v", consent=DENIED)])
    counters.learn(event("view_item", "b", at=NOW + 1, user_id="u", visitor_id="v", consent=GRANTED))
    counters.learn(event("view_item", "c", at=NOW + 2, user_id="u", visitor_id="v"))
    counters.learn(event("view_item", "d", at=NOW + 3, user_id=None, visitor_id="v"))
    assert counters.tables.ids == ["b", "c"]


def test_a_choice_that_a_forwarded_duplicate_carries_is_heard() -> None:
    own = event("view_item", "a", id="e1", user_id=None, visitor_id="v", consent=GRANTED)
    handed_on = event("view_item", "a", id="e1", user_id="u", visitor_id="v", consent=GRANTED)
    counters = learned([own, handed_on], consent_default=False)
    assert counters.duplicates == 1
    assert counters.learn(event("view_item", "b", at=NOW + 1, user_id="u"))


def test_what_was_refused_once_may_be_brought_by_another_record() -> None:
    own = event("view_item", "a", id="e1", user_id=None, visitor_id="v", withheld=True)
    counters = learned([own, event("search", user_id="u", at=NOW - 1, consent=GRANTED)])
    assert counters.learn(event("view_item", "a", id="e1", user_id="u", visitor_id="v", withheld=True))
    assert not counters.learn(event("view_item", "a", id="e1", user_id="u", visitor_id="v"))
    assert counters.tables.ids == ["a"]


def test_what_happened_between_a_denial_and_the_next_grant_is_not_counted_however_late_it_comes() -> None:
    choices = [event("search", at=NOW + 1, consent=DENIED), event("search", at=NOW + 5, consent=GRANTED)]
    counters = learned(choices)
    for at, item in ((NOW, "a"), (NOW + 3, "b"), (NOW + 6, "c")):
        counters.learn(event("view_item", item, at=at))
    assert counters.tables.ids == ["c"]


def test_a_choice_passed_on_to_a_visitor_counts_from_then_on() -> None:
    counters = learned([event("view_item", "a", user_id=None, visitor_id="v")])
    counters.learn(event(CONSENT, at=NOW + 1, user_id=None, visitor_id="v", consent=DENIED))
    counters.learn(event("view_item", "b", at=NOW + 2, user_id=None, visitor_id="v"))
    assert (counters.tables.ids, counters.trail("v"), counters.counted) == (["a"], [], 1)


def test_erasure_drops_all_that_is_kept_by_name() -> None:
    counters = learned([*views("u1", "a", "b"), event("search", at=NOW + 5, consent=GRANTED, search_term="x")])
    counters.learn(event(ERASE, at=NOW + 9))
    assert counters.trail("u1") == []
    assert b"u1" not in counters.to_bytes()
    assert not counters.forget("u1")
    assert rules(counters, "a") == {"b": 1}, "counts that name no one remain"


# ---------------------------------------------------------------- bounds
def test_trails_rules_and_neighbours_are_bounded() -> None:
    ids = [f"i{n}" for n in range(3 * SUCCESSORS)]
    counters = learned([each for n, i in enumerate(ids) for each in views(f"u{n}", "a", i)])
    assert SUCCESSORS <= len(rules(counters, "a")) <= 2 * SUCCESSORS
    assert SUCCESSORS <= len(neighbours(counters, "a")) <= 2 * SUCCESSORS
    assert len(learned(views("u", *ids)).trail("u")) == TRAIL


def test_pruning_keeps_the_strongest() -> None:
    strong = [each for n in range(5) for each in views(f"s{n}", "a", "best")]
    weak = [each for n in range(3 * SUCCESSORS) for each in views(f"w{n}", "a", f"i{n}")]
    assert rules(learned([*strong, *weak]), "a")["best"] == 5


def test_only_so_many_subjects_items_and_event_ids_are_kept() -> None:
    counters = Counters(max_subjects=10, max_events=20, max_items=50)
    for n in range(400):
        for each in views(f"u{n}", f"x{n}", "hit", at=NOW + n):
            counters.learn(each)
    assert len(counters.tables) <= 50
    assert sum(bool(counters.trail(f"u{n}")) for n in range(400)) <= 10
    assert "hit" in counters.tables.code_of, "what is popular survives"
    assert set(counters.trail("u399")) <= {(NOW + 399, "x399"), (NOW + 400, "hit")}
    assert counters.learn(views("u0", "x0")[0]), "an event_id this old is no longer known"


def test_dropping_items_keeps_what_is_known_of_the_others() -> None:
    pairs = [each for n in range(20) for each in views(f"p{n}", "a", "b", at=NOW + 10)]
    counters = learned(pairs, max_items=40)
    before = rules(counters, "a")["b"]
    for n in range(100):
        counters.learn(event("view_item", f"x{n}", user_id=f"x{n}", at=NOW))
    assert rules(counters, "a")["b"] == before
    assert len(counters.tables.rules.rows) == len(counters.tables.neighbours.rows) == len(counters.tables)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "get", "pop"]), st.integers(0, 20)), max_size=200))
def test_the_most_recently_used_are_kept(steps: list[tuple[str, int]]) -> None:
    recent: Recent[int, int] = Recent(8)
    used: list[int] = []
    gone: set[int] = set()  # taken out by hand; they have had their place among the last used
    for what, key in steps:
        if what == "put":
            recent.put(key, key)
        elif what == "pop":
            recent.pop(key)
            gone.add(key)
            continue
        elif recent.get(key) is None:
            continue
        used = [*(k for k in used if k != key), key]
        gone.discard(key)
        assert len(recent) <= 8
        assert all(k in recent for k in used[-3:] if k not in gone)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "get", "pop"]), st.integers(0, 12)), max_size=80), st.integers(0, 80))
def test_what_is_restored_forgets_the_same_as_what_was_never_interrupted(
    steps: list[tuple[str, int]], cut: int
) -> None:
    def go(recent: Recent[int, int], steps: list[tuple[str, int]]) -> None:
        for what, key in steps:
            getattr(recent, what)(*(key, key) if what == "put" else (key,))

    whole: Recent[int, int] = Recent(8)
    again: Recent[int, int] = Recent(8)
    go(whole, steps[:cut])
    again.restore(whole.generations)
    go(whole, steps[cut:])
    go(again, steps[cut:])
    assert [list(part) for part in again.generations] == [list(part) for part in whole.generations]


# ---------------------------------------------------------------- order, restarts, readers
Trails = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(Trails, st.randoms(use_true_random=False))
def test_learning_is_the_same_however_users_interleave(trails: list[list[str]], rng: random.Random) -> None:
    per_user = [views(f"u{n}", *trail) for n, trail in enumerate(trails)]
    queues = [list(events) for events in per_user]
    mixed = []
    while any(queues):
        mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
    assert_same(learned([each for events in per_user for each in events]), learned(mixed))


@settings(max_examples=40, deadline=None)
@given(Trails, st.integers(0, 40))
def test_a_restart_in_the_middle_changes_nothing(trails: list[list[str]], cut: int) -> None:
    events = [each for n, trail in enumerate(trails) for each in views(f"u{n}", *trail)]
    events.append(event("view_item", "z", user_id="u0", at=NOW + 50, consent=DENIED))
    first = learned(events[:cut])
    first.offsets[3] = cut
    again = Counters.from_bytes(first.to_bytes())
    assert again.offsets == {3: cut}
    assert (again.learned_through, again.counted) == (first.learned_through, first.counted)
    for each in events:  # the first part a second time: known, every one
        again.learn(each)
    assert_same(again, learned(events))
    assert again.trail("u1") == learned(events).trail("u1")
    assert again.trail("u0") == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 30)), max_size=60), st.integers(0, 60))
def test_a_restart_after_much_was_forgotten_changes_no_bit_of_what_is_counted_later(
    done: list[tuple[int, int, int]], cut: int
) -> None:
    limits = {"max_subjects": 6, "max_events": 12}
    events = [
        event("view_item", f"i{item}", at=NOW + n, id=f"e{number}", user_id=f"u{user}", visitor_id=f"v{user % 3}")
        for n, (user, item, number) in enumerate(done)
    ]
    whole = learned(events[:cut], **limits)
    again = Counters.from_bytes(whole.to_bytes(), **limits)
    for each in events[cut:]:
        assert whole.learn(each) == again.learn(each)
    assert again.to_bytes() == whole.to_bytes()


def test_votes_count_the_same_after_a_restart_past_their_limit() -> None:
    whole = Votes(8)
    for user in ("a", "b", "c", "d", "e", "f", "a"):  # b to d are the older ones now
        whole.cast(user, "tent", NOW, 1.0, 100.0)
    again = Votes(8)
    again.restore(whole.to_parts())
    for user in ("g", "b", "c", "e"):
        assert again.cast(user, "tent", NOW, 1.0, 100.0) == whole.cast(user, "tent", NOW, 1.0, 100.0)


def test_another_half_life_holds_from_the_restart_on() -> None:
    counters = learned([event("view_item", "a"), event("view_item", "b", at=NOW + 100)], half_life_s=100)
    again = Counters.from_bytes(counters.to_bytes(), 1_000)
    again.learn(event("view_item", "c", at=NOW + 1_100))
    assert popularity(again, "b") == pytest.approx(2 * popularity(again, "a"))
    assert popularity(again, "c") == pytest.approx(2 * popularity(again, "b"))


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"\x80", Counters().to_bytes()[:-3]])
def test_a_broken_snapshot_says_what_to_do(raw: bytes) -> None:
    with pytest.raises(ModelError, match="delete it"):
        Counters.from_bytes(raw)


def test_a_snapshot_of_another_format_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Counters().to_bytes()
    monkeypatch.setattr("rec.counters.FORMAT", 99)
    with pytest.raises(ModelError, match="reads 99"):
        Counters.from_bytes(raw)


def test_what_is_read_between_two_events_is_what_stands_in_the_tables() -> None:
    counters, rng = Counters(max_items=60), random.Random(5)
    for n in range(3_000):
        counters.learn(event("view_item", f"i{rng.randrange(90)}", at=NOW + n, user_id=f"u{rng.randrange(7)}"))
        tables, item_id = counters.tables, f"i{rng.randrange(90)}"
        if (code := tables.code_of.get(item_id)) is not None:
            for links in (tables.rules, tables.neighbours):
                row = links.row(code)
                assert dict(zip(row.codes.tolist(), row.amounts.tolist(), strict=True)) == links.rows[code]


def test_a_thread_may_read_while_another_learns() -> None:
    counters = Counters(half_life_s=50, max_items=400)
    wrong: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                tables = counters.tables
                ids = tables.ids[: len(tables)]
                for linked in (tables.rules_from(ids[-20:]), tables.neighbours_of(ids[-20:])):
                    assert (linked.codes >= 0).all()
                    assert np.isfinite(linked.amounts).all()
                assert len(tables.popularity) >= len(ids)
            except BaseException as error:  # noqa: BLE001 - handed to the test below
                wrong.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    rng = random.Random(1)
    for n in range(8_000):
        counters.learn(event("view_item", f"i{rng.randrange(600)}", at=NOW + n, user_id=f"u{rng.randrange(20)}"))
    done.set()
    reader.join()
    assert wrong == []


def test_what_a_visitor_did_goes_to_the_user_they_became_and_not_to_another_of_the_device() -> None:
    def seen(item_id: str, at: float, **who: str | None) -> Event:
        return event("view_item", item_id, at=NOW + at, **{"user_id": None, **who})

    counters = learned(
        [
            seen("tent-1", 0, visitor_id="v"),
            seen("tent-2", 1, user_id="a", visitor_id="v"),
            seen("tent-3", 2, visitor_id="v"),  # anonymous again: a's, until another record says so
            seen("boot-1", 3, user_id="b", visitor_id="v"),
        ]
    )
    assert [item_id for _, item_id in counters.trail("b")] == ["boot-1"]
    counters = Counters.from_bytes(counters.to_bytes())
    counters.learn(seen("boot-2", 4, user_id="b", visitor_id="a"))  # a user is nobody's visitor
    assert [item_id for _, item_id in counters.trail("b")] == ["boot-1", "boot-2"]
    counters.learn(seen("tent-4", 5, user_id="a", visitor_id="v"))
    assert [item_id for _, item_id in counters.trail("a")] == ["tent-1", "tent-2", "tent-3", "tent-4"]
