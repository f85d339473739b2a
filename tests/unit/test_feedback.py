"""The join of lists with what became of them: what is joined, when it is told, and that order does not matter."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.catalog import Item
from rec.events import Attribution, Event, EventItem, instant
from rec.feedback import (
    GRID_S,
    MAX_ITEMS,
    SETTLE_S,
    UNREAD_S,
    Close,
    FeedbackExample,
    Handed,
    JoinRules,
    Window,
    decode_example,
    decode_told,
    decode_window,
    encode_example,
    encode_told,
    encode_window,
    fold,
)
from rec.served import Lists, Making, Packed, Served, ServedItem, pack, records, served_of, unpack
from rec.slates import Cause, Reason, Slate, SlateItem
from rec.state import Touch, UserState
from rec.topics import partition_of
from tests.joining import Joined, differences, newest, offline_join

NOW = 1_700_000_000.0
RULES = JoinRules(window_s=60.0, late_s=600.0)
LATER = NOW + 10_000_000


def made(slate_id: str = "s1", n: int = 4, at: float = NOW) -> Served:
    items = tuple(ServedItem(f"i{k}", 1 - k / 10, "rules", 0.5 if k else None, "camping") for k in range(n))
    return Served(slate_id, "u1", "home", at, "default", "gate-0", items)


def served(slate_id: str = "s1", n: int = 4, at: float = NOW) -> Packed:
    return pack(made(slate_id, n, at))


def sign(name: str, *ids: str, at: float, slate: str = "s1", number: int = 0, value: float | None = None) -> Event:
    return Event(
        value=value,
        event=name,
        event_id=f"{name}-{ids}-{at}-{number}",
        user_id="u1",
        items=tuple(EventItem(item_id) for item_id in ids),
        attribution=Attribution(slate),
        event_ts=instant(at),
        received_ts=instant(at),
    )


class Join:
    """One list's window, told things at a time of its own."""

    def __init__(self, rules: JoinRules = RULES) -> None:
        self.rules = rules
        self.window: Window | None = None
        self.examples: list[FeedbackExample] = []

    def tell(self, what: Packed | Event | Handed | Close, now: float) -> list[FeedbackExample]:
        self.window, examples = fold(self.window, what, user_id="u1", now=now, rules=self.rules)
        self.examples += examples
        return examples

    def close(self, now: float) -> list[FeedbackExample]:
        return self.tell(Close(("u1",), now), now)


@pytest.fixture
def seen() -> Join:
    """A list of which three places were seen a second after it was made."""
    join = Join()
    join.tell(served(), NOW)
    join.tell(sign("view_item_list", "i0", "i1", "i2", at=NOW + 1), NOW + 1)
    return join


# ---------------------------------------------------------------- what is joined
def test_a_list_that_was_seen_and_not_clicked_gives_an_example_when_its_window_is_over(seen: Join) -> None:
    assert seen.close(NOW + 60) == []
    [example] = seen.close(NOW + 61)
    assert [place.seen for place in example.places] == [True, True, True, False]
    assert (example.reward, example.revision, example.at, example.served_at) == (0.0, 0, NOW + 1, NOW)
    assert [place.propensity for place in example.places] == [None, 0.5, 0.5, 0.5]


def test_what_happened_to_an_item_is_its_reward_each_thing_once(seen: Join) -> None:
    for name, at in (("select_item", 2), ("view_item", 3), ("view_item", 4), ("add_to_cart", 5), ("purchase", 6)):
        seen.tell(sign(name, "i1", at=NOW + at), NOW + at)
    seen.tell(sign("not_interested", "i2", at=NOW + 7), NOW + 7)
    [example] = seen.close(NOW + 61)
    assert [place.reward for place in example.places] == [0.0, 7.0, -4.0, 0.0]
    assert example.places[1].actions == {
        "add_to_cart": NOW + 5,
        "purchase": NOW + 6,
        "select_item": NOW + 2,
        "view_item": NOW + 3,
    }


def test_a_list_that_nobody_looked_at_gives_no_example_and_is_forgotten() -> None:
    join = Join()
    join.tell(served(), NOW)
    assert join.close(NOW + 61) == []
    assert join.window is not None
    assert join.close(NOW + 660 + GRID_S) == []
    assert join.window is None


