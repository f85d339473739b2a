"""The list under a client's eyes: pushed, newest wins, resumed, shortened; and nothing of others'."""

from __future__ import annotations

import asyncio
from typing import Any

from rec.ports import Pushed
from rec.requests import Refresh
from rec.slates import Position
from tests.web.world import Shop, event, slate, stored, until


async def test_a_subscriber_gets_a_list_and_another_when_an_event_moves_it(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        first = await socket.slate()
        assert len(first["items"]) == 20
        answer = await shop.track(event("u1"))
        assert (answer.status, answer.body) == (202, {"accepted": 1, "duplicates": 0, "rejected": []})
        second = await socket.slate()
        assert second["epoch"] == first["epoch"]
        assert second["version"] > first["version"]
        assert shop.metric("push_messages_sent_total", type="slate") == 2
        assert shop.metric("push_seconds_count") == 2
    await until(lambda: len(shop.edge.hub) == 0)
    await until(lambda: shop.edge.hub.presence.announced == 0)
    assert await shop.exchange.online() == []


async def test_nobody_gets_the_list_of_another_user(shop: Shop) -> None:
    async with shop.watching("u1") as one, shop.watching("u2") as two:
        await one.slate()
        assert (await two.slate())["user_id"] == "u2"
        await shop.track(event("u1"))
        assert (await one.slate())["user_id"] == "u1"
        await shop.track(event("u2"))
        assert (await two.slate())["user_id"] == "u2"


async def test_all_screens_of_a_user_get_the_same_list_each_in_its_length(shop: Shop) -> None:
    async with shop.watching("u1", n=3) as phone, shop.watching("u1", n=50) as desk:
        now = await desk.slate(lambda s: len(s["items"]) == 50)
        await shop.track(event("u1"))
        small = await phone.slate(lambda s: s["version"] > now["version"])
        large = await desk.slate(lambda s: s["version"] > now["version"])
        assert [i["item_id"] for i in small["items"]] == [i["item_id"] for i in large["items"]][:3]
        assert len(large["items"]) == 50
        [wanted] = await shop.exchange.online()
        assert wanted.screens == {"home": 50}


async def test_an_older_or_equal_version_is_never_shown(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        first = await socket.slate()
        epoch, version = first["epoch"], first["version"]
        for offered in (version - 1, version, version + 1):
            shop.edge.hub.push("u1", stored(slate("u1", "home", epoch, offered, 20, shop.clock())))
        assert (await socket.slate())["version"] == version + 1
        assert shop.metric("push_messages_sent_total", type="slate") == 2


async def test_of_many_lists_that_wait_only_the_newest_is_sent(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        first = await socket.slate()
        for version in range(first["version"] + 1, first["version"] + 101):
            shop.edge.hub.push("u1", stored(slate("u1", "home", first["epoch"], version, 20, shop.clock())))
        assert (await socket.slate())["version"] == first["version"] + 100
        assert shop.metric("push_conflated_total") == 99


async def test_the_reply_to_a_subscription_comes_before_its_first_list(shop: Shop) -> None:
    await shop.worker.exchange.store_slates([Pushed("u1", stored(slate("u1", "home", "e", 1, 20, shop.clock())))])
    async with shop.connected("u1") as socket:
        await socket.ws.send_json({"id": 9, "subscribe": {}})
        assert await socket.frame() == {"id": 9, "subscribe": {"recovered": False}}
        assert "push" in await socket.frame()


async def test_a_reconnect_at_the_newest_position_gets_nothing_twice(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        seen = await socket.slate()
    resume = {"home": {"epoch": seen["epoch"], "version": seen["version"]}}
    async with shop.connected("u1", resume=resume) as socket:
        assert (await socket.ask("subscribe"))["subscribe"] == {"recovered": True}
        await shop.track(event("u1"))
        assert (await socket.slate())["version"] > seen["version"]
    assert shop.metric("push_recoveries_total", recovered="true") == 1


async def test_a_reconnect_gets_what_was_missed(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        seen = await socket.slate()
    await shop.track(event("u1"))
    resume = {"home": {"epoch": seen["epoch"], "version": seen["version"]}}
    async with shop.connected("u1", resume=resume) as socket:
        assert (await socket.ask("subscribe"))["subscribe"] == {"recovered": True}
        missed = await socket.slate()
        assert (missed["epoch"], missed["version"]) == (seen["epoch"], seen["version"] + 1)


async def test_a_position_of_a_lost_epoch_is_not_recovered_and_the_list_is_new(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        seen = await socket.slate()
    async with shop.connected("u1", resume={"home": {"epoch": "gone", "version": 999}}) as socket:
        assert (await socket.ask("subscribe"))["subscribe"] == {"recovered": False}
        assert (await socket.slate())["epoch"] == seen["epoch"]
    assert shop.metric("push_recoveries_total", recovered="false") == 1


async def test_the_owner_is_asked_for_what_is_newer_than_the_stored_list(shop: Shop) -> None:
    async with shop.watching("u1", n=10) as socket:
        first = await socket.slate()
        position = Position(first["epoch"], first["version"])
        await socket.ask("subscribe", placement="home", n=5)
        await socket.ask("subscribe", placement="home", n=30)
        await until(lambda: len(shop.worker.requests) == 3)
    assert [(r.n, r.have) for r in shop.worker.requests] == [(10, None), (5, position), (30, None)]
    assert all(isinstance(r, Refresh) and r.cause.kind == "request" for r in shop.worker.requests)


async def test_a_screen_that_grows_is_filled(shop: Shop) -> None:
    async with shop.watching("u1", n=5) as socket:
        assert len((await socket.slate())["items"]) == 5
        await socket.ask("subscribe", placement="home", n=30)
        assert len((await socket.slate(lambda s: len(s["items"]) > 5))["items"]) == 30


async def test_a_placement_that_was_left_gets_no_more_lists(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        await socket.slate()
        await socket.ask("subscribe", placement="cart", n=5)
        await socket.slate(lambda s: s["placement"] == "cart")
        assert (await socket.ask("unsubscribe", placement="home"))["unsubscribe"] == {}
        [wanted] = await shop.exchange.online()
        assert set(wanted.screens) == {"cart"}
        await shop.track(event("u1"))
        assert (await socket.slate())["placement"] == "cart"


async def test_events_sent_on_the_socket_move_the_list(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        await socket.slate()
        bad = event("u1", "veiw_item")
        reply = await socket.ask("track", events=[event("u1"), bad, event("u2")])
        assert reply["track"]["accepted"] == 1
        assert [(r["index"], r["code"]) for r in reply["track"]["rejected"]] == [(1, "unknown_event"), (2, "forbidden")]
        assert (await socket.slate())["version"] == 2


async def test_after_lost_messages_the_newest_list_is_read_again(shop: Shop) -> None:
    async with shop.watching("u1") as socket, shop.watching("u2") as other:
        first = await socket.slate()
        await other.slate()
        newer = slate("u1", "home", first["epoch"], first["version"] + 7, 20, shop.clock())
        await shop.worker.exchange.store_slates([Pushed("u1", stored(newer))], push=False)
        await shop.edge.hub.resync()
        assert (await socket.slate())["version"] == first["version"] + 7
        assert shop.metric("push_messages_sent_total", type="slate") == 3


async def test_a_client_that_leaves_costs_nothing_any_more(shop: Shop) -> None:
    for _ in range(3):
        async with shop.watching("u1") as socket:
            await socket.slate()
    await until(lambda: shop.edge.hub.presence.announced == 0)
    assert len(shop.edge.hub) == 0
    assert shop.metric("push_connections", transport="ws") == 0
    assert shop.metric("push_disconnects_total", code="1000") == 3


async def test_an_idle_connection_has_no_task_but_its_handler(shop: Shop) -> None:
    before = len(asyncio.all_tasks())
    async with shop.watching("u1") as socket:
        await socket.slate()
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert len(tasks) - before <= 3  # the server's handler and both ends' bookkeeping


def about(shown: dict[str, Any]) -> set[str]:
    """The products that a list of the tiny worker is beside."""
    return {item["item_id"].partition("-")[0] for item in shown["items"]}


async def test_a_connection_that_goes_from_product_to_product_gets_the_list_of_each(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        for product in ("A", "B", "C", "A"):
            await socket.ask("subscribe", placement="pdp", n=3, item_id=product)
            assert about(await socket.slate()) == {product}
        await until(lambda: shop.edge.hub.presence._announced["u1"] == (("pdp/A", 3),))
        socket.pushes.clear()
        seen = event("u1")
        await shop.track(seen)
        version = shop.worker.users["u1"].version
        moved = await socket.slate(lambda s: s["version"] >= version)
        assert (about(moved), moved["placement"]) == ({"A"}, "pdp")
        [online] = await shop.exchange.online()
        assert online.screens == {"pdp/A": 3}


async def test_two_tabs_on_two_products_each_get_their_own_list_also_after_an_event(shop: Shop) -> None:
    async with shop.connected("u1") as one, shop.connected("u1") as two:
        await one.ask("subscribe", placement="pdp", n=3, item_id="A")
        first = await one.slate()
        await two.ask("subscribe", placement="pdp", n=3, item_id="B")
        assert (about(first), about(second := await two.slate())) == ({"A"}, {"B"})
        await shop.track(event("u1"))
        newest = second["version"] + 1
        assert about(await one.slate(lambda s: s["version"] == newest)) == {"A"}
        assert about(await two.slate(lambda s: s["version"] == newest)) == {"B"}


async def test_a_position_is_no_position_of_a_product(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        await socket.ask("subscribe", placement="pdp", n=3, item_id="A")
        seen = await socket.slate()
    resume = {"pdp": {"epoch": seen["epoch"], "version": seen["version"]}}
    async with shop.connected("u1", resume=resume) as socket:
        assert (await socket.ask("subscribe", placement="pdp", n=3, item_id="A"))["subscribe"] == {"recovered": False}
        assert await socket.slate() == seen


async def test_a_client_that_says_it_is_ahead_gets_the_next_list_and_does_not_raise_the_version(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        seen = await socket.slate()
    for ahead in (1, 2**40):
        epoch, version = shop.worker.users["u1"].epoch, shop.worker.users["u1"].version
        resume = {"home": {"epoch": epoch, "version": version + ahead}}
        async with shop.connected("u1", resume=resume) as socket:
            assert (await socket.ask("subscribe"))["subscribe"] == {"recovered": False}
            news = await socket.slate(lambda s, epoch=epoch: s["epoch"] != epoch)  # type: ignore[misc]
            assert news["version"] == version + 1
            await shop.track(event("u1"))
            assert (await socket.slate())["version"] == news["version"] + 1
    assert shop.worker.users["u1"].version < seen["version"] + 10


async def test_after_a_lost_connection_to_redis_who_is_here_is_said_at_once(shop: Shop) -> None:
    async with shop.watching("u1") as socket:
        await socket.slate()
        presence = shop.worker.exchange._shared.presence
        for node, _ in presence.items():
            presence.pop(node)  # as if it came back empty
        assert await shop.exchange.online() == []
        for stream in shop.exchange.inner._pushes:
            stream.put(None)
        await until(lambda: bool(presence.items()), within_s=2.0)
        assert [wanted.user_id for wanted in await shop.exchange.online()] == ["u1"]
