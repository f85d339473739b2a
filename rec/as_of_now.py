"""a topic that grows → **as of now** → its records. Where a reading of a topic ends that others go on writing to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator

from rec.errors import Unavailable
from rec.ports import Log, Record
from rec.topics import marks_for


async def as_of_now(log: Log, topic: str, partitions: int, patience_s: float) -> AsyncGenerator[list[Record], None]:
    """All records of the topic, in batches. Raises Unavailable where nothing comes for `patience_s` seconds.

    Records come in order, so once a mark written now has come in each partition, all before it were there. Offsets
    would not do: compaction may have taken the last one. The marks, records without a value, are in what is yielded.
    """
    marks = marks_for(partitions, secrets.token_hex(8))
    missing = {mark.encode() for mark in marks}
    await log.publish_many(topic, [(mark, None) for mark in marks])
    async with contextlib.aclosing(log.tail(topic)) as batches:  # type: ignore[type-var]
        while missing:
            try:
                async with asyncio.timeout(patience_s):
                    records = await anext(batches)
            except TimeoutError:
                raise Unavailable(f"reading {topic!r}: silent for {patience_s:.0f} s") from None
            missing.difference_update(record.key for record in records)
            yield records
