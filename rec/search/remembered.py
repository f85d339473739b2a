"""matches → **remembered** → pages, lessons. A search as it was answered, in as few bytes as the pages after it need.

`Ranked` is the order of one search, for its next pages; `Listed` is one list of it, for the clicks on it. What an item
is there for is kept as a code and the scores as float32; the features that clicks teach with are kept of the first
`TAUGHT` places alone, copied: a slice would keep all of them alive. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints, View
from rec.policy.rules import Pin
from rec.search.filters import Filters
from rec.search.finding import Matches
from rec.search.fusion import FUSED
from rec.search.ordering import RANKED
from rec.search.permission import Permission, seated
from rec.shelf import Shelf
from rec.slates import Reason, SearchFacts

TAUGHT = 200  # places whose features are kept: as many as one answer has
CHOSEN = 0.5  # of a query's clicks, damped, from which these are the reason
EXACT, CLICKED, WORDS, MEANING = range(4)
_REASONS = {
    EXACT: ("exact_match", "search"), CLICKED: ("chosen_for", "clicks"), WORDS: ("matches", "search"),
    MEANING: ("means", "content"),
}  # fmt: skip


class Ranked(NamedTuple):
    """One search as it was answered. `asked`: see `rec.search.paging`; `filters`: those that hold."""

    user_id: str
    asked: str
    query: str
    item_ids: list[str]  # [m] the catalog's own strings
    scores: Floats  # [m] float32
    whys: npt.NDArray[np.uint8]  # [m] codes of `_REASONS`
    features: Floats  # [at most TAUGHT, len(FUSED)]
    rules: dict[int, str]  # place → the rule that pins it there
    policies: list[tuple[str, ...]]  # [m] the rules that lift each; empty where none lifts any
    filters: Filters
    facts: SearchFacts
    strategy: str

    def why(self, at: int) -> tuple[Reason, str]:
        """Reason and source of an item: who pinned it, or what spoke most for it."""
        if (rule_id := self.rules.get(at)) is not None:
            return Reason("pinned", policy=(f"pin:{rule_id}",)), "rule"
        kind, source = _REASONS[int(self.whys[at])]
        return Reason(kind, value=self.query, policy=self.policies[at] if self.policies else ()), source


class Listed(NamedTuple):
    """One list of a search, as far as clicks on it teach: the items, first to last, and their features."""

    user_id: str
    query: str
    item_ids: tuple[str, ...]  # [k]
    features: Floats  # [k, len(FUSED)]


def ranked_of(
    matches: Matches, asked: tuple[str, str, str], facts: SearchFacts, shelf: Shelf, may: Permission
) -> Ranked:
    """`asked`: the user, the digest of what was asked for, and the query."""
    relevance, view = matches.sort == "relevance", shelf.view
    pins = may.orders.pins if relevance and len(matches.rows) else ()
    rows, at, scores, rules = _laid(matches, pins, shelf)
    features = matches.features[at]
    features[at < 0] = 0  # nothing speaks for what is pinned and was not found
    exact = matches.exact[at] & (at >= 0)
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    lifting = [may.policy(row) for row in rows.tolist()] if relevance and len(may.orders.lifting) else []
    return Ranked(
        *asked,
        _ids(rows, view),
        scores,
        _whys(features, exact),
        features[:TAUGHT].copy(),
        rules,
        [shared.setdefault(policy, policy) for policy in lifting],
        matches.filters,
        facts,
        "search-hybrid" if matches.hybrid else "search-lexical",
    )


def listed(ranked: Ranked, places: Sequence[int]) -> Listed:
    """What is kept of a list with these places of a search, ascending."""
    taught = [at for at in places if at < len(ranked.features)]
    ids = tuple(ranked.item_ids[at] for at in taught)
    return Listed(ranked.user_id, ranked.query, ids, ranked.features[taught])


def _ids(rows: Ints, view: View) -> list[str]:
    return [view.ids[row] for row in rows.tolist()]


def _laid(matches: Matches, pins: Sequence[Pin], shelf: Shelf) -> tuple[Ints, Ints, Floats, dict[int, str]]:
    """Rows, places among the matches (-1: it is none) and scores [m] as far as pages reach, and which are pinned. What
    is pinned takes the score of the place behind it."""
    found = matches.rows[:RANKED]
    if not pins:
        return found, np.arange(len(found), dtype=np.int32), matches.scores[:RANKED].astype(np.float32), {}
    seats = seated(found, pins, matches.allowed, shelf.popularity)[:RANKED]
    scores, last = np.zeros(len(seats), np.float32), 0.0
    for place in range(len(seats) - 1, -1, -1):
        if (at := seats[place].at) is not None and seats[place].rule_id is None:
            last = float(matches.scores[at])
        scores[place] = last
    return (
        np.array([seat.row for seat in seats], np.int32),
        np.array([-1 if seat.at is None else seat.at for seat in seats], np.int32),
        scores,
        {place: seat.rule_id for place, seat in enumerate(seats) if seat.rule_id is not None},
    )


def _whys(features: Floats, exact: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """[m] what speaks most for each."""
    clicked, covered, lexical = (features[:, FUSED.index(name)] for name in ("clicks", "covered", "lexical"))
    worded = np.where((covered > 0) | (lexical > 0), WORDS, MEANING)
    return np.where(exact, EXACT, np.where(clicked >= CHOSEN, CLICKED, worded)).astype(np.uint8)
