"""trainer → **child process** → checkpoints. The half of the trainer that has torch, in a process of its own.

`agents.gpu` starts it with `initializer=begin` and submits the other functions; what crosses are bytes, numbers and
texts. It reads and writes checkpoints itself: weights need not cross at all. No torch as it loads: the parent imports
this module, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from threadpoolctl import threadpool_limits

from rec.catalog import Item, vectors_of
from rec.errors import ModelError
from rec.examples import Taken
from rec.model.background import begin_background
from rec.model.checkpoint import MODEL, load, save
from rec.model.teaching import Teaching

if TYPE_CHECKING:
    from rec.model.lineage import Lineage

_items = msgspec.json.Decoder(list[Item])


class _Here(NamedTuple):
    """What this process holds."""

    teaching: Teaching
    lineage: Lineage


_here: list[_Here] = []


class Begun(NamedTuple):
    """Where a lineage begins: the next offset, how many examples it has learned from, and its checkpoint's meta."""

    offset: int
    learned: int
    meta: dict[str, Any]


class Published(NamedTuple):
    """What was written: its digest, the next offset, and how much and through when it has learned."""

    digest: str
    offset: int
    learned: int
    learned_through: float


def begin(teaching: bytes, threads: int) -> None:
    """Initializer: low priority, and no more threads than are asked for."""
    begin_background(10, threads)  # a list matters more than a lesson
    threadpool_limits(threads)  # numpy's, for as long as the process lives
    _renew(msgspec.json.decode(teaching, type=Teaching))


def resume(url: str, name: str | None) -> Begun:
    """Go on from a checkpoint, or anew without a name. Raises ModelError if it is broken or taught otherwise."""
    from rec.model.lineage import Lineage

    teaching = _here[0].teaching
    if name is None:
        _renew(teaching)
        return Begun(0, 0, {})
    tensors, meta = load(url, name)
    lineage = Lineage.resumed(teaching, tensors[MODEL], meta)
    _here[:] = [_Here(teaching, lineage)]
    return Begun(lineage.offset, lineage.learned, {key: meta[key] for key in meta if key not in ("learner", "order")})


def know(items: bytes, vectors: dict[str, bytes], deleted: Sequence[str]) -> None:
    """Catalog changes: items as JSON, vectors as little-endian float32."""
    _here[0].lineage.know(_items.decode(items), vectors_of(vectors), deleted)


def tell(encoder: str, vectors: dict[str, bytes], deleted: Sequence[str]) -> None:
    """Texts of items as a tuned encoder reads them: little-endian float32."""
    _here[0].lineage.tell(encoder, vectors_of(vectors), deleted)


def untell(encoder: str) -> None:
    """Nobody reads this epoch any more."""
    _here[0].lineage.untell(encoder)


def told() -> Taken:
    """How things stand, without a record."""
    return _here[0].lineage.told([])


def traffic() -> dict[str, float]:
    """item_id → how much was done with it, decayed; in units of its own."""
    return _here[0].lineage.traffic


def take(records: Sequence[bytes], end: int) -> Taken:
    """Records of the examples topic, and the offset behind them."""
    return _here[0].lineage.take(records, end)


def publish(url: str, name: str, more: dict[str, Any]) -> Published:
    """Write what serves as a version, and go on scoring it beside the candidate."""
    lineage = _here[0].lineage
    arrays, meta = lineage.version()
    digest = save(url, name, {MODEL: arrays}, {**meta, **more})
    lineage.contend(name, arrays, meta)
    return _published(digest, lineage)


def contend(url: str, names: Sequence[str]) -> list[str]:
    """Score these versions, and no others, beside the candidate; those that could not be loaded are returned."""
    lineage, missing = _here[0].lineage, []
    lineage.only(names)
    for name in names:
        if name not in lineage.contenders:
            try:
                tensors, meta = load(url, name)
                lineage.contend(name, tensors[MODEL], meta)
            except ModelError:
                missing.append(name)
    return missing


def checkpoint(url: str, name: str, more: dict[str, Any]) -> Published:
    """Write all of the lineage, the position in the log included."""
    lineage = _here[0].lineage
    arrays, meta = lineage.state()
    return _published(save(url, name, {MODEL: arrays}, {**meta, **more}), lineage)


def _renew(teaching: Teaching) -> None:
    from rec.model.lineage import Lineage

    _here[:] = [_Here(teaching, Lineage(teaching))]


def _published(digest: str, lineage: Lineage) -> Published:
    return Published(digest, lineage.offset, lineage.learned, lineage.learned_through)
