"""Redis or the broker away while clients are connected: what they are told, and what they have afterwards."""

from __future__ import annotations

import asyncio

import pytest

from rec.ports import Pushed
from tests.web.world import Shop, event, slate, stored, until
from web.background import running
from web.metrics import Metrics


async def test_a_subscription_without_redis_is_refused_for_now_and_works_later(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        shop.exchange.away = True
        error = (await socket.ask("subscribe"))["error"]
        assert (error["code"], error["temporary"]) == ("unavailable", True)
        shop.exchange.away = False
        assert "subscribe" in await socket.ask("subscribe")
        assert (await socket.slate())["user_id"] == "u1"


async def test_a_subscription_without_the_broker_shows_the_latest_list(shop: Shop) -> None:
    await shop.exchange.store_slates([Pushed("u1", stored(slate("u1", "home", "e", 3, 20, shop.clock())))])
    async with shop.connected("u1") as socket:
        shop.log.away = True
        assert "subscribe" in await socket.ask("subscribe")
        assert (await socket.slate())["version"] == 3
        await until(lambda: shop.metric("refreshes_lost_total") == 1)


async def test_events_on_a_socket_without_the_broker_are_to_be_sent_again(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        sent = event("u1")
        shop.log.away = True
        error = (await socket.ask("track", events=[sent]))["error"]
        assert (error["code"], error["temporary"]) == ("unavailable", True)
        assert error["retry_after"] > 0
        shop.log.away = False
        assert (await socket.ask("track", events=[sent]))["track"]["accepted"] == 1


async def test_more_events_than_a_slow_broker_can_take_are_refused_at_once_and_lost_by_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.intake.MAX_WAITING", 1)
    shop.log.go_on.clear()
    first = asyncio.create_task(shop.track(event("u1")))
    await until(lambda: shop.edge.intake.waiting == 1)
    answer = await shop.track(event("u2"))
    assert (answer.status, answer.body["error"]["code"]) == (503, "busy")
    assert answer.headers["Retry-After"] == "2"
    shop.log.go_on.set()
    assert (await first).body["accepted"] == 1
    assert (await shop.track(event("u2"))).body["accepted"] == 1


async def test_who_leaves_while_redis_is_away_is_taken_out_of_the_announcements_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop.watching("u1") as socket:
        await socket.slate()
        shop.exchange.away = True
    await until(lambda: len(shop.edge.hub) == 0)
    shop.exchange.away = False
    assert [w.user_id for w in await shop.exchange.online()] == ["u1"]
    monkeypatch.setattr("web.presence.TEND_S", 0.01)
    async with running(Metrics(), presence=shop.edge.hub.presence.keep_tending):
        await until(lambda: shop.edge.hub.presence.announced == 0)
    assert await shop.exchange.online() == []


async def test_after_a_lost_connection_to_redis_every_list_is_compared_again(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        first = await socket.slate()
        newer = slate("u1", "home", first["epoch"], first["version"] + 4, 20, shop.clock())
        await shop.worker.exchange.store_slates([Pushed("u1", stored(newer))], push=False)
        for stream in shop.exchange.inner._pushes:
            stream.put(None)
        assert (await socket.slate())["version"] == first["version"] + 4


async def test_a_background_loop_that_fails_is_begun_again_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics, runs = Metrics(), list[int]()

    async def loop() -> None:
        runs.append(1)
        raise KeyError(f"secret-{len(runs)}")

    async with running(metrics, test=loop):
        await until(lambda: len(runs) >= 3)
    assert metrics.registry.get_sample_value("shunxi_background_restarts_total", {"loop": "test"}) == len(runs)
    assert "test failed: KeyError" in caplog.text
    assert "secret-1" not in caplog.text


async def test_a_late_answer_of_a_worker_disturbs_nobody(shop: Shop) -> None:
    shop.worker.answering = False
    await shop.exchange.store_slates([Pushed("u1", stored(slate("u1", "home", "e", 3, 20, shop.clock())))])
    shop.edge.asker.timeout_s = 0.05
    assert (await shop.call("GET", "/v1/recommendations?user_id=u1")).headers["Shunxi-Stale"] == "true"
    [request] = shop.worker.requests
    await shop.worker._answer(request)
    shop.worker.answering = True
    shop.edge.asker.timeout_s = 2.0
    answer = await shop.call("GET", "/v1/recommendations?user_id=u1")
    assert "Shunxi-Stale" not in answer.headers
