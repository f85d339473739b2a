"""POST /v1/events: accepted, duplicate or refused, each by itself; and nothing lost when a neighbour is away."""

from __future__ import annotations

import asyncio
import gzip
import io
from typing import Any

import msgspec
import pytest

from tests.web.world import BACKEND, Shop, behavior, event, until


async def test_an_accepted_event_is_in_the_log_with_the_servers_times(shop: Shop) -> None:
    sent = event("u1", client_ts="2020-01-01T00:00:00Z", sent_ts="2020-01-01T00:00:30Z")
    sent = {**sent, "sent_ts": "2020-01-09T00:00:01Z"}
    assert (await shop.track(sent)).body["rejected"][0]["code"] == "too_old"
    sent = event("u1", received_ts="2020-01-01T00:00:00Z")
    assert (await shop.track(sent)).status == 202
    [kept] = behavior(shop)
    assert kept.event_id == sent["event_id"]
    assert kept.event_ts == kept.received_ts
    assert abs(kept.received_at - shop.clock()) < 5
    assert shop.metric("events_ingested_total", event="view_item") == 1


async def test_a_choice_that_comes_alone_is_counted_as_one_and_not_as_a_search(shop: Shop) -> None:
    choice = {"event": "search", "user_id": "u1", "items": [], "consent": {"personalization_storage": "denied"}}
    searched = {**choice, "event_id": "e2", "search_term": "tent"}
    assert (await shop.track({**choice, "event_id": "e1"}, searched)).body["accepted"] == 2
    assert shop.metric("events_ingested_total", event="consent") == 1
    assert shop.metric("events_ingested_total", event="search") == 1


async def test_a_repeated_event_is_counted_and_not_stored_again(shop: Shop) -> None:
    sent = event("u1")
    assert (await shop.track(sent)).body == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert (await shop.track(sent)).body == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert (await shop.track(event("u1"), sent, sent)).body == {"accepted": 1, "duplicates": 2, "rejected": []}
    assert len(behavior(shop)) == 2
    assert shop.metric("events_duplicate_total") == 3


async def test_an_event_with_the_id_of_another_user_s_is_a_duplicate(shop: Shop) -> None:
    assert (await shop.track(event("u1", event_id="1"))).body["accepted"] == 1
    assert (await shop.track(event("u2", event_id="1"))).body == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert len(behavior(shop)) == 1


async def test_an_event_that_comes_twice_in_one_request_is_stored_once(shop: Shop) -> None:
    sent = event("u1")
    assert (await shop.track(sent, sent)).body == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert len(behavior(shop)) == 1


async def test_bad_events_are_refused_alone(shop: Shop) -> None:
    answer = await shop.track(event("u1"), event("u1", "veiw_item"), {"nonsense": 1}, event("u2"))
    assert answer.status == 202
    assert answer.body["accepted"] == 2
    assert [(r["index"], r["code"], r.get("did_you_mean")) for r in answer.body["rejected"]] == [
        (1, "unknown_event", "view_item"),
        (2, "missing_field", None),
    ]
    assert shop.metric("events_rejected_total", reason="unknown_event") == 1


