"""pool → **features** → gate. What the counters, the catalog and the network say of each candidate, as numbers that
a linear model can weigh: evidence on a logarithmic scale, 0 where there is none.

Pure. The same function makes the features that serve and those that are learned from, so the two cannot differ.
A column is the same for a candidate whatever other candidates there are; only `popular` and `trending` relate to the
whole catalog (the most popular item at 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rec.candidates import SOURCES, Anchor, Found, Pool
from rec.catalog import Floats, Ints
from rec.cooccurrence import Amounts
from rec.shelf import Shelf

# Which source a column speaks for: what an item's `source` and reason are taken from.
SPEAKS_FOR: dict[str, str] = {
    "rules_last": "rules",  # what followed the last item
    "rules": "rules",  # ... and those before it
    "knn_last": "knn",  # what came together with the last item
    "knn": "knn",
    "taste": "knn",  # with any of the last fifty, on a logarithmic scale,
    "taste_sum": "knn",  # and as it is
    "own_rank": "history",  # the shopper's own items: how many others ago,
    "own": "history",  # whether at all,
    "own_times": "history",  # how often,
    "own_age": "history",  # how long ago,
    "own_last": "history",  # and whether it is the last one, which people rarely want again at once,
    "own_second": "history",  # or the one before it, which they go back to,
    "own_third": "history",
    "content": "content",  # likeness of the text to that of the last items
    "interest": "interest",  # category and brand
    "sequence": "sequence",  # log-probability that the network gives, and
    "sequence_p": "sequence",  # the probability itself
    "support": "popular",  # how many shoppers ever came to it,
    "popular": "popular",  # in days,
    "trending": "popular",  # in hours,
    "seen": "popular",  # and how long ago anybody did
}
FEATURES = tuple(SPEAKS_FOR)
UNLIKELY = -12.0  # the log-probability of an item that the network does not know


def features_of(
    pool: Pool, shelf: Shelf, found: Mapping[str, Found], own: Sequence[Anchor], dense: Mapping[str, Floats], now: float
) -> Floats:
    """Features [m, len(FEATURES)] of the candidates `pool.rows` [m], in the order of FEATURES.

    `own` are the items that the shopper acted on, the most recent first; `dense["sequence"]` [size] log-probabilities.
    """
    taste = _sum(found.get("taste"), pool.rows, shelf)
    rows, raw = pool.rows, {source: pool.features[:, at] for at, source in enumerate(SOURCES)}
    columns: dict[str, Floats | Amounts] = {
        "rules_last": _log(_from_first(found.get("rules"), rows, shelf), 0.001),
        "rules": _log(raw["rules"], 0.001),
        "knn_last": _log(_from_first(found.get("knn"), rows, shelf), 0.001),
        "knn": _log(raw["knn"], 0.001),
        "taste": _log(taste, 0.001),
        "taste_sum": taste,
        "content": np.maximum(raw["content"], 0) * 4,
        "interest": raw["interest"] * 4,
        "support": _log(shelf.support[rows], 1.0) / 2,
        "popular": _log(shelf.popularity[rows], 0.001),
        "trending": _log(shelf.trend[rows], 0.001),
        "seen": _freshness(now - shelf.seen_at[rows]),
        **_own_columns(rows, shelf, own, now),
    }
    if (said := dense.get("sequence")) is not None:
        columns["sequence"], columns["sequence_p"] = _likely(said[rows])
    out = np.zeros((len(rows), len(FEATURES)), np.float32)
    for at, name in enumerate(FEATURES):
        if name in columns:
            out[:, at] = columns[name]
    return out


def with_network(features: Floats, rows: Ints, said: Floats | None) -> Floats:
    """The same features [m, F] of the candidates `rows` [m] as another network would have them; None: as none would."""
    out = features.copy()
    first = FEATURES.index("sequence")
    out[:, first : first + 2] = 0.0 if said is None else np.stack(_likely(said[rows]), axis=1)
    return out


def _likely(said: Floats) -> tuple[Floats, Floats]:
    """The two columns of the network: log-probabilities [m] from `UNLIKELY` up, and probabilities."""
    likely: Floats = np.maximum(said, UNLIKELY).astype(np.float32)
    level: Floats = ((likely - UNLIKELY) / 2).astype(np.float32)
    return level, np.exp(likely) * np.float32(5)


def _own_columns(rows: Ints, shelf: Shelf, own: Sequence[Anchor], now: float) -> dict[str, Floats]:
    """What the shopper did with each candidate before."""
    size = shelf.view.size
    rank, times, age = np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    nth = [shelf.view.row(anchor.item_id) for anchor in own]
    if there := [place for place, row in enumerate(nth) if row is not None]:
        mine = np.array([row for row in nth if row is not None])
        ages = np.maximum(0.0, now - np.array([own[place].at for place in there])) / 60
        rank[mine], times[mine] = 1 / (1 + np.array(there)), [own[place].times for place in there]
        age[mine] = 1 / (1 + np.log1p(ages))
    columns = {
        "own_rank": _log(rank[rows], 0.02),
        "own": (times[rows] > 0).astype(np.float32),
        "own_times": np.log1p(times[rows]),
        "own_age": age[rows],
    }
    for place, name in enumerate(("own_last", "own_second", "own_third")):
        if place < len(nth) and nth[place] is not None:
            columns[name] = (rows == nth[place]).astype(np.float32)
    return columns


def _sum(found: Found | None, rows: Ints, shelf: Shelf) -> Floats:
    """[m]: what the source found, from all anchors."""
    if found is None or not len(found.rows):
        return np.zeros(len(rows), np.float32)
    sums = np.bincount(found.rows, weights=found.scores, minlength=shelf.view.size)
    mine: Floats = sums[rows].astype(np.float32)
    return mine


def _from_first(found: Found | None, rows: Ints, shelf: Shelf) -> Floats:
    """[m]: what the source found from the first anchor alone."""
    if found is None or not len(found.rows):
        return np.zeros(len(rows), np.float32)
    first = found.anchors == 0
    return _sum(Found(found.rows[first], found.scores[first], found.anchors[first]), rows, shelf)


def _log(values: Floats, unit: float) -> Floats:
    """0 at 0, about linear below `unit`, logarithmic above it."""
    scaled: Floats = np.log1p(values / np.float32(unit)).astype(np.float32)
    return scaled


def _freshness(age_s: Amounts) -> Amounts:
    """1 now, halved after two minutes, a tenth after a week."""
    fresh: Amounts = 1 / (1 + np.log1p(np.maximum(age_s, 0) / 60))
    return fresh
