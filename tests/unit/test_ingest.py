"""What may enter at the edge, under which name and time, and how a refusal reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.counters import Counters
from rec.errors import BadInput, TooLarge
from rec.events import ACTIONS, EventItem, decode_event, encode_event
from rec.ingest import ALIASES, MAX_AGE, admit, admit_all, admit_batch
from rec.privacy import user_hash
from rec.state import Facets, UserState, fold

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)


def event(**fields: Any) -> dict[str, Any]:
    return {"event": "view_item", "event_id": "e1", "user_id": "u1", "items": [{"item_id": "a"}], **fields}


def raw(**fields: Any) -> bytes:
    return json.dumps(event(**fields)).encode()


def refused(body: bytes) -> BadInput:
    with pytest.raises(BadInput) as caught:
        admit(body, received=NOW)
    return caught.value


@pytest.mark.parametrize("name", ACTIONS)
def test_every_canonical_name_is_admitted_as_it_is(name: str) -> None:
    admitted = admit(raw(event=name), received=NOW)
    assert (admitted.event.event, admitted.alias) == (name, None)


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_a_foreign_name_is_translated_and_reported_back(alias: str, name: str) -> None:
    admitted = admit(raw(event=alias), received=NOW)
    assert (admitted.event.event, admitted.alias) == (name, alias)
    assert name in ACTIONS


def test_positions_of_algolia_count_from_one_and_ours_from_zero() -> None:
    items = [{"item_id": "a", "index": 1}, {"item_id": "b", "index": 7}, {"item_id": "c"}]
    algolia = admit(raw(event="clickedObjectIDsAfterSearch", items=items), received=NOW).event
    segment = admit(raw(event="Product Clicked", items=items), received=NOW).event
    assert [item.index for item in algolia.items] == [0, 6, None]
    assert [item.index for item in segment.items] == [1, 7, None]
    assert refused(raw(event="clickedObjectIDs", items=[{"item_id": "a", "index": 0}])).field == "items[0].index"


REFUSALS: list[tuple[str, bytes, str, str | None]] = [
    ("not JSON", b"{", "not_json", None),
    ("not UTF-8", b'{"event":"\xff"}', "not_json", None),
    ("half a surrogate pair", b'{"event":"\\ud800"}', "not_json", None),
    ("a list", b"[]", "invalid_field", None),
    ("null", b"null", "invalid_field", None),
    ("too deep", raw(context={}).replace(b"{}", b'{"a":' * 3000 + b"1" + b"}" * 3000), "not_json", None),
    ("no name", b'{"event_id":"e1","user_id":"u1"}', "missing_field", "event"),
    ("a number for a name", raw(event=1), "invalid_field", "event"),
    ("an unknown name", raw(event="veiw_item"), "unknown_event", "event"),
    ("a name of our own", raw(event="$erase"), "reserved_event", "event"),
    ("a choice in our own name", raw(event="$consent"), "reserved_event", "event"),
    ("no id", b'{"event":"view_item","user_id":"u1","items":[{"item_id":"a"}]}', "missing_field", "event_id"),
    ("an empty id", raw(event_id=""), "invalid_field", "event_id"),
    ("an id of 129 characters", raw(event_id="x" * 129), "invalid_field", "event_id"),
    ("nobody", raw(user_id=None), "missing_user", "user_id"),
    ("a user with a control character", raw(user_id="u\n1"), "invalid_field", "user_id"),
    ("a user that ends in a line break", raw(user_id="u1\n"), "invalid_field", "user_id"),
    ("a number for a user", raw(user_id=7), "invalid_field", "user_id"),
    ("no items", raw(items=[]), "missing_items", "items"),
    ("201 items", raw(items=[{"item_id": "a"}] * 201), "invalid_field", "items"),
    ("an item without id", raw(items=[{"item_id": "a"}, {}]), "missing_field", "items[1].item_id"),
    ("an item that is a text", raw(items=["a"]), "invalid_field", "items[0]"),
    ("a negative index", raw(items=[{"item_id": "a", "index": -1}]), "invalid_field", "items[0].index"),
    ("an index beyond all lists", raw(items=[{"item_id": "a", "index": 2**40}]), "invalid_field", "items[0].index"),
    ("a negative price", raw(items=[{"item_id": "a", "price": -1}]), "invalid_field", "items[0].price"),
    ("half a piece", raw(items=[{"item_id": "a", "quantity": 0.5}]), "invalid_field", "items[0].quantity"),
    ("a time without zone", raw(client_ts="2026-11-23T17:46:02"), "invalid_field", "client_ts"),
    ("a time that is none", raw(client_ts="yesterday"), "invalid_field", "client_ts"),
    ("an event of last year", raw(client_ts="2025-11-23T17:46:02Z"), "too_old", "client_ts"),
    ("eight days in the queue", raw(client_ts="2026-12-01T00:00:00Z", sent_ts="2026-12-09T00:00:01Z"), "too_old", None),
    ("an unknown choice", raw(consent={"personalization_storage": "yes"}), "invalid_field", None),
    ("a list as context", raw(context=[1]), "invalid_field", "context"),
    ("a large context", raw(context={"a": "x" * 2048}), "context_too_large", "context"),
    ("a long search", raw(event="search", search_term="x" * 1025), "invalid_field", "search_term"),
    ("attribution to nothing", raw(attribution={"version": 3}), "missing_field", "attribution.slate_id"),
    ("a version below all", raw(attribution={"slate_id": "s", "version": -1}), "invalid_field", "attribution.version"),
    ("a version beyond all", raw(attribution={"slate_id": "s", "version": 2**70}), "invalid_field", None),
    ("a value out of range", raw(value=1).replace(b'"value": 1', b'"value": 1e999'), "invalid_field", "value"),
]


@pytest.mark.parametrize(("body", "code", "field"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_a_refusal_names_its_code_its_field_and_a_remedy(body: bytes, code: str, field: str | None) -> None:
    error = refused(body)
    assert error.code == code
    if field is not None:
        assert error.field == field
    assert len(error.message) < 400
    assert error.message.endswith((".", "?"))


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant() -> None:
    assert refused(raw(event="veiw_item")).did_you_mean == "view_item"
    assert refused(raw(event="order completed")).did_you_mean == "Order Completed"
    assert refused(raw(event="qqqqqq")).did_you_mean is None
    assert len(refused(raw(event="q" * 1024)).message) < 400


def test_a_misspelt_user_field_is_answered_with_the_one_that_was_meant() -> None:
    body = json.dumps({**event(), "userId": "u1", "user_id": None}).encode()
    assert refused(body).did_you_mean == "user_id"


def test_the_time_of_an_event_is_right_even_if_the_clock_of_the_client_is_not() -> None:
    skewed = admit(raw(client_ts="2026-11-23T16:00:00Z", sent_ts="2026-11-23T16:00:30Z"), received=NOW).event
    assert skewed.event_ts == NOW - timedelta(seconds=30)
    unsent = admit(raw(client_ts="2026-11-23T17:59:00Z"), received=NOW).event
    assert unsent.event_ts == NOW - timedelta(minutes=1)
    timeless = admit(raw(), received=NOW).event
    assert timeless.event_ts == timeless.received_ts == NOW


def test_what_a_client_says_about_the_servers_times_is_overwritten() -> None:
    ours = {"received_ts": "2020-01-01T00:00:00Z", "event_ts": "2099-01-01T00:00:00Z", "withheld": True}
    admitted = admit(raw(**ours), received=NOW).event
    assert not admitted.withheld
    assert admitted.received_ts == admitted.event_ts == NOW


@given(
    client=st.none() | st.datetimes(timezones=st.just(UTC)),
    sent=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_no_event_happens_after_it_was_received_nor_a_week_before(
    client: datetime | None, sent: datetime | None
) -> None:
    times = {"client_ts": client and client.isoformat(), "sent_ts": sent and sent.isoformat()}
    too_old = client is not None and (sent or NOW) - client > MAX_AGE
    if too_old:
        assert refused(raw(**times)).code == "too_old"
    else:
        event_ts = admit(raw(**times), received=NOW).event.event_ts
        assert event_ts is not None
        assert NOW - MAX_AGE <= event_ts <= NOW


def test_a_clock_that_is_years_behind_does_not_matter_when_both_stamps_are_of_it() -> None:
    admitted = admit(raw(client_ts="2020-01-01T00:00:00Z", sent_ts="2020-01-01T00:00:30Z"), received=NOW).event
    assert admitted.event_ts == NOW - timedelta(seconds=30)


def items_of(name: str, *items: dict[str, Any]) -> tuple[EventItem, ...]:
    return admit(raw(event=name, items=list(items)), received=NOW).event.items


def test_an_item_that_an_event_names_often_is_taken_once_at_its_first_place() -> None:
    a, b = {"item_id": "a", "index": 3}, {"item_id": "b", "index": 4}
    assert items_of("view_item", a, b, *[a | {"index": 9}] * 198) == (EventItem("a", 3), EventItem("b", 4))
    assert items_of("view_item_list", b, a, b) == (EventItem("b", 4), EventItem("a", 3))


def test_pieces_of_one_item_in_several_lines_add_up_to_the_same_sum() -> None:
    bought: list[dict[str, Any]] = [
        {"item_id": "a", "price": 10.0, "quantity": 1},
        {"item_id": "a", "price": 8.5, "quantity": 3},
    ]
    assert items_of("purchase", *bought) == (EventItem("a", price=35.5 / 4, quantity=4),)
    assert items_of("add_to_cart", {"item_id": "a"}, {"item_id": "a"}) == (EventItem("a", quantity=2),)
    free: list[dict[str, Any]] = [{"item_id": "a", "price": 5.0, "quantity": 0}, {"item_id": "a"}]
    assert items_of("purchase", *free) == (EventItem("a", price=5.0, quantity=1),)
    too_many = raw(event="purchase", items=[{"item_id": "a", "quantity": 2**31 - 1}] * 2)
    assert refused(too_many).field == "items[0].quantity"


def test_two_copies_of_an_item_move_state_and_counters_like_one() -> None:
    once, often = (raw(event="add_to_cart", items=[{"item_id": "a"}] * n) for n in (1, 200))
    states, counters = list[UserState | None](), [Counters(), Counters()]
    for counter, body in zip(counters, (once, often), strict=True):
        taken = admit(body, received=NOW).event
        counter.learn(taken)
        states.append(fold(None, taken, lambda _: Facets("tents", "x"), epoch="a")[0])
    assert states[0] == states[1]
    assert counters[0].tables.popularity[0] == counters[1].tables.popularity[0]


@pytest.mark.parametrize("use", ["personalization_storage", "analytics_storage"])
@pytest.mark.parametrize("behind", [timedelta(hours=1), timedelta(hours=30), timedelta(days=900)])
def test_a_denial_by_a_clock_that_nothing_proves_is_as_of_its_receipt(use: str, behind: timedelta) -> None:
    client = {"client_ts": (NOW - behind).isoformat()}
    assert admit(raw(**client, consent={use: "denied"}), received=NOW).event.event_ts == NOW
    proven = client | {"sent_ts": (NOW - behind + timedelta(minutes=2)).isoformat()}
    assert admit(raw(**proven, consent={use: "denied"}), received=NOW).event.event_ts == NOW - timedelta(minutes=2)


def test_a_grant_never_becomes_newer_than_its_client_says() -> None:
    """A backend that sends the day's events at night must not undo what was denied at noon."""
    granted = raw(client_ts=(NOW - timedelta(hours=9)).isoformat(), consent={"personalization_storage": "granted"})
    assert admit(granted, received=NOW).event.event_ts == NOW - timedelta(hours=9)


