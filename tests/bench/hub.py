"""What a connection costs the edge: memory while idle, CPU for each 4 kB list delivered when saturated.

The edge is the real process (`python -m web`) on a real Redis; the clients live in a process of their own, and this
one publishes. CPU and memory are the edge's alone, read from the system: python -m tests.bench.hub
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import aiohttp
import click
import msgspec
import psutil

from rec.config import Settings
from rec.embedded.redis_server import embedded_redis
from rec.ports import Pushed, StoredSlate
from rec.slates import Cause, Position, Reason, Slate, SlateItem, encode_slate
from rec.store import open_exchange
from rec.store.sql.schema import migrate
from tests.bench.crowd import crowd, session

KEY = "bench-" + "k" * 26
WARM_UP = 50  # connections that come and go before memory is read: the first ones pay for imports and pools
CHUNK = 200  # slates a round trip, as a busy worker stores them


class Edge(NamedTuple):
    """The process under test."""

    url: str
    process: psutil.Process
    settings: Settings

    @property
    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss(self) -> int:
        return int(self.process.memory_info().rss)


@contextlib.asynccontextmanager
async def edge(folder: Path, redis_url: str) -> AsyncIterator[Edge]:
    """`python -m web` on a free port."""
    values = {
        "broker_url": "memory://",
        "redis_url": redis_url,
        "database_url": f"sqlite+aiosqlite:///{folder}/rec.db",
        "api_key": KEY,
        "token_secret": KEY,
        "port": "0",
        "connect_rate_per_s": "100000",
        "max_connections": "100000",
    }
    await migrate(values["database_url"])
    port_file = folder / "port"
    env = {**os.environ, **{f"REC_{k.upper()}": v for k, v in values.items()}, "REC_PORT_FILE": str(port_file)}
    with (folder / "web.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", "web", env=env, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(30):
            while not port_file.exists():
                await asyncio.sleep(0.05)
        url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        yield Edge(url, psutil.Process(child.pid), Settings(**values))  # type: ignore[arg-type]
    finally:
        child.terminate()
        await child.wait()


@contextlib.asynccontextmanager
async def clients(url: str, count: int) -> AsyncIterator[None]:
    """That many subscribers, each its own user, in a process of their own; yields when all are subscribed."""
    command = [sys.executable, "-m", "tests.bench.hub", "--serve-clients", url, "--sockets", str(count)]
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(120):
            if not await child.stdout.readline():
                raise RuntimeError("the clients did not get in")
        yield
    finally:
        child.stdin.close()
        await child.wait()


async def be_clients(url: str, count: int) -> None:
    """The other end of `clients`: until standard input ends."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(sys.stdin, ended.cancel)
    async with session(KEY) as http, crowd(http, url, users(count), lambda *_: None):
        click.echo("ready")
        with contextlib.suppress(asyncio.CancelledError):
            await ended


def users(count: int) -> list[str]:
    return [f"bench-{k}" for k in range(count)]


def body(user_id: str, size: int) -> tuple[bytes, int]:
    """A slate of about `size` bytes with version 0, and its number of items."""
    places = 20
    item = {"title": "x" * (size // places - 178), "price": 19.9}
    items = tuple(
        SlateItem(f"sku_{k:05}", 0.5, "sequence", Reason("because_you_viewed", "sku_1"), 0.1, item)
        for k in range(places)
    )
    made = Slate(
        slate_id="s" * 32,
        user_id=user_id,
        placement="home",
        epoch="a1",
        version=0,
        cause=Cause("event", "e" * 32),
        model_version="m",
        strategy="mix",
        events_through=None,
        learned_through=None,
        created_at=datetime.now(UTC),
        items=items,
    )
    return encode_slate(made), places


async def delivered(http: aiohttp.ClientSession, url: str) -> dict[str, float]:
    """Counters of the edge: frames sent by type, and lists that a newer one replaced."""
    async with http.get(f"{url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("shunxi_push"))
    return {
        "slates": float(values.get('shunxi_push_messages_sent_total{type="slate"}', 0)),
        "conflated": float(values.get("shunxi_push_conflated_total", 0)),
    }


async def idle(under_test: Edge, count: int) -> dict[str, float]:
    """Resident memory a connection that is subscribed and silent."""
    async with clients(under_test.url, WARM_UP):
        pass
    await asyncio.sleep(2)
    before = under_test.rss
    async with clients(under_test.url, count):
        await asyncio.sleep(2)
        cpu, started = under_test.cpu_s, time.perf_counter()
        grown = under_test.rss - before
        await asyncio.sleep(5)
        busy = (under_test.cpu_s - cpu) / (time.perf_counter() - started)
    return {"connections": count, "rss_kib_per_connection": round(grown / count / 1024, 1), "cpu_cores": round(busy, 4)}


async def saturated(under_test: Edge, count: int, size: int, seconds: float) -> dict[str, float]:
    """CPU of the edge for each list delivered, while lists are published as fast as they can be stored."""
    everyone = [(user_id, *body(user_id, size)) for user_id in users(count)]
    async with (
        open_exchange(under_test.settings) as exchange,
        aiohttp.ClientSession() as http,
        clients(under_test.url, count),
    ):
        version = 0

        async def publish(until: float) -> None:
            nonlocal version
            while time.perf_counter() < until:
                version += 1
                for at in range(0, count, CHUNK):
                    chunk = [
                        Pushed(user_id, StoredSlate("home", Position("a1", version), n, raw))
                        for user_id, raw, n in everyone[at : at + CHUNK]
                    ]
                    await exchange.store_slates(chunk)

        await publish(time.perf_counter() + 1)
        before, cpu, started = await delivered(http, under_test.url), under_test.cpu_s, time.perf_counter()
        await publish(started + seconds)
        after, spent, took = (
            await delivered(http, under_test.url),
            under_test.cpu_s - cpu,
            time.perf_counter() - started,
        )
    sent = after["slates"] - before["slates"]
    return {
        "connections": count,
        "slate_bytes": len(everyone[0][1]),
        "delivered_per_s": round(sent / took),
        "conflated": after["conflated"] - before["conflated"],
        "cpu_us_per_delivery": round(spent / sent * 1e6, 1),
        "cpu_cores": round(spent / took, 2),
    }


async def measure(sockets: int, idlers: int, size: int, seconds: float) -> dict[str, dict[str, float]]:
    """Both figures, on one edge each."""
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with embedded_redis(folder / "redis") as redis_url:
            for part in ("idle", "saturated"):
                (folder / part).mkdir()
                async with edge(folder / part, redis_url) as under_test:
                    if part == "idle":
                        results[part] = await idle(under_test, idlers)
                    else:
                        results[part] = await saturated(under_test, sockets, size, seconds)
    return results


@click.command()
@click.option("--sockets", default=1_000, show_default=True, help="Clients of the fan-out.")
@click.option("--idle", "idlers", default=3_000, show_default=True, help="Idle connections.")
@click.option("--size", default=4_096, show_default=True, help="Bytes of a list.")
@click.option("--seconds", default=8.0, show_default=True, help="Length of the fan-out.")
@click.option("--serve-clients", "url", hidden=True)
def main(sockets: int, idlers: int, size: int, seconds: float, url: str | None) -> None:
    """Prints JSON: memory an idle connection, CPU a delivered list."""
    if url is not None:
        asyncio.run(be_clients(url, sockets))
        return
    results = asyncio.run(measure(sockets, idlers, size, seconds))
    click.echo(msgspec.json.format(msgspec.json.encode(results)).decode())


if __name__ == "__main__":
    main()
