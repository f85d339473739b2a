"""catalog, state, query → **engine** → slate. Search as one object with one owner: its thread does everything in order.

What it holds: the index, the fusion that clicks teach, the suggestions, and the searches of the last minutes, so that
the next page is of the same order and a click is known to be of its query. Nothing of it is a shopper's for longer.
`now` and `rng` are arguments.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterable, Sequence

import msgspec
import numpy as np

from rec.catalog import Floats, Item, card
from rec.events import instant, moment
from rec.ids import uuid7
from rec.protocol import Search
from rec.recent import Recent
from rec.recommend import Ask, World, may_use, recommend
from rec.search.filters import SAID, Filters, passes
from rec.search.finding import find
from rec.search.fusion import Fusion
from rec.search.lessons import Lessons
from rec.search.lexical import LexicalIndex
from rec.search.paging import asked_for, place_of, token
from rec.search.permission import PLACEMENT, Permission, permission
from rec.search.personal import taste
from rec.search.reading import Reader, Synonyms
from rec.search.remembered import Listed, Ranked, listed, ranked_of
from rec.search.suggest import Suggester, Suggestion
from rec.search.words import Words
from rec.shelf import Shelf
from rec.slates import Cause, Position, SearchFacts, Slate, SlateItem
from rec.state import UserState

REMEMBERED = 4_000  # searches that are paged through, and as many lists that are learned from; the last half at least
POPULAR_S = 60.0  # what is popular among suggestions may be so old
NOWHERE = Position("none", 0)


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
        self._ranked: Recent[str, Ranked] = Recent(REMEMBERED)  # by the slate_id of the first page; if there is another
        self._listed: Recent[str, Listed] = Recent(REMEMBERED)  # by slate_id

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
        if not ranked.item_ids:
            return self._own_list(slate_id, ranked, wanted.n, state, world, now, rng)
        if wanted.n + offset < len(ranked.item_ids):
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
    ) -> Ranked:
        filters = Filters(wanted.category, wanted.brand, wanted.price_min, wanted.price_max, wanted.in_stock)
        matches = find(
            wanted.q, self._reader, self.index, shelf, vector=vector, dense=dense, filters=filters, sort=wanted.sort,
            fusion=self._lessons.serving, clicks=world.counters.queries.of(wanted.q, now),
            taste=lambda rows: taste(rows, state, shelf, world, now), may=may,
        )  # fmt: skip
        fallback = None if len(matches.rows) else "nothing_matches"
        if matches.sold_out:
            fallback = "out_of_stock"
        elif matches.ignored:
            fallback = "filters_exclude_all"
        facets = matches.facets
        facts = SearchFacts(
            query=wanted.q,
            total=matches.total,
            understood=matches.understood,
            corrected=matches.corrected,
            categories=facets.category,
            brands=facets.brand,
            prices=facets.price,
            stock=facets.stock,
            fallback=fallback,  # type: ignore[arg-type]
            ignored=tuple("q" if name == SAID else name for name in matches.ignored),
        )
        return ranked_of(matches, (user_id, asked, wanted.q), facts, shelf, may)

    def _page(
        self,
        ranked: Ranked,
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
        """Places from `offset` on; what went out of the catalog meanwhile, may not be shown any more, or passes the
        filters no more, leaves a gap, and moves nothing."""
        view = shelf.view
        end = min(offset + n, len(ranked.item_ids))
        there = [(at, row) for at in range(offset, end) if (row := view.row(ranked.item_ids[at])) is not None]
        rows = np.array([row for _, row in there], np.int32)
        may_be = may.allowed[rows] & passes(view, ranked.filters, rows)
        items, places = [], []
        for (at, row), still in zip(there, may_be.tolist(), strict=True):
            if not still or (item := view.items[row]).flagged:
                continue
            reason, source = ranked.why(at)
            items.append(SlateItem(item.item_id, float(ranked.scores[at]), source, reason, item=card(item)))
            places.append(at)
        made = slate_id or uuid7(now, rng.getrandbits)
        self._listed.put(made, listed(ranked, places))
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
        self, slate_id: str, ranked: Ranked, n: int, state: UserState | None, world: World, now: float,
        rng: random.Random,
    ) -> Slate:  # fmt: skip
        """Nothing was found: the shopper's own list, and it says so."""
        ask = Ask(ranked.user_id, PLACEMENT, n, None, Cause("request"), state)
        slate = recommend(ask, world, now=now, rng=rng)
        return msgspec.structs.replace(slate, slate_id=slate_id, strategy="search-fallback", search=ranked.facts)

    def suggest(self, typed: str, n: int, world: World, now: float) -> list[Suggestion]:
        """For nobody in particular, so nothing of what is for certain people alone. Raises BadInput."""
        view = world.catalog.view()
        self._suggester.renew(view, world.counters.queries, now)
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
        shown = self._listed.get(slate_id)
        if shown is None or shown.user_id != user_id:
            return False
        places = [shown.item_ids.index(item_id) for item_id in set(item_ids) & set(shown.item_ids)]
        return bool(places) and self._lessons.learn(user_id, shown.query, shown.features, places, at)

    def forget(self, user_id: str) -> int:
        """Drop what is remembered of a user's searches and lessons; how many lists there were."""
        self._lessons.forget(user_id)
        for slate_id in [slate_id for slate_id, one in self._ranked.items() if one.user_id == user_id]:
            self._ranked.pop(slate_id)
        theirs = [slate_id for slate_id, one in self._listed.items() if one.user_id == user_id]
        for slate_id in theirs:
            self._listed.pop(slate_id)
        return len(theirs)