@pytest.mark.parametrize("name", ["personalisation_storage", "Personalization_Storage", "personalization"])
def test_a_misspelt_denial_is_refused_and_not_taken_for_none(name: str) -> None:
    error = refused(raw(consent={name: "denied"}))
    assert error.field == "consent"
    assert name in error.message


def test_the_other_choices_of_consent_mode_are_no_mistake() -> None:
    choices = {"personalization_storage": "denied", "ad_storage": "denied", "ad_user_data": "granted"}
    assert admit(raw(consent=choices), received=NOW).event.personalization == "denied"


@pytest.mark.parametrize(
    ("name", "meant"), [("atribution", "attribution"), ("visitorId", "visitor_id"), ("Consent", "consent")]
)
def test_a_field_that_is_nearly_one_of_ours_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    error = refused(raw(**{name: {}}))
    assert (error.code, error.field, error.did_you_mean) == ("unknown_field", name, meant)


def test_what_a_client_adds_of_its_own_is_no_mistake() -> None:
    own = {"page_location": "/", "ga_session_id": "1", "timestamp_micros": 3, "debug_mode": True}
    assert admit(raw(**own), received=NOW).event.event_id == "e1"


@pytest.mark.parametrize("half", [b"\\ud800", b"\\udfff", b"\\ufffd"])
def test_ids_of_half_characters_are_refused_before_they_become_one(half: bytes) -> None:
    body = b'{"event":"view_item","event_id":"e1","user_id":"' + half + b'","items":[{"item_id":"a"}]}'
    batch = admit_batch(b'{"events":[' + body + b"]}", received=NOW)
    assert [rejected["field"] for rejected in batch.rejected] == ["user_id"]


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_refusal(body: bytes) -> None:
    with pytest.raises(BadInput):
        admit(body, received=NOW)
    with pytest.raises(BadInput):
        admit_batch(body, received=NOW)


