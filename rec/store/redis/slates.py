"""Latest slates, and their way to the users who are watched here.

Invariant: the kept slate of a user and screen is the newest of its epoch, whoever stores in whatever order; what
is published is what was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from weakref import WeakSet

from rec.ports import Pushed, StoredSlate
from rec.slates import Position
from rec.store.presence import KEPT_SLATES, SLATE_S, slate_ttl_s
from rec.store.redis.connected import Connected
from rec.store.redis.scripts import STORE_SLATES
from rec.store.redis.wire import decode_push, decode_slate, encode_slate
from rec.store.streams import Stream

CHUNK = 256  # slates in one round trip: about 1 MB, and 2 ms of Redis's single thread


class Slates(Connected):
    """The slate part of the exchange."""

    def _prepare(self) -> None:
        super()._prepare()
        self._store = self._client.redis.register_script(STORE_SLATES)
        self._watched: dict[bytes, str] = {}
        self._pushes: WeakSet[Stream[Pushed | None]] = WeakSet()

    async def store_slates(self, slates: Sequence[Pushed], push: bool = True) -> None:
        """One round trip for each 256 slates."""
        for at in range(0, len(slates), CHUNK):
            keys: list[str] = []
            args: list[str | bytes | int] = [SLATE_S, int(push), KEPT_SLATES, self._names.slates]
            for user_id, slate in slates[at : at + CHUNK]:
                keys += self._names.slate(user_id, slate.screen), self._names.screens(user_id)
                args += slate.position.epoch, slate.position.version, slate.screen
                args += encode_slate(slate), self._names.pushes(user_id), user_id, slate_ttl_s(slate.screen)
            async with self._client.reported():
                await self._store(keys=keys, args=args)

    async def latest(self, user_id: str, screen: str) -> StoredSlate | None:
        async with self._client.reported():
            message = await self._client.redis.hget(self._names.slate(user_id, screen), "message")
        return decode_slate(cast(bytes, message)) if message else None

    async def positions(self, wanted: Sequence[tuple[str, str]]) -> list[Position | None]:
        async with self._client.reported():
            pipeline = self._client.redis.pipeline(transaction=False)
            for user_id, screen in wanted:
                pipeline.hmget(self._names.slate(user_id, screen), "epoch", "version")
            found = await pipeline.execute()
        return [Position(epoch.decode(), int(version)) if epoch else None for epoch, version in found]

    async def watch(self, user_id: str) -> None:
        channel = self._names.pushes(user_id)
        self._watched[channel] = user_id
        await self._subscriber.subscribed(channel)

    async def unwatch(self, user_id: str) -> None:
        channel = self._names.pushes(user_id)
        self._watched.pop(channel, None)
        self._subscriber.unwant(channel)

    def pushes(self) -> Stream[Pushed | None]:
        return self._opened(self._pushes, Stream(overflow=(None,)))

    def _receive(self, channel: bytes, data: bytes) -> None:
        if (user_id := self._watched.get(channel)) is None:
            return super()._receive(channel, data)
        pushed = decode_push(user_id, data)
        for stream in self._pushes:
            stream.put(pushed)

    def _gap(self) -> None:
        super()._gap()
        for stream in self._pushes:
            stream.put(None)