def test_a_click_says_that_the_item_was_seen_though_no_impression_came() -> None:
    join = Join()
    join.tell(served(), NOW)
    join.tell(sign("select_item", "i3", at=NOW + 1), NOW + 1)
    [example] = join.close(NOW + 61)
    assert [place.seen for place in example.places] == [False, False, False, True]


def test_what_happens_after_the_window_is_not_the_lists(seen: Join) -> None:
    seen.tell(sign("purchase", "i1", at=NOW + 61.5), NOW + 61.5)
    seen.tell(sign("view_item_list", "i3", at=NOW + 200), NOW + 200)
    [example] = seen.close(NOW + 300)
    assert example.reward == 0.0
    assert not example.places[3].seen


def test_items_that_are_not_on_the_list_are_left_out(seen: Join) -> None:
    seen.tell(sign("purchase", "other", at=NOW + 2), NOW + 2)
    [example] = seen.close(NOW + 61)
    assert example.reward == 0.0
    assert example.signs == 3


# ---------------------------------------------------------------- late, early, twice
def test_a_positive_that_comes_late_gives_the_example_anew_with_a_higher_revision(seen: Join) -> None:
    [first] = seen.close(NOW + 61)
    assert seen.window is not None
    seen.tell(sign("purchase", "i1", at=NOW + 30), NOW + 200)
    assert seen.close(NOW + 200 + SETTLE_S / 2) == []  # others may come with it
    [second] = seen.close(NOW + 200 + SETTLE_S)
    assert (first.revision, second.revision) == (0, 1)
    assert (first.reward, second.reward) == (0.0, 5.0)


def test_what_is_told_again_changes_nothing_and_is_not_told_again(seen: Join) -> None:
    seen.close(NOW + 61)
    before = seen.window
    seen.tell(sign("view_item_list", "i1", at=NOW + 1), NOW + 100)
    seen.tell(served(), NOW + 100)
    assert seen.window is before
    assert seen.close(NOW + 110) == []


def test_a_late_sign_that_is_outside_of_the_window_makes_no_revision(seen: Join) -> None:
    seen.close(NOW + 61)
    seen.tell(sign("purchase", "i1", at=NOW + 90), NOW + 90)
    assert seen.close(NOW + 100) == []
    assert len(seen.examples) == 1


def test_signs_that_overtake_their_list_wait_for_it() -> None:
    join = Join()
    join.tell(sign("select_item", "i1", at=NOW + 1), NOW + 1)
    assert join.close(NOW + UNREAD_S) == []
    join.tell(served(), NOW + UNREAD_S)
    [example] = join.close(NOW + UNREAD_S + SETTLE_S)
    assert example.reward == 1.0


def test_signs_of_a_list_that_nobody_knows_are_let_go() -> None:
    join = Join()
    join.tell(sign("select_item", "i1", at=NOW - 5_000), NOW + 1)
    assert join.close(NOW + UNREAD_S) == []
    assert join.window is not None
    join.close(NOW + 1 + UNREAD_S)
    assert join.window is None


def test_signs_of_one_list_are_bounded() -> None:
    join = Join()
    for number in range(3):
        join.tell(sign("view_item_list", *(f"x{number}-{k}" for k in range(150)), at=NOW), NOW)
    assert join.window is not None
    assert join.window.signs == MAX_ITEMS


def test_a_visitors_window_goes_on_as_the_users() -> None:
    visitors, users = Join(), Join()
    visitors.tell(served(), NOW)
    visitors.tell(sign("view_item_list", "i0", "i1", at=NOW + 1), NOW + 1)
    users.tell(sign("select_item", "i1", at=NOW + 2), NOW + 2)
    assert visitors.window is not None
    users.tell(Handed("u1", "s1", visitors.window), NOW + 3)
    before = users.window
    users.tell(Handed("u1", "s1", visitors.window), NOW + 4)
    assert users.window is before
    [example] = users.close(NOW + 61)
    assert [place.seen for place in example.places] == [True, True, False, False]
    assert example.reward == 1.0


# ---------------------------------------------------------------- against the plain join
IDS = [f"i{n}" for n in range(5)]  # the last one is not on the list
signs = st.builds(
    lambda name, ids, at: sign(name, *ids, at=NOW + at),
    st.sampled_from(
        ["view_item_list", "select_item", "view_item", "add_to_cart", "purchase", "not_interested", "dwell"]
    ),
    st.lists(st.sampled_from(IDS), min_size=1, max_size=3, unique=True),
    st.integers(-5, 130),
)


