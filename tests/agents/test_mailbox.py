"""Whose list is made next: newest cause wins, a batch is counted in lists, and nobody waits behind somebody's many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.mailbox import Due, Mailbox, Waiting
from rec.requests import SlateRequest
from rec.slates import Cause


def waiting(user_id: str, event_id: str = "e1") -> Waiting:
    return Waiting(user_id, Cause("event", event_id), 1.0)


def request(user_id: str, number: int = 1) -> SlateRequest:
    return SlateRequest(user_id, f"r{number}", "web-1", 9e9)


def screens(count: int) -> list[str]:
    return [f"p{n}" for n in range(count)]


def names(dues: list[Due]) -> list[tuple[str, str]]:
    return [(due.entry.user_id, due.screen) for due in dues]


def test_a_user_with_many_screens_shares_a_batch_with_everybody_else() -> None:
    box = Mailbox()
    box.put(waiting("many"), screens(32))
    box.put(waiting("one"), ["home"])
    dues, _ = box.take(8)
    assert len(dues) == 8
    assert names(dues)[:3] == [("many", "p0"), ("one", "home"), ("many", "p1")]
    box.put(waiting("another"), ["home"])
    assert names(box.take(8)[0])[:2] == [("many", "p7"), ("another", "home")]


def test_the_requests_of_one_user_do_not_hold_up_those_of_others() -> None:
    box = Mailbox()
    for number in range(100):
        box.ask(request("many", number))
    box.ask(request("one"))
    box.put(waiting("two"), ["home"])
    dues, requests = box.take(4)
    assert names(dues) == [("two", "home")]
    assert [one.user_id for one in requests] == ["many", "one", "many"]


def test_a_newer_cause_is_for_all_screens_and_those_that_wait_come_first() -> None:
    box = Mailbox()
    box.put(waiting("u", "e1"), screens(4))
    assert names(box.take(3)[0]) == [("u", "p0"), ("u", "p1"), ("u", "p2")]
    box.put(waiting("u", "e2"), screens(4))
    dues, _ = box.take(10)
    assert [due.screen for due in dues] == ["p3", "p0", "p1", "p2"]
    assert {due.entry.cause.event_id for due in dues} == {"e2"}
    assert len(box) == 0


def test_screens_that_are_shown_no_longer_do_not_pile_up() -> None:
    box = Mailbox()
    for number in range(1_000):
        box.put(waiting("u"), ["home", f"pdp/i{number}"])
    assert names(box.take(10)[0]) == [("u", "home"), ("u", "pdp/i999")]


def test_what_could_not_be_done_comes_again_for_the_newest_cause() -> None:
    box = Mailbox()
    box.put(waiting("u", "e1"), ["home", "cart"])
    dues, _ = box.take(2)
    box.put(waiting("u", "e2"), ["home"])
    box.put_back(dues)
    assert [(due.entry.cause.event_id, due.screen) for due in box.take(9)[0]] == [("e2", "home"), ("e2", "cart")]


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 40), min_size=1), st.integers(1, 16))
def test_every_list_is_made_once_and_nobody_gets_two_before_each_has_got_one(
    counts: dict[str, int], limit: int
) -> None:
    box = Mailbox()
    for user_id, count in counts.items():
        box.put(waiting(user_id), screens(count))
    made: list[tuple[str, str]] = []
    while len(box):
        dues, _ = box.take(limit)
        assert 0 < len(dues) <= limit
        made += names(dues)
    assert sorted(made) == sorted((user_id, one) for user_id, count in counts.items() for one in screens(count))
    assert {user_id for user_id, _ in made[: len(counts)]} == set(counts)
