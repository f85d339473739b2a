"""Recommendations, items, tokens, health: what is asked and answered over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from rec.errors import ConfigError
from rec.ports import Pushed
from tests.web.world import BACKEND, Shop, event, open_shop, settings, slate, stored
from web.auth import Authority


async def test_a_list_is_made_for_whom_it_is_asked(shop: Shop) -> None:
    answer = await shop.call("GET", "/v1/recommendations?user_id=u1&placement=cart&n=7&item_id=a")
    assert answer.status == 200
    assert (answer.body["user_id"], answer.body["placement"], len(answer.body["items"])) == ("u1", "cart", 7)
    [request] = shop.worker.requests
    assert request.item_id == "a"


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("", "missing_user", "user_id"),
        ("?user_id=", "invalid_field", "user_id"),
        ("?user_id=" + "x" * 129, "invalid_field", "user_id"),
        ("?user_id=a%00b", "invalid_field", "user_id"),
        ("?user_id=u1&n=abc", "invalid_field", "n"),
        ("?user_id=u1&n=0", "invalid_field", "n"),
        ("?user_id=u1&n=201", "invalid_field", "n"),
        ("?user_id=u1&n=1.5", "invalid_field", "n"),
        ("?user_id=u1&placement=a/b", "invalid_field", "placement"),
        ("?user_id=u1&item_id=", "invalid_field", "item_id"),
        ("?userid=u1", "unknown_parameter", "userid"),
    ],
)
async def test_a_wrong_question_names_the_field(shop: Shop, query: str, code: str, field: str) -> None:
    answer = await shop.call("GET", "/v1/recommendations" + query)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, code, field)


async def test_a_browser_asks_for_itself_alone(shop: Shop) -> None:
    headers = shop.browser("u1")
    assert (await shop.call("GET", "/v1/recommendations", headers)).body["user_id"] == "u1"
    assert (await shop.call("GET", "/v1/recommendations?user_id=u1", headers)).status == 200
    answer = await shop.call("GET", "/v1/recommendations?user_id=u2", headers)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    assert (await shop.call("GET", "/v1/recommendations?user_id=u1", {})).status == 401


async def test_without_a_worker_the_latest_list_is_answered_as_stale() -> None:
    async with open_shop(request_timeout_s=0.1) as shop:
        shop.worker.answering = False
        answer = await shop.call("GET", "/v1/recommendations?user_id=u1&n=5")
        assert (answer.status, answer.error["code"], answer.error["temporary"]) == (504, "timeout", True)
        assert answer.headers["Retry-After"] == "1"
        await shop.exchange.store_slates([Pushed("u1", stored(slate("u1", "home", "e", 3, 20, shop.clock())))])
        answer = await shop.call("GET", "/v1/recommendations?user_id=u1&n=5")
        assert (answer.status, answer.headers["Shunxi-Stale"]) == (200, "true")
        assert (answer.body["version"], len(answer.body["items"])) == (3, 5)
        assert shop.metric("stale_slates_total") == 1
        answer = await shop.call("GET", "/v1/recommendations?user_id=u1&item_id=a")
        assert answer.status == 504


async def test_without_a_broker_the_latest_list_is_answered_as_stale(shop: Shop) -> None:
    await shop.exchange.store_slates([Pushed("u1", stored(slate("u1", "home", "e", 3, 20, shop.clock())))])
    shop.log.away = True
    assert (await shop.call("GET", "/v1/recommendations?user_id=u1")).headers["Shunxi-Stale"] == "true"
    shop.exchange.away = True
    answer = await shop.call("GET", "/v1/recommendations?user_id=u1")
    assert (answer.status, answer.error["code"]) == (503, "unavailable")


async def test_an_item_is_put_read_and_deleted(shop: Shop) -> None:
    item = {"item_id": "sku/1 ä", "title": "Tent", "price": 19.9, "attributes": {"color": "red"}}
    hints = shop.worker.exchange.hints()
    assert await anext(hints) is None
    answer = await shop.call("PUT", "/v1/items", json={"items": [item, {"item_id": "2", "title": ""}]})
    assert (answer.status, answer.body["accepted"]) == (200, 1)
    assert [(r["index"], r["field"]) for r in answer.body["rejected"]] == [(1, "title")]
    assert (await anext(hints)).kind == "catalog"  # type: ignore[union-attr]
    path = "/v1/items/sku%2F1%20%C3%A4"
    assert (await shop.call("GET", path)).body == item
    assert (await shop.call("GET", path, shop.browser("u1"))).status == 200
    assert (await shop.call("DELETE", path)).body == {"deleted": True}
    for method in ("GET", "DELETE"):
        answer = await shop.call(method, path)
        assert (answer.status, answer.error["code"]) == (404, "unknown_item")


async def test_image_vectors_are_stored_whichever_way_they_came_and_must_be_as_long_as_the_setting_says() -> None:
    def item(vector: Any) -> dict[str, Any]:
        return {"item_id": "1", "title": "Tent", "image_vector": vector}

    async with open_shop(image_dim=2) as shop:
        for vector in ([1, 2.0], "AACAPwAAAEA="):
            answer = await shop.call("PUT", "/v1/items", json={"items": [item(vector)]})
            assert answer.body["accepted"] == 1
            assert (await shop.call("GET", "/v1/items/1")).body == item("AACAPwAAAEA=")
        wrong = [([1.0], "image_dim"), ("AACA", "invalid_field"), ("?", "invalid_field"), ([1, "a"], "invalid_field")]
        answer = await shop.call("PUT", "/v1/items", json={"items": [item(vector) for vector, _ in wrong]})
        assert [(one["code"], one["field"].partition("[")[0]) for one in answer.body["rejected"]] == [
            (code, "image_vector") for _, code in wrong
        ]
    async with open_shop() as shop:
        answer = await shop.call("PUT", "/v1/items", json={"items": [item([1.0, 2.0])]})
        [refused] = answer.body["rejected"]
        assert "this installation reads none. Set REC_IMAGE_DIM=2" in refused["message"]


@pytest.mark.parametrize(
    ("item", "code", "field"),
    [
        ({"title": "Tent"}, "missing_field", "item_id"),
        ({"item_id": "1"}, "missing_field", "title"),
        ({"item_id": "1", "title": "Tent", "price": -1}, "invalid_field", "price"),
        ({"item_id": "1", "title": "Tent", "price": "19"}, "invalid_field", "price"),
        ({"item_id": "1", "title": "Tent", "url": "javascript:alert(1)"}, "invalid_field", "url"),
        ({"item_id": "1", "title": "Tent", "image_url": 'https://x/"onload='}, "invalid_field", "image_url"),
        ({"item_id": "1", "title": "Tent", "categories": ["a"]}, "unknown_field", "categories"),
        ([], "invalid_field", None),
    ],
)
async def test_a_wrong_item_is_refused_alone(shop: Shop, item: Any, code: str, field: str | None) -> None:
    good = {"item_id": "good", "title": "Good"}
    answer = await shop.call("PUT", "/v1/items", json={"items": [item, good]})
    assert answer.body["accepted"] == 1
    [refused] = answer.body["rejected"]
    assert (refused["index"], refused["code"], refused.get("field")) == (0, code, field)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"items": []}, 400, "no_items"),
        ({"items": 1}, 400, "invalid_field"),
        ({}, 400, "missing_field"),
        ({"items": [1] * 501}, 413, "too_many_items"),
    ],
)
async def test_an_unusable_batch_of_items_is_refused(shop: Shop, body: Any, status: int, code: str) -> None:
    answer = await shop.call("PUT", "/v1/items", json=body)
    assert (answer.status, answer.error["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/items"),
        ("DELETE", "/v1/items/1"),
        ("GET", "/v1/users/u1"),
        ("DELETE", "/v1/users/u1"),
        ("GET", "/v1/erasures/1"),
        ("POST", "/v1/tokens"),
        ("GET", "/v1/ads"),
        ("GET", "/v1/feedback"),
    ],
)
async def test_what_backends_do_is_not_for_browsers(shop: Shop, method: str, path: str) -> None:
    answer = await shop.call(method, path, shop.browser("u1"), json={})
    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    assert (await shop.call(method, path, {}, json={})).status == 401


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("ads", "n=0", "n"),
        ("ads", "by=item", "by"),
        ("ads", "campaign=", "campaign"),
        ("feedback", "by=user", "by"),
        ("feedback", "n=0", "n"),
        ("feedback", "user_id=u1", "user_id"),
    ],
)
async def test_what_no_report_can_say_is_refused_by_name(shop: Shop, path: str, query: str, field: str) -> None:
    answer = await shop.call("GET", f"/v1/{path}?{query}")
    assert (answer.status, answer.error["field"]) == (400, field)


async def test_a_token_lets_a_browser_in(shop: Shop) -> None:
    answer = await shop.call("POST", "/v1/tokens", json={"user_id": "u1", "visitor_id": "v1"})
    assert answer.body["expires_in"] == 900
    headers = {"Authorization": f"Bearer {answer.body['token']}"}
    assert (await shop.track(event("u1", visitor_id="v1"), headers=headers)).body["accepted"] == 1


@pytest.mark.parametrize("body", [{}, {"user_id": ""}, {"user_id": 7}, {"user_id": "u\n"}, [], "u1"])
async def test_a_token_for_nobody_is_refused(shop: Shop, body: Any) -> None:
    assert (await shop.call("POST", "/v1/tokens", json=body)).status == 400


async def test_a_token_with_a_misspelled_visitor_is_refused_by_the_name_that_was_meant(shop: Shop) -> None:
    answer = await shop.call("POST", "/v1/tokens", json={"user_id": "u1", "visitorid": "v1"})
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, "unknown_field", "visitorid")
    assert answer.error["did_you_mean"] == "visitor_id"


async def test_a_parameter_that_comes_twice_is_refused(shop: Shop) -> None:
    answer = await shop.call("GET", "/v1/recommendations?user_id=u1&n=1&n=2")
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, "repeated_parameter", "n")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/version", "/openapi.json"])
async def test_head_is_get_without_the_body(shop: Shop, path: str) -> None:
    async with shop.http.head(shop.url + path) as head, shop.http.get(shop.url + path) as get:
        assert (head.status, head.content_type, await head.read()) == (200, get.content_type, b"")
        assert int(head.headers["Content-Length"]) > 0


async def test_head_makes_no_list(shop: Shop) -> None:
    async with shop.http.head(f"{shop.url}/v1/recommendations?user_id=u1", headers=BACKEND) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


def test_an_edge_without_secrets_does_not_start() -> None:
    with pytest.raises(ConfigError, match="REC_API_KEY"):
        Authority(settings(api_key=""))
    with pytest.raises(ConfigError, match="REC_TOKEN_SECRET"):
        Authority(settings(token_secret="short"))
    Authority(settings())


async def test_the_edge_is_ready_when_all_neighbours_answer_and_a_worker_is_ready(shop: Shop) -> None:
    answer = await shop.call("GET", "/health/ready", {})
    assert (answer.status, set(answer.body["checks"].values())) == (200, {"ok"})
    await shop.worker.exchange.set_worker_state("w2", "recovering")
    answer = await shop.call("GET", "/health/ready", {})
    assert (answer.status, answer.body["checks"]["workers"]) == (503, "1 of 2 are recovering")
    shop.log.away = shop.exchange.away = True
    answer = await shop.call("GET", "/health/ready", {})
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert {name for name, result in answer.body["checks"].items() if result != "ok"} == {"broker", "redis", "workers"}
    assert (await shop.call("GET", "/health/live", {})).body == {"status": "live"}


async def test_metrics_are_in_the_format_of_prometheus(shop: Shop) -> None:
    await shop.track(event("u1"))
    answer = await shop.call("GET", "/metrics", {})
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'shunxi_events_ingested_total{event="view_item"} 1.0' in answer.body
    assert 'shunxi_http_request_seconds_count{route="/v1/events",status="202"} 1.0' in answer.body


async def test_the_version_is_told(shop: Shop) -> None:
    assert "version" in (await shop.call("GET", "/version", {})).body


async def test_pages_of_allowed_origins_may_read_answers_and_others_may_not() -> None:
    async with open_shop(allowed_origins="https://shop.example") as shop:
        origin = {"Origin": "https://shop.example"}
        answer = await shop.call("POST", "/v1/events", {**BACKEND, **origin}, json={"events": [event("u1")]})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        asking = {**origin, "Access-Control-Request-Method": "POST"}
        answer = await shop.call("OPTIONS", "/v1/events", asking)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "https://shop.example")
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        foreign = {"Origin": "https://evil.example"}
        answer = await shop.call("GET", "/health/live", foreign)
        assert "Access-Control-Allow-Origin" not in answer.headers
        answer = await shop.call("OPTIONS", "/v1/events", {**foreign, "Access-Control-Request-Method": "POST"})
        assert answer.status == 405


async def test_changes_of_items_are_in_the_audit_trail_with_their_count_and_first_ids(shop: Shop) -> None:
    items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(7)]
    answer = await shop.call("PUT", "/v1/items", json={"items": [*items, {"item_id": "..", "title": "T"}]})
    assert [one["field"] for one in answer.body["rejected"]] == ["item_id"]
    assert (await shop.call("DELETE", "/v1/items/i3")).status == 200
    assert (await shop.call("DELETE", "/v1/items/i3")).status == 404
    deleted, put = await shop.database.recent()
    assert {entry["actor"] for entry in (deleted, put)} == {"api key"}
    assert (put["action"], put["detail"]["count"], put["detail"]["first"]) == (
        "put items", 7, ["i0", "i1", "i2", "i3", "i4"],
    )  # fmt: skip
    assert put["detail"]["revision"] == answer.body["revision"]
    assert (deleted["action"], deleted["detail"]) == ("delete item", {"count": 1, "first": ["i3"]})