def played(told: Sequence[Packed | Event], gaps: Sequence[int]) -> Joined:
    """Told in this order, with time passing and windows closing in between, as they would in a worker."""
    join, now = Join(JoinRules(window_s=60.0, late_s=100_000.0)), NOW
    for what, gap in zip(told, gaps, strict=True):
        now += gap
        join.close(now)
        join.tell(what, now)
    join.close(now + 1_000)
    return newest(join.examples)


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(signs, max_size=12),
    again=st.lists(st.integers(0, 11), max_size=4),
    served_twice=st.booleans(),
    seed=st.integers(0, 2**32),
    gaps=st.lists(st.sampled_from([0, 0, 1, 5, 40, 70]), min_size=20, max_size=20),
)
def test_whatever_the_order_and_however_often_the_examples_are_those_of_a_plain_join(
    events: list[Event], again: list[int], served_twice: bool, seed: int, gaps: list[int]
) -> None:
    told: list[Packed | Event] = [served(), *([served()] if served_twice else []), *events]
    told += [events[at] for at in again if at < len(events)]
    random.Random(seed).shuffle(told)
    first = next(at for at, what in enumerate(told) if isinstance(what, Packed))
    gaps = [min(gap, 40) if at <= first else gap for at, gap in enumerate(gaps)]  # unknown lists are let go in time
    expected = offline_join([made()], events, 60.0)
    assert differences(expected, played(told, gaps[: len(told)])) == []


# ---------------------------------------------------------------- forms
def test_windows_records_and_examples_survive_their_bytes(seen: Join) -> None:
    assert seen.window is not None
    assert decode_window(encode_window(seen.window)) == seen.window
    [example] = seen.close(NOW + 61)
    assert decode_example(encode_example(example)) == example
    for told in (Lists((served(),)), Close(("u1", "u2"), NOW), Handed("u1", "s1", seen.window)):
        assert decode_told(encode_told(told)) == told


def test_a_served_list_has_what_its_example_needs_and_of_the_state_what_an_example_keeps() -> None:
    places = (
        SlateItem("i1", 0.9, "rules", Reason("popular"), propensity=0.25),
        SlateItem("i2", 0.8, "knn", Reason("new")),
    )
    slate = Slate(
        slate_id="s1", user_id="u1", placement="home", epoch="e", version=3, cause=Cause("event"),
        model_version="gate-0", strategy="default", events_through=None, learned_through=None,
        created_at=instant(NOW), items=places,
    )  # fmt: skip
    history = tuple(Touch(NOW - 100 + n, f"h{n}", "view_item") for n in range(80))
    state = UserState(epoch="e", version=3, history=history, ring=b"x" * 8, searches=((NOW, "a secret"),))
    kept = served_of(Making(slate, state), {"i1": Item(item_id="i1", title="Tent", category="camping")}.get)
    assert [item.propensity for item in kept.items] == [0.25, 1.0]
    assert [item.category for item in kept.items] == ["camping", ""]
    assert kept.state is not None
    assert kept.state.history == history[-50:]
    assert (kept.state.ring, kept.state.searches) == (b"", ())
    assert (kept.at, kept.placement, kept.strategy, kept.model_version) == (NOW, "home", "default", "gate-0")
    assert unpack(pack(kept).served) == kept


def test_lists_of_one_partition_share_a_record_in_their_order_until_it_is_large() -> None:
    packed = [Packed(f"u{n % 5}", f"s{n}", NOW, b"x" * 10) for n in range(30)]
    told = records(packed, 3)
    assert len(told) == len({partition_of(f"u{n}".encode(), 3) for n in range(5)})
    for key, lists in told:
        assert {partition_of(one.user_id.encode(), 3) for one in lists.lists} == {partition_of(key.encode(), 3)}
        assert [int(one.slate_id[1:]) for one in lists.lists] == sorted(int(one.slate_id[1:]) for one in lists.lists)
    assert sorted(one.slate_id for _, lists in told for one in lists.lists) == sorted(one.slate_id for one in packed)
    assert [len(lists.lists) for _, lists in records([packed[0]] * 7, 3, most_bytes=30)] == [3, 3, 1]
    assert [len(lists.lists) for _, lists in records([packed[0]] * 2, 3, most_bytes=1)] == [1, 1]
