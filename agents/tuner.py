"""The **process** in which the text encoder is tuned and re-read: started when there is work, then let go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.process import Process
from rec.errors import Unavailable
from rec.model import tuner
from rec.model.teaching import Tune
from rec.pairs import Lessons


class Tuner:
    """One child, one call at a time; none before the first call and after `close`."""

    def __init__(self, encoder: str, location: str, threads: int = 1, device: str = "cpu") -> None:
        name = "the process that tunes the encoder"
        self._child = Process(name, Unavailable, tuner.begin, encoder, location, threads, device)

    @property
    def pids(self) -> list[int]:
        """Of the child, while there is one."""
        return self._child.pids

    async def tune(self, last: str, lessons: Lessons, how: Tune, more: dict[str, Any]) -> tuner.Visit:
        """One visit. Raises ModelError, and Unavailable if the child has died."""
        encode = msgspec.msgpack.encode
        visit: tuner.Visit = await self._call(tuner.tune, last, encode(lessons), encode(how), more)
        return visit

    async def encode(self, encoder: str, texts: Sequence[str]) -> list[bytes]:
        """Vectors of the texts by an epoch's encoder, little-endian float32. Raises as `tune`."""
        dim, raw = await self._call(tuner.encode, encoder, list(texts))
        return [raw[at : at + 4 * dim] for at in range(0, len(raw), 4 * dim)]

    async def close(self) -> None:
        """End the child, whatever it computes."""
        await self._child.close()

    async def _call(self, function: Any, *args: Any) -> Any:
        if not self._child.is_open:
            await self._child.open()
        try:
            return await self._child.call(function, *args)
        except Unavailable:
            await self._child.close()
            raise
