"""simulated shoppers → SDK → web. The thin shell around `rec.demo.shoppers`: a clock, a crowd and a client.

Each tick sends what the crowd did since the last one, as one batch. A part of the crowd is subscribed and acts on the
lists it gets. Invariant: leaving ends every subscription; what cannot be sent in time is dropped, never piled up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from random import Random

from rec.client import RecClient
from rec.demo.shoppers import PAGE, Shopper, crowd
from rec.demo.tastes import Shop
from rec.demo.world import demo_catalog
from rec.errors import BadInput, NotFound, RecError
from rec.events import Attribution, Event

TICK_S = 0.1
BACKLOG_S = 5.0  # what lies further back is not made up for
MAX_SUBSCRIBED = 100
SUBSCRIBED = 0.3  # share of the crowd that looks at its own list

log = logging.getLogger(__name__)


async def run_traffic(
    url: str,
    api_key: str,
    *,
    shoppers: int,
    rate: float,
    seed: int,
    stop: asyncio.Event,
    subscribed: float = SUBSCRIBED,
) -> None:
    """Act as `shoppers` people who do `rate` things a second, all together, until `stop` is set.

    `seed` is that of the demo shop. Raises BadInput if the server's shop is another one, or the RecError of the first
    failure that trying again cannot help.
    """
    if shoppers < 1 or rate <= 0:
        raise BadInput(f"shoppers ({shoppers}) and rate ({rate}) must be above 0", field="shoppers")
    catalog = demo_catalog(seed=seed)
    people = crowd(Shop(catalog), shoppers, seed)
    async with RecClient(url, api_key=api_key) as client:
        await _check_shop(client, catalog[0].item_id, catalog[0].title, seed)
        watching = people[: min(MAX_SUBSCRIBED, round(shoppers * subscribed))]
        acting = asyncio.create_task(_act(client, people, rate, Random(f"{seed}/traffic"), stop))
        tasks = [acting, *(asyncio.create_task(_listen(client, shopper)) for shopper in watching)]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()


async def _check_shop(client: RecClient, item_id: str, title: str, seed: int) -> None:
    try:
        found = await client.get_item(item_id)
    except NotFound:
        found = {}
    if found.get("title") != title:
        raise BadInput(
            f"the shop is not the demo shop of seed {seed}: give the seed of its first start, or an empty data folder",
            field="seed",
        )


async def _listen(client: RecClient, shopper: Shopper) -> None:
    async for slate in client.subscribe(shopper.user_id, n=PAGE):
        shopper.show([item.item_id for item in slate.items], Attribution(slate.slate_id, slate.version))


async def _act(client: RecClient, people: list[Shopper], rate: float, rng: Random, stop: asyncio.Event) -> None:
    """A Poisson process of `rate` a second over the whole crowd, cut into ticks."""
    clock = asyncio.get_running_loop().time
    due = clock() + rng.expovariate(rate)
    while not stop.is_set():
        now = clock()
        due = max(due, now - BACKLOG_S)
        batch: list[Event] = []
        while due <= now:
            batch.append(rng.choice(people).act(time.time() - (now - due)))
            due += rng.expovariate(rate)
        if batch:
            try:
                await client.track_many(batch)
            except RecError as error:
                if not error.temporary:
                    raise
                log.warning("%d simulated events were not taken: %s", len(batch), error.code)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_S)
