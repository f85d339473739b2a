"""Who is connected where, and wants what. A node that is not tended is forgotten.

Invariant: `tend` brings back what this process has announced, should Redis have lost it.
"""

from __future__ import annotations

from typing import Any, cast

from rec.ports import Wanted
from rec.protocol import MAX_USER_SCREENS
from rec.store.presence import PRESENCE_S, Screens, everyone
from rec.store.redis.connected import Connected
from rec.store.redis.scripts import ANNOUNCE, TEND
from rec.store.redis.wire import decode_arrival, decode_users, encode_screens
from rec.store.streams import Stream


class Presence(Connected):
    """The presence part of the exchange. `presence_s`: how long announcements live untended."""

    presence_s = PRESENCE_S

    def _prepare(self) -> None:
        super()._prepare()
        self._announce = self._client.redis.register_script(ANNOUNCE)
        self._tend = self._client.redis.register_script(TEND)
        self._announced: dict[str, dict[str, Screens]] = {}

    async def announce(self, node: str, wanted: Wanted) -> bool:
        mine = self._announced.setdefault(node, {})
        before = mine.get(wanted.user_id)
        _set(mine, wanted.user_id, wanted.screens)
        announcement = encode_screens(wanted.screens) if wanted.screens else b""
        names = self._names
        async with self._client.reported():
            taken = await self._announce(
                keys=[names.nodes, names.presence + node],
                args=[
                    self._ttl_ms,
                    node,
                    wanted.user_id,
                    announcement,
                    names.arrivals,
                    names.presence,
                    MAX_USER_SCREENS,
                ],
            )
        if not taken:
            _set(mine, wanted.user_id, before)
        return bool(taken)

    async def tend(self, node: str) -> None:
        key = self._names.presence + node
        async with self._client.reported():
            kept = await self._tend(keys=[self._names.nodes, key], args=[self._ttl_ms, node])
            mine: dict[Any, Any] = {user_id: encode_screens(p) for user_id, p in self._announced.get(node, {}).items()}
            if kept or not mine:
                return
            pipeline = self._client.redis.pipeline()
            pipeline.hset(key, mapping=mine)
            pipeline.pexpire(key, self._ttl_ms)
            pipeline.publish(self._names.arrivals, b"")
            await pipeline.execute()

    async def retire(self, node: str) -> None:
        self._announced.pop(node, None)
        async with self._client.reported():
            pipeline = self._client.redis.pipeline()
            pipeline.delete(self._names.presence + node)
            pipeline.zrem(self._names.nodes, node)
            pipeline.publish(self._names.arrivals, b"")
            await pipeline.execute()

    async def online(self) -> list[Wanted]:
        async with self._client.reported():
            nodes = cast(list[bytes], await self._client.redis.zrange(self._names.nodes, 0, -1))
            pipeline = self._client.redis.pipeline(transaction=False)
            for node in nodes:
                pipeline.hgetall(self._names.presence + node.decode())
            found = await pipeline.execute()
        return everyone(map(decode_users, found))

    def arrivals(self) -> Stream[Wanted | None]:
        stream: Stream[Wanted | None] = Stream(overflow=(None,))
        return self._feed(self._names.arrivals, stream, decode_arrival, gap=True)

    @property
    def _ttl_ms(self) -> int:
        return int(self.presence_s * 1_000)


def _set(mine: dict[str, Screens], user_id: str, screens: Screens | None) -> None:
    if screens:
        mine[user_id] = dict(screens)
    else:
        mine.pop(user_id, None)
