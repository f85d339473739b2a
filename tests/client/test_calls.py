"""The typed calls, the mapping of errors, and what of the package is public."""

from __future__ import annotations

import base64
import inspect
import json
import subprocess
import sys
import types
from typing import Any

import pytest
from aiohttp import web

import rec.client
import rec.errors
from rec.client import RecClient, Timing
from rec.client.errors import from_close, from_response, from_wire
from rec.client.searches import SearchOptions
from rec.client.tokens import renew_in
from rec.errors import BadInput, DeadlineExceeded, NotFound, RecError, Unauthorized, Unavailable
from rec.events import EventItem
from rec.protocol import CloseCode
from tests.client.conftest import QUICK
from tests.client.fake_server import FakeServer, a_token


async def test_recommend_gives_a_typed_slate(server: FakeServer, client: RecClient) -> None:
    slate = await client.recommend("u1", placement="item", n=2, item_id="i7")
    assert [item.item_id for item in slate.items] == ["i0", "i1"]
    assert server.calls[0].query == {"user_id": "u1", "placement": "item", "n": "2", "item_id": "i7"}


async def test_search_gives_a_slate_and_its_options_travel(server: FakeServer, client: RecClient) -> None:
    more: SearchOptions = {"category": "Camping", "price_max": 99.5, "in_stock": False, "sort": "newest"}
    slate = await client.search("tent", user_id="u1", n=2, **more)
    assert [item.item_id for item in slate.items] == ["i0", "i1"]
    asked = {"user_id": "u1", "q": "tent", "n": "2", "category": "Camping", "price_max": "99.5"}
    assert server.calls[0].query == asked | {"in_stock": "false", "sort": "newest"}
    with pytest.raises(BadInput, match="sort"):
        await client.search("tent", user_id="u1", sort="cheapest")  # type: ignore[arg-type]
    assert [each.text for each in await client.suggest("te")] == ["tent"]


async def test_a_search_is_for_the_clients_own_user_unless_another_is_named(
    server: FakeServer, client: RecClient
) -> None:
    async with RecClient(server.url, token=a_token("u7", 60, 1), user_id="u7") as device:
        await device.search("tent")
    assert server.calls[-1].query == {"user_id": "u7", "q": "tent", "n": "20"}
    with pytest.raises(BadInput, match="user_id: is missing") as refused:
        await client.search("tent")  # a backend speaks for many
    assert refused.value.field == "user_id"
    with pytest.raises(BadInput, match="n: "):
        await client.search("u1", "tent")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "wrong", "remedy"),
    [
        ("q", "", "Send 1 to 1024 characters"),
        ("q", " \t", "Send 1 to 1024 characters"),
        ("n", 201, "Send a whole number from 1 to 200"),
        ("sort", "cheapest", "price_asc"),
        ("price_min", -1, "at least 0"),
        ("price_min", 9_999, "above price_max"),
        ("in_stock", "yes", "Send true or false"),
        ("page", "3", "search.next of the slate before"),
    ],
)
async def test_what_makes_no_search_is_refused_by_field_and_remedy_before_it_is_sent(
    server: FakeServer, client: RecClient, field: str, wrong: Any, remedy: str
) -> None:
    with pytest.raises(BadInput) as refused:
        await client.search(**{"q": "tent", "user_id": "u1", "price_max": 50.0, field: wrong})
    assert (refused.value.field, remedy in refused.value.message) == (field, True)
    assert "$" not in refused.value.message
    assert server.calls == []


async def test_suggestions_have_a_limit_of_their_own(server: FakeServer, client: RecClient) -> None:
    with pytest.raises(BadInput, match="from 1 to 20") as refused:
        await client.suggest("te", 21)
    assert (refused.value.field, server.calls) == ("n", [])


async def test_a_filter_that_does_not_exist_is_refused_before_anything_is_sent(
    server: FakeServer, client: RecClient
) -> None:
    for name, meant in (("bogus", None), ("categroy", "category")):
        with pytest.raises(BadInput, match=f"There is no parameter '{name}'") as caught:
            await client.search("tent", 3, user_id="u1", **{name: 1})  # type: ignore[arg-type]
        assert (caught.value.field, caught.value.did_you_mean) == (name, meant)
    assert server.calls == []


@pytest.mark.parametrize("q", ["", "a" * 10_000])
async def test_a_query_that_no_server_takes_is_refused_by_name_before_it_is_sent(
    server: FakeServer, client: RecClient, q: str
) -> None:
    for asked in (client.search(q, user_id="u1"), client.suggest(q)):
        with pytest.raises(BadInput, match="q has .* 1 to 1024 characters") as caught:
            await asked
        assert caught.value.field == "q"
    assert server.calls == []


