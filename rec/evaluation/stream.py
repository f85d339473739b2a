"""Files of events → **a stream**. Rows of CSV, TSV, JSONL or Parquet under the names their columns have, in time order.

    user, item, time     needed; time as seconds, milliseconds or ISO 8601
    event                GA4's or another vendor's name; `view_item` without the column
    title, price         of the item, for its text vector
    basket               rows of one user with the same value are one event, tested before any of it is known

Invariant: whatever cannot be read is counted with its line and reason, and costs no other row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rec.catalog import Item
from rec.errors import BadInput
from rec.events import ACTIONS, Event, EventItem, instant
from rec.ingest import ALIASES
from rec.rows import moment
from rec.tables import Flaw, Row, open_table


class Columns(NamedTuple):
    """What the file calls what we need; None: there is no such column."""

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    event: str | None = None
    title: str | None = None
    price: str | None = None
    basket: str | None = None


class Action(NamedTuple):
    """One row: who did what to which item, when (seconds since 1970); `basket` groups rows."""

    at: float
    user: str
    item_id: str
    name: str
    basket: str | None = None
    title: str = ""
    price: float | None = None


class Stream(NamedTuple):
    """Everything that was read, by time; equal times as in the file."""

    events: list[Event]
    items: dict[str, Item]
    flaws: list[tuple[str, Flaw]]


def read_stream(paths: Sequence[Path], columns: Columns, progress: Callable[[float], None] = lambda _: None) -> Stream:
    """Read the files into one stream. Raises BadInput for a file or a column that is not there, or nothing to read."""
    actions: list[Action] = []
    flaws: list[tuple[str, Flaw]] = []
    for path in paths:
        for found in _rows(path, columns, progress):
            if isinstance(found, Flaw):
                flaws.append((path.name, found))
            else:
                actions.append(found)
    if not actions:
        first = f" The first: line {flaws[0][1].line}: {flaws[0][1].reason}." if flaws else ""
        raise BadInput(f"There is no usable row in {', '.join(map(str, paths))}.{first}")
    return stream_of(actions, flaws)


def stream_of(actions: Iterable[Action], flaws: Sequence[tuple[str, Flaw]] = ()) -> Stream:
    """Actions in any order as a stream; an item's title and price are the first that are told."""
    ordered = sorted(actions, key=lambda action: action.at)
    items = {a.item_id: Item(item_id=a.item_id, title=a.title or a.item_id, price=a.price) for a in reversed(ordered)}
    return Stream(list(_events(ordered)), items, list(flaws))


def _rows(path: Path, columns: Columns, progress: Callable[[float], None]) -> Iterator[Action | Flaw]:
    with open_table(path) as table:
        wanted = [name for name in columns if name is not None]
        if table.columns is not None and (missing := [name for name in wanted if name not in table.columns]):
            raise BadInput(
                f"{path}: there is no column {', '.join(missing)}; there are: {', '.join(table.columns)}. "
                "Name yours with --user, --item, --time, --event, --title, --price, --basket."
            )
        for at, row in enumerate(table.rows):
            if at % 1_000 == 0:
                progress(table.share())
            yield row if isinstance(row, Flaw) else _action(row, columns)


def _action(row: Row, columns: Columns) -> Action | Flaw:
    def text(column: str | None) -> str:
        value = row.values.get(column) if column else None
        return "" if value is None else str(value).strip()

    user, item_id = text(columns.user)[:128], text(columns.item)[:128]
    if not user or not item_id:
        return Flaw(row.line, columns.item if user else columns.user, "is empty")
    try:
        at = moment(row.values.get(columns.time), columns.time).timestamp()
    except BadInput as error:
        return Flaw(row.line, columns.time, error.message)
    name = text(columns.event) or "view_item"
    name = ALIASES.get(name, name)
    if name not in ACTIONS:
        return Flaw(row.line, columns.event, f"there is no event {name[:64]!r}")
    price = text(columns.price)
    try:
        cost = max(0.0, float(price)) if price else None
    except ValueError:
        return Flaw(row.line, columns.price, f"{price[:64]!r} is no price")
    return Action(at, user, item_id, name, text(columns.basket) or None, text(columns.title)[:1024], cost)


def _events(actions: Iterable[Action]) -> Iterator[Event]:
    """One event a row, or one a basket, at the time of its first row and in its place."""
    baskets: dict[tuple[str, str], list[Action]] = {}
    order: list[list[Action]] = []
    for action in actions:
        if action.basket is None:
            order.append([action])
            continue
        key = action.user, action.basket
        if key not in baskets:
            order.append(baskets.setdefault(key, []))
        baskets[key].append(action)
    for number, rows in enumerate(order):
        first = rows[0]
        yield Event(
            event=first.name,
            event_id=str(number),
            user_id=first.user,
            items=tuple(EventItem(row.item_id) for row in rows),
            received_ts=instant(first.at),
            event_ts=instant(first.at),
        )
