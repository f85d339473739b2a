"""A new product, known by its text alone: how long until it is on the list of a shopper whose interest fits?

    python -m tests.bench.newcomer [--times 6] [--settle 60] [--within 5] [--json]

`rec up` with its simulated shoppers; the model learns for `--settle` seconds first. Then, one after the other, shoppers
of this bench look at five products of one family each, and a product of that family that the shop has not had comes in
by `PUT /v1/items`: id, title and description, without category, brand or price. From then on the shopper looks at one
more of the family each second, and asks for their list four times a second. Measured is the time from before the PUT to
the first pushed list and to the first asked one that has the product, and at which place. A shopper of another family
asks beside them: theirs is not to have it. What is drawn from the newest items for anybody (source `new`) counts for
neither; `cold_start` says that it is at the place kept for a candidate that hardly anybody came to.
Exit code 1 if one takes longer than `--within`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from rec.catalog import Item
from rec.client import RecClient
from rec.demo.world import demo_catalog, family_of
from rec.slates import Slate
from tests.bench.live import running

OTHER_SEED = 99  # of a catalog with the same families and other products
BEFORE = 5  # products that the shopper looks at before
GIVE_UP_S = 30.0


def families(items: list[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(family_of(item), []).append(item)
    return found


def newcomers(times: int) -> list[tuple[str, Item, list[Item]]]:
    """A family, a product of it that the shop does not have, and those that it has; far apart in the catalog."""
    here = families([item for item in demo_catalog() if item.may_be_shown])
    known = {item.title for each in here.values() for item in each}
    new = families(demo_catalog(seed=OTHER_SEED))
    names = [name for name in sorted(here) if len(here[name]) >= 2 * BEFORE]
    step = len(names) / times
    chosen = [names[int(step * number)] for number in range(times)]
    return [(name, next(item for item in new[name] if item.title not in known), here[name]) for name in chosen]


def place_of(slate: Slate, item_id: str) -> dict[str, Any] | None:
    """Where it stands, and why; None if it does not, or for being new alone."""
    for place, item in enumerate(slate.items):
        if item.item_id == item_id and item.source != "new":
            cold = "cold_start" in (item.reason.policy or ())
            return {"place": place, "source": item.source, "cold_start": cold, "model": slate.model_version}
    return None


async def trial(client: RecClient, number: int, family: str, item: Item, there: list[Item]) -> dict[str, Any]:
    """One product. Seconds until it was pushed and until it was answered; None if it was not within GIVE_UP_S."""
    shopper, other, item_id = f"fits-{number}", f"other-{number}", f"newcomer-{number}-{time.time_ns()}"
    begun, done = 0.0, asyncio.Event()
    found: dict[str, dict[str, Any]] = {}

    def see(how: str, slate: Slate) -> None:
        if how not in found and (place := place_of(slate, item_id)) is not None:
            found[how] = {"after_s": round(time.perf_counter() - begun, 2), **place}
            if {"pushed", "asked"} <= set(found):
                done.set()

    async def watch() -> None:
        async for slate in client.subscribe(shopper, placement="home"):
            see("pushed", slate)

    async def ask() -> None:
        while not done.is_set():
            see("asked", await client.recommend(shopper, placement="home"))
            await asyncio.sleep(0.25)

    async def look() -> None:
        for each in there[BEFORE:] * 100:
            await asyncio.sleep(1.0)
            await client.track("view_item", user_id=shopper, items=[each.item_id])

    foreign = next(each for each in demo_catalog() if each.category != there[0].category)
    await client.track("view_item", user_id=other, items=[foreign.item_id])
    for each in there[:BEFORE]:
        await client.track("view_item", user_id=shopper, items=[each.item_id])
    watching = asyncio.create_task(watch())
    await client.recommend(shopper, placement="home")
    begun = time.perf_counter()
    put = await client.put_items([{"item_id": item_id, "title": item.title, "description": item.description}])
    assert put.accepted == 1, put
    tasks = [watching, asyncio.create_task(ask()), asyncio.create_task(look())]
    try:
        async with asyncio.timeout(GIVE_UP_S):
            await done.wait()
    except TimeoutError:
        pass
    finally:
        done.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    theirs = place_of(await client.recommend(other, placement="home"), item_id)
    await client.delete_item(item_id)
    return {"family": family, "title": item.title, "pushed": None, "asked": None, **found, "of_another": theirs}


async def measure(info: dict[str, str], times: int, settle: float) -> list[dict[str, Any]]:
    chosen = newcomers(times)
    async with RecClient(info["url"], api_key=info["api_key"]) as client:
        await asyncio.sleep(settle)
        found = []
        for number, each in enumerate(chosen):
            found.append(one := await trial(client, number, *each))
            click.echo(f"{one['title']}: pushed {one['pushed']}, asked {one['asked']}", err=True)
        return found


def late(found: list[dict[str, Any]], within: float) -> list[str]:
    """Titles of those that were not there in time, or came to whom they do not fit."""
    return [
        one["title"]
        for one in found
        if any(one[how] is None or one[how]["after_s"] > within for how in ("pushed", "asked"))
        or one["of_another"] is not None
    ]


@click.command()
@click.option("--times", default=6, show_default=True, help="How many products come in.")
@click.option("--settle", default=60.0, show_default=True, help="How long the model learns before.")
@click.option("--shoppers", default=20, show_default=True)
@click.option("--rate", default=40.0, show_default=True, help="Their events a second.")
@click.option("--within", default=5.0, show_default=True, help="Seconds that are allowed.")
@click.option("--json", "as_json", is_flag=True)
def main(times: int, settle: float, shoppers: int, rate: float, within: float, as_json: bool) -> None:
    """A new product by its text alone, from PUT to the list of a shopper whom it fits."""
    with (
        tempfile.TemporaryDirectory(prefix="newcomer-") as folder,
        running(Path(folder) / "data", shoppers, rate) as info,
    ):
        found = asyncio.run(measure(info, times, settle))
    click.echo(json.dumps(found, indent=None if as_json else 2))
    missed = late(found, within)
    click.echo(f"not on the list within {within:g} s: {', '.join(missed) or 'none'}", err=True)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
