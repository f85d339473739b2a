"""`rec.ports.Vectors` in SQL: a cache of item vectors by encoder and content digest, shared by all workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select

from rec.store.sql.connection import Connected
from rec.store.sql.models import VECTORS, VectorRow
from rec.store.sql.pieces import pieces


class SqlVectors(Connected):
    """Vectors as they are: little-endian float32 bytes."""

    async def get_vectors(self, encoder: str, digests: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        async with self._unit() as session:
            for some in pieces(digests):
                query = select(VectorRow.digest, VectorRow.vector).where(
                    VectorRow.encoder == encoder, VectorRow.digest.in_(some)
                )
                found.update((digest, vector) for digest, vector in await session.execute(query))
        return found

    async def put_vectors(self, encoder: str, vectors: Mapping[str, bytes]) -> None:
        if not vectors:
            return
        upsert = self._insert(VECTORS)
        upsert = upsert.on_conflict_do_update(
            index_elements=[VECTORS.c.encoder, VECTORS.c.digest], set_={"vector": upsert.excluded.vector}
        )
        # Sorted: two workers that store the same vectors take the rows' locks in the same order.
        rows = [{"encoder": encoder, "digest": digest, "vector": vectors[digest]} for digest in sorted(vectors)]
        async with self._unit() as session:
            await session.execute(upsert, rows)

    async def drop_vectors(self, encoder: str) -> int:
        mine = VectorRow.encoder == encoder
        async with self._unit() as session:
            count = await session.scalar(select(func.count()).select_from(VectorRow).where(mine)) or 0
            if count:
                await session.execute(delete(VectorRow).where(mine))
            return count
