"""items → **marks** → state. What is kept of single items: bought, hidden, shown. Pure, and bounded."""

from __future__ import annotations

from typing import NamedTuple

MAX_MARKS = 300  # items with a mark of each kind


class Shown(NamedTuple):
    """Impressions of an item, and when it was last shown."""

    times: int
    at: float


def latest(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
    """item_id → the later of both moments, of the newest."""
    both = {**a, **{item_id: max(at, a.get(item_id, at)) for item_id, at in b.items()}}
    if len(both) <= MAX_MARKS:
        return both
    return dict(sorted(both.items(), key=lambda pair: (pair[1], pair[0]))[-MAX_MARKS:])


def newest_shown(shown: dict[str, Shown]) -> dict[str, Shown]:
    """Those that were shown last."""
    if len(shown) <= MAX_MARKS:
        return shown
    return dict(sorted(shown.items(), key=lambda pair: (pair[1].at, pair[0]))[-MAX_MARKS:])
