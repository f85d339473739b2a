"""catalog, state, query → **engine** → slate. Search as one object with one owner: its thread does everything in order.

What it holds: the index, the fusion that clicks teach, the suggestions, and the searches of the last minutes, so that
the next page is of the same order and a click is known to be of its query. Nothing of it is a shopper's for longer.
`now` and `rng` are arguments.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rec.catalog import Floats, Ints, Item, Mask, card
from rec.events import instant, moment
from rec.ids import uuid7
from rec.policy.rules import Pin
from rec.protocol import Search
from rec.recent import Recent
from rec.recommend import Ask, World, may_use, recommend
from rec.search.filters import Filters
from rec.search.finding import RANKED, Matches, find
from rec.search.fusion import FUSED, Fusion
from rec.search.lessons import Lessons
from rec.search.lexical import LexicalIndex
from rec.search.paging import asked_for, place_of, token
from rec.search.permission import PLACEMENT, Permission, permission, seated
from rec.search.personal import taste
from rec.search.reading import Reader, Synonyms
from rec.search.suggest import Suggester, Suggestion
from rec.search.words import Words
from rec.shelf import Shelf
from rec.slates import Cause, Position, Reason, SearchFacts, Slate, SlateItem
from rec.state import UserState

REMEMBERED = 4_000  # searches; what is shown of one is learned from, and paged through, while it is remembered
POPULAR_S = 60.0  # what is popular among suggestions may be so old
_NOTHING = np.zeros(len(FUSED), np.float32)  # what speaks for an item that is pinned and was not found
NOWHERE = Position("none", 0)


class _Ranked(NamedTuple):
    """One search as it was answered. `asked`: see `rec.search.paging`."""

    user_id: str
    asked: str
    query: str
    item_ids: list[str]
    scores: list[float]
    features: Floats  # [m, len(FUSED)]
    exact: Mask  # [m]
    rules: dict[int, str]  # place → the rule that pins it there
    policies: list[tuple[str, ...]]  # [m] the rules that lift each; empty where none lifts any
    facts: SearchFacts
    strategy: str


class Engine:
    """Search over one worker's catalog. One thread at a time; start with `change`. For `shelf_s` (seconds) the counts
    over the whole catalog are not brought together again. `known`: see `Reader`."""

    def __init__(
        self, words: Words, synonyms: Synonyms | None = None, fusion: Fusion | None = None, shelf_s: float = 0.0,
        known: Container[str] = frozenset(),
    ) -> None:  # fmt: skip
        self._shelved: Shelf | None = None
        self._shelf_s, self._shelved_at = shelf_s, 0.0
        self.index = LexicalIndex(words)
        self._reader = Reader(self.index, synonyms, known)
        self._suggester = Suggester(self.index, self._reader)
        self._lessons = Lessons(fusion)
        self._ranked: Recent[str, _Ranked] = Recent(REMEMBERED)

    @property
    def fusion(self) -> Fusion:
        """What clicks have taught, whether it serves or not: what is kept."""
        return self._lessons.learned

    def change(self, items: Iterable[Item], deleted: Iterable[str] = ()) -> int:
        """Follow the catalog; how many documents that moved."""
        return self.index.change(items, deleted)

    # ------------------------------------------------------------------ asking
    def search(
        self,
        user_id: str,
        wanted: Search,
        state: UserState | None,
        world: World,
        *,
        vector: Floats | None = None,
        dense: Floats | None = None,
        now: float,
        rng: random.Random,
    ) -> Slate:
        """The slate for a search, or for its next page. `dense` [size]: the query's cosines (rec.search.nearness); or
        `vector` [dim], if it is of the catalog's encoder. Raises BadInput."""
        asked, place = asked_for(wanted), place_of(wanted)
        offset = place.offset if place else 0
        kept = self._ranked.get(place.slate_id) if place else None
        shelf = self._shelf(world, now)
        may = permission(shelf.view, state, world, now)
        if place and kept is not None and kept.user_id == user_id and kept.asked == asked:
            return self._page(kept, place.slate_id, offset, wanted.n, state, shelf, may, world, now, rng)
        slate_id = uuid7(now, rng.getrandbits)
        ranked = self._found(user_id, wanted, asked, state, shelf, may, world, vector, dense, now)
        if ranked.facts.fallback == "nothing_matches":
            return self._own_list(slate_id, ranked, wanted.n, state, world, now, rng)
        self._ranked.put(slate_id, ranked)
        return self._page(ranked, slate_id, offset, wanted.n, state, shelf, may, world, now, rng, slate_id)

    def _shelf(self, world: World, now: float) -> Shelf:
        """The catalog as it is, what is popular as it was at most `shelf_s` ago: counting is dear."""
        kept = self._shelved
        same = kept is not None and kept.view is world.catalog.view() and kept.tables is world.counters.tables
        if kept is None or not same or not 0 <= now - self._shelved_at < self._shelf_s:
            kept, self._shelved_at = world.shelf(now), now
            self._shelved = kept
        return kept

    def _found(
        self,
        user_id: str,
        wanted: Search,
        asked: str,
        state: UserState | None,
        shelf: Shelf,
        may: Permission,
        world: World,
        vector: Floats | None,
        dense: Floats | None,
        now: float,
    ) -> _Ranked:
        filters = Filters(wanted.category, wanted.brand, wanted.price_min, wanted.price_max, wanted.in_stock)
        matches = find(
            wanted.q, self._reader, self.index, shelf, vector=vector, dense=dense, filters=filters, sort=wanted.sort,
            fusion=self._lessons.serving, clicks=world.counters.queries.of(wanted.q),
            taste=lambda rows: taste(rows, state, shelf, world, now), may=may,
        )  # fmt: skip
        fallback = "filters_exclude_all" if matches.ignored else None
        if not len(matches.rows):
            fallback = "nothing_matches"
        facets = matches.facets
        facts = SearchFacts(
            query=wanted.q,
            total=matches.total,
            understood=None if matches.exact.any() else matches.reading.understood,
            categories=facets.category,
            brands=facets.brand,
            prices=facets.price,
            fallback=fallback,  # type: ignore[arg-type]
            ignored=matches.ignored,
        )
        strategy = "search-hybrid" if matches.hybrid else "search-lexical"
        pins = may.orders.pins if matches.sort == "relevance" and len(matches.rows) else ()
        laid = (
            _seated(matches, pins, shelf)
            if pins
            else _Laid(matches.rows, matches.scores.tolist(), matches.features, matches.exact, {})
        )
        rows = laid.rows[:RANKED].tolist()
        lifted = matches.sort == "relevance" and len(may.orders.lifting) > 0
        return _Ranked(
            user_id,
            asked,
            wanted.q,
            [shelf.view.ids[row] for row in rows],
            laid.scores[:RANKED],
            laid.features[:RANKED],
            laid.exact[:RANKED],
            laid.rules,
            [may.policy(row) for row in rows] if lifted else [],
            facts,
            strategy,
        )

    def _page(
        self,
        ranked: _Ranked,
        first: str,
        offset: int,
        n: int,
        state: UserState | None,
        shelf: Shelf,
        may: Permission,
        world: World,
        now: float,
        rng: random.Random,
        slate_id: str | None = None,
    ) -> Slate:
        """Places from `offset` on; what went out of the catalog meanwhile, or may not be shown any more, leaves a gap,
        and moves nothing."""
        view = shelf.view
        end = min(offset + n, len(ranked.item_ids))
        items = []
        for at in range(offset, end):
            row = view.row(ranked.item_ids[at])
            if row is None or not may.allowed[row] or (item := view.items[row]).flagged:
                continue
            reason, source = _why(ranked, at)
            items.append(SlateItem(item.item_id, ranked.scores[at], source, reason, item=card(item)))
        made = slate_id or uuid7(now, rng.getrandbits)
        if slate_id is None:  # what is clicked on a later page is of the same search
            part = slice(offset, end)
            self._ranked.put(
                made,
                ranked._replace(
                    item_ids=ranked.item_ids[part], scores=ranked.scores[part], features=ranked.features[part],
                    exact=ranked.exact[part], policies=ranked.policies[part], rules={},
                ),
            )  # fmt: skip
        more = token(first, end, ranked.asked) if end < len(ranked.item_ids) else None
        facts = msgspec.structs.replace(ranked.facts, next=more)
        brain = world.brain
        position = state.position if state else NOWHERE
        return Slate(
            slate_id=made,
            user_id=ranked.user_id,
            placement=PLACEMENT,
            epoch=position.epoch,
            version=position.version,
            cause=Cause("request"),
            model_version=brain.version if brain else "none",
            strategy=ranked.strategy,
            events_through=moment(state.events_through) if state and may_use(state, world.rules) else None,
            learned_through=moment((brain.learned_through if brain else 0.0) or world.counters.learned_through),
            created_at=instant(now),
            items=tuple(items),
            search=facts,
        )

    def _own_list(
        self, slate_id: str, ranked: _Ranked, n: int, state: UserState | None, world: World, now: float,
        rng: random.Random,
    ) -> Slate:  # fmt: skip
        """Nothing was found: the shopper's own list, and it says so."""
        ask = Ask(ranked.user_id, PLACEMENT, n, None, Cause("request"), state)
        slate = recommend(ask, world, now=now, rng=rng)
        return msgspec.structs.replace(slate, slate_id=slate_id, strategy="search-fallback", search=ranked.facts)

    def suggest(self, typed: str, n: int, world: World, now: float) -> list[Suggestion]:
        """For nobody in particular, so nothing of what is for certain people alone. Raises BadInput."""
        view = world.catalog.view()
        self._suggester.renew(view, world.counters.queries)
        shown = permission(view, None, world, now).allowed & view.listed
        kept = self._shelved
        if kept is None or kept.view.ids is not view.ids or not 0 <= now - self._shelved_at < POPULAR_S:
            kept = self._shelf(world, now)
        return self._suggester.suggest(typed, view, shown, n, kept.popularity)

    def remembers(self, user_id: str, page: str | None) -> bool:
        """Whether this page is of a search that is known here still, so that its query is not read again. Any thread
        may ask."""
        kept = None if page is None else self._ranked.peek(page.partition(".")[0])
        return kept is not None and kept.user_id == user_id

    # ------------------------------------------------------------------ learning
    def clicked(self, slate_id: str, user_id: str, item_ids: Sequence[str], at: float) -> bool:
        """Learn from a click on a list that was made here, at `at`; whether anything was: see `rec.search.lessons`."""
        ranked = self._ranked.get(slate_id)
        if ranked is None or ranked.user_id != user_id:
            return False
        places = [ranked.item_ids.index(item_id) for item_id in set(item_ids) & set(ranked.item_ids)]
        return bool(places) and self._lessons.learn(user_id, ranked.query, ranked.features, places, at)

    def forget(self, user_id: str) -> int:
        """Drop what is remembered of a user's searches and lessons; how many searches there were."""
        self._lessons.forget(user_id)
        theirs = [slate_id for slate_id, ranked in self._ranked.items() if ranked.user_id == user_id]
        for slate_id in theirs:
            self._ranked.pop(slate_id)
        return len(theirs)