def test_an_admitted_event_survives_the_log() -> None:
    admitted = admit(raw(context={"page": "home"}, client_ts="2026-11-23T17:00:00Z"), received=NOW).event
    assert decode_event(encode_event(admitted)) == admitted


def test_one_bad_event_is_refused_alone() -> None:
    body = json.dumps({"events": [event(), event(event="veiw_item"), {"nonsense": 1}, event(event_id="e2")]}).encode()
    batch = admit_batch(body, received=NOW)
    assert [index for index, _ in batch.admitted] == [0, 3]
    assert [(r["index"], r["code"]) for r in batch.rejected] == [(1, "unknown_event"), (2, "missing_field")]
    assert batch.rejected[0]["did_you_mean"] == "view_item"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"events":[]}', "no_events"),
        (b'{"events":3}', "invalid_field"),
        (b"{}", "missing_field"),
        (b"[1]", "invalid_field"),
        (b"{", "not_json"),
        (b"x" * (256 * 1024 + 1), "too_large"),
        (json.dumps({"events": [event()] * 501}).encode(), "too_many_events"),
    ],
)
def test_an_unusable_batch_is_refused_as_a_whole(body: bytes, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        admit_batch(body, received=NOW)
    assert caught.value.code == code


def test_five_hundred_events_are_not_too_many() -> None:
    assert len(admit_all([raw(event_id=str(k)) for k in range(500)], received=NOW).admitted) == 500
    with pytest.raises(TooLarge):
        admit_all([raw()] * 501, received=NOW)


def test_the_hash_of_an_erased_user_depends_on_secret_and_id() -> None:
    hashes = {user_hash(secret, user) for secret in ("a" * 32, "b" * 32) for user in ("u1", "u2")}
    assert len(hashes) == 4
    assert all(len(h) == 64 and "u1" not in h for h in hashes)


def test_half_of_an_emoji_costs_no_event() -> None:
    good = b'{"event":"view_item","event_id":"e1","user_id":"u","items":[{"item_id":"i"}]}'
    cut = b'{"event":"search","event_id":"e2","user_id":"u","search_term":"cut \\ud83d"}'
    batch = admit_batch(b'{"events":[' + good + b"," + cut + b"]}", received=NOW)
    assert batch.rejected == []
    assert [admitted.event.search_term for _, admitted in batch.admitted] == [None, "cut \ufffd"]
