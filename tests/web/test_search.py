"""Search at the edge: what is passed on, what is refused and how it is said, and a worker that does not answer."""

from __future__ import annotations

import pytest

from rec.errors import Unavailable
from rec.protocol import MAX_QUERY, Search
from rec.requests import SearchRequest
from tests.web.world import Shop, open_shop


def asked(shop: Shop) -> Search:
    [request] = [one for one in shop.worker.requests if isinstance(one, SearchRequest)]
    return request.search


async def test_a_search_reaches_the_owner_of_the_user_with_all_its_filters(shop: Shop) -> None:
    path = "/v1/search?user_id=u1&q=tent&n=3&category=Camping&brand=Oak&price_min=5&price_max=50.5"
    answer = await shop.call("GET", path + "&in_stock=false&sort=price_asc")
    assert (answer.status, answer.body["placement"], len(answer.body["items"])) == (200, "search", 3)
    assert answer.body["search"] == {"query": "tent", "total": 3}
    assert asked(shop) == Search("tent", 3, "Camping", "Oak", 5, 50.5, False, "price_asc")


async def test_a_search_over_the_websocket_is_answered_under_its_id(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        await socket.ws.send_str('{"id":4,"search":{"q":"tent","n":2}}')
        frame = await socket.frame()
        assert frame["id"] == 4
        assert [item["item_id"] for item in frame["search"]["slate"]["items"]] == ["v1-0", "v1-1"]


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("", "q", "missing_field"),
        ("q=", "q", "invalid_field"),
        ("q=%20%09", "q", "bad_request"),
        ("q=%00%1b", "q", "bad_request"),
        ("q=" + "x" * 7_000, "q", "invalid_field"),
        ("q=tent&colour=red", "colour", "unknown_parameter"),
        ("q=tent&categroy=Camping", "categroy", "unknown_parameter"),
        ("q=tent&category=", "category", "invalid_field"),
        ("q=tent&price_min=cheap", "price_min", "invalid_field"),
        ("q=tent&price_min=-1", "price_min", "invalid_field"),
        ("q=tent&price_min=nan", "price_min", "invalid_field"),
        ("q=tent&price_min=9&price_max=3", "price_min", "bad_request"),
        ("q=tent&in_stock=perhaps", "in_stock", "invalid_field"),
        ("q=tent&sort=cheapest", "sort", "invalid_field"),
        ("q=tent&page=2", "page", "invalid_field"),
        ("q=tent&n=201", "n", "invalid_field"),
        ("q=tent&q=stove", "q", "repeated_parameter"),
    ],
)
async def test_what_makes_no_search_is_refused_by_field_and_remedy(
    shop: Shop, query: str, field: str, code: str
) -> None:
    answer = await shop.call("GET", f"/v1/search?user_id=u1&{query}")
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, code, field)
    assert len(answer.error["message"]) > 20
    assert not shop.worker.requests


async def test_a_filter_that_does_not_exist_is_refused_over_the_websocket_as_over_http(shop: Shop) -> None:
    over_http = (await shop.call("GET", "/v1/search?user_id=u1&q=tent&categroy=Camping")).error
    async with shop.connected("u1") as socket:
        error = (await socket.ask("search", q="tent", categroy="Camping"))["error"]
        assert error == {**over_http, "field": "search.categroy"}
        assert (error["code"], error["did_you_mean"], error["temporary"]) == ("unknown_parameter", "category", False)
        assert (await socket.ask("search", q="tent", bogus=1))["error"]["field"] == "search.bogus"
        assert not shop.worker.requests
        assert "slate" in (await socket.ask("search", q="tent", category="Camping", page=None))["search"]


@pytest.mark.parametrize("q", ["tent AND (", '"', "title:*", "a^9 ~2", "' OR 1=1 --", "[a TO b]", "\\", "tent\nstove"])
async def test_a_query_language_is_text_like_any_other(shop: Shop, q: str) -> None:
    answer = await shop.call("GET", "/v1/search", params={"user_id": "u1", "q": q})
    assert answer.status == 200
    assert asked(shop).q == q


async def test_a_query_of_10_kb_is_refused_before_anything_reads_it(shop: Shop) -> None:
    answer = await shop.call("GET", "/v1/search?user_id=u1&q=" + "x" * 10_240)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (400, "invalid_field", "q")
    async with shop.connected("u1") as socket:
        refused = await socket.ask("search", q="x" * 10_240)
        assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid_field", "search.q")
        assert "slate" in (await socket.ask("search", q="tent"))["search"]
    assert len(shop.worker.requests) == 1


async def test_the_longest_query_and_filters_there_may_be_are_read_from_an_address(shop: Shop) -> None:
    longest = "🏕" * MAX_QUERY  # 12 bytes of an address each
    wanted = {"user_id": "u1", "q": longest, "category": longest, "brand": longest}
    assert (await shop.call("GET", "/v1/search", params=wanted)).status == 200
    assert asked(shop).q == longest


async def test_a_worker_that_does_not_answer_is_a_timeout_that_may_be_tried_again() -> None:
    async with open_shop(request_timeout_s=0.1) as shop:
        shop.worker.answering = False
        for path in ("/v1/search?user_id=u1&q=tent", "/v1/suggest?q=te"):
            answer = await shop.call("GET", path)
            assert (answer.status, answer.error["code"], answer.error["temporary"]) == (504, "timeout", True)


async def test_a_worker_with_too_much_to_do_is_busy_and_may_be_asked_again() -> None:
    async with open_shop() as shop:
        shop.worker.refusing = Unavailable("busy", code="busy", retry_after=1)
        answer = await shop.call("GET", "/v1/search?user_id=u1&q=tent")
        assert (answer.status, answer.error["code"], answer.error["temporary"]) == (503, "busy", True)
        assert answer.headers["Retry-After"] == "1"


async def test_suggestions_need_letters_and_name_nobody_else(shop: Shop) -> None:
    assert (await shop.call("GET", "/v1/suggest?q=te")).body == {"suggestions": [{"text": "te", "kind": "word"}]}
    assert (await shop.call("GET", "/v1/suggest?q=%20")).error["field"] == "q"
    many = await shop.call("GET", "/v1/suggest?q=te&n=21")
    assert (many.error["field"], "from 1 to 20." in many.error["message"]) == ("n", True)
    assert (await shop.call("GET", "/v1/suggest?q=te&user_id=u2", shop.browser("u1"))).status == 403
