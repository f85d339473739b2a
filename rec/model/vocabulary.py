"""catalog → **vocabulary** → network. Which row of the network's item table an item has, and who has an id of its own.

Row 0 is padding. An id slot is given after `admit_after` occurrences. It is taken back from the item that was longest
unseen when there is none left, from what nobody has acted on for `expire_s`, and from what has left the catalog, whose
row goes, too: a shop changes its products, the table has a size. What is given back begins at zero. Times are those of
events, so the same lessons give the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from rec.catalog import Floats, Item, View
from rec.images import unit
from rec.model.network import Items
from rec.model.teaching import Shape

_COLUMNS = ("seen", "last", "at", "slot", "category", "brand", "price", "text", "image", "sold")


class Codes(NamedTuple):
    """Names as the network's tables know them; what is not in them has code 0."""

    slots: Mapping[str, int]  # item_id → id embedding
    categories: Mapping[str, int]
    brands: Mapping[str, int]


def price_features(price: float | None) -> tuple[float, float]:
    """Log price, about standardized, and whether there is one."""
    return (math.log1p(price) - 3.0, 1.0) if price is not None else (0.0, 0.0)


class Vocabulary:
    """Rows, slots and features of items."""

    def __init__(self, shape: Shape, admit_after: int) -> None:
        self._shape, self._admit_after = shape, admit_after
        self.row_of: dict[str, int] = {}
        self.ids: list[str] = [""]
        capacity = 1024
        self._seen = np.zeros(capacity, np.int64)  # [rows] occurrences
        self._last = np.zeros(capacity, np.int64)  # [rows] when last, on a clock of occurrences
        self._at = np.zeros(capacity)  # [rows] the time of the last one, seconds since 1970
        self._sold = np.zeros(capacity, np.bool_)  # [rows] the catalog has it
        self._clock = 0
        self._slot = np.zeros(capacity, np.int64)
        self._category = np.zeros(capacity, np.int64)
        self._brand = np.zeros(capacity, np.int64)
        self._price = np.zeros((capacity, 2), np.float32)
        self._text = np.zeros((capacity, shape.text_dim), np.float32)
        self._image = np.zeros((capacity, shape.image_dim), np.float32)
        self._categories: dict[str, int] = {}
        self._brands: dict[str, int] = {}
        self._free = list(range(shape.ids, 0, -1))
        self._vacated: list[int] = []
        self._items: Items | None = None
        self._aligned: tuple[View, np.ndarray] | None = None

    def __len__(self) -> int:
        """Rows in use, padding included."""
        return len(self.ids)

    def row(self, item_id: str) -> int:
        """The item's row, a new one if it has none."""
        row = self.row_of.get(item_id)
        if row is None:
            row = self.row_of[item_id] = len(self.ids)
            self.ids.append(item_id)
            if row == len(self._seen):
                for name in _COLUMNS:
                    kept = getattr(self, f"_{name}")
                    setattr(self, f"_{name}", np.concatenate([kept, np.zeros_like(kept)]))
            self._items = self._aligned = None
        return row

    def put(self, items: Sequence[Item], vectors: Mapping[str, Floats]) -> None:
        """What the catalog says of items."""
        for item in items:
            row = self.row(item.item_id)
            self._sold[row] = True
            self._category[row] = _code(item.category, self._categories, self._shape.categories)
            self._brand[row] = _code(item.brand, self._brands, self._shape.brands)
            self._price[row] = price_features(item.price)
            image = unit(item, self._shape.image_dim)
            self._image[row] = 0.0 if image is None else image
            if self._shape.text_dim and (vector := vectors.get(item.item_id)) is not None:
                self._text[row] = vector
        self._items = None

    def put_texts(self, vectors: Mapping[str, Floats]) -> None:
        """Text vectors alone, of items that have a row."""
        for item_id, vector in vectors.items():
            if (row := self.row_of.get(item_id)) is not None and self._shape.text_dim:
                self._text[row] = vector
        self._items = None

    def forget_texts(self) -> None:
        """All texts are those of an encoder that is read no longer."""
        self._text[:] = 0.0
        self._items = None

    def occurred(self, row: int, at: float) -> None:
        """Somebody acted on the item, at that time; it may have earned an id."""
        self._clock += 1
        self._seen[row] += 1
        self._last[row], self._at[row] = self._clock, max(at, self._at[row])
        if not self._slot[row] and self._seen[row] >= self._admit_after:
            if not self._free:
                self._evict(for_product=bool(self._sold[row]))
            if self._free:
                self._slot[row] = self._free.pop()
                self._items = None

    def _evict(self, *, for_product: bool) -> None:
        """Take the slot of the item that was longest unseen; of those that the catalog does not have, if one of them
        holds any, and for such a one of those alone: an id that somebody made up costs no product its own."""
        held = np.flatnonzero(self._slot[: len(self)])
        strangers = held[~self._sold[held]]
        held = strangers if len(strangers) or not for_product else held
        if len(held):
            self._give_back(int(held[self._last[held].argmin()]))

    def _give_back(self, row: int) -> None:
        """The item is nobody of its own any more, and has to be seen as often as at first to become it again."""
        slot, self._slot[row], self._seen[row] = int(self._slot[row]), 0, 0
        if slot:
            self._free.append(slot)
            self._vacated.append(slot)
            self._items = None

    # ------------------------------------------------------------------ what goes
    def expire(self, before: float) -> np.ndarray | None:
        """Ids of items that nobody has acted on since `before`; of those that the catalog does not have, the rows, too.

        [rows] what each row is from now on (see `_drop`), None if all stay as they are.
        """
        n = len(self)
        old = (self._seen[:n] > 0) & (self._at[:n] < before)
        old[0] = False
        for row in np.flatnonzero(old).tolist():
            self._give_back(row)
        return self._drop(old & ~self._sold[:n])

    def crowded(self, most: int) -> np.ndarray | None:
        """Of more than `most` items that the catalog does not have, half as many stay: those seen last. As `expire`.

        Anybody can name items that there are not.
        """
        strangers = 1 + np.flatnonzero(~self._sold[1 : len(self)])
        if len(strangers) <= most:
            return None
        doomed = np.zeros(len(self), np.bool_)
        doomed[strangers[np.argsort(self._last[strangers], kind="stable")][: len(strangers) - most // 2]] = True
        for row in np.flatnonzero(doomed).tolist():
            self._give_back(row)
        return self._drop(doomed)

    def gone(self, item_ids: Iterable[str]) -> np.ndarray | None:
        """These have left the catalog: their ids, and their rows unless they have come back meanwhile; as `expire`."""
        doomed = np.zeros(len(self), np.bool_)
        for item_id in item_ids:
            if row := self.row_of.get(item_id):
                self._give_back(row)
                doomed[row] = not self._sold[row]
        return self._drop(doomed)

    def not_sold(self, item_ids: Iterable[str]) -> list[str]:
        """The catalog does not have these any more. Which of them still have a row."""
        there = [item_id for item_id in item_ids if item_id in self.row_of]
        self._sold[[self.row_of[item_id] for item_id in there]] = False
        return there

    def _drop(self, doomed: np.ndarray) -> np.ndarray | None:
        """Without these rows; the others close up and keep their order. [rows] the new number of each, 0: gone."""
        if not doomed.any():
            return None
        kept = np.flatnonzero(~doomed)  # padding is one of them
        rows = np.zeros(len(doomed), np.int64)
        rows[kept] = np.arange(len(kept))
        for name in _COLUMNS:
            array = getattr(self, f"_{name}")
            array[: len(kept)] = array[kept]
            array[len(kept) : len(doomed)] = 0
        self.ids = [self.ids[row] for row in kept]
        self.row_of = {item_id: row for row, item_id in enumerate(self.ids) if row}
        self._items = self._aligned = None
        return rows

    def vacated(self) -> list[int]:
        """Slots that have changed hands since the last call: their weights are somebody else's."""
        slots, self._vacated = self._vacated, []
        return slots

    def items(self) -> Items:
        """All rows as tensors; the same object until something changed."""
        if self._items is None:
            n = len(self)
            self._items = Items(
                *(
                    torch.from_numpy(array[:n].copy())
                    for array in (self._slot, self._text, self._image, self._category, self._brand, self._price)
                )
            )
        return self._items

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What a checkpoint has to hold: arrays by name, and the rest as JSON."""
        n = len(self)
        arrays = {name: getattr(self, f"_{name}")[:n].copy() for name in _COLUMNS}
        arrays["free"], arrays["vacated"] = np.array(self._free, np.int64), np.array(self._vacated, np.int64)
        return arrays, {
            "ids": self.ids[1:],
            "categories": list(self._categories.items()),
            "brands": list(self._brands.items()),
            "clock": self._clock,
        }

    def load(self, arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> None:
        """Go on from `state()`; for a vocabulary that is still empty."""
        for item_id in rest["ids"]:
            self.row(item_id)
        n = len(self)
        for name in _COLUMNS:
            getattr(self, f"_{name}")[:n] = arrays[name]
        self._free, self._vacated = arrays["free"].tolist(), arrays["vacated"].tolist()
        self._categories, self._brands = dict(rest["categories"]), dict(rest["brands"])
        self._clock = int(rest["clock"])
        self._items = None

    @property
    def codes(self) -> Codes:
        """What a version that serves needs, to make features of a catalog of its own."""
        slots = {self.ids[row]: int(self._slot[row]) for row in np.flatnonzero(self._slot[: len(self)]).tolist()}
        return Codes(slots, dict(self._categories), dict(self._brands))

    def rows_of(self, view: View) -> np.ndarray:
        """[view.size]: the row of each row of the catalog, 0 where the network does not know the item."""
        if self._aligned is None or self._aligned[0] is not view:
            rows = np.array([self.row_of.get(item_id, 0) for item_id in view.ids[: view.size]], np.int64)
            self._aligned = (view, rows)
        return self._aligned[1]


def _code(name: str, codes: dict[str, int], limit: int) -> int:
    """0 for none; the first `limit - 2` names have a code of their own, the rest share the last."""
    if not name:
        return 0
    return codes.setdefault(name, min(len(codes) + 1, limit - 1))
