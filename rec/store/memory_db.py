"""The database in memory: all of SQL's ports for one process, gone when it ends. For tests, and for a look around.

Obeys the same contract suite as `rec.store.sql`. Nothing awaits in the middle of a change, so each is atomic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from rec.archive_rules import ArchivedEvent, archive_row, says_more
from rec.browsing import has_words
from rec.catalog import Item
from rec.errors import NotFound
from rec.events import Event
from rec.ports import CatalogPage, ChoiceKey, Chosen, Erasure
from rec.store.memory_rules import MemoryRules
from rec.store.memory_strategies import MemoryStrategies
from rec.store.memory_versions import MemoryVersions


class _Entry(NamedTuple):
    revision: int
    item: Item | None  # None: deleted


def _belongs(row: ArchivedEvent, user_id: str | None, visitors: Sequence[str]) -> bool:
    return row.subject == user_id or (row.user_id is None and row.subject in visitors)


class MemoryDatabase(MemoryVersions, MemoryRules, MemoryStrategies):
    """`rec.ports.Database` on dictionaries. `clock` gives the time of audit records."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        MemoryVersions.__init__(self)
        MemoryRules.__init__(self)
        MemoryStrategies.__init__(self)
        self._clock = clock
        self._revision = 0
        self._items: dict[str, _Entry] = {}  # oldest revision first
        self._vectors: dict[tuple[str, str], bytes] = {}
        self._seq = 0
        self._events: dict[int, ArchivedEvent] = {}  # in the order of their sequence numbers
        self._numbers: dict[str, int] = {}  # event_id → its sequence number
        self._choices: dict[ChoiceKey, Chosen] = {}
        self._erasures: dict[str, Erasure] = {}
        self._audit: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    # -- catalog
    def _change(self, item_id: str, item: Item | None) -> None:
        self._revision += 1
        self._items.pop(item_id, None)
        self._items[item_id] = _Entry(self._revision, item)

    async def put_items(self, items: Sequence[Item]) -> int:
        for item_id, item in {item.item_id: item for item in items}.items():
            entry = self._items.get(item_id)
            if entry is None or entry.item != item:
                self._change(item_id, item)
        return self._revision

    async def get_item(self, item_id: str) -> Item | None:
        entry = self._items.get(item_id)
        return entry.item if entry else None

    async def delete_item(self, item_id: str) -> bool:
        if await self.get_item(item_id) is None:
            return False
        self._change(item_id, None)
        return True

    async def changes(self, since: int, limit: int = 5_000) -> CatalogPage:
        items: list[Item] = []
        deleted: list[str] = []
        revision = since
        for item_id, entry in self._items.items():
            if entry.revision <= since:
                continue
            if len(items) + len(deleted) == limit:
                break
            revision = entry.revision
            if entry.item is None:
                deleted.append(item_id)
            else:
                items.append(entry.item)
        return CatalogPage(revision, items, deleted)

    async def flagged_items(self, limit: int = 1_000) -> list[Item]:
        found = [entry.item for entry in self._items.values() if entry.item is not None and entry.item.flagged]
        return sorted(found, key=lambda item: item.item_id)[:limit]

    async def find_items(self, words: Sequence[str], limit: int, after: str = "") -> list[Item]:
        found = (entry.item for entry in self._items.values() if entry.item is not None)
        return sorted(
            (item for item in found if item.item_id > after and has_words(item, words)), key=lambda item: item.item_id
        )[:limit]

    async def count_items(self) -> int:
        return sum(entry.item is not None for entry in self._items.values())

    # -- vectors
    async def get_vectors(self, encoder: str, digests: Sequence[str]) -> dict[str, bytes]:
        return {digest: self._vectors[encoder, digest] for digest in digests if (encoder, digest) in self._vectors}

    async def put_vectors(self, encoder: str, vectors: Mapping[str, bytes]) -> None:
        self._vectors.update({(encoder, digest): vector for digest, vector in vectors.items()})

    async def drop_vectors(self, encoder: str) -> int:
        gone = [key for key in self._vectors if key[0] == encoder]
        for key in gone:
            del self._vectors[key]
        return len(gone)

    # -- archive
    async def append(
        self, events: Sequence[tuple[Event, bytes]], choices: Mapping[ChoiceKey, Chosen] | None = None
    ) -> int:
        new = 0
        for key, chosen in (choices or {}).items():
            known = self._choices.get(key)
            if known is None or chosen.at >= known.at:
                since = chosen.since and chosen.since.astimezone(UTC)
                self._choices[key] = chosen._replace(at=chosen.at.astimezone(UTC), since=since)
        for event, payload in events:
            self._seq += 1
            row, seq = archive_row(event, payload), self._numbers.setdefault(event.event_id, self._seq)
            new += seq == self._seq
            if seq == self._seq or says_more(row, self._events[seq]):
                self._events[seq] = row
        return new

    async def choices_of(self, hashes: Sequence[str]) -> dict[ChoiceKey, Chosen]:
        wanted = set(hashes)
        return {key: chosen for key, chosen in self._choices.items() if key[0] in wanted}

    async def forget_choices(self, subject_hash: str) -> int:
        gone = [key for key in self._choices if key[0] == subject_hash]
        for key in gone:
            del self._choices[key]
        return len(gone)

    async def read(
        self, chunk: int = 2_000, after: int = 0, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[list[tuple[int, bytes]]]:
        while True:
            numbers = list(self._events)
            page: list[tuple[int, bytes]] = []
            for seq in numbers[bisect_right(numbers, after) :]:
                row = self._events[seq]
                if (since is None or row.event_ts >= since) and (until is None or row.event_ts < until):
                    page.append((seq, row.payload))
                    if len(page) == chunk:
                        break
            if not page:
                return
            yield page
            after = page[-1][0]

    async def count_events(self) -> int:
        return len(self._events)

    async def events_of(self, user_id: str, visitors: Sequence[str] = ()) -> list[bytes]:
        return [row.payload for row in reversed(self._events.values()) if _belongs(row, user_id, visitors)]

    async def delete_events_of(
        self, user_id: str | None, visitors: Sequence[str] = (), until: datetime | None = None
    ) -> int:
        theirs = [(seq, row) for seq, row in self._events.items() if _belongs(row, user_id, visitors)]
        rows = [(seq, row) for seq, row in theirs if until is None or row.event_ts <= until]
        for seq, row in rows:
            del self._events[seq]
            del self._numbers[row.event_id]
        return len(rows)

    # -- erasures
    async def open_erasure(self, erasure_id: str, user_hash: str, requested_at: datetime) -> None:
        self._erasures.setdefault(erasure_id, Erasure(erasure_id, user_hash, requested_at.astimezone(UTC), []))

    async def add_step(self, erasure_id: str, store: str, removed: int, at: datetime, note: str = "") -> None:
        erasure = self._erasures.get(erasure_id)
        if erasure is None:
            raise NotFound("There is no such erasure; open it before its steps are added.", field="erasure_id")
        line = {"store": store, "removed": removed, "at": at.astimezone(UTC), "note": note}
        if any(step["store"] == store and step["removed"] > removed for step in erasure.steps):
            return
        others = [step for step in erasure.steps if step["store"] != store]
        erasure.steps[:] = sorted([*others, line], key=lambda step: (step["at"], step["store"]))

    async def get_erasure(self, erasure_id: str) -> Erasure | None:
        erasure = self._erasures.get(erasure_id)
        return erasure._replace(steps=[dict(step) for step in erasure.steps]) if erasure else None

    async def erasures(self) -> list[Erasure]:
        copies = [e._replace(steps=[dict(step) for step in e.steps]) for e in self._erasures.values()]
        return sorted(copies, key=lambda erasure: (erasure.requested_at, erasure.erasure_id))

    async def erased_at(self, user_hash: str) -> datetime | None:
        return (await self.suppressed()).get(user_hash)

    async def suppressed(self, since: datetime | None = None) -> dict[str, datetime]:
        newest: dict[str, datetime] = {}
        for erasure in self._erasures.values():
            if since is None or erasure.requested_at >= since:
                known = newest.get(erasure.user_hash, erasure.requested_at)
                newest[erasure.user_hash] = max(known, erasure.requested_at)
        return newest

    # -- audit
    async def record(self, actor: str, action: str, target: str, detail: Mapping[str, Any]) -> None:
        at = self._clock().astimezone(UTC)
        self._audit.append({"at": at, "actor": actor, "action": action, "target": target, "detail": dict(detail)})

    async def recent(self, limit: int = 100) -> list[dict[str, Any]]:
        return [dict(entry) for entry in self._audit[-1 : -limit - 1 : -1]]

    # -- all of it
    async def ping_database(self) -> float:
        return 0.0

    async def schema_revision(self) -> str | None:
        return "memory"  # there is no schema that could be behind