class _Laid(NamedTuple):
    """Places, first to last: rows, scores, features and exactness [m], and which of them a rule has pinned."""

    rows: Ints
    scores: list[float]
    features: Floats
    exact: Mask
    rules: dict[int, str]


def _seated(matches: Matches, pins: Sequence[Pin], shelf: Shelf) -> _Laid:
    """With what is pinned; that takes the score of the place behind it."""
    seats = seated(matches.rows[:RANKED], pins, matches.allowed, shelf.popularity)[:RANKED]
    scores, last = [], 0.0
    for seat in reversed(seats):
        if seat.at is not None and seat.rule_id is None:
            last = float(matches.scores[seat.at])
        scores.append(last)
    return _Laid(
        np.array([seat.row for seat in seats], np.int32),
        scores[::-1],
        np.array([_NOTHING if seat.at is None else matches.features[seat.at] for seat in seats], np.float32),
        np.array([seat.at is not None and matches.exact[seat.at] for seat in seats], np.bool_),
        {place: seat.rule_id for place, seat in enumerate(seats) if seat.rule_id is not None},
    )


def _why(ranked: _Ranked, at: int) -> tuple[Reason, str]:
    """Reason and source of an item: who pinned it, or what spoke most for it."""
    if (rule_id := ranked.rules.get(at)) is not None:
        return Reason("pinned", policy=(f"pin:{rule_id}",)), "rule"
    policy = ranked.policies[at] if ranked.policies else ()
    speaks = dict(zip(FUSED, ranked.features[at].tolist(), strict=True))
    if ranked.exact[at]:
        return Reason("exact_match", value=ranked.query, policy=policy), "search"
    if speaks["clicks"] >= 0.5:
        return Reason("chosen_for", value=ranked.query, policy=policy), "clicks"
    if speaks["covered"] > 0 or speaks["lexical"] > 0:
        return Reason("matches", value=ranked.query, policy=policy), "search"
    return Reason("means", value=ranked.query, policy=policy), "content"
