"""`rec.ports.Catalogs` in SQL: items as JSON, each under the revision of its last change.

Invariant: the greatest revision of a row is the counter's value. A deleted item leaves a tombstone for ever, or a
reader that was away would keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rec.browsing import has_words
from rec.catalog import Item
from rec.ports import CatalogPage
from rec.store.sql.connection import Connected, lock_counter
from rec.store.sql.models import CATALOG, ITEMS, CounterRow, ItemRow
from rec.store.sql.pieces import pieces

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Item).decode

_BROWSED = 500  # rows looked at in one go


def _plain(word: str) -> bool:
    """Whether a word stands in the JSON of an item as it is, and is lower case to every database alike."""
    return word.isascii() and word.isprintable() and not set(word) & {'"', "\\"}


class SqlCatalogs(Connected):
    """Items, their revisions, and tombstones."""

    async def put_items(self, items: Sequence[Item]) -> int:
        """Insert or replace. An item that is stored just so keeps its revision: nobody need read it again."""
        bodies = {item.item_id: _encode(item).decode() for item in items}  # named twice: the last one counts
        async with self._unit() as session:
            revision = await lock_counter(session, CATALOG)
            known: dict[str, str | None] = {}
            for some in pieces(list(bodies)):
                found = await session.execute(select(ItemRow.item_id, ItemRow.body).where(ItemRow.item_id.in_(some)))
                known.update((item_id, body) for item_id, body in found)
            changed = [(item_id, body) for item_id, body in bodies.items() if known.get(item_id) != body]
            return await self._write(session, revision, changed)

    async def delete_item(self, item_id: str) -> bool:
        async with self._unit() as session:
            revision = await lock_counter(session, CATALOG)
            if await session.scalar(select(ItemRow.body).where(ItemRow.item_id == item_id)) is None:
                return False
            await self._write(session, revision, [(item_id, None)])
            return True

    async def _write(self, session: AsyncSession, revision: int, changed: Sequence[tuple[str, str | None]]) -> int:
        """Give each change the next revision; the last of them. The counter is locked by this transaction."""
        if not changed:
            return revision
        rows: list[dict[str, Any]] = [
            {"item_id": item_id, "revision": revision + n, "body": body}
            for n, (item_id, body) in enumerate(changed, start=1)
        ]
        upsert = self._insert(ITEMS)
        new = {"revision": upsert.excluded.revision, "body": upsert.excluded.body}
        await session.execute(upsert.on_conflict_do_update(index_elements=[ITEMS.c.item_id], set_=new), rows)
        revision += len(rows)
        await session.execute(update(CounterRow).where(CounterRow.name == CATALOG).values(value=revision))
        return revision

    async def get_item(self, item_id: str) -> Item | None:
        async with self._unit() as session:
            body = await session.scalar(select(ItemRow.body).where(ItemRow.item_id == item_id))
        return _decode(body) if body is not None else None

    async def changes(self, since: int, limit: int = 5_000) -> CatalogPage:
        query = select(ItemRow.item_id, ItemRow.revision, ItemRow.body).where(ItemRow.revision > since)
        async with self._unit() as session:
            rows = (await session.execute(query.order_by(ItemRow.revision).limit(limit))).all()
        return CatalogPage(
            revision=rows[-1].revision if rows else since,
            items=[_decode(row.body) for row in rows if row.body is not None],
            deleted=[row.item_id for row in rows if row.body is None],
        )

    async def flagged_items(self, limit: int = 1_000) -> list[Item]:
        query = select(ItemRow.body).where(ItemRow.body.contains('"flagged":true', autoescape=True))
        async with self._unit() as session:
            bodies = (await session.scalars(query.order_by(ItemRow.item_id))).all()
        items = (_decode(body) for body in bodies if body is not None)
        return [item for item in items if item.flagged][:limit]  # an attribute may be called so, too

    async def find_items(self, words: Sequence[str], limit: int, after: str = "") -> list[Item]:
        """SQL narrows it down as far as all databases agree on case, which is ASCII; the rest is looked at here."""
        query = select(ItemRow.item_id, ItemRow.body).where(ItemRow.body.is_not(None))
        for word in filter(_plain, words):
            query = query.where(func.lower(ItemRow.body).contains(word, autoescape=True))
        found: list[Item] = []
        while len(found) < limit:
            page = query.where(ItemRow.item_id > after).order_by(ItemRow.item_id).limit(_BROWSED)
            async with self._unit() as session:
                rows = (await session.execute(page)).all()
            items = (_decode(row.body) for row in rows)
            found += [item for item in items if has_words(item, words)]
            if len(rows) < _BROWSED:
                break
            after = rows[-1].item_id
        return found[:limit]

    async def count_items(self) -> int:
        async with self._unit() as session:
            return await session.scalar(select(func.count(ItemRow.body))) or 0
