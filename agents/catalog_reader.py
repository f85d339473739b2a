"""SQL → changes of the catalog, and the vectors cached for them. What workers and the trainer have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rec.catalog import Item
from rec.ports import Database

CHUNK = 1_000


class Changes(NamedTuple):
    """What came after the last revision; empty where nothing did."""

    items: list[Item]
    deleted: list[str]

    @property
    def ids(self) -> set[str]:
        return {item.item_id for item in self.items} | set(self.deleted)


class CatalogReader:
    """Follows the revisions. `without_vector` are the items whose text nobody has encoded yet, newest change last."""

    def __init__(self, database: Database, encoder_id: str) -> None:
        self._database, self._encoder_id = database, encoder_id
        self._revision = 0
        self.without_vector: dict[str, Item] = {}

    def begin_again(self) -> None:
        """From the first revision: whoever was told knows nothing any more."""
        self._revision = 0
        self.without_vector.clear()

    async def changes(self) -> Changes:
        """One page of changes. Raises Unavailable."""
        changes, self._revision = await self._page(self._revision)
        return changes

    async def look(self) -> tuple[Changes, dict[str, bytes]]:
        """Every page there is, and `cached_vectors`. Raises Unavailable: then the next look finds all of it again."""
        items: dict[str, Item] = {}
        deleted: set[str] = set()
        revision = self._revision
        while True:
            changes, revision = await self._page(revision)
            if not changes.ids:
                break
            items |= {item.item_id: item for item in changes.items}
            deleted = (deleted | set(changes.deleted)) - {item.item_id for item in changes.items}
            for item_id in changes.deleted:
                items.pop(item_id, None)
        vectors = await self.cached_vectors()
        self._revision = revision
        return Changes(list(items.values()), sorted(deleted)), vectors

    async def _page(self, since: int) -> tuple[Changes, int]:
        """Changes after a revision, and the one to go on from."""
        page = await self._database.changes(since)
        for item_id in page.deleted:
            self.without_vector.pop(item_id, None)
        for item in page.items:
            self.without_vector.pop(item.item_id, None)  # so that it comes last again: the newest is encoded first
            self.without_vector[item.item_id] = item
        return Changes(page.items, page.deleted) if page.revision > since else Changes([], []), page.revision

    async def cached_vectors(self) -> dict[str, bytes]:
        """item_id → vector (little-endian float32), of items that waited for one. Raises Unavailable."""
        taken: dict[str, bytes] = {}
        waiting = list(self.without_vector.values())
        for start in range(0, len(waiting), CHUNK):
            part = waiting[start : start + CHUNK]
            chunk = {item.item_id: item.digest() for item in part}
            found = await self._database.get_vectors(self._encoder_id, sorted(set(chunk.values())))
            taken |= {item_id: found[digest] for item_id, digest in chunk.items() if digest in found}
        self.has_vectors(taken)
        return taken

    def has_vectors(self, item_ids: Iterable[str]) -> None:
        """These no longer wait."""
        for item_id in item_ids:
            self.without_vector.pop(item_id, None)


class News(NamedTuple):
    """What came since the last look: vectors by item_id (little-endian float32), and items that are gone."""

    vectors: dict[str, bytes]
    deleted: list[str]

    def __bool__(self) -> bool:
        return bool(self.vectors or self.deleted)


class EpochReader:
    """Follows the vectors of one encoder. Only rows that are new or changed are read again."""

    def __init__(self, database: Database, encoder: str) -> None:
        self.encoder = encoder
        self._reader = CatalogReader(database, encoder)
        self.found = 0  # vectors that were read so far

    async def look(self) -> News:
        """Raises Unavailable."""
        changes, vectors = await self._reader.look()
        self.found += len(vectors)
        return News(vectors, changes.deleted)

    @property
    def is_complete(self) -> bool:
        """Whether every item's text had a vector at the last look."""
        return not self._reader.without_vector
