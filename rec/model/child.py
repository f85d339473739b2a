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
from rec.model.deltas import Series, Shelf
from rec.model.deltas import load as load_version
from rec.model.device import Hardware, usable
from rec.model.teaching import Teaching

if TYPE_CHECKING:
    from rec.model.lineage import Lineage

_items = msgspec.json.Decoder(list[Item])


class _Here(NamedTuple):
    """What this process holds."""

    teaching: Teaching
    hardware: Hardware
    series: Series
    lineage: Lineage | None = None  # from `resume` on


_here: list[_Here] = []


class Begun(NamedTuple):
    """Where a lineage begins: the next offset, how many examples it has learned from, and its checkpoint's meta."""

    offset: int
    learned: int
    meta: dict[str, Any]


class Published(NamedTuple):
    """What was written: its digest, the next offset, how much and through when it has learned, and what it rests on."""

    digest: str
    offset: int
    learned: int
    learned_through: float
    base: str | None = None  # the version whose weights this one was written against; None: it is whole


def begin(teaching: bytes, hardware: Hardware) -> None:
    """Initializer: behind everybody else, and no more threads than are asked for."""
    begin_background(hardware.threads)  # a list matters more than a lesson
    threadpool_limits(hardware.threads)  # numpy's, for as long as the process lives
    taught = msgspec.json.decode(teaching, type=Teaching)
    _here[:] = [_Here(taught, hardware, Series(taught.training.whole_until))]


def resume(url: str, name: str | None) -> Begun:
    """Go on from a checkpoint, or anew without a name. Raises ModelError if it is broken or taught otherwise.

    ConfigError if torch cannot use the device after all.
    """
    from rec.model.lineage import Lineage

    here = _here[0]
    here.series.begin_again()  # what was written before may have learned from somebody who is to be gone
    with usable(here.hardware.device):
        if name is None:
            _here[:] = [here._replace(lineage=Lineage(here.teaching, here.hardware))]
            return Begun(0, 0, {})
        tensors, meta = load(url, name)
        lineage = Lineage.resumed(here.teaching, tensors[MODEL], meta, here.hardware)
    _here[:] = [here._replace(lineage=lineage)]
    return Begun(lineage.offset, lineage.learned, {key: meta[key] for key in meta if key not in ("learner", "order")})


def know(items: bytes, vectors: dict[str, bytes], deleted: Sequence[str]) -> list[str]:
    """Catalog changes: items as JSON, vectors as little-endian float32. Deleted ones that the network still knows."""
    return _lineage().know(_items.decode(items), vectors_of(vectors), deleted)


def tell(encoder: str, vectors: dict[str, bytes], deleted: Sequence[str]) -> None:
    """Texts of items as a tuned encoder reads them: little-endian float32."""
    _lineage().tell(encoder, vectors_of(vectors), deleted)


def untell(encoder: str) -> None:
    """Nobody reads this epoch any more."""
    _lineage().untell(encoder)


def told() -> Taken:
    """How things stand, without a record."""
    return _lineage().told([])


def traffic() -> dict[str, float]:
    """item_id → how much was done with it, decayed; in units of its own."""
    return _lineage().traffic


def take(records: Sequence[bytes], end: int) -> Taken:
    """Records of the examples topic, and the offset behind them."""
    return _lineage().take(records, end)


def publish(url: str, name: str, more: dict[str, Any], whole: bool = False) -> Published:
    """Write what serves as a version, and go on scoring it beside the candidate. `whole`: it rests on no other."""
    lineage, series = _lineage(), _here[0].series
    if whole:
        series.begin_again()
    arrays, meta = lineage.version()
    saved = series.save(url, name, arrays, {**meta, **more})
    lineage.contend(name, arrays, meta)
    return _published(saved.digest, lineage)._replace(base=saved.base)


def contend(url: str, names: Sequence[str]) -> list[str]:
    """Score these versions, and no others, beside the candidate; those that could not be loaded are returned."""
    lineage, missing, shelf = _lineage(), [], Shelf()
    lineage.only(names)
    for name in names:
        if name not in lineage.contenders:
            try:
                lineage.contend(name, *load_version(url, name, shelf))
            except ModelError:
                missing.append(name)
    return missing


def checkpoint(url: str, name: str, more: dict[str, Any]) -> Published:
    """Write all of the lineage, the position in the log included."""
    lineage = _lineage()
    arrays, meta = lineage.state()
    return _published(save(url, name, {MODEL: arrays}, {**meta, **more}), lineage)


def _lineage() -> Lineage:
    lineage = _here[0].lineage
    assert lineage is not None, "resume comes first"
    return lineage


def _published(digest: str, lineage: Lineage) -> Published:
    return Published(digest, lineage.offset, lineage.learned, lineage.learned_through)
