"""The counters' snapshot: whole, between two events, and put together without holding up the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import agents.counting
from agents.counting import Counting
from agents.metrics import Metrics
from rec.counters import Counters
from rec.events import encode_event
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, Topic
from tests.loop.local import forgetting_of
from tests.stack import until
from tests.unit.shop import NOW, event


class Turns(Counters):
    """Counters whose pieces are counted, and that say when the first is out."""

    out = 0

    def to_pieces(self) -> Iterator[bytes]:
        for piece in super().to_pieces():
            self.out += 1
            yield piece


async def test_what_comes_while_a_snapshot_is_put_together_is_learned_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.counting, "SLICE_S", -1.0)  # a turn of the loop after every piece and every record
    log, exchange, counters, path = MemoryLog(), MemoryExchange(), Turns(), tmp_path / "counters"
    await log.create([Topic(BEHAVIOR, 1, {})])
    counting = Counting(
        facets=lambda _: None, counters=counters,
        path=path, source=log, topic=BEHAVIOR, metrics=Metrics(), snapshot_s=60,
        forgetting=forgetting_of(MemoryDatabase(), exchange, log),
    )  # fmt: skip
    reading = asyncio.create_task(counting.run())
    try:
        for n in range(600):
            await log.publish(
                BEHAVIOR, f"u{n}", encode_event(event("view_item", f"a-{n}", user_id=f"u{n}", at=NOW + n))
            )
        assert await until(lambda: counters.counted == 600, 10)
        before = counters.to_bytes()
        counters.out = 0
        saving = asyncio.create_task(counting.save())
        assert await until(lambda: counters.out > 0, 10, every_s=0)
        await log.publish(BEHAVIOR, "v", encode_event(event("view_item", "b-1", user_id="v", at=NOW + 601)))
        await saving
        assert counters.out > 5
        assert path.read_bytes() == before
        assert await until(lambda: counters.counted == 601, 10)
        assert Counters.from_bytes(path.read_bytes()).offsets == {0: 600}
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
