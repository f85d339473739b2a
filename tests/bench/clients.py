"""The shoppers' side of the latency bench, a process of its own: prints one JSON line a rate.

An event's time runs from before its POST until its user's socket has a slate that knows of it: one made for it, or a
newer one that was made for an event of the same user which came together with it (newest wins).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping

import aiohttp
import click
import msgspec

from tests.bench.crowd import crowd, session
from tests.bench.figures import quantiles

DRAIN_S = 5.0
WARM_S = 3.0


class _Cause(msgspec.Struct):
    event_id: str | None = None


class _Slate(msgspec.Struct):
    cause: _Cause
    version: int


class _Push(msgspec.Struct):
    slate: _Slate


class _Frame(msgspec.Struct):
    push: _Push


_decode = msgspec.json.Decoder(_Frame).decode


class Clock:
    """When each event left, and how long its list took.

    A slate's version grows by one with every event it knows of, and its cause is the last of them. So of the events
    that wait, a slate that is d versions on settles its cause and the d - 1 oldest others.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, dict[str, float]] = {}  # user → {event_id: sent}, in order
        self.took: list[float] = []
        self.versions: dict[str, int] = {}  # user → of the newest slate

    def sent(self, user_id: str, event_id: str) -> None:
        self.waiting.setdefault(user_id, {})[event_id] = time.perf_counter()

    def got(self, user_id: str, frame: bytes) -> None:
        now, slate = time.perf_counter(), _decode(frame).push.slate
        grown = slate.version - self.versions.get(user_id, slate.version)
        self.versions[user_id] = slate.version
        waiting = self.waiting.get(user_id, {})
        settled = [slate.cause.event_id] if slate.cause.event_id in waiting else []
        settled += [event_id for event_id in waiting if event_id not in settled][: grown - len(settled)]
        self.took += [now - waiting.pop(event_id) for event_id in settled]

    def lost(self) -> int:
        return sum(len(waiting) for waiting in self.waiting.values())


async def send(http: aiohttp.ClientSession, url: str, event: Mapping[str, object], refused: Counter[int]) -> None:
    async with http.post(f"{url}/v1/events", json={"events": [event]}) as answer:
        body = await answer.read()
        if answer.status != 202 or b'"accepted":1' not in body:
            refused[answer.status] += 1


async def at_rate(
    http: aiohttp.ClientSession, url: str, clock: Clock, users: list[str], items: list[str], rate: float, seconds: float
) -> Counter[int]:
    """Open loop: events leave on time whatever comes back. Returns the answers that were no 202, by status."""
    refused: Counter[int] = Counter()
    rng, began, sending = random.Random(rate), time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(int(rate * seconds)):
        if (wait := began + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        user_id, event_id = rng.choice(users), f"bench-{rate}-{seconds}-{number}"
        event = {
            "event": rng.choice(("view_item", "select_item", "add_to_cart")),
            "event_id": event_id,
            "user_id": user_id,
            "items": [{"item_id": rng.choice(items)}],
        }
        clock.sent(user_id, event_id)
        task = asyncio.create_task(send(http, url, event, refused))
        sending.add(task)
        task.add_done_callback(sending.discard)
    await asyncio.gather(*sending)
    return refused


async def run(url: str, api_key: str, connections: int, rates: list[float], seconds: float, items: list[str]) -> None:
    users, clock = [f"bench-{n}" for n in range(connections)], Clock()
    async with session(api_key) as http, crowd(http, url, users, clock.got):
        deadline = time.monotonic() + 60
        while len(clock.versions) < connections and time.monotonic() < deadline:  # noqa: ASYNC110  counted elsewhere
            await asyncio.sleep(0.1)
        await at_rate(http, url, clock, users, items, 50, WARM_S)
        for rate in rates:
            clock.took.clear()
            clock.waiting.clear()
            click.echo("{}")  # from here on, CPU counts
            refused = await at_rate(http, url, clock, users, items, rate, seconds)
            deadline = time.monotonic() + DRAIN_S
            while clock.lost() and time.monotonic() < deadline:  # noqa: ASYNC110  counted elsewhere
                await asyncio.sleep(0.05)
            figures = {
                "rate": rate,
                "connections": len(clock.versions),
                "events": len(clock.took),
                "late": clock.lost(),
                "refused": sum(refused.values()),
            }
            click.echo(msgspec.json.encode(figures | quantiles(clock.took)).decode())


@click.command()
@click.option("--url", required=True)
@click.option("--api-key", required=True)
@click.option("--connections", type=int, required=True)
@click.option("--rates", required=True, help="50,200,500")
@click.option("--seconds", type=float, required=True)
@click.option("--items", required=True, help="a,b,c")
def main(url: str, api_key: str, connections: int, rates: str, seconds: float, items: str) -> None:
    """Hold websockets and send events at each rate."""
    asyncio.run(run(url, api_key, connections, [float(r) for r in rates.split(",")], seconds, items.split(",")))


if __name__ == "__main__":
    main()