async def test_what_is_done_on_a_search_names_its_query(server: FakeServer, client: RecClient) -> None:
    slate = await client.search("tent", user_id="u1", n=2)
    await client.track("select_item", user_id="u1", items=["i1"], slate=slate)
    [event] = server.calls[-1].body["events"]
    assert (event["search_term"], event["attribution"]["slate_id"]) == ("tent", slate.slate_id)


async def test_ids_are_quoted_in_paths(server: FakeServer, client: RecClient) -> None:
    await client.get_item("a/b ?c")
    await client.get_user("ü%2F")
    await client.erase_user("u#1")
    await client.get_erasure("r1")
    await client.delete_item("x")
    assert [call.route for call in server.calls] == [
        "GET /v1/items/a%2Fb%20%3Fc",
        "GET /v1/users/%C3%BC%252F",
        "DELETE /v1/users/u%231",
        "GET /v1/erasures/r1",
        "DELETE /v1/items/x",
    ]


async def test_ids_that_no_path_can_carry_are_refused_by_name(server: FakeServer, client: RecClient) -> None:
    for wrong in (".", "..", "", "a\nb", "x" * 129, "\udc80"):
        with pytest.raises(BadInput, match="item_id: .* whole characters") as caught:
            await client.get_item(wrong)
        assert caught.value.field == "item_id"
        with pytest.raises(BadInput, match="user_id: "):
            await client.erase_user(wrong)
    assert server.calls == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
async def test_a_number_that_json_cannot_carry_is_refused_by_name(
    server: FakeServer, client: RecClient, number: float
) -> None:
    for field, details in (
        ("value", {"value": number}),
        ("items[0].price", {"items": [EventItem("x", price=number)]}),
        ("context.depth[1]", {"context": {"depth": [1, number]}}),
    ):
        with pytest.raises(BadInput) as caught:
            await client.track("purchase", user_id="u1", **details)
        assert caught.value.field == field
        assert field in caught.value.message
    with pytest.raises(BadInput, match=r"items\[1\]\.price"):
        await client.put_items([{"item_id": "a", "title": "A"}, {"item_id": "b", "title": "B", "price": number}])
    assert server.calls == []


async def test_what_a_server_refuses_is_exit_code_1_and_what_the_client_sees_itself_2(
    server: FakeServer, client: RecClient
) -> None:
    server.http["GET /v1/recommendations"] = lambda request, body: web.Response(status=400)
    with pytest.raises(BadInput) as refused:
        await client.recommend("u1")
    with pytest.raises(BadInput) as seen:
        await client.recommend("..")
    assert (refused.value.exit_code, seen.value.exit_code) == (1, 2)


async def test_items_go_in_requests_that_the_server_takes(server: FakeServer, client: RecClient) -> None:
    server.http["PUT /v1/items"] = lambda request, body: {
        "accepted": len(body["items"]) - 1,
        "rejected": [{"index": 0, "code": "bad_item", "message": "the first of each"}],
        "revision": len(server.calls),
    }
    items = [{"item_id": f"i{k}", "title": "Tent", "description": "x" * 8000} for k in range(50)]
    items += [{"item_id": f"i{k}", "title": "Tent"} for k in range(50, 1100)]
    result = await client.put_items(items)
    sizes = [len(call.body["items"]) for call in server.calls]
    sent = [item["item_id"] for call in server.calls for item in call.body["items"]]
    assert sent == [item["item_id"] for item in items]
    assert max(sizes) <= 500
    assert result.accepted == 1100 - len(sizes)
    assert result.revision == len(sizes)
    assert [one.index for one in result.rejected] == [sum(sizes[:k]) for k in range(len(sizes))]


async def test_a_token_is_made_with_the_api_key_alone(server: FakeServer, client: RecClient) -> None:
    assert (await client.token("u1")).startswith("e30.")
    async with RecClient(server.url, token="t", user_id="u1") as browser:
        with pytest.raises(BadInput, match="api_key"):
            await browser.token("u1")


async def test_a_token_is_asked_for_once_while_it_is_good_and_again_when_refused(server: FakeServer) -> None:
    asked = 0

    async def token(user_id: str) -> str:
        nonlocal asked
        asked += 1
        return a_token(user_id, 900, asked)

    async with RecClient(server.url, token=token, timing=QUICK) as client:
        await client.recommend("u1")
        await client.recommend("u1")
        assert asked == 1
        server.http["GET /v1/recommendations"] = lambda request, body: web.Response(status=401)
        with pytest.raises(Unauthorized):
            await client.recommend("u1")
        del server.http["GET /v1/recommendations"]
        await client.recommend("u1")
        assert asked == 2


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"{}", b'{"slate_id":1}', b'"\xff"', b"[" * 100_000],
    ids=["another server", "an empty object", "wrong types", "another encoding", "nested beyond reason"],
)
async def test_an_answer_that_is_no_slate_is_a_clear_error(
    server: FakeServer, client: RecClient, answer: bytes
) -> None:
    server.http["GET /v1/recommendations"] = lambda request, body: web.Response(body=answer)
    with pytest.raises(RecError, match="same version") as caught:
        await client.recommend("u1")
    assert not caught.value.temporary


