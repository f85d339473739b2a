"""Search over HTTP under load: 55,000 products, searches at a rate, behavior flowing beside it; then suggestions.

    python -m tests.bench.search [--rate 50] [--events 100] [--seconds 30] [--products 55000] [--json]

Latency runs from the moment a request was due, not from when it was sent (no coordinated omission). Products are those
of the demo shop, made with other seeds; their vectors are drawn, so that nothing has to be encoded first: the work of a
search is that of real ones. Queries are words of product titles, drawn anew each time, so most have no vector yet.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
import numpy as np

from rec.catalog import Item
from rec.demo.world import demo_catalog
from rec.embedded.broker import embedded_broker
from rec.model.weights import encoder_dim, encoder_id
from rec.store.sql import open_database
from tests.bench.figures import quantiles
from tests.stack import API_KEY, Stack, stack, until

USERS = 500
HEADERS = {"Authorization": f"Bearer {API_KEY}"}


def products(count: int) -> list[Item]:
    made: list[Item] = []
    for seed in range(10_000):
        made += [msgspec.structs.replace(item, item_id=f"s{seed}-{item.item_id}") for item in demo_catalog(seed=seed)]
        if len(made) >= count:
            return made[:count]
    return made


async def put_vectors(world: Stack, items: list[Item]) -> None:
    rng, encoder, dim = np.random.default_rng(1), encoder_id(), encoder_dim()
    async with open_database(world.settings) as database:
        for start in range(0, len(items), 2_000):
            part = items[start : start + 2_000]
            drawn = rng.normal(size=(len(part), dim)).astype("<f4")
            await database.put_vectors(
                encoder, {item.digest(): row.tobytes() for item, row in zip(part, drawn, strict=True)}
            )


async def at_rate(rate: float, seconds: float, once: Callable[[], Awaitable[None]]) -> list[float]:
    """Open loop; how long each took from when it was due."""
    took: list[float] = []
    began, tasks = time.perf_counter(), set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        await once()
        took.append(time.perf_counter() - due)

    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return took


async def measure(world: Stack, items: list[Item], rate: float, events: float, seconds: float) -> dict[str, Any]:
    rng, outcomes = random.Random(1), Counter[str]()
    async with aiohttp.ClientSession(world.url, headers=HEADERS) as http:

        async def get(path: str, **query: str) -> Any:
            async with http.get(path, params=query) as answer:
                body = await answer.json()
                outcomes["ok" if answer.status == 200 else f"{answer.status}"] += 1
                return body

        async def search() -> None:
            words = rng.choice(items).title.split()
            q = " ".join(rng.sample(words, min(len(words), rng.randint(1, 3))))
            body = await get("/v1/search", user_id=f"u{rng.randrange(USERS)}", q=q)
            outcomes[body.get("strategy", "none")] += 1

        async def suggest() -> None:
            title = rng.choice(items).title
            await get("/v1/suggest", q=title[: rng.randint(1, 12)].strip())

        async def act() -> None:
            event = {
                "event": "view_item", "event_id": f"b{rng.getrandbits(64):x}", "user_id": f"u{rng.randrange(USERS)}",
                "items": [{"item_id": rng.choice(items).item_id}],
            }  # fmt: skip
            async with http.post("/v1/events", json={"events": [event]}) as answer:
                await answer.read()

        async def hybrid() -> bool:
            body = await get("/v1/search", user_id="u1", q=f"tent {rng.random()}")
            return bool(body.get("strategy") == "search-hybrid")

        if not await until(hybrid, 90, every_s=1.0):
            raise RuntimeError(f"search never became hybrid\n{world.logs()}")
        await at_rate(rate, 5, search)
        outcomes.clear()
        flowing = asyncio.create_task(at_rate(events, 2 * seconds + 5, act))
        searches = quantiles(await at_rate(rate, seconds, search))
        counted = dict(outcomes)
        outcomes.clear()
        suggestions = quantiles(await at_rate(rate, seconds / 2, suggest))
        flowing.cancel()
        await asyncio.gather(flowing, return_exceptions=True)
    return {
        "products": len(items), "rate": rate, "events": events,
        "search": searches, "search answers": counted,
        "suggest": suggestions, "suggest answers": dict(outcomes),
    }  # fmt: skip


async def bench(rate: float, events: float, seconds: float, count: int) -> dict[str, Any]:
    items = products(count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with embedded_broker(folder) as bootstrap, stack(folder, bootstrap, items, {}, embedded=True) as world:
            await put_vectors(world, items)
            await world.worker()
            await world.web()
            await world.ready()
            return await measure(world, items, rate, events, seconds)


@click.command()
@click.option("--rate", default=50.0, show_default=True, help="Searches a second.")
@click.option("--events", default=100.0, show_default=True, help="Events a second beside them.")
@click.option("--seconds", default=30.0, show_default=True, help="How long is measured.")
@click.option("--products", "count", default=55_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rate: float, events: float, seconds: float, count: int, as_json: bool) -> None:
    """p50, p95, p99 of searches and suggestions."""
    found = asyncio.run(bench(rate, events, seconds, count))
    click.echo(json.dumps(found, indent=None if as_json else 2))


if __name__ == "__main__":
    main()
