"""The items: what can be listed. A row of SQL on one side, an in-memory view with vectors for scoring on the other.

`Item` is the wire and storage form. `Catalog` is a worker's copy: one thread changes it, others read its `View`s.
Invariant: what a `View` shows in its rows never changes while somebody holds it; a row's vector is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from rec.cards import card as card  # noqa: PLC0414  what an item is to a client is asked of the catalog
from rec.errors import ModelError
from rec.events import Id, Text
from rec.ids import mark64
from rec.images import packed
from rec.kinds import AD_KIND, PRODUCT
from rec.state import Facets

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Marks = npt.NDArray[np.uint64]
Prices = npt.NDArray[np.float64]
_Array = TypeVar("_Array", Mask, Ints, Floats, Marks, Prices)

Price = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
# http(s) with a host, or a path of the own server: neither //host nor a backslash, which browsers read as a slash.
_URL_CHAR = r"[^\s<>\"'\\\x00-\x1f\x7f-\x9f]"
_URL = rf"^(https?://(?![/?#:@]){_URL_CHAR}+|/(?!/){_URL_CHAR}*)?\Z"
Url = Annotated[str, msgspec.Meta(max_length=2048, pattern=_URL)]


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product, article, video or ad. Texts are data, never markup; URLs are http(s) or paths of the own server."""

    item_id: Id
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    category: Text = ""
    brand: Text = ""
    description: Annotated[str, msgspec.Meta(max_length=8192)] = ""
    price: Price | None = None
    currency: Annotated[str, msgspec.Meta(max_length=8)] = ""
    in_stock: bool = True
    flagged: bool = False  # to be looked at by a person before anybody else sees it
    url: Url = ""
    image_url: Url = ""
    image_vector: str | list[float] = ""  # stored as `rec.images.packed`
    kind: Annotated[str, msgspec.Meta(max_length=32)] = PRODUCT
    attributes: dict[str, Any] = {}

    @property
    def may_be_shown(self) -> bool:
        """Whether it can be on anybody's list."""
        return self.in_stock and not self.flagged

    def __post_init__(self) -> None:
        """Whichever way an image vector came. Raises ValueError for what is none."""
        if self.image_vector != "":
            msgspec.structs.force_setattr(self, "image_vector", packed(self.image_vector))

    def text(self) -> str:
        """What the text encoder reads."""
        return ". ".join(part for part in (self.title, self.brand, self.category, self.description[:400]) if part)

    def digest(self) -> str:
        """Of the text alone: the key under which its vector is cached.

        >>> a = Item(item_id="1", title="Tent"); b = Item(item_id="2", title="Tent", price=3)
        >>> a.digest() == b.digest()
        True
        """
        return blake2b(self.text().encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class View:
    """The catalog as it stood at one moment, for scoring threads. Arrays are [size] or [size, dim], by row.

    A row that was deleted or replaced is not `listed` and not `known`. `items` alone may already be newer than the
    view (a price, a picture), which is what a card should show.
    """

    size: int
    ids: Sequence[str]
    items: Sequence[Item]
    marks: Marks  # of the ids, the same in every worker
    known: Mask  # the row stands for an item of the catalog
    listed: Mask  # ... and it may be on a list: in stock, not flagged, no ad
    kind: Ints  # index into `kinds`; 0 is "product"
    category: Ints  # index into `categories`; 0 is "no category"
    brand: Ints  # index into `brands`; 0 is "no brand"
    price: Prices  # NaN where there is none
    born: Ints  # grows with the order in which items first came in
    has_vector: Mask
    vectors: Floats  # unit length, or zero where `has_vector` is false; dim 0 before the first vector
    encoder: str  # whose vectors these are: those of two encoders are never compared
    kinds: Mapping[str, int]
    categories: Mapping[str, int]
    brands: Mapping[str, int]
    row_of: Mapping[str, int]

    def row(self, item_id: str) -> int | None:
        """The item's row, None if this view has none: unknown, deleted, or rewritten since the view was taken."""
        row = self.row_of.get(item_id)
        return row if row is not None and row < self.size else None

    @cached_property
    def newest(self) -> Ints:
        """All rows, the item that came in last first."""
        return np.argsort(-self.born, kind="stable").astype(np.int32)


class Catalog:
    """The items a worker can list. Changed by one thread (the event loop); `view()` may be read by any.

    How readers stay safe without a lock: every change ends by putting a new `View` in place of the old one. New items
    are written behind the rows that existing views can see. Changes of existing rows go into copies of the small
    arrays. The vectors, too large to copy, are only written where every earlier view has `has_vector` false; an item
    whose vector changes moves to a new row, and the old row is retired.
    """

    def __init__(self, encoder: str = "") -> None:
        capacity = 1024
        self.encoder = encoder
        self._born = 0
        self._ids: list[str] = []
        self._items: list[Item] = []
        self._row_of: dict[str, int] = {}
        self._categories: dict[str, int] = {"": 0}
        self._brands: dict[str, int] = {"": 0}
        self._kinds: dict[str, int] = {PRODUCT: 0}
        self._retired = 0
        self._marks = np.zeros(capacity, np.uint64)
        self._known = np.zeros(capacity, np.bool_)
        self._listed = np.zeros(capacity, np.bool_)
        self._kind = np.zeros(capacity, np.int32)
        self._category = np.zeros(capacity, np.int32)
        self._brand = np.zeros(capacity, np.int32)
        self._price = np.zeros(capacity)
        self._births = np.zeros(capacity, np.int32)
        self._has_vector = np.zeros(capacity, np.bool_)
        self._vectors = np.zeros((capacity, 0), np.float32)
        self._publish()

    # ------------------------------------------------------------------ reading
    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._row_of

    def view(self) -> View:
        """The catalog as it stands, for any thread; costs nothing."""
        return self._view

    def get(self, item_id: str) -> Item | None:
        row = self._view.row(item_id)
        return None if row is None else self._view.items[row]

    def facets(self, item_id: str) -> Facets | None:
        """Category, brand and kind of an item, None if the catalog does not know it (`rec.state.FacetsOf`)."""
        item = self.get(item_id)
        return None if item is None else Facets(item.category, item.brand, item.kind)

    def card(self, item_id: str) -> dict[str, Any]:
        """What a client needs to draw the item; {} if it is unknown."""
        item = self.get(item_id)
        return {} if item is None else card(item)

    # ------------------------------------------------------------------ changing
    def upsert(self, items: Iterable[Item]) -> None:
        """Add items, or replace those with the same id. An item whose text changed keeps its vector until a new one."""
        batch = list(items)
        if not batch:
            return
        self._copy_small()
        for item in batch:
            row = self._row_of.get(item.item_id)
            if row is None:
                row = self._append(item, self._born)
                self._born += 1
            self._fill(row, item)
        self._publish()

    def delete(self, item_ids: Iterable[str]) -> int:
        """Remove items; how many of them were there."""
        gone = [row for item_id in item_ids if (row := self._row_of.pop(item_id, None)) is not None]
        if gone:
            self._copy_small()
            for row in gone:
                self._retire(row)
            self._publish()
        return len(gone)

    def set_vectors(self, vectors: Mapping[str, npt.ArrayLike]) -> int:
        """item_id → vector of the item's text; scaled to unit length here. How many were of known items.

        Raises ModelError for a vector with another dimension than the others, or one that is not finite.
        """
        taken = [(item_id, np.asarray(vector, np.float32)) for item_id, vector in vectors.items() if item_id in self]
        if not taken:
            return 0
        self._reserve_dim(taken[0][1].size)
        units = [(item_id, self._unit(vector)) for item_id, vector in taken]
        self._copy_small()
        for item_id, unit in units:
            row = self._row_of[item_id]
            if self._has_vector[row]:
                if np.array_equal(self._vectors[row], unit):
                    continue
                item, born = self._items[row], int(self._births[row])
                self._retire(row)
                row = self._append(item, born)
                self._fill(row, item)
            if unit.any():
                self._vectors[row] = unit
                self._has_vector[row] = True
        self._publish()
        return len(taken)

    def _append(self, item: Item, born: int) -> int:
        row = len(self._ids)
        if row == len(self._known):
            self._grow()
        self._ids.append(item.item_id)
        self._items.append(item)
        self._births[row], self._marks[row] = born, mark64(item.item_id)
        self._row_of[item.item_id] = row
        return row

    def _fill(self, row: int, item: Item) -> None:
        self._items[row] = item
        self._known[row] = True
        self._listed[row] = item.may_be_shown and item.kind != AD_KIND
        self._kind[row] = self._kinds.setdefault(item.kind, len(self._kinds))
        self._category[row] = self._categories.setdefault(item.category, len(self._categories))
        self._brand[row] = self._brands.setdefault(item.brand, len(self._brands))
        self._price[row] = np.nan if item.price is None else item.price

    def _retire(self, row: int) -> None:
        self._known[row] = self._listed[row] = False
        self._retired += 1

    def _copy_small(self) -> None:
        """The arrays of which earlier views hold slices; vectors and births are never rewritten and stay."""
        self._known, self._listed = self._known.copy(), self._listed.copy()
        self._category, self._brand, self._kind = self._category.copy(), self._brand.copy(), self._kind.copy()
        self._has_vector, self._price = self._has_vector.copy(), self._price.copy()

    def _grow(self) -> None:
        self._known, self._listed = _doubled(self._known), _doubled(self._listed)
        self._category, self._brand, self._births = map(_doubled, (self._category, self._brand, self._births))
        self._marks, self._price, self._kind = _doubled(self._marks), _doubled(self._price), _doubled(self._kind)
        self._has_vector, self._vectors = _doubled(self._has_vector), _doubled(self._vectors)

    def _reserve_dim(self, dim: int) -> None:
        if self._vectors.shape[1] == 0:
            self._vectors = np.zeros((len(self._known), dim), np.float32)

    def _unit(self, vector: Floats) -> Floats:
        dim = self._vectors.shape[1]
        if vector.shape != (dim,):
            raise ModelError(
                f"a vector of shape {vector.shape} among vectors of {dim} numbers: one encoder for the whole catalog"
            )
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length):
            raise ModelError("a vector with numbers that are not finite: the encoder's weights are broken")
        return vector / np.float32(length) if length > 0 else vector

    def _publish(self) -> None:
        if self._retired > max(1024, len(self._ids) // 2):
            self._compact()
        n = len(self._ids)
        self._view = View(
            size=n,
            ids=self._ids,
            items=self._items,
            marks=self._marks[:n],
            known=self._known[:n],
            listed=self._listed[:n],
            kind=self._kind[:n],
            category=self._category[:n],
            brand=self._brand[:n],
            price=self._price[:n],
            born=self._births[:n],
            has_vector=self._has_vector[:n],
            vectors=self._vectors[:n],
            encoder=self.encoder,
            kinds=self._kinds,
            categories=self._categories,
            brands=self._brands,
            row_of=self._row_of,
        )

    def _compact(self) -> None:
        """Drop the retired rows into fresh arrays; earlier views go on with the old ones."""
        keep = np.flatnonzero(self._known[: len(self._ids)])
        size = max(1024, 1 << (len(keep) - 1).bit_length())
        self._ids = [self._ids[row] for row in keep]
        self._items = [self._items[row] for row in keep]
        self._row_of = {item_id: row for row, item_id in enumerate(self._ids)}
        self._known, self._listed = _packed(self._known, keep, size), _packed(self._listed, keep, size)
        self._category, self._brand = _packed(self._category, keep, size), _packed(self._brand, keep, size)
        self._births, self._has_vector = _packed(self._births, keep, size), _packed(self._has_vector, keep, size)
        self._vectors, self._marks = _packed(self._vectors, keep, size), _packed(self._marks, keep, size)
        self._price, self._kind = _packed(self._price, keep, size), _packed(self._kind, keep, size)
        self._retired = 0


def vectors_of(raw: Mapping[str, bytes]) -> dict[str, Floats]:
    """Vectors as they are stored and cross between processes (little-endian float32) → as arrays, which are read-only.

    >>> vectors_of({"tent": bytes.fromhex("0000803f00000040")})
    {'tent': array([1., 2.], dtype=float32)}
    """
    return {key: np.frombuffer(vector, "<f4") for key, vector in raw.items()}


def _doubled(array: _Array) -> _Array:
    return _packed(array, slice(None), 2 * len(array))


def _packed(array: _Array, rows: npt.NDArray[np.int64] | slice, size: int) -> _Array:
    kept = array[rows]
    fresh = np.zeros((size, *array.shape[1:]), array.dtype)
    fresh[: len(kept)] = kept
    return fresh
