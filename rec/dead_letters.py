"""topic `dead-letters` → **letters** → CLI, console. Records that could not be processed, read back.

Reads only, joins no group. What cannot be read itself is shown as such.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from rec.errors import NotFound, Unavailable
from rec.events import Text
from rec.ports import Log, Record


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be processed: where it was, why, when, and its first 64 KiB."""

    topic: str
    partition: int
    offset: int
    reason: Text  # short and countable: malformed | failed | ...
    error: str
    at: float
    key: str = ""
    payload_base64: str = ""

    @property
    def payload(self) -> str:
        """As text; what is none is marked."""
        return self.raw.decode(errors="replace")

    @property
    def raw(self) -> bytes:
        """The bytes; none, where it is no base64."""
        try:
            return base64.b64decode(self.payload_base64)
        except ValueError:
            return b""


class Kept(NamedTuple):
    """A dead letter, and where it lies itself."""

    partition: int
    offset: int
    letter: DeadLetter


async def newest_letters(log: Log, topic: str, last: int, timeout_s: float) -> list[Kept]:
    """The newest `last` dead letters, oldest first. Raises Unavailable."""
    ends = await log.ends(topic)
    starts = {partition: max(0, end - last) for partition, end in ends.items()}
    letters = [
        kept_in(record) for record in await _read(log, topic, starts, ends, timeout_s) if record.value is not None
    ]
    return sorted(letters, key=lambda kept: kept.letter.at)[-last:]


async def letter_at(log: Log, topic: str, partition: int, offset: int, timeout_s: float) -> Kept:
    """One dead letter by its place. Raises NotFound, Unavailable."""
    ends = await log.ends(topic)
    if offset < ends.get(partition, 0):
        starts = {**ends, partition: offset}
        found = await _read(log, topic, starts, {**ends, partition: offset + 1}, timeout_s)
        for record in found:
            if (record.partition, record.offset) == (partition, offset) and record.value is not None:
                return kept_in(record)
    message = "There is no such dead letter; they are kept for REC_RETENTION_DAYS."
    raise NotFound(message, code="unknown_dead_letter", field="letter_id")


async def _read(
    log: Log, topic: str, starts: Mapping[int, int], ends: Mapping[int, int], timeout_s: float
) -> list[Record]:
    """Records from `starts` on; of each partition at least those below `ends`, as far as they are still there."""
    open_ends = {partition: end for partition, end in ends.items() if end > starts.get(partition, 0)}
    records: list[Record] = []
    if not open_ends:
        return records
    try:
        async with asyncio.timeout(timeout_s):
            async for batch in log.tail(topic, starts):
                for record in batch:
                    records.append(record)
                    if record.offset >= open_ends.get(record.partition, 0) - 1:
                        open_ends.pop(record.partition, None)
                if not open_ends:
                    break
    except TimeoutError as error:
        raise Unavailable(f"the dead letters could not be read within {timeout_s:g} s") from error
    return records


def kept_in(record: Record) -> Kept:
    """The letter of a record of the topic."""
    try:
        letter = msgspec.json.decode(record.value or b"", type=DeadLetter)
    except msgspec.DecodeError as error:
        letter = DeadLetter("?", 0, record.offset, "unreadable dead letter", str(error), record.timestamp)
    return Kept(record.partition, record.offset, letter)
