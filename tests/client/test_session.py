"""The sans-I/O session, with a manual clock and loaded dice."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.client.backoff import Backoff
from rec.client.outputs import Changed, Deliver, Dial, Hangup, Output, Refuse, Renew, Send, State, Wish
from rec.client.session import Session
from rec.client.timing import Timing
from rec.errors import Forbidden, RateLimited, RecError, Unauthorized, Unavailable
from rec.slates import encode_slate
from tests.client.fake_server import a_slate


def a_session(*, renewable: bool = True, seed: int = 1, timing: Timing | None = None) -> Session:
    timing = timing or Timing()
    backoff = Backoff(timing.backoff_low_s, timing.backoff_high_s, random.Random(seed))
    return Session(backoff, timing, renewable=renewable, now=0.0)


def frames(outputs: list[Output]) -> list[Any]:
    return [json.loads(output.frame) for output in outputs if isinstance(output, Send)]


def connect(session: Session, now: float, *, ping: float = 25, renew_in: float | None = None) -> list[Output]:
    """Through dialing and the handshake; what came out at the connect reply."""
    assert session.tick(now) == [Dial()]
    (frame,) = frames(session.opened("token", renew_in, now))
    return session.received(json.dumps({"id": frame["id"], "connect": {"client": "c", "ping": ping}}), now)


def live(*placements: str, renewable: bool = True, renew_in: float | None = None, ping: float = 25) -> Session:
    session = a_session(renewable=renewable)
    for placement in placements:
        session.want(placement, Wish(), 0.0)
    answer_all(session, connect(session, 0.0, renew_in=renew_in, ping=ping), 0.0)
    return session


def answer_all(session: Session, outputs: list[Output], now: float) -> None:
    """Reply to every command among the outputs, as a healthy server does."""
    for frame in frames(outputs):
        name = next(key for key in frame if key != "id")
        assert session.received(json.dumps({"id": frame["id"], name: {}}), now) == []


def push(version: int, epoch: str = "a", placement: str = "home") -> bytes:
    slate = encode_slate(a_slate(version, epoch=epoch, placement=placement))
    return b'{"push":{"slate":' + slate + b"}}"


def change(outputs: list[Output]) -> Changed:
    (changed,) = [output for output in outputs if isinstance(output, Changed)]
    return changed


# ---------------------------------------------------------------- connecting
def test_the_first_frame_is_connect_and_every_wish_is_subscribed_after_its_reply() -> None:
    session = a_session()
    session.want("home", Wish(n=5), 0.0)
    session.want("item", Wish(item_id="i1"), 0.0)
    outputs = connect(session, 0.0)
    assert outputs[0] == Changed(State.CONNECTED)
    assert [frame["subscribe"] for frame in frames(outputs)] == [
        {"placement": "home", "n": 5, "item_id": None},
        {"placement": "item", "n": 20, "item_id": "i1"},
    ]


def test_after_a_cut_the_next_connect_says_where_each_list_stood() -> None:
    session = live("home", "cart")
    session.received(push(41, "a"), 1.0)
    session.lost(1006, "", 2.0)
    retry = session.deadline()
    assert retry is not None
    assert session.tick(retry) == [Dial()]
    (frame,) = frames(session.opened("token2", None, retry))
    assert frame["connect"] == {"token": "token2", "resume": {"home": {"epoch": "a", "version": 41}}}


def test_a_placement_that_was_left_is_not_resumed() -> None:
    session = live("home", "cart")
    session.received(push(41), 1.0)
    left = session.unwant("home", 1.0)
    (frame,) = frames(left)
    assert frame["unsubscribe"] == {"placement": "home"}
    session.lost(1006, "", 2.0)
    session.tick(100.0)
    (frame,) = frames(session.opened("token", None, 100.0))
    assert frame["connect"]["resume"] == {}


def test_no_connect_reply_in_time_hangs_up_and_tries_again() -> None:
    session = a_session()
    session.want("home", Wish(), 0.0)
    session.tick(0.0)
    session.opened("token", None, 0.0)
    assert session.deadline() == 5.0
    outputs = session.tick(5.0)
    assert isinstance(outputs[0], Hangup)
    assert change(outputs).state is State.RECONNECTING


def refused(error: dict[str, Any]) -> Session:
    """A session whose connect was answered with an error; the close frame has not come yet."""
    session = a_session()
    session.want("home", Wish(), 0.0)
    session.tick(0.0)
    session.opened("token", None, 0.0)
    assert session.received(json.dumps({"id": 1, "error": error}), 1.0) == []
    return session


FORGED = {"code": "invalid_token", "message": "This token is not valid here.", "temporary": False}
OVER = {"code": "token_expired", "message": "This token is over.", "temporary": False}
BUSY = {"code": "rate_limited", "message": "slow", "temporary": True, "retry_after": 7.5}


def test_a_connect_that_is_refused_for_good_closes_with_the_kind_of_its_code_and_the_words_of_its_frame() -> None:
    session = refused(FORGED)
    session.lost(4500, "", 1.0)
    assert session.state is State.CLOSED
    assert type(session.error) is Unauthorized
    assert (session.error.code, session.error.message) == ("invalid_token", "This token is not valid here.")


def test_a_connect_with_a_token_that_ran_out_comes_back_with_another() -> None:
    assert change(refused(OVER).lost(4005, "", 1.0)).state is State.RECONNECTING


def test_a_connect_that_is_refused_for_now_waits_as_long_as_it_was_told() -> None:
    session = refused(BUSY)
    assert change(session.lost(4008, "", 1.0)).retry_in == 7.5
    assert session.deadline() == 8.5


@pytest.mark.parametrize(("error", "state"), [(FORGED, State.CLOSED), (BUSY, State.RECONNECTING)])
def test_a_refusal_without_a_close_frame_is_believed_after_a_while(error: dict[str, Any], state: State) -> None:
    session = refused(error)
    assert session.deadline() == 6.0
    outputs = session.tick(6.0)
    assert isinstance(outputs[0], Hangup)
    assert change(outputs).state is state


def test_a_socket_that_opens_after_the_close_is_hung_up() -> None:
    session = a_session()
    session.want("home", Wish(), 0.0)
    session.tick(0.0)
    session.close()
    assert isinstance(session.opened("token", None, 1.0)[0], Hangup)


# ---------------------------------------------------------------- slates
def test_what_is_not_newer_is_dropped() -> None:
    session = live("home")
    got = [session.received(push(version), 1.0) for version in (1, 3, 2, 3, 4)]
    assert [bool(outputs) for outputs in got] == [True, True, False, False, True]


def test_another_epoch_is_always_news() -> None:
    session = live("home")
    session.received(push(9, "a"), 1.0)
    assert isinstance(session.received(push(1, "b"), 1.0)[0], Deliver)


def test_a_slate_of_a_placement_nobody_wants_is_ignored() -> None:
    assert live("home").received(push(1, placement="cart"), 1.0) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), max_size=40))
def test_delivered_positions_only_move_on(arrivals: list[tuple[str, int]]) -> None:
    session = live("home")
    delivered = []
    for epoch, version in arrivals:
        for output in session.received(push(version, epoch), 1.0):
            assert isinstance(output, Deliver)
            delivered.append(output.slate.position)
    for before, after in zip(delivered, delivered[1:], strict=False):
        assert after.newer_than(before)


def test_a_larger_wish_subscribes_again_and_the_same_does_not() -> None:
    session = live("home")
    assert session.want("home", Wish(), 1.0) == []
    (frame,) = frames(session.want("home", Wish(n=50), 1.0))
    assert frame["subscribe"]["n"] == 50


# ---------------------------------------------------------------- subscriptions refused
def subscribe_id(outputs: list[Output]) -> int:
    (frame,) = [frame for frame in frames(outputs) if "subscribe" in frame]
    return int(frame["id"])


def test_a_rate_limited_subscription_is_tried_again_after_the_time_named() -> None:
    session = a_session()
    session.want("home", Wish(), 0.0)
    id = subscribe_id(connect(session, 0.0))
    error = {"code": "rate_limited", "message": "slow down", "temporary": True, "retry_after": 1.5}
    assert session.received(json.dumps({"id": id, "error": error}), 1.0) == []
    assert session.tick(2.4) == []
    assert subscribe_id(session.tick(2.5)) > id


def test_a_subscription_refused_for_good_ends_alone() -> None:
    session = a_session()
    session.want("home", Wish(), 0.0)
    outputs = connect(session, 0.0)
    session.want("cart", Wish(), 0.0)
    error = {"code": "forbidden", "message": "not yours", "temporary": False}
    (refused,) = session.received(json.dumps({"id": subscribe_id(outputs), "error": error}), 1.0)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, Forbidden)
    assert session.state is State.CONNECTED
    assert isinstance(session.received(push(1, placement="cart"), 1.0)[0], Deliver)


# ---------------------------------------------------------------- liveness
def test_a_ping_is_answered() -> None:
    assert frames(live("home").received("{}", 1.0)) == [{}]


def test_silence_of_ping_plus_ten_seconds_means_the_server_is_gone() -> None:
    session = a_session()
    session.want("home", Wish(), 0.0)
    id = subscribe_id(connect(session, 0.0, ping=25))
    session.received(json.dumps({"id": id, "subscribe": {"recovered": False}}), 0.0)
    session.received("{}", 20.0)
    assert session.deadline() == 55.0
    assert session.tick(54.9) == []
    hangup, changed = session.tick(55.0)
    assert isinstance(hangup, Hangup)
    assert hangup.code == 4012
    assert isinstance(changed, Changed)
    assert changed.state is State.RECONNECTING


@pytest.mark.parametrize("garbage", ["", "nonsense", "[]", '{"push":{"slate":{}}}', b"\xff\xfe", '{"id":"x"}'])
def test_an_unreadable_frame_costs_the_connection_so_that_no_list_is_lost(garbage: str | bytes) -> None:
    session = live("home")
    hangup, changed = session.received(garbage, 1.0)
    assert isinstance(hangup, Hangup)
    assert hangup.code == 1002
    assert isinstance(changed, Changed)
    assert isinstance(changed.error, Unavailable)
    assert session.received(push(1), 1.0) == []  # nothing of the old socket counts


def test_fields_and_pushes_of_a_newer_server_are_ignored() -> None:
    session = live("home")
    assert session.received('{"push":{"hint":{"x":1}},"new":true}', 1.0) == []
    assert session.received('{"id":999,"subscribe":{}}', 1.0) == []


# ---------------------------------------------------------------- close codes
@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4001, 4005, 4008, 4012, 4499])
def test_codes_below_4500_reconnect_after_a_while(code: int) -> None:
    session = live("home")
    changed = change(session.lost(code, "", 1.0))
    assert changed.state is State.RECONNECTING
    assert changed.retry_in is not None
    assert 0.5 <= changed.retry_in <= 1.0
    assert session.deadline() == 1.0 + changed.retry_in


@pytest.mark.parametrize(
    ("code", "error"), [(4500, Unauthorized), (4503, Forbidden), (4504, Forbidden), (4999, RecError)]
)
def test_codes_from_4500_on_close_with_a_typed_error(code: int, error: type[RecError]) -> None:
    session = live("home")
    changed = change(session.lost(code, "", 1.0))
    assert changed.state is State.CLOSED
    assert type(changed.error) is error
    assert changed.error is not None
    assert not changed.error.temporary
    assert session.deadline() is None


def test_the_error_frame_before_a_close_says_why() -> None:
    session = live("home")
    session.received('{"error":{"code":"forbidden","message":"the user was erased","temporary":false}}', 1.0)
    changed = change(session.lost(4503, "", 1.0))
    assert changed.error is not None
    assert changed.error.message == "the user was erased"


def test_a_fixed_token_that_ran_out_is_the_end() -> None:
    session = live("home", renewable=False)
    assert change(session.lost(4005, "", 1.0)).state is State.CLOSED
    assert isinstance(session.error, Unauthorized)


# ---------------------------------------------------------------- back-off
def reconnects(session: Session, held_s: float, times: int) -> list[float]:
    """Delays of `times` connections in a row that each held so long."""
    delays, now = [], 0.0
    for _ in range(times):
        changed = change(session.lost(1006, "", now + held_s))
        assert changed.retry_in is not None
        delays.append(changed.retry_in)
        due = session.deadline()
        assert due is not None
        now = due
        connect(session, now, ping=1e9)
    return delays


def test_back_off_grows_over_connections_that_do_not_hold() -> None:
    delays = reconnects(live("home", ping=1e9), held_s=9.0, times=60)
    assert max(delays[:1]) <= 1.0
    assert max(delays) > 10.0
    assert all(0.5 <= delay <= 20.0 for delay in delays)


def test_back_off_starts_again_after_a_connection_that_held_more_than_ten_seconds() -> None:
    assert max(reconnects(live("home", ping=1e9), held_s=10.1, times=60)) <= 1.0


def test_dials_that_fail_back_off_and_a_permanent_refusal_ends() -> None:
    session = a_session()
    session.want("home", Wish(), 0.0)
    session.tick(0.0)
    changed = change(session.refused(Unavailable("no route"), 0.0))
    assert changed.state is State.RECONNECTING
    assert session.tick(30.0) == [Dial()]
    assert change(session.refused(RateLimited("wait", retry_after=60.0), 30.0)).retry_in == 60.0
    assert session.tick(90.0) == [Dial()]
    assert change(session.refused(Unauthorized("wrong key"), 90.0)).state is State.CLOSED


# ---------------------------------------------------------------- tokens, idleness
def test_a_token_is_renewed_on_the_open_socket_before_it_runs_out() -> None:
    session = live("home", renew_in=3.0)
    assert session.tick(2.9) == []
    assert session.tick(3.0) == [Renew()]
    assert session.tick(3.1) == []  # once
    (frame,) = frames(session.renewed("fresh", 4.0, 3.5))
    assert frame["refresh"] == {"token": "fresh"}
    session.received(json.dumps({"id": frame["id"], "refresh": {}}), 3.6)
    assert Renew() in session.tick(7.5)


def test_a_renewal_that_comes_after_the_connection_is_not_sent() -> None:
    session = live("home", renew_in=3.0)
    session.tick(3.0)
    session.lost(1006, "", 3.1)
    assert session.renewed("fresh", 4.0, 3.2) == []


def test_a_connection_nobody_uses_is_closed_after_a_while_and_not_before() -> None:
    session = live("home")
    answer_all(session, session.unwant("home", 10.0), 10.0)
    assert session.deadline() == 12.0
    answer_all(session, session.want("home", Wish(), 11.0), 11.0)
    assert session.tick(12.0) == []
    answer_all(session, session.unwant("home", 13.0), 13.0)
    hangup, changed = session.tick(15.0)
    assert hangup == Hangup(1000, "")
    assert changed == Changed(State.CLOSED)


def test_a_push_that_crosses_the_way_to_another_product_is_not_taken_for_its_list() -> None:
    session = a_session()
    session.want("pdp", Wish(item_id="A"), 0.0)
    answer_all(session, connect(session, 0.0), 0.0)
    assert isinstance(session.received(push(7, placement="pdp"), 1.0)[0], Deliver)
    asked = session.want("pdp", Wish(item_id="B"), 2.0)
    assert session.received(push(8, placement="pdp"), 2.0) == []  # of A still
    answer_all(session, asked, 3.0)
    assert isinstance(session.received(push(7, placement="pdp"), 3.0)[0], Deliver)  # B's, at whatever version
