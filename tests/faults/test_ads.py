"""A worker that sells ads is killed: each click has cost what was agreed, once, as in a run that nothing disturbed."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from rec.ads.book import AdBook
from rec.ads.terms import Terms
from rec.embedded.broker import embedded_broker
from rec.embedded.up import SESSION_TIMEOUT_S
from rec.events import Attribution, Event, EventItem, encode_event, instant
from rec.feedback import decode_example, encode_told
from rec.requests import AskAds, encode_request
from rec.served import Lists, Served, ServedItem, pack
from rec.topics import BEHAVIOR, DEAD_LETTERS, FEEDBACK, REQUESTS, SERVED
from tests.stack import Stack, shelf, stack, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LISTS, USERS, CAMPAIGNS = 400, 40, 5
NODE = "who-asks"


class Traffic(NamedTuple):
    """What is told, in its order, and what its clicks cost: each ad of each list once, at the price of the list."""

    told: list[tuple[str, str, bytes]]  # topic, key, value
    spent: dict[str, float]
    clicks: int


def traffic(began: float, rng: Random) -> Traffic:
    ids, told = [item.item_id for item in shelf()], list[tuple[str, str, bytes]]()
    spent, clicks = defaultdict[str, float](float), 0
    for number in range(LISTS):
        user, slate, at = f"user-{number % USERS}", f"slate-{number}", began + number / 100
        shown = rng.sample(ids, 4)
        terms = {
            f"ad-{campaign}": Terms(f"c{campaign}", round(rng.uniform(0.1, 0.9), 4), 0.1, 0.1, 0, place)
            for place, campaign in enumerate(rng.sample(range(CAMPAIGNS), 2))
        }
        items = tuple(ServedItem(item_id, 0.5, "ad" if item_id in terms else "knn") for item_id in (*shown, *terms))
        one = Served(slate, user, "home", at, "default", "gate-0", items)
        told.append((SERVED, user, encode_told(Lists((pack(one, terms),)))))

        def sign(name: str, *item_ids: str, after: float) -> tuple[str, str, bytes]:
            event = Event(
                event=name, event_id=f"{slate}-{name}-{item_ids}-{after}", user_id=user,  # noqa: B023  called at once
                items=tuple(EventItem(item_id) for item_id in item_ids), attribution=Attribution(slate),  # noqa: B023
                received_ts=instant(at + after), event_ts=instant(at + after),  # noqa: B023
            )  # fmt: skip
            return BEHAVIOR, user, encode_event(event)  # noqa: B023

        told.append(sign("view_item_list", *shown, *terms, after=0.1))
        for ad, agreed in terms.items():
            if rng.random() < 0.4:
                told += [sign("select_item", ad, after=0.2 + again) for again in range(1 + (rng.random() < 0.3))]
                spent[agreed.campaign] += agreed.price
                clicks += 1
    return Traffic(told, spent, clicks)


async def publish(world: Stack, told: Sequence[tuple[str, str, bytes]]) -> None:
    for start in range(0, len(told), 50):
        for topic in (SERVED, BEHAVIOR):
            some = [(key, value) for where, key, value in told[start : start + 50] if where == topic]
            await world.log.publish_many(world.settings.topic(topic), some)
        await asyncio.sleep(0.05)


class Asking:
    """What the worker itself says its campaigns have spent."""

    def __init__(self, world: Stack) -> None:
        self._world = world
        self.told: dict[str, Any] = {}
        self._asked = 0

    async def listen(self) -> None:
        async for reply in self._world.exchange.replies(NODE):
            self.told = msgspec.json.decode(reply.body)["ads"]

    async def spent(self) -> dict[str, float]:
        self._asked += 1
        request = AskAds(f"asker-{self._asked}", f"r{self._asked}", NODE, time.time() + 30)
        topic = self._world.settings.topic(REQUESTS)
        await self._world.log.publish(topic, request.user_id, encode_request(request))
        await asyncio.sleep(0.3)
        return {row["campaign"]: row["spent"] for row in self.told.get("campaigns", ()) if row["spent"]}


async def test_after_kills_campaigns_have_spent_what_they_would_have_spent_undisturbed(tmp_path: Path) -> None:
    names: dict[str, object] = {
        "app_id": "ads", "topic_prefix": "ads-", "partitions": 2, "feedback": True, "feedback_window_s": 60,
        "feedback_late_s": 600, "session_timeout_s": SESSION_TIMEOUT_S, "counters_snapshot_s": 1,
    }  # fmt: skip
    sold = {"placements": json.dumps({"home": {"sponsored": [1]}})}
    if not 15 < time.time() % 86_400 < 86_400 - 180:
        pytest.skip("midnight (UTC), and with it another day's spend, would come in between")
    expected = traffic(time.time() - 10, Random(1))
    async with (
        embedded_broker(tmp_path / "broker") as bootstrap,
        stack(tmp_path / "world", bootstrap, shelf(), names, embedded=True) as world,
    ):
        await world.worker(**sold)
        await world.workers_ready(1)
        asking = Asking(world)
        listening = asyncio.create_task(asking.listen())
        try:
            third = len(expected.told) // 3
            for kill in range(2):
                await publish(world, expected.told[kill * third : (kill + 1) * third])
                assert await until(_some(asking), 30)  # and a snapshot is on its way, or there
                world.kill("worker")
                await publish(world, expected.told[(kill + 1) * third - 20 : (kill + 1) * third])  # and some come again
                await world.worker(**sold)
                await world.workers_ready(1)
            await publish(world, expected.told[2 * third :])

            async def whole() -> bool:
                return sum((await asking.spent()).values()) > sum(expected.spent.values()) - 1e-6

            assert await until(whole, 60), (await asking.spent(), expected.spent, world.logs())
            await asyncio.sleep(1.0)  # nothing more comes
            assert await asking.spent() == pytest.approx(expected.spent)
            assert await undisturbed(world) == pytest.approx(expected.spent)
            assert sum((await world.log.ends(world.settings.topic(DEAD_LETTERS))).values()) == 0
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _some(asking: Asking) -> Any:
    async def some() -> bool:
        return bool(await asking.spent())

    return some


async def undisturbed(world: Stack) -> dict[str, float]:
    """What a book says that has read the topic from its beginning, in one go."""
    book, topic = AdBook(), world.settings.topic(FEEDBACK)
    ends = await world.log.ends(topic)
    left = sum(ends.values())
    async for records in world.log.tail(topic, {}):
        for record in records:
            if record.value is not None:
                book.learn(decode_example(record.value))
        left -= len(records)
        if left <= 0:
            break
    return book.spent(time.time())
