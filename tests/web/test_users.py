"""What is stored about somebody can be read, and can be ended; and stays ended."""

from __future__ import annotations

import contextlib
import random
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestServer
from yarl import URL

from rec.client import RecClient
from rec.errors import NotFound
from rec.events import ERASE, Event, encode_event, instant
from rec.ports import Hint, Pushed
from rec.state import UserState
from tests.web.world import API_KEY, BACKEND, SECRET, Shop, behavior, event, slate, stored, until
from web.app import make_app
from web.edge import EDGE


async def test_all_that_is_stored_about_a_user_can_be_read(shop: Shop) -> None:
    await shop.track(event("u1", item_id="tent"), event("u2", item_id="boat"))
    await until(lambda: {"u1", "u2"} <= set(shop.worker.users))
    await shop.worker.push("u1")
    answer = await shop.call("GET", "/v1/users/u1")
    assert answer.status == 200
    assert answer.body["user_id"] == "u1"
    assert answer.body["state"]["history"][0][1] == "tent"
    assert [e["items"][0]["item_id"] for e in answer.body["events"]] == ["tent"]
    assert answer.body["exchange"]["slates"]["home"]["user_id"] == "u1"
    assert "boat" not in str(answer.body)


async def test_everything_archived_of_a_user_and_of_their_visitors_is_shown(shop: Shop) -> None:
    when = instant(shop.clock())
    did = [Event(event="view_item", event_id=f"e{n}", user_id="u1", event_ts=when) for n in range(1_200)]
    before = [
        Event(event="view_item", event_id=f"of-{visitor}", visitor_id=visitor, event_ts=when)
        for visitor in ("mine", "asked", "theirs")
    ]
    await shop.database.append([(one, encode_event(one)) for one in before + did])
    shop.worker.users["u1"] = UserState(epoch="e", visitors={"mine": "merged", "asked": "asked", "theirs": "refused"})
    events = (await shop.call("GET", "/v1/users/u1")).body["events"]
    assert [e["event_id"] for e in events] == [*(f"e{n}" for n in reversed(range(1_200))), "of-mine"]


async def test_a_user_of_whom_nothing_is_stored_is_not_found(shop: Shop) -> None:
    answer = await shop.call("GET", "/v1/users/nobody")
    assert (answer.status, answer.error["code"]) == (404, "unknown_user")


async def test_half_of_what_is_stored_is_never_shown_as_all(shop: Shop) -> None:
    await shop.track(event("u1"))
    shop.exchange.away = True
    assert (await shop.call("GET", "/v1/users/u1")).status == 503


async def test_an_erasure_travels_through_the_log_and_leaves_a_receipt(shop: Shop) -> None:
    await shop.track(event("u1", item_id="tent"))
    await until(lambda: "u1" in shop.worker.users)
    answer = await shop.call("DELETE", "/v1/users/u1")
    assert answer.status == 202
    assert "u1" not in str(answer.body)
    erasure_id = answer.body["erasure_id"]
    assert answer.headers["Location"] == f"/v1/erasures/{erasure_id}"
    await until(lambda: "u1" not in shop.worker.users)
    [record] = [e for e in behavior(shop) if e.event == ERASE]
    assert (record.subject, record.event_id) == ("u1", erasure_id)
    receipt = (await shop.call("GET", f"/v1/erasures/{erasure_id}")).body
    assert {step["store"] for step in receipt["steps"]} >= {
        "connections",
        "redis, at the edge",
        "log",
        "suppression list",
        "state table and changelog",
    }
    assert "u1" not in str(receipt)
    assert (await shop.call("GET", "/v1/erasures/unknown")).status == 404


async def test_an_erasure_removes_what_redis_has(shop: Shop) -> None:
    await shop.exchange.store_slates([Pushed("u1", stored(slate("u1", "home", "e", 3, 20, shop.clock())))])
    await shop.exchange.set_denied("u1", True)
    steps = (await shop.call("DELETE", "/v1/users/u1")).body["steps"]
    assert {step["store"]: step["removed"] for step in steps}["redis, at the edge"] == 2
    assert await shop.exchange.latest("u1", "home") is None


async def test_an_erasure_ends_the_users_connections_for_good_and_no_others(shop: Shop) -> None:
    async with shop.watching("u1") as one, shop.watching("u1") as two, shop.watching("u2") as other:
        steps = (await shop.call("DELETE", "/v1/users/u1")).body["steps"]
        assert {step["store"]: step["removed"] for step in steps}["connections"] == 2
        assert [(await one.closed()).code, (await two.closed()).code] == [4503, 4503]
        await other.slate()
        assert len(shop.edge.hub) == 1


async def test_who_comes_back_after_an_erasure_is_announced_again(shop: Shop) -> None:
    async with shop.watching("u1"):
        await shop.call("DELETE", "/v1/users/u1")
        async with shop.watching("u1", n=20):
            assert [w.user_id for w in await shop.exchange.online()] == ["u1"]


