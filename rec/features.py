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
from rec.shelf import Shelf, log_evidence

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
_AT = {name: at for at, name in enumerate(FEATURES)}
_RAW = {source: at for at, source in enumerate(SOURCES)}
_COUNTED = FEATURES[:5]  # rules_last, rules, knn_last, knn, taste: all in one unit
UNLIKELY = -12.0  # the log-probability of an item that the network does not know


def features_of(
    pool: Pool, shelf: Shelf, found: Mapping[str, Found], own: Sequence[Anchor], dense: Mapping[str, Floats], now: float
) -> Floats:
    """Features [m, len(FEATURES)] of the candidates `pool.rows` [m], in the order of FEATURES.

    `own` are the items that the shopper acted on, the most recent first; `dense["sequence"]` [size] log-probabilities.
    """
    rows, raw = pool.rows, pool.features.T
    out = np.zeros((len(FEATURES), len(rows)), np.float32)  # a column is written and read as one
    counted = out[: len(_COUNTED)]
    _from_first(found.get("rules"), pool, counted[0])
    counted[1] = raw[_RAW["rules"]]
    _from_first(found.get("knn"), pool, counted[2])
    counted[3] = raw[_RAW["knn"]]
    if (taste := found.get("taste")) is not None and len(taste.rows):
        counted[4] = out[_AT["taste_sum"]] = pool.sums(taste.rows, taste.scores)
    counted[:] = log_evidence(counted, 0.001)
    out[_AT["content"]] = np.maximum(raw[_RAW["content"]], 0) * 4
    out[_AT["interest"]] = raw[_RAW["interest"]] * 4
    out[_AT["support"] : _AT["support"] + 3] = shelf.evidence[:, rows]
    out[_AT["seen"]] = _freshness(now - shelf.seen_at[rows])
    _write_own(out, pool, shelf, own, now)
    if (said := dense.get("sequence")) is not None:
        out[_AT["sequence"]], out[_AT["sequence_p"]] = _likely(said[rows])
    return out.T


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


def _write_own(out: Floats, pool: Pool, shelf: Shelf, own: Sequence[Anchor], now: float) -> None:
    """What the shopper did with each candidate before, into `out` [len(FEATURES), m]."""
    nth = [shelf.view.row(anchor.item_id) for anchor in own]
    for row, name in zip(nth, ("own_last", "own_second", "own_third"), strict=False):
        if row is not None and (place := pool.place[row]):
            out[_AT[name], place - 1] = 1.0
    there = [back for back, row in enumerate(nth) if row is not None]
    if not there:
        return
    places = pool.place[[row for row in nth if row is not None]] - 1
    mine = np.flatnonzero(places >= 0)
    places, back = places[mine], np.array(there)[mine]
    ages = np.maximum(0.0, now - np.array([own[each].at for each in back.tolist()])) / 60
    out[_AT["own_rank"], places] = log_evidence((1 / (1 + back)).astype(np.float32), 0.02)
    out[_AT["own"], places] = 1.0
    out[_AT["own_times"], places] = np.log1p(np.array([own[each].times for each in back.tolist()], np.float32))
    out[_AT["own_age"], places] = 1 / (1 + np.log1p(ages))


def _from_first(found: Found | None, pool: Pool, out: Floats) -> None:
    """Into `out` [m]: what the source found from the first anchor alone."""
    if found is not None and (first := int(np.searchsorted(found.anchors, 1))):
        out[:] = pool.sums(found.rows[:first], found.scores[:first])


def _freshness(age_s: Amounts) -> Amounts:
    """1 now, halved after two minutes, a tenth after a week."""
    fresh: Amounts = 1 / (1 + np.log1p(np.maximum(age_s, 0) / 60))
    return fresh
