"""log `behavior` → **counters** → candidates. What all shoppers together teach: counts that stream.

Every worker reads the whole `behavior` topic with offsets of its own and so holds the same counters, however the
partitions of the user table move. One thread learns; any thread may read a `Tables`. Time comes with the events.

Invariants: an event_id counts once; what one subject does is learned alike however others' events fall in between
(but for pruning, see `Tables`); everything is bounded. The offsets lie in the same snapshot as what was learned up to
them, so a restart that seeks to them learns each record exactly once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from rec.consent import Standing, heard, usable
from rec.cooccurrence import STEPS, TREND, WHOLE, Amounts, Links, Tables
from rec.errors import ModelError
from rec.events import ACTIONS, ERASE, POSITIVE, Event
from rec.ids import mark64
from rec.pieces import pieces
from rec.recent import Recent
from rec.search.clicks import Asked, QueryClicks
from rec.votes import Vote, Votes

TRAIL = 20  # positive items remembered of a subject
SUCCESSORS = 200  # rules, and neighbours, kept of an item
SHIFT = 64  # half-lives after which the popularity is scaled back, long before a float64 overflows
FORMAT = 5

_WEIGHTS = [WHOLE // distance for distance in range(1, STEPS + 1)]


class Counters:
    """Learns from every accepted event. `tables` for readers, `offsets` carried for whoever reads the log."""

    def __init__(
        self,
        half_life_s: float = 2 * 86_400,
        *,
        consent_default: bool = True,
        max_subjects: int = 200_000,
        max_events: int = 200_000,
        max_items: int = 500_000,
    ) -> None:
        self.half_life_s = half_life_s
        self.consent_default = consent_default
        self.max_items = max_items
        self.tables = Tables()
        self.learned_through = 0.0
        self.counted = 0
        self.duplicates = 0
        self.offsets: dict[int, int] = {}
        self._origin = 0.0  # the time at which a gain of the popularity counts as itself
        self._trend_origin = 0.0
        self._events: Recent[int, bool] = Recent(max_events)
        self._trails: Recent[str, list[tuple[float, int]]] = Recent(max_subjects)
        self._choices: Recent[str, Standing] = Recent(max_subjects)
        self.queries = QueryClicks()
        self._votes = Votes()
        self._owners: Recent[str, str] = Recent(max_subjects)  # visitor → the first user recognised; user → itself

    # ------------------------------------------------------------------ learning
    def learn(self, event: Event) -> bool:
        """Count one event; False for one that was counted before, or that may not be learned from.

        A choice is heard first: a visitor's event comes once more as the user's, with the same id, and so does the
        choice it carries. An id that was not counted is not remembered; another record may bring it to who allows it.
        """
        subject = event.subject
        if event.event == ERASE:
            self.forget(subject)
            return True
        standing = self._choices.get(subject)
        if event.consent is not None:
            standing = self._heard(event, subject, standing)
        mark = mark64(event.event_id)
        if mark in self._events:
            self.duplicates += 1
            return False
        if not usable(standing, event, self.consent_default):
            return False
        at = event.at
        self.learned_through = max(self.learned_through, at)
        self._events.put(mark, True)
        self.counted += 1
        if event.user_id is not None and self._owners.get(subject) is None:
            self._owners.put(subject, subject)  # whoever ever was a user is nobody's visitor
        self.queries.learn(event)
        if event.event in POSITIVE:
            trail = self._trail(event, subject, 0.0 if standing is None else standing.since)
            gain = ACTIONS[event.event].gain
            for item in event.items:
                self._count(
                    trail, self._votes.cast(subject, item.item_id, at, gain, self.half_life_s), item.item_id, at
                )
            if len(self.tables) > self.max_items:
                self._drop_least()
        return True

    def forget(self, subject: str) -> bool:
        """Drop what is kept under a user's or visitor's id; whether there was anything.

        Counts that others share remain: they name no one. Until the next snapshot the last one still holds the trail.
        """
        trail, choice = self._trails.pop(subject), self._choices.pop(subject)
        self._owners.pop(subject)
        self.queries.forget(subject)
        self._votes.forget(subject)
        return trail is not None or choice is not None

    def trail(self, subject: str) -> list[tuple[float, str]]:
        """(time, item_id) of the last positive items of a subject, oldest first: all that is kept by name."""
        return [(at, self.tables.ids[code]) for at, code in self._trails.get(subject) or ()]

    def _heard(self, event: Event, subject: str, before: Standing | None) -> Standing | None:
        """The subject's standing with the choice of this event. What a denial withdraws goes from the trails."""
        now = heard(before, event)
        if now is None or now is before:
            return before
        self._choices.put(subject, now)
        if now.denied or (before is not None and not before.denied and now.since > before.since):
            for name in event.names:
                self._trails.pop(name)
        return now

    def _trail(self, event: Event, subject: str, since: float) -> list[tuple[float, int]]:
        trail = self._trails.get(subject)
        if trail is None:
            self._trails.put(subject, trail := [])
        if event.visitor_id and event.visitor_id != subject and self._owns(subject, event.visitor_id):
            earlier = self._trails.pop(event.visitor_id)
            if earlier:
                trail[:] = sorted({*trail, *(entry for entry in earlier if entry[0] >= since)})[-TRAIL:]
        return trail

    def _owns(self, user_id: str, visitor_id: str) -> bool:
        """Whether the visitor is this user's, as in `rec.merging.may_merge`: the first to be recognised has them."""
        owner = self._owners.get(visitor_id)
        if owner is None:
            self._owners.put(visitor_id, user_id)
        return owner in (None, user_id)

    def _count(self, trail: list[tuple[float, int]], vote: Vote, item_id: str, at: float) -> None:
        tables = self.tables
        code = tables.code(item_id)
        worth, trend = self._worth(vote.at), self._trend(vote.at)  # first: they may put other arrays in place
        tables.popularity[code] += vote.popular * worth
        tables.trend[code] += vote.trend * trend
        tables.seen_at[code] = max(tables.seen_at[code], at)
        entry = (at, code)
        # Of equal times the later arrival comes later: items of one order keep the order they were sent in.
        place = len(trail) if not trail or at >= trail[-1][0] else bisect_right(trail, at, key=_time)
        if place and trail[place - 1][1] == code:  # a click and the view it leads to are one step, not two
            trail[place - 1] = entry
            return
        rules, neighbours = tables.rules.rows, tables.neighbours.rows
        window = [trail[i][1] for i in range(place - 1, max(-1, place - 1 - STEPS), -1)]
        for other, weight in zip(window, _WEIGHTS, strict=False):
            if other != code:
                row = rules[other]
                row[code] = row.get(code, 0) + weight
                if len(row) > 2 * SUCCESSORS:
                    rules[other] = _strongest(row)
                tables.rules.changed(other)
        if code not in window:  # else the pairs were counted when it came in first
            tables.support[code] += 1.0
            mine = neighbours[code]
            for other in set(window):
                mine[other] = mine.get(other, 0) + 1
                theirs = neighbours[other]
                theirs[code] = theirs.get(code, 0) + 1
                if len(theirs) > 2 * SUCCESSORS:
                    neighbours[other] = _strongest(theirs)
                tables.neighbours.changed(other)
            if len(mine) > 2 * SUCCESSORS:
                neighbours[code] = _strongest(mine)
            tables.neighbours.changed(code)
        trail.insert(place, entry)
        if len(trail) > TRAIL:
            del trail[0]

    def _worth(self, at: float) -> float:
        """Forward decay (Cormode et al., ICDE 2009): later gains count more, so stored sums need no touching."""
        worth, self._origin, self.tables.popularity = _decayed(
            at, self._origin, self.half_life_s, self.tables.popularity
        )
        return worth

    def _trend(self, at: float) -> float:
        """As `_worth`, for what is popular now."""
        half_life = self.half_life_s / TREND
        worth, self._trend_origin, self.tables.trend = _decayed(at, self._trend_origin, half_life, self.tables.trend)
        return worth

    def _drop_least(self) -> None:
        """Half of the items, the least popular, make room. New tables take the old ones' place: readers keep theirs."""
        old, fresh = self.tables, Tables()
        order = np.argsort(-old.popularity[: len(old)], kind="stable")[: self.max_items // 2]
        moved = {int(code): fresh.code(old.ids[code]) for code in order}
        for code, to in moved.items():
            for links, linked in ((fresh.rules, old.rules), (fresh.neighbours, old.neighbours)):
                links.rows[to] = {moved[c]: count for c, count in linked.rows[code].items() if c in moved}
            for name in ("support", "popularity", "trend", "seen_at"):
                getattr(fresh, name)[to] = getattr(old, name)[code]
        for _, trail in self._trails.items():
            trail[:] = [(at, moved[code]) for at, code in trail if code in moved]
        self.tables = fresh

    # ------------------------------------------------------------------ snapshots
    def to_bytes(self) -> bytes:
        """All of it, as of now; call it from the thread that learns, so that it lies between two events."""
        return b"".join(self.to_pieces())

    def to_pieces(self) -> Iterator[bytes]:
        """The same in pieces of some thousand bytes; nothing may be learned until the last of them is out."""
        tables, n = self.tables, len(self.tables)
        snapshot = _Snapshot(
            format=FORMAT,
            half_life_s=self.half_life_s,
            origin=self._origin,
            trend_origin=self._trend_origin,
            learned_through=self.learned_through,
            counted=self.counted,
            duplicates=self.duplicates,
            offsets=self.offsets,
            ids=tables.ids,
            rules=tables.rules.rows,
            neighbours=tables.neighbours.rows,
            support=tables.support[:n].tobytes(),
            popularity=tables.popularity[:n].tobytes(),
            trend=tables.trend[:n].tobytes(),
            seen_at=tables.seen_at[:n].tobytes(),
            events=[_marks(marks) for marks in self._events.generations],
            trails=self._trails.generations,
            choices=self._choices.generations,
            owners=self._owners.generations,
            queries=self.queries.to_parts(),
            votes=self.queries.votes(),
            liked=self._votes.to_parts(),
        )
        return pieces([getattr(snapshot, name) for name in _Snapshot.__struct_fields__])

    @classmethod
    def from_bytes(cls, raw: bytes, half_life_s: float = 2 * 86_400, **limits: Any) -> Counters:
        """Counters as `to_bytes` left them. Other settings than then hold from here on.

        Raises ModelError if these are no such bytes; the remedy is to drop them and learn from the log anew.
        """
        try:
            kept = _decoder.decode(raw)
        except msgspec.DecodeError as error:
            raise ModelError(
                f"this is no snapshot of counters ({error}); delete it, the log teaches them anew"
            ) from None
        if kept.format != FORMAT:
            raise ModelError(
                f"a snapshot of counters in format {kept.format}, this version reads {FORMAT}; "
                "delete it, the log teaches them anew"
            )
        self = cls(half_life_s, **limits)
        tables = self.tables
        for item_id in kept.ids:
            tables.code(item_id)
        n = len(tables)
        tables.rules, tables.neighbours = Links(kept.rules), Links(kept.neighbours)
        tables.support[:n] = np.frombuffer(kept.support)
        tables.popularity[:n], tables.trend[:n] = np.frombuffer(kept.popularity), np.frombuffer(kept.trend)
        tables.seen_at[:n] = np.frombuffer(kept.seen_at)
        self._origin, self._trend_origin, self.learned_through = kept.origin, kept.trend_origin, kept.learned_through
        if kept.half_life_s != half_life_s and kept.origin:  # as it stood, decaying from then on at the new pace
            since, half_life = max(0.0, kept.learned_through - kept.origin), kept.half_life_s
            tables.popularity *= 2.0 ** -(since / half_life)
            tables.trend *= 2.0 ** -max(0.0, (kept.learned_through - kept.trend_origin) * TREND / half_life)
            self._origin = self._trend_origin = kept.learned_through
        self.counted, self.duplicates, self.offsets = kept.counted, kept.duplicates, kept.offsets
        self._events.restore([dict.fromkeys(np.frombuffer(marks, np.uint64).tolist(), True) for marks in kept.events])
        self._trails.restore(kept.trails)
        self._choices.restore(kept.choices)
        self._owners.restore(kept.owners)
        self.queries.restore(kept.queries, kept.votes)
        self._votes.restore(kept.liked)
        return self


class _Snapshot(msgspec.Struct, array_like=True):
    format: int
    half_life_s: float
    origin: float
    trend_origin: float
    learned_through: float
    counted: int
    duplicates: int
    offsets: dict[int, int]
    ids: list[str]
    rules: list[dict[int, int]]
    neighbours: list[dict[int, int]]
    support: bytes
    popularity: bytes
    trend: bytes
    seen_at: bytes
    events: list[bytes]
    trails: list[dict[str, list[tuple[float, int]]]]
    choices: list[dict[str, Standing]]
    owners: list[dict[str, str]]
    queries: list[dict[int, Asked]]
    votes: list[dict[int, float]] = []  # at the end, and not there in a snapshot of before there were votes
    liked: list[dict[int, Vote]] = []  # the same of items


_decoder = msgspec.msgpack.Decoder(_Snapshot)


def _decayed(at: float, origin: float, half_life: float, sums: Amounts) -> tuple[float, float, Amounts]:
    """What a gain at `at` is worth in `sums`, their origin, and the sums, scaled back if the origin had to move."""
    origin = origin or at
    age = (at - origin) / half_life
    if age > SHIFT:
        # By whole half-lives: a power of two, so that scaling rounds nothing.
        shift = int(age)
        sums = np.ldexp(sums, -shift)
        origin += shift * half_life
        age -= shift
    return float(2.0 ** max(-1000.0, age)), origin, sums


def _time(entry: tuple[float, int]) -> float:
    return entry[0]


def _strongest(row: dict[int, int]) -> dict[int, int]:
    return {code: row[code] for code in sorted(row, key=row.__getitem__, reverse=True)[:SUCCESSORS]}


def _marks(marks: dict[int, bool]) -> bytes:
    return np.fromiter(marks, np.uint64, len(marks)).tobytes()