async def test_events_from_before_an_erasure_are_refused_and_later_ones_begin_anew(shop: Shop) -> None:
    await shop.call("DELETE", "/v1/users/u1")
    hour_ago = (instant(shop.clock()) - timedelta(hours=1)).isoformat()
    late = event("u1", client_ts=hour_ago)
    visitor = event("u3", visitor_id="u1", client_ts=hour_ago)
    other = event("u2", client_ts=hour_ago)
    answer = await shop.track(late, other, visitor, event("u1"))
    assert answer.body["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer.body["rejected"]] == [(0, "erased"), (2, "erased")]


async def test_another_edge_hears_of_an_erasure(shop: Shop) -> None:
    to, database = shop.log.inner, shop.database
    second = make_app(shop.settings, to, shop.worker.exchange.connect(), database, now=shop.clock, rng=random.Random(8))
    server = TestServer(second, port=0)
    await server.start_server()
    try:
        there = shop._replace(url=str(server.make_url("/")).rstrip("/"), edge=second[EDGE])
        async with there.watching("u1") as socket:
            await socket.slate()
            await shop.call("DELETE", "/v1/users/u1")
            assert (await socket.closed()).code == 4503
        digest = second[EDGE].suppression.hash("u1")
        await until(lambda: second[EDGE].suppression.erased_at("u1") is not None)
        hour_ago = (instant(shop.clock()) - timedelta(hours=1)).isoformat()
        answer = await there.track(event("u1", client_ts=hour_ago))
        assert answer.body["rejected"][0]["code"] == "erased"
        assert SECRET not in digest
    finally:
        await server.close()


async def test_a_visitor_who_is_erased_with_their_user_is_refused_however_late_the_edge_is_told(shop: Shop) -> None:
    long_ago = instant(shop.clock()) - timedelta(hours=1)
    suppression = shop.edge.suppression
    await shop.call("DELETE", "/v1/users/u1")  # the newest moment that the edge knows is later than the visitor's
    await shop.database.open_erasure("visitor-1", suppression.hash("v1"), long_ago)
    await shop.exchange.hint(Hint("erased", "v1"))
    await until(lambda: suppression.erased_at("v1") is not None)
    earlier = event("", visitor_id="v1", client_ts=(long_ago - timedelta(seconds=1)).isoformat())
    del earlier["user_id"]
    later = {**earlier, "event_id": "later", "client_ts": instant(shop.clock()).isoformat()}
    answer = await shop.track(earlier, later)
    assert answer.body["accepted"] == 1
    assert [(r["index"], r["code"]) for r in answer.body["rejected"]] == [(0, "erased")]


async def test_an_edge_that_starts_later_knows_what_was_erased(shop: Shop) -> None:
    await shop.call("DELETE", "/v1/users/u1")
    later = make_app(shop.settings, shop.log.inner, shop.worker.exchange.connect(), shop.database, now=shop.clock)
    async with contextlib.AsyncExitStack() as stack:
        server = TestServer(later, port=0)
        stack.push_async_callback(server.close)
        await server.start_server()
        assert later[EDGE].suppression.erased_at("u1") is not None


async def test_an_erasure_that_the_broker_did_not_take_is_not_promised(shop: Shop) -> None:
    shop.log.away = True
    answer = await shop.call("DELETE", "/v1/users/u1")
    assert (answer.status, answer.error["temporary"]) == (503, True)
    assert int(answer.headers["Retry-After"]) >= 1


async def test_the_receipt_of_an_erasure_that_the_broker_could_not_be_told_of_says_so(shop: Shop) -> None:
    shop.log.away = True
    assert (await shop.call("DELETE", "/v1/users/u1")).status == 503
    shop.log.away = False
    again = (await shop.call("DELETE", "/v1/users/u1")).body["erasure_id"]
    first, second = await shop.database.erasures()
    assert [step["store"] for step in first.steps] == ["log"]
    assert "another id" in first.steps[0]["note"]
    assert second.erasure_id == again
    assert "connections" in {step["store"] for step in second.steps}


async def test_an_erasure_goes_on_while_redis_is_away(shop: Shop) -> None:
    shop.exchange.away = True
    answer = await shop.call("DELETE", "/v1/users/u1")
    assert answer.status == 202
    [redis] = [step for step in answer.body["steps"] if step["store"] == "redis, at the edge"]
    assert "away" in redis["note"]


async def test_an_erasure_is_in_the_audit_trail_without_the_id(shop: Shop) -> None:
    erasure_id = (await shop.call("DELETE", "/v1/users/u1")).body["erasure_id"]
    [entry] = await shop.database.recent()
    assert (entry["actor"], entry["action"]) == ("api key", "erase user")
    assert entry["target"] == shop.edge.suppression.hash("u1")
    assert entry["detail"] == {"erasure_id": erasure_id}
    assert "u1" not in (entry["actor"], *entry["detail"].values())


@pytest.mark.parametrize("wrong", ["%2E", "%2E%2E"])
async def test_ids_that_no_path_can_carry_are_refused(shop: Shop, wrong: str) -> None:
    async with shop.http.get(URL(f"{shop.url}/v1/users/{wrong}", encoded=True), headers=BACKEND) as answer:
        assert answer.status in (400, 404)
    for user in (".", ".."):
        answer_ = await shop.track(event(user))
        assert answer_.body["rejected"][0]["field"] == "user_id"
        assert 'not "." or ".."' in answer_.body["rejected"][0]["message"]


@pytest.mark.parametrize(
    "odd", ["a/b", "100%", "a b", "%2F", "ü→漢", "a/../b", "...", "?q=1#x", "+&;=", "/", "'\"<>\\"]
)
async def test_any_other_id_can_be_stored_read_and_removed_through_the_sdk(shop: Shop, odd: str) -> None:
    async with RecClient(shop.url, api_key=API_KEY) as client:
        assert (await client.put_items([{"item_id": odd, "title": "Odd"}])).accepted == 1
        assert (await client.get_item(odd))["item_id"] == odd
        await client.track("view_item", user_id=odd, items=[odd])
        await until(lambda: odd in shop.worker.users)
        assert (await client.get_user(odd))["user_id"] == odd
        receipt = await client.erase_user(odd)
        assert (await client.get_erasure(receipt["erasure_id"]))["erasure_id"] == receipt["erasure_id"]
        await until(lambda: odd not in shop.worker.users)
        await client.delete_item(odd)
        with pytest.raises(NotFound):
            await client.get_item(odd)
