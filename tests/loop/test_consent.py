"""A refusal reaches everybody it holds for, and nothing that follows it is kept: state, marks, counters, archive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from rec.events import CONSENT, ERASE, Consent, Event, decode_event, instant
from rec.ports import Pushed, StoredSlate
from rec.privacy import user_hash
from rec.requests import MergeIn, encode_request
from rec.state import UserState
from tests.loop.local import SECRET, Local
from tests.loop.test_loop import happened, publish, until
from tests.loop.test_restore import NOW, archived, restored  # noqa: F401  a fixture

DENIED, GRANTED = Consent(personalization_storage="denied"), Consent(personalization_storage="granted")
NO_ANALYTICS = Consent(analytics_storage="denied")


def viewed(item: str, after_s: float = 0, **more: Any) -> Event:
    return happened("view_item", item, at=NOW + after_s, **more)


async def kept(loop: Local, of: Iterable[Event]) -> list[bool]:
    """Of each event, whether its items are in the archive; waits until all are archived."""
    ids = [event.event_id for event in of]
    async with asyncio.timeout(30):
        while True:
            pages = [page async for page in loop.database.read()]
            rows = {(event := decode_event(raw)).event_id: event for page in pages for _, raw in page}
            if rows.keys() >= set(ids):
                return [bool(rows[event_id].items) for event_id in ids]
            await asyncio.sleep(0.005)


async def denied_marks(loop: Local, *ids: str) -> set[str]:
    return (await loop.exchange.known([], ids))[1]


async def marked(loop: Local, *ids: str) -> None:
    async with asyncio.timeout(30):
        while await denied_marks(loop, *ids) != set(ids):
            await asyncio.sleep(0.005)


async def told(loop: Local, subject: str, consent: bool) -> None:
    """Until the state of a subject has this choice."""
    await until(lambda: (state := loop.users.get(subject.encode())) is not None and state.consent is consent)


async def archive_knows(loop: Local, subject: str, *, denied: bool) -> None:
    """Until the archiver has learned the choice. (Partitions have no order among each other.)"""
    key = (user_hash(SECRET, subject), "personalization")
    async with asyncio.timeout(30):
        while (chosen := (await loop.database.choices_of([key[0]])).get(key)) is None or chosen.denied != denied:
            await asyncio.sleep(0.005)


# ---------------------------------------------------------------- lists made before
async def test_lists_of_before_a_denial_are_gone_whether_anybody_looks_at_them_or_not(archived: Local) -> None:  # noqa: F811
    await publish(archived, viewed("books-1"))
    await until(lambda: b"u1" in archived.users)
    state = archived.users[b"u1"]
    old = StoredSlate("side", state.position, 1, b"{}")
    await archived.exchange.store_slates([Pushed("u1", old)])
    await publish(archived, viewed("books-2", 1, consent=DENIED))
    async with asyncio.timeout(30):
        while await archived.exchange.latest("u1", "side") is not None:
            await asyncio.sleep(0.005)


# ---------------------------------------------------------------- the archive follows the log, not the stamp
async def test_what_follows_a_denial_is_archived_without_items_though_no_mark_says_so(archived: Local) -> None:  # noqa: F811
    events = [viewed("books-1"), viewed("books-2", 1, consent=DENIED), viewed("books-3", 2), viewed("books-4", 3)]
    await publish(archived, *events)
    assert await kept(archived, events) == [True, False, False, False]
    await publish(archived, again := viewed("books-5", 4, consent=GRANTED), later := viewed("books-6", 5))
    assert await kept(archived, [again, later]) == [True, True]


async def test_the_refusal_outlives_the_archiver_and_redis(archived: Local) -> None:  # noqa: F811
    digest = user_hash(SECRET, "u1")
    await publish(archived, first := viewed("books-1", consent=DENIED))
    await kept(archived, [first])
    assert {key: chosen.denied for key, chosen in (await archived.database.choices_of([digest])).items()} == {
        (digest, "personalization"): True
    }
    await archived.exchange.set_denied("u1", False)  # Redis has forgotten
    await publish(archived, later := viewed("books-2", 1))
    assert await kept(archived, [later]) == [False]


async def test_analytics_denied_holds_for_the_archive_until_it_is_granted(archived: Local) -> None:  # noqa: F811
    allowed = Consent(analytics_storage="granted")
    events = [viewed("books-1", consent=NO_ANALYTICS), viewed("books-2", 1), viewed("books-3", 2, consent=allowed)]
    await publish(archived, *events)
    assert await kept(archived, events) == [False, False, True]
    await until(lambda: len(archived.users[b"u1"].history) == 3)  # the list may still use them


async def test_an_older_grant_that_comes_late_opens_nothing(archived: Local) -> None:  # noqa: F811
    events = [viewed("books-1", 5, consent=DENIED), viewed("books-2", 1, consent=GRANTED), viewed("books-3", 6)]
    await publish(archived, *events)
    assert await kept(archived, events) == [False, False, False]


async def test_the_choice_of_an_erased_user_goes_and_they_start_anew(archived: Local) -> None:  # noqa: F811
    await publish(archived, first := viewed("books-1", consent=DENIED))
    await kept(archived, [first])
    await archived.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    await publish(archived, happened(ERASE, at=NOW + 5, event_id="er1"), later := viewed("books-2", 9))
    assert await kept(archived, [later]) == [True]
    assert await archived.database.choices_of([user_hash(SECRET, "u1")]) == {}


# ---------------------------------------------------------------- a user and their visitors
async def test_the_choice_of_another_user_of_a_device_does_not_reach_its_visitor(archived: Local) -> None:  # noqa: F811
    await logged_in(archived)
    await publish(archived, viewed("books-3", 2, consent=DENIED))
    await told(archived, "v1", consent=False)
    await publish(archived, viewed("books-4", 3, user="u2", visitor_id="v1"))
    await until(lambda: (s := archived.users.get(b"u2")) is not None and s.visitors.get("v1") == "refused")
    await publish(archived, viewed("books-5", 4, user="u2", consent=GRANTED), last := viewed("books-6", 5, user="u2"))
    await kept(archived, [last])
    await until(lambda: archived.users[b"u2"].consent is True)
    assert archived.users[b"v1"].consent is False


async def logged_in(loop: Local) -> None:
    """u1, with v1 merged into them."""
    await publish(loop, viewed("books-1", user=None, visitor_id="v1"), viewed("books-2", 1, visitor_id="v1"))
    await until(lambda: (state := loop.users.get(b"u1")) is not None and state.visitors.get("v1") == "merged")


async def test_a_users_denial_reaches_the_visitor_who_continues_anonymously(archived: Local) -> None:  # noqa: F811
    await logged_in(archived)
    await publish(archived, viewed("books-3", 2, consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, anonymous := viewed("secret-item", 3, user=None, visitor_id="v1"))
    assert await kept(archived, [anonymous]) == [False]
    await marked(archived, "u1", "v1")
    assert archived.users[b"v1"].merged_into == "u1"
    assert archived.users[b"u1"].history == ()


async def test_consent_given_again_reaches_the_visitor_too(archived: Local) -> None:  # noqa: F811
    await logged_in(archived)
    await publish(archived, viewed("books-3", 2, consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, viewed("books-4", 3, consent=GRANTED))
    await told(archived, "v1", True)
    await archive_knows(archived, "v1", denied=False)
    await publish(archived, anonymous := viewed("books-5", 4, user=None, visitor_id="v1"))
    await until(lambda: [touch.item_id for touch in archived.users[b"u1"].history] == ["books-4", "books-5"])
    assert await kept(archived, [anonymous]) == [True]
    assert await denied_marks(archived, "u1", "v1") == set()


@pytest.mark.parametrize("withheld", [False, True], ids=["no mark", "the edge withheld it"])
async def test_a_visitors_refusal_survives_the_login(archived: Local, withheld: bool) -> None:  # noqa: F811
    await publish(archived, viewed("books-1"))
    await publish(archived, viewed("books-2", 1, user=None, visitor_id="v1", consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, login := viewed("books-3", 2, visitor_id="v1", withheld=withheld))
    await told(archived, "u1", False)
    assert archived.users[b"u1"].history == ()
    await marked(archived, "u1", "v1")
    # Without the mark nobody knows of it yet in the user's part of the log; from the merge on everybody does.
    assert await kept(archived, [login]) == [not withheld]
    await archive_knows(archived, "u1", denied=True)
    await publish(archived, elsewhere := viewed("books-4", 3))
    assert await kept(archived, [elsewhere]) == [False]


async def test_a_users_newer_grant_opens_the_visitor_who_had_denied(archived: Local) -> None:  # noqa: F811
    await publish(archived, viewed("books-1", 5, consent=GRANTED))
    await publish(archived, viewed("books-2", user=None, visitor_id="v1", consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, viewed("books-3", 6, visitor_id="v1", withheld=True))
    await told(archived, "v1", True)
    assert archived.users[b"u1"].consent is True
    await until(lambda: [t.item_id for t in archived.users[b"u1"].history] == ["books-1", "books-3"])


async def test_a_merge_that_comes_again_tells_nobody_again(archived: Local) -> None:  # noqa: F811
    await logged_in(archived)
    await publish(archived, viewed("books-3", 2, consent=DENIED))
    await told(archived, "v1", False)
    again = MergeIn(user_id="u1", visitor_id="v1", state=UserState(epoch="x", consent=True, consent_at=NOW + 9), at=NOW)
    await archived.log.publish("requests", "u1", encode_request(again))
    await publish(archived, later := viewed("books-4", 10))
    await kept(archived, [later])
    assert archived.users[b"u1"].consent is False


async def test_a_users_grant_on_a_device_whose_visitor_denied_holds_whatever_mark_comes_back(archived: Local) -> None:  # noqa: F811
    await publish(archived, viewed("books-1", user="w", visitor_id="v1"))
    await until(lambda: (s := archived.users.get(b"w")) is not None and s.visitors.get("v1") == "merged")
    await publish(archived, viewed("books-2", 1, user="w", consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, granted := viewed("books-3", 2, visitor_id="v1", consent=GRANTED))
    await until(lambda: (s := archived.users.get(b"u1")) is not None and s.visitors.get("v1") == "refused")
    archived.deps.consents.soon()
    await marked(archived, "v1")  # the visitor is somebody else's, who denied
    await publish(archived, later := viewed("books-4", 3, visitor_id="v1", withheld=True))
    await until(lambda: [t.item_id for t in archived.users[b"u1"].history] == ["books-3", "books-4"])
    assert await kept(archived, [granted, later]) == [True, True]


async def test_what_happened_between_denial_and_grant_is_never_archived(archived: Local) -> None:  # noqa: F811
    events = [viewed("books-1", 1, consent=DENIED), viewed("books-2", 5, consent=GRANTED)]
    late = [viewed("books-3", 3), viewed("books-4", 0), viewed("books-5", 6)]
    await publish(archived, *events, *late)
    assert await kept(archived, late) == [False, False, True]
    await publish(archived, later := viewed("books-6", 4))  # another batch: from what is stored of the choices
    assert await kept(archived, [later]) == [False]


async def test_a_visitors_older_denial_takes_from_the_user_what_is_older_than_their_grant(archived: Local) -> None:  # noqa: F811
    await publish(archived, viewed("books-1"), viewed("books-2", 5, consent=GRANTED))
    await publish(archived, viewed("books-3", 3, user=None, visitor_id="v1", consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, viewed("books-4", 6, visitor_id="v1"))
    await told(archived, "v1", True)
    await until(lambda: [t.item_id for t in archived.users[b"u1"].history] == ["books-2", "books-4"])
    await publish(archived, late := viewed("books-5", 4))
    assert await kept(archived, [late]) == [False]
    assert len(archived.users[b"u1"].history) == 2


# ---------------------------------------------------------------- marks
async def test_marks_that_redis_has_lost_come_back_from_the_table(archived: Local) -> None:  # noqa: F811
    await logged_in(archived)
    await publish(archived, viewed("books-3", 2, consent=DENIED), viewed("books-1", user="u2"))
    await told(archived, "v1", False)
    await marked(archived, "u1", "v1")
    await archived.exchange.set_all_denied(["u1", "v1"], False)
    archived.deps.consents.soon()
    await marked(archived, "u1", "v1")
    assert await denied_marks(archived, "u2") == set()


async def test_a_mark_that_is_wrong_is_cleared_by_the_event_it_withheld(archived: Local) -> None:  # noqa: F811
    await publish(archived, viewed("books-1", consent=GRANTED))
    await told(archived, "u1", True)
    await archived.exchange.set_denied("u1", True)
    await publish(archived, viewed("books-2", 1, withheld=True))
    async with asyncio.timeout(30):
        while await denied_marks(archived, "u1"):
            await asyncio.sleep(0.005)


async def test_an_old_grant_that_moved_the_mark_at_the_edge_is_put_right(archived: Local) -> None:  # noqa: F811
    await publish(archived, viewed("books-1", 5, consent=DENIED))
    await marked(archived, "u1")
    await archived.exchange.set_denied("u1", False)
    await publish(archived, viewed("books-2", 1, consent=GRANTED))
    await marked(archived, "u1")


# ---------------------------------------------------------------- after a restart
async def test_a_restart_brings_back_the_refusal_of_users_and_their_visitors(archived: Local) -> None:  # noqa: F811
    await logged_in(archived)
    await publish(archived, viewed("books-3", 2, consent=DENIED))
    await told(archived, "v1", False)
    await publish(archived, anonymous := viewed("secret-item", 3, user=None, visitor_id="v1"))
    await kept(archived, [anonymous])
    assert CONSENT in [decode_event(raw).event for raw in await archived.database.events_of("v1")]
    users = await restored(archived)
    assert (users["u1"].consent, users["u1"].history) == (False, ())
    assert (users["v1"].consent, users["v1"].merged_into) == (False, "u1")
