"""The protocol of the websocket: who gets in, what is refused and how, what ends a connection."""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import Any

import aiohttp
import jwt
import pytest

from rec.protocol import MAX_FRAME_BYTES, PING_S, PONG_GRACE_S
from tests.web.world import SECRET, Closed, Shop, Socket, event, open_shop, slate, stored, until
from web import socket as server


async def handshake_error(shop: Shop, **more: Any) -> tuple[int, str]:
    """The refusal of a handshake: status, and code of the JSON error (asked for again without the upgrade)."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        **more,
    }
    answer = await shop.call("GET", "/v1/ws", headers)
    return answer.status, answer.error["code"]


async def test_the_first_frame_connects(shop: Shop) -> None:
    async with shop.socket() as socket:
        assert socket.ws.protocol == "shunxi.v1"
        reply = await socket.ask("connect", token=shop.token("u1"))
        assert reply["connect"]["ping"] == 25
        assert reply["connect"]["client"]


async def first(shop: Shop, frame: str | bytes) -> tuple[dict[str, Any], Closed]:
    """What a first frame is answered with, and how the connection ends."""
    async with shop.socket() as socket:
        if isinstance(frame, bytes):
            await socket.ws.send_bytes(frame)
        else:
            await socket.ws.send_str(frame)
        answered = await socket.frame()
        return answered, await socket.closed()


def connect(token: str) -> str:
    return '{"id":1,"connect":{"token":"' + token + '"}}'


@pytest.mark.parametrize(
    ("frame", "code", "close"),
    [
        ('{"id":1,"subscribe":{}}', "not_connected", 4501),
        ("{}", "bad_request", 4501),
        ("{", "not_json", 4501),
        ("[]", "invalid_field", 4501),
        ('{"id":1,"connect":{}}', "missing_field", 4501),
        ('{"id":1,"connect":{"token":7}}', "invalid_field", 4501),
        (connect("x").encode(), "not_text", 4501),  # bytes are sent as a binary frame
        ('{"id":1,"connect":{"token":"x","resume":{"a b":{"epoch":"e","version":1}}}}', "invalid_field", 4501),
        (
            f'{{"id":1,"connect":{{"token":"x","resume":{{"a":{{"epoch":"e","version":{2**53}}}}}}}}}',
            "invalid_field",
            4501,
        ),
        (connect("rubbish"), "invalid_token", 4500),
        (connect(jwt.encode({"sub": "u1", "iat": 0, "exp": 9e9}, "x" * 40, "HS256")), "invalid_token", 4500),
        (connect(jwt.encode({"sub": "u1", "iat": 0, "exp": 9e9}, None, "none")), "invalid_token", 4500),
        (connect(jwt.encode({"sub": "", "iat": 0, "exp": 9e9}, SECRET, "HS256")), "invalid_token", 4500),
        (connect(jwt.encode({"sub": "u1", "exp": 9e9}, SECRET, "HS256")), "invalid_token", 4500),
        (connect(jwt.encode({"sub": "u1", "iat": 8e9, "exp": 9e9}, SECRET, "HS256")), "invalid_token", 4500),
        (connect(jwt.encode({"sub": "u1", "iat": 0, "exp": 1}, SECRET, "HS256")), "token_expired", 4005),
    ],
)
async def test_a_wrong_first_frame_is_answered_and_ends_the_connection(
    shop: Shop, frame: str | bytes, code: str, close: int
) -> None:
    answered, closed = await first(shop, frame)
    assert (answered["error"]["code"], closed.code) == (code, close)
    assert shop.metric("push_disconnects_total", code=str(close)) == 1


async def test_more_positions_than_a_connection_has_placements_are_refused_by_name(shop: Shop) -> None:
    async with shop.socket() as socket:
        resume = {f"p{k}": {"epoch": "e", "version": 1} for k in range(17)}
        refused = (await socket.ask("connect", token=shop.token("u1"), resume=resume))["error"]
        assert (refused["code"], refused["field"]) == ("invalid_field", "connect.resume")
        assert (await socket.closed()).code == 4501


async def test_a_binary_frame_is_not_obeyed_and_ends_the_connection(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        await socket.ws.send_bytes(b'{"id":7,"subscribe":{}}')
        assert (await socket.frame())["error"]["code"] == "not_text"
        assert (await socket.closed()).code == 4501
    assert shop.worker.requests == []


async def test_who_says_nothing_is_closed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECT_TIMEOUT_S", 0.05)
    async with shop.socket() as socket:
        assert (await socket.closed()).code == 4502


@pytest.mark.parametrize(
    ("frame", "id", "code"),
    [
        ("{", None, "not_json"),
        ('{"id":7,"subscribe":{"n":0}}', 7, "invalid_field"),
        ('{"id":7,"subscribe":{"n":201}}', 7, "invalid_field"),
        ('{"id":7,"subscribe":{"n":"many"}}', 7, "invalid_field"),
        ('{"id":7,"subscribe":{"placement":"a b"}}', 7, "invalid_field"),
        ('{"id":7,"subscribe":{"placement":""}}', 7, "invalid_field"),
        ('{"id":7,"subscribe":[]}', 7, "invalid_field"),
        ('{"id":"7","subscribe":{}}', None, "invalid_field"),
        ('{"subscribe":{}}', None, "missing_field"),
        ('{"id":7,"subscribe":{},"refresh":{"token":"x"}}', 7, "bad_request"),
        ('{"id":7}', 7, "bad_request"),
        ('{"id":7,"subscirbe":{}}', 7, "unknown_command"),
        ('{"id":7,"track":{"events":[]}}', 7, "no_events"),
        ('{"id":7,"track":{"events":7}}', 7, "invalid_field"),
        ('{"id":7,"track":{"events":[' + ",".join(["{}"] * 501) + "]}}", 7, "too_many_events"),
        ('{"id":7,"search":{"q":" \\t "}}', 7, "bad_request"),
        ('{"id":7,"search":{"q":"tent","sort":"cheap"}}', 7, "invalid_field"),
        ('{"id":7,"search":{"q":"tent","price_min":5,"price_max":2}}', 7, "bad_request"),
        ('{"id":7,"search":{"q":""}}', 7, "invalid_field"),
        ('{"id":7,"unsubscribe":{}}', 7, "missing_field"),
        ('{"id":7,"refresh":{"token":"rubbish"}}', 7, "invalid_token"),
        ('{"id":7,"connect":{"token":"x"}}', 7, "already_connected"),
        ('{"id":7,"context":' + '{"a":' * 3000 + "1" + "}" * 3000 + "}", None, "not_json"),
    ],
)
async def test_a_wrong_frame_is_refused_and_the_connection_stays(
    shop: Shop, frame: str, id: int | None, code: str
) -> None:
    async with shop.connected("u1") as socket:
        await socket.ws.send_str(frame)
        refused = await socket.frame()
        assert refused.get("id") == id
        assert refused["error"]["code"] == code
        assert refused["error"]["temporary"] is False
        assert (await socket.ask("subscribe"))["subscribe"] == {"recovered": False}


async def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        assert (await socket.ask("subscirbe"))["error"]["did_you_mean"] == "subscribe"


async def test_a_misspelt_field_of_a_subscription_is_refused_with_the_one_that_was_meant(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        error = (await socket.ask("subscribe", placment="pdp", n=5))["error"]
        assert (error["field"], error["did_you_mean"]) == ("subscribe.placment", "placement")
        assert (await socket.ask("subscribe", placement="pdp", n=5))["subscribe"] == {"recovered": False}


async def test_a_frame_that_is_too_large_ends_the_connection(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        await socket.ws.send_str("x" * (MAX_FRAME_BYTES + 1))
        assert (await socket.closed()).code == 1009
    await until(lambda: shop.metric("push_disconnects_total", code="1009") == 1)


async def test_more_than_sixteen_placements_are_refused(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        for k in range(16):
            assert "subscribe" in await socket.ask("subscribe", placement=f"p{k}")
        assert (await socket.ask("subscribe", placement="p16"))["error"]["code"] == "too_many_subscriptions"
        assert "subscribe" in await socket.ask("subscribe", placement="p3", n=7)


async def test_a_client_that_sends_too_often_is_told_to_wait_and_then_closed() -> None:
    async with open_shop(frames_per_minute=5) as shop, shop.connected("u1") as socket:
        for k in range(4):
            await socket.ask("unsubscribe", placement=f"p{k}")
        refused = (await socket.ask("unsubscribe", placement="p"))["error"]
        assert (refused["code"], refused["temporary"]) == ("rate_limited", True)
        assert 0 < refused["retry_after"] <= 12
        for _ in range(4):
            await socket.ws.send_str('{"id":9,"unsubscribe":{"placement":"p"}}')
        assert (await socket.closed()).code == 4504


async def test_a_token_that_runs_out_ends_the_connection_and_a_fresh_one_prolongs_it(shop: Shop) -> None:
    async with shop.connected("u1") as stays, shop.connected("u1") as goes:
        shop.clock.ahead += shop.settings.token_ttl_s - 10
        assert (await stays.ask("refresh", token=shop.token("u1")))["refresh"] == {}
        shop.clock.ahead += 11
        shop.edge.hub.sweep(asyncio.get_running_loop().time())
        assert (await goes.closed()).code == 4005
        assert "subscribe" in await stays.ask("subscribe")


async def test_a_token_of_another_user_does_not_prolong_a_connection(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        assert (await socket.ask("refresh", token=shop.token("u2")))["error"]["code"] == "forbidden"


async def test_a_client_is_pinged_and_one_that_does_not_answer_is_closed(shop: Shop) -> None:
    now = asyncio.get_running_loop().time()
    async with shop.connected("u1") as quick, shop.connected("u2") as dead:
        shop.edge.hub.sweep(now + PING_S)
        await until(lambda: shop.metric("push_messages_sent_total", type="ping") == 2)
        assert await quick.frame() == {}  # answered by frame()
        await until(lambda: all(c.heard_at > now for c in _connections(shop, "u1")))
        for connection in _connections(shop, "u1"):
            connection.heard_at = now + PING_S + 1
        shop.edge.hub.sweep(now + PING_S + PONG_GRACE_S + 1)
        assert (await dead.closed()).code == 4012
        assert "subscribe" in await quick.ask("subscribe")


async def test_a_client_whose_command_takes_long_is_not_taken_for_dead(shop: Shop) -> None:
    now = asyncio.get_running_loop().time()
    async with shop.connected("u1") as socket:
        (connection,) = _connections(shop, "u1")
        shop.log.go_on.clear()  # the broker acknowledges nothing for now
        await socket.ws.send_json({"id": 99, "track": {"events": [event("u1")]}})
        await until(lambda: connection.busy)
        shop.edge.hub.sweep(now + PING_S)
        shop.edge.hub.sweep(now + PING_S + PONG_GRACE_S + 1)
        assert connection.close_code is None
        shop.log.go_on.set()
        assert (await socket.reply(99))["track"]["accepted"] == 1
        assert "subscribe" in await socket.ask("subscribe")


def _connections(shop: Shop, user_id: str) -> list[Any]:
    return shop.edge.hub.of(user_id)


async def test_a_page_of_a_foreign_origin_is_refused(shop: Shop) -> None:
    assert await handshake_error(shop, Origin="https://evil.example") == (403, "foreign_origin")
    assert await handshake_error(shop, Origin="null") == (403, "foreign_origin")
    assert await handshake_error(shop, Origin=shop.url + ".evil.example") == (403, "foreign_origin")


async def test_pages_of_this_server_and_of_the_allowlist_are_welcome() -> None:
    async with open_shop(allowed_origins="https://shop.example, https://m.shop.example") as shop:
        for origin in (shop.url, "https://shop.example", "https://m.shop.example"):
            async with shop.socket(headers={"Origin": origin}) as socket:
                assert "connect" in await socket.ask("connect", token=shop.token("u1"))
        for origin in ("http://shop.example", "https://shop.example:8443", "https://x.shop.example"):
            assert await handshake_error(shop, Origin=origin) == (403, "foreign_origin")


async def test_a_foreign_subprotocol_and_a_plain_request_are_refused(shop: Shop) -> None:
    assert await handshake_error(shop, **{"Sec-WebSocket-Protocol": "mqtt"}) == (400, "unknown_subprotocol")
    answer = await shop.call("GET", "/v1/ws")
    assert (answer.status, answer.error["code"]) == (400, "not_a_websocket")


async def test_another_version_of_websocket_is_refused_with_the_one_to_send(shop: Shop) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for more in ({"Sec-WebSocket-Version": "99"}, {}):
        answer = await shop.call("GET", "/v1/ws", {**headers, **more})
        assert (answer.status, answer.error["code"], answer.error["field"]) == (
            400, "unknown_version", "Sec-WebSocket-Version",
        )  # fmt: skip
        assert "Send Sec-WebSocket-Version: 13" in answer.error["message"]


async def test_a_hundred_connects_a_second_from_one_address_are_slowed_down() -> None:
    async with open_shop(connect_rate_per_s=20) as shop:
        answers = await asyncio.gather(*(_come_and_go(shop) for _ in range(100)))
        assert set(answers) == {101, 429}
        assert 20 <= answers.count(101) <= 60
        await until(lambda: len(shop.edge.hub) == 0)
        assert (await shop.call("GET", "/health/live")).status == 200


async def _come_and_go(shop: Shop) -> int:
    try:
        async with shop.socket() as socket:
            await socket.ws.close()
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    return 101


async def test_a_full_server_says_so_and_has_room_again_when_somebody_leaves() -> None:
    async with open_shop(max_connections=2) as shop:
        async with shop.connected("u1"), shop.connected("u2"):
            assert await handshake_error(shop) == (503, "full")
        await until(lambda: len(shop.edge.hub) == 0)
        async with shop.connected("u3"):
            assert len(shop.edge.hub) == 1


async def test_connections_that_have_not_said_who_they_are_count_too() -> None:
    async with open_shop(max_connections=2) as shop, shop.socket(), shop.socket():
        assert await handshake_error(shop) == (503, "full")


async def test_a_client_that_stops_reading_is_closed_as_slow_and_nobody_else_notices() -> None:
    async with open_shop(send_timeout_s=0.3) as shop, shop.watching("u2") as other:
        first_of_other = await other.slate()
        reader, writer = await _raw_subscriber(shop, "u1")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            deadline = asyncio.get_running_loop().time() + 10
            version = 100
            while shop.metric("push_disconnects_total", code="4008") == 0:
                assert asyncio.get_running_loop().time() < deadline
                version += 1
                big = stored(slate("u1", "home", "e-u1", version, 20, shop.clock(), pad=2000))
                shop.edge.hub.push("u1", big)
                await asyncio.sleep(0.002)
            assert len(shop.edge.hub) == 1
            assert shop.metric("push_conflated_total") > 0
            await shop.track(event("u2"))
            assert (await other.slate())["version"] == first_of_other["version"] + 1
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        del reader


async def _raw_subscriber(shop: Shop, user_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A websocket client by hand, with a small receive buffer, that can stop reading."""
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    host, port = shop.url.removeprefix("http://").split(":")
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw)
    lines = [
        "GET /v1/ws HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "\r\n",
    ]
    writer.write("\r\n".join(lines).encode())
    await reader.readuntil(b"\r\n\r\n")
    for frame in (connect(shop.token(user_id)), '{"id":2,"subscribe":{}}'):
        data = frame.encode()
        writer.write(b"\x81" + bytes([0x80 | 126]) + len(data).to_bytes(2, "big") + b"\0\0\0\0" + data)
    await reader.readuntil(b'"recovered"')
    return reader, writer


async def test_at_shutdown_every_client_is_told_at_once() -> None:
    async with open_shop() as shop:
        sockets_ = [await shop.http.ws_connect(f"{shop.url}/v1/ws", protocols=["shunxi.v1"]) for _ in range(20)]
        clients = [Socket(ws) for ws in sockets_]
        for k, client in enumerate(clients):
            await client.ask("connect", token=shop.token(f"u{k}"))
        started = asyncio.get_running_loop().time()
        closing = asyncio.create_task(shop.edge.hub.close_all())
        closed = await asyncio.gather(*(client.closed() for client in clients))
        await closing
        assert {c.code for c in closed} == {4001}
        assert asyncio.get_running_loop().time() - started < 2
        await until(lambda: len(shop.edge.hub) == 0)


async def test_an_unexpected_error_shows_an_id_and_no_details(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("u1")

    monkeypatch.setattr(shop.edge.intake, "take", broken)
    async with shop.connected("u1") as socket:
        error = (await socket.ask("track", events=[event("u1")]))["error"]
        assert error["code"] == "internal"
        assert "u1" not in error["message"]
        assert "subscribe" in await socket.ask("subscribe")