async def test_a_redirect_is_not_followed_with_the_key(server: FakeServer, client: RecClient) -> None:
    server.http["GET /v1/recommendations"] = lambda request, body: web.Response(
        status=302, headers={"Location": "http://127.0.0.1:1/"}
    )
    with pytest.raises(RecError, match="302"):
        await client.recommend("u1")


async def test_an_answer_that_hangs_halfway_ends_in_time(server: FakeServer) -> None:
    async def half(request: web.Request, body: Any) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"slate')
        await server.stopping.wait()
        return response

    server.http["GET /v1/recommendations"] = half
    async with RecClient(server.url, api_key="key", timing=Timing(timeout_s=0.1)) as client:
        with pytest.raises(DeadlineExceeded):
            await client.recommend("u1")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://", "http:///x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="url"):
        RecClient(url, api_key="key")


@pytest.mark.parametrize("credentials", [{}, {"api_key": ""}, {"api_key": "k", "token": "t"}])
def test_exactly_one_credential_is_needed(credentials: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="either"):
        RecClient("http://x", **credentials)


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await RecClient("http://x", api_key="k").recommend("u1")


# ---------------------------------------------------------------- errors
def all_errors() -> list[type[RecError]]:
    classes = vars(rec.errors).values()
    return [cls for cls in classes if isinstance(cls, type) and issubclass(cls, RecError)]


@pytest.mark.parametrize("cls", all_errors(), ids=lambda cls: cls.__name__)
def test_every_error_survives_the_wire(cls: type[RecError]) -> None:
    sent = cls("why", field="q", did_you_mean="p", retry_after=2.0)
    got = from_response(cls.http_status, json.dumps({"error": sent.as_dict()}).encode(), {}, 0.0)
    assert type(got) is cls
    assert got.as_dict() == sent.as_dict()


@pytest.mark.parametrize("status", [300, 302, 400, 401, 403, 404, 409, 413, 418, 429, 500, 501, 502, 503, 504, 599])
def test_every_status_is_an_error_whatever_the_body(status: int) -> None:
    bodies = (
        b"",
        b"<html>",
        b"[]",
        b'{"error":"text"}',
        b'{"error":{"message":7}}',
        b"null",
        b'"\xff"',
        b"[" * 100_000,
    )
    for body in bodies:
        error = from_response(status, body, {"Retry-After": "soon"}, 0.0)
        assert isinstance(error, RecError)
        assert error.temporary is (status in {429, 502, 503, 504, 599})


def test_the_server_s_word_on_temporary_counts() -> None:
    assert from_wire({"code": "internal", "message": "x", "temporary": True}, 500).temporary
    assert isinstance(from_wire({}, 502), Unavailable)
    assert isinstance(from_wire({"code": "no_such_item"}, 404), NotFound)


@pytest.mark.parametrize("code", list(CloseCode))
def test_close_codes_agree_with_the_protocol(code: CloseCode) -> None:
    assert (from_close(code) is None) is code.reconnect


@pytest.mark.parametrize("token", ["", "a.b", "a.!.c", "a.e30.c", "a.W10.c", f"a.{'A' * 9}.c"])
def test_a_token_without_readable_times_is_not_renewed_early(token: str) -> None:
    assert renew_in(token, 0.0, minted_now=True) is None


def test_a_token_that_this_clock_calls_expired_is_left_to_the_server() -> None:
    claims = base64.urlsafe_b64encode(b'{"exp":100}').decode().rstrip("=")
    assert renew_in(f"a.{claims}.c", now=200.0, minted_now=False) is None


# ---------------------------------------------------------------- the package
def test_all_is_what_is_public() -> None:
    public = {
        name
        for name, value in vars(rec.client).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert rec.client.__all__ == sorted(public)
    assert all(inspect.getdoc(getattr(rec.client, name)) for name in public)


def test_the_sdk_imports_with_aiohttp_and_msgspec_alone() -> None:
    code = """
import sys
import aiohttp, msgspec
allowed = set(sys.modules)
wire = {"rec", "rec.errors", "rec.events", "rec.slates", "rec.protocol", "rec.ids"}
class Block:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or name in allowed or top in {"aiohttp", "msgspec"}:
            return None
        if name in wire or name.startswith("rec.client"):
            return None
        raise ModuleNotFoundError(f"{name} is not installed here")
sys.meta_path.insert(0, Block())
import rec.client
try:
    import numpy
except ModuleNotFoundError:
    print(rec.client.RecClient.__name__)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "RecClient\n", done.stderr
