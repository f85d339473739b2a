"""One trial: a world on a broker, traffic at a steady rate, people who watch their lists, and a verdict at the end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rec.client import RecClient, Slate
from rec.embedded.up import SESSION_TIMEOUT_S
from rec.events import Event
from rec.state import Facets, FoldRules
from rec.topics import BEHAVIOR, DEAD_LETTERS
from tests.faults.oracle import Followed, differences, read_all, replay
from tests.faults.traffic import keyed
from tests.stack import API_KEY, Stack, shelf, stack, until

PARTITIONS = 4
TICK_S = 0.05
WATCHERS = 40
PROMISE_S = 10.0  # the contract says 5 s after the last event; this machine may be busy with other things


class Verdict(NamedTuple):
    """What is left to complain about, empty if nothing."""

    published: int
    distinct: int
    counted: int
    wrong: list[str]  # states that are not the replay's
    stale: list[str]  # watchers whose list is not the newest
    went_back: int  # slates that were not newer than the one before, as the client's user saw them
    restarts: list[str]  # processes that ended themselves, by one of their nets, and were started again

    @property
    def ok(self) -> bool:
        return self.counted == self.distinct and not (self.wrong or self.stale or self.went_back)


class Trial:
    """A running world. `web` and the first worker are up when `trial()` yields."""

    def __init__(self, world: Stack, followed: Followed) -> None:
        self.world, self.followed = world, followed
        self.published: list[Event] = []
        self.newest: dict[str, Slate | None] = {}  # of everybody who watches; None: no list has come
        self.went_back = 0

    async def publish(self, events: Sequence[Event], rate: float) -> None:
        """Write to the topic at `rate` a second, whatever the workers do."""
        topic, began = self.world.settings.topic(BEHAVIOR), time.monotonic()
        done = 0
        while done < len(events):
            upto = min(len(events), int((time.monotonic() - began) * rate) + 1)
            if upto > done:
                await self.world.log.publish_many(topic, keyed(events[done:upto]))
                self.published += events[done:upto]
                done = upto
            await asyncio.sleep(TICK_S)

    async def watch(self, client: RecClient, user_id: str) -> None:
        """Take a user's lists as they come, for ever."""
        self.newest[user_id] = None
        async for slate in client.subscribe(user_id):
            before = self.newest.get(user_id)
            if before is not None and before.epoch == slate.epoch and slate.version <= before.version:
                self.went_back += 1
            self.newest[user_id] = slate

    async def drained(self, within_s: float) -> bool:
        """Until every event that was published has been counted."""
        distinct = self.distinct()
        return await until(lambda: self.followed.counted() >= distinct, within_s)

    def distinct(self) -> int:
        """How many different events have been published so far."""
        return len({event.event_id for event in self.published})

    async def verdict(self) -> Verdict:
        """Compare with the replay, and every watcher's list with the newest."""
        settings = self.world.settings
        records = await read_all(self.world.log, settings.topic(BEHAVIOR))
        facets = {item.item_id: Facets(item.category, item.brand) for item in shelf()}
        expected = replay(records, facets.get, FoldRules.from_settings(settings))
        stale = await self._stale(PROMISE_S)
        wrong = differences(expected, self.followed.states)
        if dead := sum((await self.world.log.ends(settings.topic(DEAD_LETTERS))).values()):
            wrong.append(f"{dead} dead letters")
        return Verdict(
            len(self.published),
            self.distinct(),
            self.followed.counted(),
            wrong,
            stale,
            self.went_back,
            self.world.ended_by_itself,
        )

    async def _stale(self, within_s: float) -> list[str]:
        await until(lambda: not self._behind(), within_s)
        return self._behind()

    def _behind(self) -> list[str]:
        behind = []
        for user_id, slate in self.newest.items():
            state = self.followed.states.get(user_id)
            if slate is None:
                behind.append(f"{user_id}: has no list")
            elif state is not None and slate.position != state.position:
                behind.append(f"{user_id}: sees {slate.position}, the state is at {state.position}")
        return behind


@contextlib.asynccontextmanager
async def trial(
    folder: Path,
    bootstrap: str,
    name: str,
    *,
    watchers: int = WATCHERS,
    embedded: bool = False,
    more: Mapping[str, object] | None = None,
) -> AsyncIterator[Trial]:
    """A fresh world `name` on the broker: one worker, and web with `watchers` people who look (0: no web).

    `embedded`: the broker is the embedded one, used as `rec up` does. `more`: further settings.
    """
    names: dict[str, object] = {"app_id": name, "topic_prefix": f"{name}-", "partitions": PARTITIONS, **(more or {})}
    if embedded:
        names["session_timeout_s"] = SESSION_TIMEOUT_S
    folder.mkdir(parents=True, exist_ok=True)
    async with (
        stack(folder, bootstrap, shelf(), names, embedded=embedded) as world,
        contextlib.AsyncExitStack() as ending,
    ):
        followed = Followed(world.log, world.settings.users_changelog)
        made = Trial(world, followed)
        await world.worker()
        await world.workers_ready(1)
        tasks = [asyncio.create_task(followed.follow()), asyncio.create_task(world.supervise())]
        if watchers:
            await world.web()
            await world.ready()
            client = await ending.enter_async_context(RecClient(world.url, api_key=API_KEY))
            tasks += [asyncio.create_task(made.watch(client, f"user-{n}")) for n in range(watchers)]
        try:
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
