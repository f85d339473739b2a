"""The lineage's own **checkpoints**: which there are, which stay, and whether the log is still the one they know."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from agents.reading import retained
from rec.errors import ModelError
from rec.model.checkpoint import delete, load_meta, names
from rec.ports import Log, Record

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a lineage is at home. A part of every checkpoint's meta.json."""

    line: str  # the name of the lineage: another one after every rebuild
    log: str  # the name of the log that its offsets are of
    last: str  # fingerprint of the last record it has read there; empty: none yet

    @classmethod
    def new(cls) -> Place:
        return cls(secrets.token_hex(3), secrets.token_hex(6), "")


def fingerprint(record: Record) -> str:
    return blake2b(record.key + b"\0" + (record.value or b""), digest_size=12).hexdigest()


class Checkpoints:
    """Those under one URL."""

    def __init__(self, location: str) -> None:
        self.location = location

    async def metas(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and meta.json of those that can be read, newest first."""
        found = []
        for name in await asyncio.to_thread(names, self.location):
            try:
                found.append((name, await asyncio.to_thread(load_meta, self.location, name)))
            except ModelError as error:
                log.warning("a checkpoint is left aside: %s", error.message)
        return sorted(found, key=lambda pair: float(pair[1]["saved"]), reverse=True)

    async def drop(self, doomed: Sequence[str]) -> None:
        for name in doomed:
            await asyncio.to_thread(delete, self.location, name)

    async def thin(self, now: float) -> list[dict[str, Any]]:
        """Keep some of every age; the meta.json of those that are left."""
        metas = await self.metas()
        kept = kept_ages([now - float(meta["saved"]) for _, meta in metas])
        await self.drop([name for at, (name, _) in enumerate(metas) if at not in kept])
        return [meta for at, (_, meta) in enumerate(metas) if at in kept]

    async def place_in(self, source: Log, topic: str, meta: Mapping[str, Any]) -> Place:
        """Where a checkpoint's lineage stands in this log: at its offset, or before the beginning of another log.

        A broker without a disk begins anew with every start. Seen from the last record that was read; where that is
        gone (retention) from a log that is long enough, it is the same log.
        """
        place = Place(*(str(meta[name]) for name in Place._fields))
        offset, end = int(meta["offset"]), sum((await source.ends(topic)).values())
        if place.last and offset <= end and await _may_hold(source, topic, offset - 1, place.last):
            return place
        return Place.new()._replace(line=place.line)


async def _may_hold(source: Log, topic: str, offset: int, last: str) -> bool:
    """False if there is another record at this offset."""
    async with contextlib.aclosing(retained(source, topic, offset + 1, offset)) as records:
        async for record in records:
            return record.value is None or fingerprint(record) == last
    return True


def kept_ages(ages: Sequence[float], newest: int = 3, first_s: float = 300.0) -> set[int]:
    """Places of those to keep: the newest few, and beyond them the oldest of each span that is twice the one before.

    >>> sorted(kept_ages([10, 40, 70, 100, 400, 500, 700, 1300, 1500]))
    [0, 1, 2, 5, 6, 8]
    """
    kept = set(range(min(newest, len(ages))))
    spans: dict[int, int] = {}
    for at, age in enumerate(ages):
        span = int(max(age, first_s) / first_s).bit_length()
        if span not in spans or age > ages[spans[span]]:
            spans[span] = at
    return kept | set(spans.values())
