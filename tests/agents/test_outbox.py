"""agents/outbox.py: what may not go is sent, or whoever sends it hears that it was not, and it is there once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agents import outbox
from agents.examples import Examples
from agents.metrics import Metrics
from rec.errors import Unavailable
from rec.examples import Erased, decode_lesson
from rec.store.memory.log import MemoryLog
from rec.topics import EXAMPLES, Topic

ERASED = Erased("u1", at=100.0, since=50.0, erasure_id="e1")


class Away(MemoryLog):
    """A broker that acknowledges nothing while it is away."""

    away = True

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        if self.away:
            raise Unavailable("no leader")
        await super().publish_many(topic, pairs)


async def test_who_sends_hears_that_the_broker_is_away_and_what_is_sent_again_is_there_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "SEND_S", 0.05)
    log, metrics = Away(), Metrics()
    await log.create([Topic(EXAMPLES, 1, {})])
    examples = Examples(to=log, topic=EXAMPLES, lost=metrics.examples_lost)
    for _ in range(3):
        with pytest.raises(Unavailable, match=r"not acknowledged by the broker within 0.05 s"):
            await examples.tell(ERASED)
    log.away = False
    monkeypatch.setattr(outbox, "SEND_S", 30.0)
    await examples.tell(ERASED)
    records = log.partitions(EXAMPLES)[0].records
    assert [decode_lesson(record.value or b"") for record in records] == [ERASED]
