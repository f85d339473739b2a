"""`Exchange` on Redis: slates, presence, and here replies, remembered ids, hints, leases, erasure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Self, cast

import msgspec

from rec.ports import Hint, Reply
from rec.store.presence import WORKER_S, merged
from rec.store.redis.presence import Presence
from rec.store.redis.scripts import LEASE, SET_WORKER
from rec.store.redis.slates import Slates
from rec.store.redis.together import Command, Together
from rec.store.redis.wire import (
    decode_hint,
    decode_reply,
    decode_screens,
    decode_slate,
    encode_hint,
    encode_reply,
)
from rec.store.streams import Stream


class RedisExchange(Slates, Presence):
    """The exchange of many processes on one Redis. `prefix` keeps worlds apart; `rng` draws the back-off."""

    worker_s = WORKER_S

    def _prepare(self) -> None:
        super()._prepare()
        self._lease = self._client.redis.register_script(LEASE)
        self._together = Together(self._client)
        self._set_worker = self._client.redis.register_script(SET_WORKER)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._stack.push_async_callback(self._together.close)
        return self

    # -- replies
    async def reply(self, to: str, reply: Reply) -> None:
        async with self._client.reported():
            await self._client.redis.publish(self._names.replies(to), encode_reply(reply))

    def replies(self, node: str) -> Stream[Reply]:
        return self._feed(self._names.replies(node), Stream(), decode_reply)

    # -- remembered ids, consent
    async def known(self, event_ids: Sequence[str], subjects: Sequence[str]) -> tuple[set[str], set[str]]:
        if not event_ids and not subjects:
            return set(), set()
        asked: list[Command] = []
        if event_ids:
            asked.append(("MGET", *(self._names.event(event_id) for event_id in event_ids)))
        if subjects:
            asked.append(("SMISMEMBER", self._names.denied, *subjects))
        found = await self._together.execute(*asked)
        marks = found[0] if event_ids else []
        denials = found[-1] if subjects else []
        return (
            {event_id for event_id, mark in zip(event_ids, marks, strict=True) if mark},
            {subject for subject, denied in zip(subjects, denials, strict=True) if denied},
        )

    async def remember(self, event_ids: Sequence[str], ttl_s: int) -> set[str]:
        fresh = await self._together.execute(
            *(("SET", self._names.event(event_id), 1, "EX", ttl_s, "NX") for event_id in event_ids)
        )
        return {event_id for event_id, set_now in zip(event_ids, fresh, strict=True) if not set_now}

    async def set_denied(self, user_id: str, denied: bool) -> None:
        await self.set_all_denied([user_id], denied)

    async def set_all_denied(self, user_ids: Sequence[str], denied: bool) -> None:
        if not user_ids:
            return
        async with self._client.reported():
            if denied:
                await self._client.redis.sadd(self._names.denied, *user_ids)
            else:
                await self._client.redis.srem(self._names.denied, *user_ids)

    # -- hints, leases, erasure
    async def hint(self, hint: Hint) -> None:
        async with self._client.reported():
            await self._client.redis.publish(self._names.hints, encode_hint(hint))

    def hints(self) -> Stream[Hint | None]:
        stream: Stream[Hint | None] = Stream(overflow=(None,))
        return self._feed(self._names.hints, stream, decode_hint, gap=True)

    async def lease(self, name: str, holder: str, ttl_s: float) -> bool:
        async with self._client.reported():
            return bool(await self._lease(keys=[self._names.lease(name)], args=[holder, int(ttl_s * 1_000)]))

    async def set_worker_state(self, worker: str, state: str) -> None:
        await self._say(self._names.workers, self._names.worker, worker, state.encode())

    async def worker_states(self) -> dict[str, str]:
        said = await self._said(self._names.workers, self._names.worker)
        return {worker: state.decode() for worker, state in said.items()}

    async def report(self, process: str, report: bytes) -> None:
        await self._say(self._names.reporting, self._names.reported, process, report)

    async def reports(self) -> dict[str, bytes]:
        return await self._said(self._names.reporting, self._names.reported)

    async def _say(self, names: str, prefix: str, who: str, what: bytes) -> None:
        """What a process says of itself, for `worker_s`; `names` is the sorted set of those who talk."""
        async with self._client.reported():
            await self._set_worker(keys=[names, prefix + who], args=[int(self.worker_s * 1_000), who, what])

    async def _said(self, names: str, prefix: str) -> dict[str, bytes]:
        async with self._client.reported():
            who = [name.decode() for name in cast(list[bytes], await self._client.redis.zrange(names, 0, -1))]
            found = await self._client.redis.mget([prefix + name for name in who]) if who else []
        return {name: cast(bytes, what) for name, what in zip(who, found, strict=True) if what}

    async def forget(self, user_id: str) -> int:
        for announced in self._announced.values():
            announced.pop(user_id, None)
        screens, nodes = await self._where_is(user_id)
        async with self._client.reported():
            pipeline = self._client.redis.pipeline()
            self._drop_slates(pipeline, user_id, screens)
            for node in nodes:
                pipeline.hdel(self._names.presence + node, user_id)
            pipeline.srem(self._names.denied, user_id)
            _, *removed = await pipeline.execute()
        return sum(removed)

    async def forget_slates(self, user_id: str) -> int:
        screens, _ = await self._where_is(user_id)
        async with self._client.reported():
            pipeline = self._client.redis.pipeline()
            self._drop_slates(pipeline, user_id, screens)
            _, *removed = await pipeline.execute()
        return sum(removed)

    def _drop_slates(self, pipeline: Any, user_id: str, screens: Sequence[str]) -> None:
        """The set of a user's screens first, then each slate: what is counted begins with the second answer."""
        pipeline.delete(self._names.screens(user_id))
        for screen in screens:
            pipeline.delete(self._names.slate(user_id, screen))

    async def keys_of(self, user_id: str) -> dict[str, Any]:
        screens, nodes = await self._where_is(user_id)
        async with self._client.reported():
            pipeline = self._client.redis.pipeline()
            for screen in screens:
                pipeline.hget(self._names.slate(user_id, screen), "message")
            for node in nodes:
                pipeline.hget(self._names.presence + node, user_id)
            pipeline.sismember(self._names.denied, user_id)
            *found, denied = await pipeline.execute()
        slates = [decode_slate(message) for message in found[: len(screens)] if message]
        announced = [decode_screens(raw) for raw in found[len(screens) :] if raw]
        return {
            "slates": {slate.screen: msgspec.json.decode(slate.body) for slate in slates},
            "on_screen": dict(merged(user_id, announced).screens),
            "personalization_denied": bool(denied),
        }

    async def _where_is(self, user_id: str) -> tuple[list[str], list[str]]:
        """Screens that may have a slate of the user, and all nodes."""
        async with self._client.reported():
            pipeline = self._client.redis.pipeline(transaction=False)
            pipeline.zrange(self._names.screens(user_id), 0, -1)
            pipeline.zrange(self._names.nodes, 0, -1)
            screens, nodes = await pipeline.execute()
        return [s.decode() for s in screens], [n.decode() for n in nodes]

    async def time(self) -> float:
        async with self._client.reported():
            seconds, micros = await self._client.redis.time()
        return float(seconds) + float(micros) / 1e6

    async def ping(self) -> float:
        started = time.perf_counter()
        async with self._client.reported():
            await self._client.redis.ping()
        return time.perf_counter() - started
