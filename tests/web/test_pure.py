"""The parts of the edge without I/O, on anything that may come: sessions, slots, buckets, positions, origins."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from rec.errors import BadInput
from rec.ports import StoredSlate
from rec.protocol import CloseCode
from rec.slates import Position, decode_slate
from tests.web.world import slate, stored
from web.connection import Connection, Offer, Screen
from web.limits import Buckets
from web.origins import allowed
from web.session import Ask, Hangup, Pong, Refuse, Session
from web.sse import position


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_first_frame_but_connect_lets_anybody_in(frame: bytes) -> None:
    reading = Session(600, 0.0).read(frame, 0.0)
    assert isinstance(reading, Hangup)
    assert reading.code is CloseCode.BAD_REQUEST


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["id", "connect", "subscribe", "unsubscribe", "track", "search", "refresh", "other"])


@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_a_connected_session_answers_refuses_or_ignores_and_never_ends(fields: dict[str, object]) -> None:
    session = Session(600, 0.0)
    session.connected = True
    reading = session.read(json.dumps(fields).encode(), 0.0)
    assert isinstance(reading, Pong | Ask | Refuse)
    if isinstance(reading, Ask):
        assert getattr(reading.command, reading.name) is not None
        assert reading.id == fields["id"]


def test_refusals_over_a_long_life_are_forgiven_and_at_a_stretch_they_are_not() -> None:
    session, now = Session(60, 0.0), 0.0
    session.connected = True
    for _ in range(20):  # an hour's stumbling now and then: many more refusals than would be borne at once
        assert all(isinstance(session.read(b"{}", now), Pong) for _ in range(60))
        assert all(isinstance(session.read(b"{}", now), Refuse) for _ in range(20))
        now += 300.0
    ends = [session.read(b"{}", now) for _ in range(60 + 60)]
    assert isinstance(ends[-1], Hangup)
    assert ends[-1].code is CloseCode.TOO_MANY


class Nowhere:
    """A sink for connections that are never sent anything."""

    kind = "ws"
    answers_pings = True
    gone = False

    async def send_slate(self, offer: Offer, n: int) -> None: ...
    async def send_ping(self) -> None: ...
    async def close(self, code: CloseCode, reason: str) -> None: ...
    def abort(self) -> None: ...


def offers(pairs: Iterable[tuple[str, int]]) -> list[StoredSlate]:
    return [StoredSlate("home", Position(epoch, version), 0, b"{}") for epoch, version in pairs]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=30),
    st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_whatever_is_offered_versions_only_grow_inside_an_epoch_and_the_last_news_is_sent(
    pairs: list[tuple[str, int]], reads: list[bool]
) -> None:
    connection = Connection("u1", Nowhere(), 9e9, 0.0)
    screen = connection.screens["home"] = Screen(20, None)
    screen.opened = True
    taken: list[Position] = []
    newest: Position | None = None
    in_order = sorted(pairs, key=lambda pair: pair[0])  # an epoch that was left does not come back
    for made, read in zip(offers(in_order), reads, strict=False):
        was_taken, _ = connection.offer(Offer(made))
        assert was_taken == made.position.newer_than(newest)
        newest = made.position if was_taken else newest
        if read and (next_ := connection.take()) is not None:
            taken.append(next_[0].slate.position)
    if (next_ := connection.take()) is not None:
        taken.append(next_[0].slate.position)
    assert connection.take() is None
    assert (taken[-1] if taken else None) == newest
    assert all(b.newer_than(a) for a, b in zip(taken, taken[1:], strict=False))


@given(st.integers(1, 60), st.integers(1, 80))
def test_a_list_is_cut_to_the_length_that_is_shown_and_made_once_for_each(held: int, n: int) -> None:
    offer = Offer(stored(slate("u1", "home", "e", 1, held, 0.0)))
    frame = offer.frame(n)
    made = decode_slate(json.dumps(json.loads(frame)["push"]["slate"]).encode())
    assert [item.item_id for item in made.items] == [f"v1-{k}" for k in range(min(n, held))]
    assert offer.frame(n) is frame
    assert offer.created_at == 0.0


def test_the_buckets_of_those_who_left_are_dropped() -> None:
    buckets = Buckets(rate=10, burst=10)
    for k in range(100_000):
        assert buckets.take(f"address-{k}", now=k / 1000) == 0.0
    assert len(buckets) < 5_000


@given(st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_nobody_gets_more_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    buckets, now, taken = Buckets(rate=3, burst=5), 0.0, 0
    for pause in pauses:
        now += pause
        taken += buckets.take("a", now) == 0.0
    assert taken <= 5 + 3 * now + 1e-6


@given(st.text(max_size=40))
def test_no_last_event_id_breaks_anything(text: str) -> None:
    try:
        found = position(text)
    except BadInput:
        return
    assert found is None or position(f"{found.epoch}:{found.version}") == found


@given(st.text(max_size=40))
def test_an_origin_is_allowed_only_if_it_is_the_servers_own_or_listed(origin: str) -> None:
    own = origin.lower() in ("http://api.example", "https://api.example")
    assert allowed(origin, "api.example", ["https://shop.example"]) == (own or origin == "https://shop.example")
