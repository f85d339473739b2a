"""a topic that grows → **as of now** → its records. Where a reading of a topic ends that others go on writing to."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Mapping

from rec.errors import Unavailable
from rec.ports import Log, Record
from rec.topics import marks_for

QUIET_S = 1.0  # without a record for so long, the log is asked whether there is one


async def up_to(
    log: Log, topic: str, ends: Mapping[int, int], offsets: Mapping[int, int] | None = None
) -> AsyncGenerator[list[Record], None]:
    """The records of each partition from `offsets` (missing: the earliest) to `ends`, in batches; for a reader that may
    not write. What a log ends with need not be a record (rec.ports.Log.first_from). Waits for ever where nothing comes.
    """
    at = dict(offsets or {})
    behind = {partition for partition, end in ends.items() if at.get(partition, 0) < end}
    async with contextlib.aclosing(log.tail(topic, offsets)) as batches:  # type: ignore[type-var]
        while behind:
            coming = asyncio.ensure_future(anext(batches))
            try:
                while behind and not (await asyncio.wait({coming}, timeout=QUIET_S))[0]:
                    for partition in list(behind):
                        first = await log.first_from(topic, partition, at.get(partition, 0))
                        if first is None or first >= ends[partition]:
                            behind.discard(partition)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
            if not behind:
                return
            records = coming.result()
            at |= {record.partition: record.offset + 1 for record in records}
            behind -= {partition for partition in behind if at.get(partition, 0) >= ends[partition]}
            yield records


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
