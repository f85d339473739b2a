"""Many websocket clients in one process, as thin as they can be: what they cost must not hide what the server costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec

Got = Callable[[str, bytes], None]  # user_id, the frame as it came
AT_ONCE = 50  # connecting at the same time


@contextlib.asynccontextmanager
async def crowd(http: aiohttp.ClientSession, url: str, users: list[str], got: Got) -> AsyncIterator[None]:
    """Connect and subscribe everyone to `home`; `got` is called with every push. Yields when all are subscribed."""
    gate = asyncio.Semaphore(AT_ONCE)
    sockets = await asyncio.gather(*(_join(http, url, user_id, gate) for user_id in users))
    tasks = [asyncio.create_task(_listen(ws, user_id, got)) for user_id, ws in zip(users, sockets, strict=True)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(ws.close() for ws in sockets), return_exceptions=True)


async def _join(
    http: aiohttp.ClientSession, url: str, user_id: str, gate: asyncio.Semaphore
) -> aiohttp.ClientWebSocketResponse:
    async with gate:
        async with http.post(f"{url}/v1/tokens", json={"user_id": user_id}) as answer:
            token = (await answer.json())["token"]
        ws = await http.ws_connect(f"{url}/v1/ws", protocols=["shunxi.v1"], max_msg_size=0)
        await ws.send_str(msgspec.json.encode({"id": 1, "connect": {"token": token}}).decode())
        connected = msgspec.json.decode(await ws.receive_str())
        if "connect" not in connected:
            raise RuntimeError(f"not connected: {connected}")
        await ws.send_str('{"id":2,"subscribe":{"placement":"home","n":20}}')
        return ws


async def _listen(ws: aiohttp.ClientWebSocketResponse, user_id: str, got: Got) -> None:
    async for message in ws:
        if message.data == "{}":
            await ws.send_str("{}")
        elif isinstance(message.data, str) and message.data.startswith('{"push"'):
            got(user_id, message.data.encode())
    raise RuntimeError(f"closed by the server: {ws.close_code}")


def session(api_key: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {api_key}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=60),
    )
