"""catalog + condition → **columns** → rules. The fields of all items as arrays, and which rows a condition means.

A column is the distinct values of a field and a code [size] for each row. A test is made on the distinct values, once,
and taken to the rows by one look-up; so a catalog of many items with few brands costs next to nothing, and every kind
of value (texts, numbers, flags, lists among the attributes) goes the same way. What changed in the catalog is read
again, the rest is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rec.catalog import Ints, Item, Mask, View
from rec.policy.expression import Compare, Condition, Either, Every, Not, Value

MISSING = 0  # the code of what an item does not have

Doubles = npt.NDArray[np.float64]


class Column:
    """One field. Values are told apart by kind: true is no 1."""

    def __init__(self, read: Callable[[Item], Any]) -> None:
        self._read = read
        self._code_of: dict[tuple[type, Any], int] = {}
        self.values: list[Any] = [None]  # by code
        self._numbers = np.full(1, np.nan)
        self.codes: Ints = np.zeros(0, np.int32)

    def take(self, items: Sequence[Item], rows: Iterable[int]) -> None:
        """Read these rows (again)."""
        codes = np.zeros(len(items), np.int32)
        codes[: len(self.codes)] = self.codes[: len(items)]
        read, code = self._read, self._code
        for row in rows:
            codes[row] = code(read(items[row]))
        self.codes = codes

    def _code(self, value: Any) -> int:
        if value is None or value == "":
            return MISSING
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value)
        elif isinstance(value, list):
            value = tuple(part for part in value if isinstance(part, str | int | float | bool))
        elif not isinstance(value, str | bool):
            return MISSING  # an object says nothing that a condition could ask for
        key = (type(value), value)
        known = self._code_of.get(key)
        if known is None:
            known = self._code_of[key] = len(self.values)
            self.values.append(value)
        return known

    def meets(self, test: Compare) -> Mask:
        """[size] the rows that pass the test."""
        passed = self._passed(test)
        passed[MISSING] = test.operator == "missing"
        mask: Mask = passed[self.codes]
        return mask

    def _passed(self, test: Compare) -> Mask:
        """[values]"""
        passed = np.zeros(len(self.values), np.bool_)
        if test.operator in ("=", "in"):
            for value in test.values:
                if (code := self._code_of.get((type(value), value))) is not None:
                    passed[code] = True
        elif test.operator == "contains":
            wanted = str(test.values[0]).casefold()
            passed[:] = [_contains(value, wanted) for value in self.values]
        elif test.operator != "missing":
            passed[:] = self._compared(test.operator, test.values[0])
        return passed

    def _compared(self, operator: str, bound: Value) -> Mask | list[bool]:
        if isinstance(bound, str):
            order = _ORDER[operator]
            return [isinstance(value, str) and bool(order(value, bound)) for value in self.values]
        if len(self._numbers) < len(self.values):
            fresh = [value if type(value) is float else np.nan for value in self.values[len(self._numbers) :]]
            self._numbers = np.concatenate([self._numbers, np.array(fresh, np.float64)])
        compared: Mask = _ORDER[operator](self._numbers, bound)  # nan is neither less nor more
        return compared


_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _contains(value: Any, wanted: str) -> bool:
    """A text has it as a part, a list as an element."""
    if isinstance(value, tuple):
        return any(isinstance(part, str) and part.casefold() == wanted for part in value)
    return isinstance(value, str) and wanted in value.casefold()


class Columns:
    """The fields that were asked for, of one catalog at a time."""

    def __init__(self) -> None:
        self._ids: Sequence[str] | None = None
        self._view: View | None = None
        self._items: list[Item] = []
        self._columns: dict[str, Column] = {}

    def follow(self, view: View) -> None:
        """From here on the columns are those of this view."""
        if view is self._view:
            return
        if view.ids is not self._ids:  # another catalog, or the same with its rows packed anew
            self._ids, self._items, self._columns = view.ids, [], {}
        items = list(view.items[: view.size])
        before = self._items
        changed = [row for row, (was, now) in enumerate(zip(before, items, strict=False)) if was is not now]
        changed += range(len(before), len(items))
        self._view, self._items = view, items
        for column in self._columns.values():
            column.take(items, changed)

    def column(self, field: str) -> Column:
        """A field of the items, `attributes.NAME` for one of their own."""
        found = self._columns.get(field)
        if found is None:
            found = self._columns[field] = Column(_reader(field))
            found.take(self._items, range(len(self._items)))
        return found

    def mask(self, condition: Condition) -> Mask:
        """[size] the rows that the condition means."""
        match condition:
            case Compare():
                return self.column(condition.field).meets(condition)
            case Not():
                return ~self.mask(condition.of)
            case Every() | Either():
                parts = np.stack([self.mask(part) for part in condition.of])
                joined: Mask = (np.logical_and if isinstance(condition, Every) else np.logical_or).reduce(parts)
                return joined


def _reader(field: str) -> Callable[[Item], Any]:
    head, _, name = field.partition(".")
    if head == "attributes":
        return lambda item: item.attributes.get(name)
    return lambda item: getattr(item, field)