async def test_foreign_names_are_reported_back(shop: Shop) -> None:
    algolia = event("u1", "clickedObjectIDs", items=[{"item_id": "a", "index": 4}])
    answer = await shop.track(event("u1", "Product Viewed"), algolia)
    assert answer.body["aliases"] == {"Product Viewed": "view_item", "clickedObjectIDs": "select_item"}
    assert {(e.event, e.items[0].index) for e in behavior(shop)} == {("view_item", None), ("select_item", 3)}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"[]", 400, "invalid_field"),
        (b"{}", 400, "missing_field"),
        (b'{"events":[]}', 400, "no_events"),
        (b'{"events":' + b"[" * 60_000 + b"]" * 60_000 + b"}", 400, "not_json"),
        (b'{"events":[' + b",".join([b"1"] * 501) + b"]}", 413, "too_many_events"),
        (b"x" * 300_000, 413, "too_large"),
        (b"x" * 2_000_000, 413, "too_large"),
    ],
)
async def test_an_unusable_body_gets_a_clear_error(shop: Shop, body: bytes, status: int, code: str) -> None:
    answer = await shop.call("POST", "/v1/events", data=io.BytesIO(body))
    assert (answer.status, answer.error["code"]) == (status, code)
    assert (await shop.track(event("u1"))).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nope"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic " + "k" * 24},
        {"Authorization": "k" * 24},
    ],
)
async def test_without_a_valid_key_nothing_is_taken(shop: Shop, headers: dict[str, str]) -> None:
    answer = await shop.track(event("u1"), headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert behavior(shop) == []


async def test_a_browser_names_only_itself(shop: Shop) -> None:
    def sent(**more: Any) -> dict[str, Any]:
        return {**event("u1"), **more}

    answer = await shop.track(
        sent(),
        sent(visitor_id="v1"),
        sent(visitor_id="u1"),
        sent(user_id=None, visitor_id="v1"),
        sent(user_id="u2"),
        sent(visitor_id="v2"),
        sent(user_id=None, visitor_id="v2"),
        headers=shop.browser("u1", "v1"),
    )
    assert answer.body["accepted"] == 4
    assert [(r["index"], r["code"], r["field"]) for r in answer.body["rejected"]] == [
        (4, "forbidden", "user_id"),
        (5, "forbidden", "visitor_id"),
        (6, "forbidden", "visitor_id"),
    ]


async def test_an_expired_token_is_told_from_a_wrong_one(shop: Shop) -> None:
    headers = shop.browser("u1")
    shop.clock.ahead += shop.settings.token_ttl_s + 1
    assert (await shop.track(event("u1"), headers=headers)).error["code"] == "token_expired"


async def test_while_the_broker_is_away_nothing_is_accepted_and_a_retry_loses_nothing(shop: Shop) -> None:
    sent = [event("u1"), event("u2")]
    shop.log.away = True
    answer = await shop.track(*sent)
    assert (answer.status, answer.error["code"], answer.error["temporary"]) == (503, "unavailable", True)
    assert int(answer.headers["Retry-After"]) >= 1
    shop.log.away = False
    assert (await shop.track(*sent)).body == {"accepted": 2, "duplicates": 0, "rejected": []}
    assert (await shop.track(*sent)).body == {"accepted": 0, "duplicates": 2, "rejected": []}
    assert len(behavior(shop)) == 2


async def test_a_broker_that_does_not_answer_is_away(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("web.intake.PUBLISH_S", 0.05)
    monkeypatch.setattr(shop.log.inner, "publish_many", hang)
    assert (await shop.track(event("u1"))).status == 503


async def test_while_redis_is_away_events_flow_and_the_state_finds_the_duplicates(shop: Shop) -> None:
    sent = event("u1")
    shop.exchange.away = True
    for _ in range(2):
        assert (await shop.track(sent)).body == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert shop.metric("dedupe_skipped_total") == 2
    await until(lambda: "u1" in shop.worker.users)
    await until(lambda: len(behavior(shop)) == 2)
    assert shop.worker.users["u1"].applied == 1
    shop.exchange.away = False
    assert (await shop.track(sent, sent)).body["duplicates"] >= 1


DENIED, GRANTED = {"personalization_storage": "denied"}, {"personalization_storage": "granted"}


def withheld(shop: Shop, *sent: dict[str, Any]) -> list[bool]:
    """Of each event that was sent, whether it is withheld in the log."""
    marks = {kept.event_id: kept.withheld for kept in behavior(shop)}
    return [marks[one["event_id"]] for one in sent]


async def test_events_of_who_denied_before_are_withheld_and_no_choice_is_put_in_their_mouth(shop: Shop) -> None:
    await shop.exchange.set_denied("u1", True)
    sent = [event("u1"), event("u1", consent={"analytics_storage": "granted"}), event("u2")]
    await shop.track(*sent)
    assert withheld(shop, *sent) == [True, True, False]
    assert {kept.personalization for kept in behavior(shop)} == {None}


async def test_consent_given_again_holds_for_what_follows_in_the_same_request_and_in_the_next(shop: Shop) -> None:
    await shop.track(event("u1", consent=DENIED))
    again, following, next_one = event("u1", consent=GRANTED), event("u1"), event("u1")
    await shop.track(again, following)
    await shop.track(next_one)
    assert withheld(shop, again, following, next_one) == [False, False, False]
    await until(lambda: shop.worker.users["u1"].applied == 3)
    assert shop.worker.users["u1"].consent is True


async def test_a_denial_holds_for_what_follows_in_the_same_request_and_in_the_next(shop: Shop) -> None:
    before, denied, following = event("u1"), event("u1", consent=DENIED), event("u1", item_id="secret-item")
    await shop.track(before, denied, following)
    next_one = event("u1", item_id="secret-item")
    await shop.track(next_one)
    assert withheld(shop, before, denied, following, next_one) == [False, False, True, True]


async def test_a_choice_made_with_both_ids_holds_for_both_and_one_denial_is_enough(shop: Shop) -> None:
    await shop.track(event("u1", visitor_id="v1", consent=DENIED))
    alone = {**event("x"), "user_id": None, "visitor_id": "v1"}
    other, apart = event("u2", visitor_id="v1"), event("u2")
    await shop.track(alone, other, apart)
    assert withheld(shop, alone, other, apart) == [True, True, False]
    await shop.track(event("u1", visitor_id="v1", consent=GRANTED))
    assert await shop.exchange.known([], ["u1", "v1"]) == (set(), set())


async def test_a_choice_that_did_not_reach_the_log_moves_no_mark(shop: Shop) -> None:
    shop.log.away = True
    assert (await shop.track(event("u1", consent=DENIED))).status == 503
    assert await shop.exchange.known([], ["u1"]) == (set(), set())


async def test_a_client_cannot_withhold(shop: Shop) -> None:
    sent = event("u1", withheld=True)
    await shop.track(sent)
    assert withheld(shop, sent) == [False]


async def test_no_id_of_a_user_is_logged_or_counted(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await shop.track(event("secret-user"))
    await shop.call("GET", "/v1/users/secret-user")
    await shop.call("GET", f"/v1/recommendations?user_id=secret-user&token={shop.token('secret-user')}")
    await shop.call("GET", "/v1/sse?token=secret-user")
    async with shop.watching("secret-user") as socket:
        await socket.slate()
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("asyncio")]
    assert any("/v1/users/{user_id}" in line for line in ours)
    assert not any("secret-user" in line or "token=" in line for line in ours)
    assert "secret-user" not in (await asyncio.to_thread(shop.edge.metrics.exposition)).decode()


async def test_an_unexpected_error_shows_an_id_and_no_details(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(body: bytes, *_: object) -> None:
        raise KeyError(body)

    monkeypatch.setattr(shop.edge.intake, "take_body", broken)
    answer = await shop.track(event("secret-user"))
    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert answer.error["error_id"] in caplog.text
    assert "secret-user" not in str(answer.body) + caplog.text


async def test_addresses_and_methods_that_do_not_exist_get_json_errors(shop: Shop) -> None:
    answer = await shop.call("GET", "/v2/events")
    assert (answer.status, answer.error["code"]) == (404, "no_such_address")
    answer = await shop.call("GET", "/v1/events")
    assert (answer.status, answer.error["code"], answer.headers["Allow"]) == (405, "bad_method", "POST")


async def test_every_answer_is_guarded_against_sniffing_and_caching(shop: Shop) -> None:
    for path in ("/health/live", "/nowhere", "/openapi.json"):
        headers = (await shop.call("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


async def test_the_api_key_may_be_sent_with_any_case_of_the_scheme(shop: Shop) -> None:
    headers = {"Authorization": BACKEND["Authorization"].replace("Bearer", "bearer")}
    assert (await shop.track(event("u1"), headers=headers)).status == 202


@pytest.mark.parametrize("encoding", ["compress", "gzip, br", "x-gzip"])
async def test_an_encoding_that_is_not_read_here_is_named_and_the_connection_stays(shop: Shop, encoding: str) -> None:
    headers = {**BACKEND, "Content-Encoding": encoding}
    answer = await shop.call("POST", "/v1/events", headers, data=io.BytesIO(b'{"events":[]}'))
    assert (answer.status, answer.error["code"]) == (415, "unknown_encoding")
    assert "gzip" in answer.error["message"]
    assert "Connection" not in answer.headers


async def test_packed_bodies_are_read_whatever_the_case_of_their_encoding(shop: Shop) -> None:
    body = msgspec.json.encode({"events": [event("u1")]})
    for encoding, packed in {"gzip": gzip.compress(body), "GZIP": gzip.compress(body), "Identity": body}.items():
        headers = {**BACKEND, "Content-Encoding": encoding}
        assert (await shop.call("POST", "/v1/events", headers, data=io.BytesIO(packed))).status == 202


async def test_after_a_body_that_cannot_be_unpacked_the_answer_says_that_the_connection_ends(shop: Shop) -> None:
    headers = {**BACKEND, "Content-Encoding": "gzip"}
    for _ in range(5):
        answer = await shop.call("POST", "/v1/events", headers, data=io.BytesIO(b"this is no gzip"))
        assert (answer.status, answer.error["code"], answer.headers["Connection"]) == (400, "bad_request", "close")
        assert (await shop.track(event("u1"))).status == 202


async def test_of_one_event_sent_ten_times_at_once_one_is_accepted(shop: Shop) -> None:
    shop.log.go_on.clear()  # all ten are looked up before the first is in the log
    sent = event("u1")
    calls = [asyncio.create_task(shop.track(sent)) for _ in range(10)]
    await until(lambda: shop.edge.intake.waiting == 10)
    shop.log.go_on.set()
    answers = [answer.body for answer in await asyncio.gather(*calls)]
    assert sum(answer["accepted"] for answer in answers) == 1
    assert sum(answer["duplicates"] for answer in answers) == 9
    assert shop.metric("events_ingested_total", event="view_item") == 1
    assert shop.metric("events_duplicate_total") == 9
