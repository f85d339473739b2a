"""`track`: acknowledged, repeated under the same event_id, and in requests that the server takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from rec.client import Event, EventItem, RecClient, Timing
from rec.client.events import Rejection
from rec.errors import BadInput, DeadlineExceeded, RateLimited, TooLarge, Unauthorized, Unavailable
from rec.protocol import MAX_BODY_BYTES
from tests.client.conftest import QUICK
from tests.client.fake_server import VANISH, FakeServer, a_slate, a_token

UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


def refused(status: int, **headers: str) -> web.Response:
    return web.json_response(
        {"error": {"code": "unavailable", "message": "the broker is away", "temporary": True}},
        status=status,
        headers=headers,
    )


async def test_an_event_says_who_what_when_and_on_which_list(server: FakeServer, client: RecClient) -> None:
    result = await client.track(
        "select_item", user_id="u1", items=[EventItem("sku_1", index=3), "sku_2"], slate=a_slate(42), value=9.5
    )
    assert (result.accepted, result.duplicates, result.rejected) == (1, 0, ())
    call = await server.called("POST /v1/events")
    (event,) = call.body["events"]
    assert call.authorization == "Bearer key"
    assert UUID7.match(event.pop("event_id"))
    sent = datetime.fromisoformat(event.pop("sent_ts"))
    assert datetime.fromisoformat(event.pop("client_ts")) <= sent <= datetime.now(UTC)
    assert event == {
        "event": "select_item",
        "user_id": "u1",
        "items": [{"item_id": "sku_1", "index": 3}, {"item_id": "sku_2"}],
        "attribution": {"slate_id": "a-42", "version": 42},
        "value": 9.5,
    }


async def test_an_impression_says_where_on_its_list_the_items_were(server: FakeServer, client: RecClient) -> None:
    slate = a_slate(42)
    await client.track("view_item_list", user_id="u1", items=slate.items[:2], slate=slate)
    (event,) = (await server.called("POST /v1/events")).body["events"]
    assert event["items"] == [{"item_id": place.item_id, "index": at} for at, place in enumerate(slate.items[:2])]
    assert event["attribution"] == {"slate_id": slate.slate_id, "version": slate.version}


async def test_rejections_come_back_typed(server: FakeServer, client: RecClient) -> None:
    rejection = {"index": 0, "code": "unknown_event", "message": "no such event", "did_you_mean": "view_item"}
    server.http["POST /v1/events"] = lambda request, body: {"accepted": 0, "duplicates": 0, "rejected": [rejection]}
    result = await client.track("veiw_item", user_id="u1", items=["x"])
    assert result.rejected == (Rejection(0, "unknown_event", "no such event", "view_item"),)


async def test_a_server_that_vanishes_in_the_middle_gets_the_same_event_ids_again(
    server: FakeServer, client: RecClient
) -> None:
    def vanish_twice(request: web.Request, body: Any) -> Any:
        return VANISH if len(server.event_ids) < 3 else {"accepted": 0, "duplicates": 1, "rejected": []}

    server.http["POST /v1/events"] = vanish_twice
    result = await client.track("view_item", user_id="u1", items=["x"])
    assert result.duplicates == 1
    first, second, third = server.event_ids
    assert first == second == third
    calls = [call.body["events"][0] for call in server.calls]
    assert len({call["client_ts"] for call in calls}) == 1
    assert len({call["sent_ts"] for call in calls}) == 3


async def test_a_busy_server_is_given_the_time_it_asks_for(server: FakeServer, client: RecClient) -> None:
    answers = [refused(503, **{"Retry-After": "1"}), {"accepted": 1, "duplicates": 0, "rejected": []}]
    server.http["POST /v1/events"] = lambda request, body: answers.pop(0)
    assert (await client.track("view_item", user_id="u1", items=["x"])).accepted == 1
    first, second = (datetime.fromisoformat(call.body["events"][0]["sent_ts"]) for call in server.calls)
    assert (second - first).total_seconds() >= 1.0


async def test_a_wait_longer_than_the_time_left_raises_at_once(server: FakeServer, client: RecClient) -> None:
    server.http["POST /v1/events"] = lambda request, body: refused(429, **{"Retry-After": "3600"})
    with pytest.raises(Unavailable) as caught:
        await client.track("view_item", user_id="u1", items=["x"])
    assert caught.value.retry_after == 3600
    assert len(server.calls) == 1


async def test_a_hanging_server_raises_in_time(server: FakeServer) -> None:
    async def hang(request: web.Request, body: Any) -> Any:
        await server.stopping.wait()

    server.http["POST /v1/events"] = hang
    async with RecClient(server.url, api_key="key", timing=Timing(timeout_s=0.1)) as client:
        with pytest.raises(DeadlineExceeded) as caught:
            await client.track("view_item", user_id="u1", items=["x"])
    assert caught.value.temporary


async def test_a_wrong_key_is_not_tried_again(server: FakeServer, client: RecClient) -> None:
    server.http["POST /v1/events"] = lambda request, body: web.json_response(
        {"error": {"code": "unauthorized", "message": "wrong API key"}}, status=401
    )
    with pytest.raises(Unauthorized, match="wrong API key"):
        await client.track("view_item", user_id="u1", items=["x"])
    assert len(server.calls) == 1


async def test_an_unreachable_server_says_where_and_what_to_do() -> None:
    async with RecClient("http://127.0.0.1:1", api_key="key", timing=Timing(timeout_s=0.2)) as client:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1.*rec up"):
            await client.track("view_item", user_id="u1", items=["x"])


async def test_many_events_go_in_requests_of_at_most_500_and_256_kib(server: FakeServer, client: RecClient) -> None:
    fat = {"text": "x" * 1000}
    events = [Event(event="search", event_id=f"e{k}", user_id="u1", context=fat) for k in range(300)]
    events += [Event(event="search", event_id=f"e{k}", user_id="u1") for k in range(300, 1500)]
    server.http["POST /v1/events"] = lambda request, body: {
        "accepted": len(body["events"]) - 1,
        "duplicates": 0,
        "rejected": [{"index": 1, "code": "bad", "message": "the second of each"}],
    }
    result = await client.track_many(events)
    sizes = [len(ids) for ids in server.event_ids]
    assert sum(sizes) == 1500
    assert max(sizes) <= 500
    assert [event_id for ids in server.event_ids for event_id in ids] == [event.event_id for event in events]
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    assert [rejection.index for rejection in result.rejected] == [start + 1 for start in starts]
    assert result.accepted == 1500 - len(sizes)


async def test_every_request_fits_the_server(server: FakeServer, client: RecClient) -> None:
    lengths: list[int] = []

    def measure(request: web.Request, body: Any) -> Any:
        lengths.append(request.content_length or 0)
        return {"accepted": len(body["events"]), "duplicates": 0, "rejected": []}

    server.http["POST /v1/events"] = measure
    fat = {"text": "x" * 9_000}
    await client.track_many([Event(event="search", event_id=f"e{k}", user_id="u1", context=fat) for k in range(60)])
    assert len(lengths) > 1
    assert max(lengths) <= MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": "u1", "items": [""]}, "item_id"),
        ({"user_id": "u1", "items": ["x"] * 201}, "items"),
        ({"user_id": "u1", "value": "much"}, "value"),
        ({}, "user_id or a visitor_id"),
    ],
)
async def test_a_wrong_event_is_refused_before_it_is_sent(
    server: FakeServer, client: RecClient, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        await client.track("view_item", **wrong)
    assert server.calls == []


async def test_an_event_too_large_for_any_request_is_refused(client: RecClient) -> None:
    with pytest.raises(TooLarge, match="context"):
        await client.track("view_item", user_id="u1", context={"x": "y" * 200_000})


async def test_a_visitor_needs_no_user(server: FakeServer, client: RecClient) -> None:
    await client.track("view_item", visitor_id="v1", items=["x"])
    (event,) = server.calls[0].body["events"]
    assert (event.get("user_id"), event["visitor_id"]) == (None, "v1")


async def test_the_client_s_own_user_is_taken_where_none_is_named(server: FakeServer) -> None:
    async with RecClient(server.url, token=a_token("u9", 900, 1), user_id="u9", timing=QUICK) as client:
        await client.track("view_item", items=["x"])
        await client.recommend()
    assert server.calls[0].body["events"][0]["user_id"] == "u9"
    assert server.calls[0].authorization.startswith("Bearer e30.")
    assert server.calls[1].query["user_id"] == "u9"


async def test_rate_limits_are_typed(server: FakeServer, client: RecClient) -> None:
    server.http["GET /v1/recommendations"] = lambda request, body: web.Response(
        status=429, headers={"Retry-After": "2"}
    )
    with pytest.raises(RateLimited) as caught:
        await client.recommend("u1")
    assert caught.value.retry_after == 2.0
    assert caught.value.temporary
