"""feedback → **the book** → auction. What each campaign has spent, and what became of the ads that were seen.

    spend      of each campaign and day (UTC): the agreed price of each first click on an ad of a list, once a list
    odds       sums of impressions and clicks by ad, nearness and place, and by bin of the odds         rec.ads.odds
    traffic    lists seen by hour, for how a day goes                                                   rec.ads.pacing

Every worker reads the whole topic `feedback` and so has the same book. It carries the offsets it has read, in one
snapshot; of a list that comes again with a newer revision the earlier one is taken back. So a click counts once,
whatever crashes and wherever partitions go (as rec.rates). Names nobody. Pure: time comes with the examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from rec.ads.odds import Odds, Sum, believed, bin_of, cell_key, seat_key
from rec.ads.pacing import DAY_S, DAYS, HOUR_S, day_curve
from rec.ads.terms import CLICK, Terms
from rec.feedback import FeedbackExample
from rec.ids import mark64
from rec.pieces import pieces
from rec.recent import Recent
from rec.snapshots import opened

FORMAT = 1
KINDS = ("cell", "bin", "check")
MAX_LISTS = 100_000  # without a click on an ad; remembered, in case they come again
REMEMBER_S = 6 * HOUR_S  # so long one with a click is, however many come meanwhile: it was paid for
MAX_CELLS = 10_000  # of ad, nearness and place: believed in some 30 ms
KEPT_DAYS = DAYS + 1
CHECK = "all"
FORESIGHT_S = 12 * HOUR_S  # half-life of the sums that compare what was foreseen with what came of it


class Tally(NamedTuple):
    """Of the ads that were seen on a day (UTC): how many, clicks that p(click) foresaw, and clicks."""

    impressions: float = 0.0
    foreseen: float = 0.0
    clicks: float = 0.0


class Line(NamedTuple):
    """An ad of a list that was seen: under which terms, and when it was clicked on first (0: never)."""

    item_id: str
    terms: Terms
    clicked: float


class _Counted(NamedTuple):
    revision: int
    at: float
    placement: str
    lines: tuple[Line, ...]

    @property
    def paid(self) -> bool:
        """Whether it has cost anybody anything."""
        return any(line.clicked for line in self.lines)


class AdBook:
    """Learns from every example. `offsets` are carried for whoever reads the log.

    `remember_s`: a list of which an ad was clicked may come again for so long, and is counted once all that time.
    """

    def __init__(
        self, half_life_s: float = 7 * DAY_S, *, max_lists: int = MAX_LISTS, remember_s: float = REMEMBER_S
    ) -> None:
        self.half_life_s, self._remember_s = half_life_s, remember_s
        self.learned = 0  # examples, since this process began
        self.offsets: dict[int, int] = {}
        self._spent: dict[int, dict[str, float]] = {}  # day → campaign → money
        self._days: dict[int, dict[str, Tally]] = {}  # day → campaign → what was seen then
        self._sums: dict[str, dict[str, Sum]] = {kind: {} for kind in KINDS}
        self._hours: dict[int, float] = {}  # hour → lists seen
        self._known: Recent[int, _Counted] = Recent(max_lists)
        self._paid: dict[int, _Counted] = {}

    def learn(self, example: FeedbackExample) -> bool:
        """Count a list; False for one that was counted, or whose successor was."""
        mark = mark64(example.slate_id)
        known = self._paid.get(mark) or self._known.get(mark)
        now = _Counted(example.revision, example.at, example.placement, lines_of(example))
        # After a crash one revision may come twice, and say more the second time.
        if known is not None and (known.revision, known.at, known.lines) == (now.revision, now.at, now.lines):
            return False
        if known is not None and known.revision > now.revision:
            return False
        if example.user_id and (known is None or known.at != now.at):  # else its list comes by itself
            if known is not None:
                self._traffic(known.at, -1.0)
            self._traffic(now.at, 1.0)
        if known is not None:
            self._count(known, -1.0)
        self._count(now, 1.0)
        self._remember(mark, now)
        self.learned += 1
        return True

    def _remember(self, mark: int, counted: _Counted) -> None:
        if not counted.paid:
            self._paid.pop(mark, None)
            self._known.put(mark, counted)
            return
        self._paid[mark] = counted
        while (first := next(iter(self._paid.items())))[1].at < counted.at - self._remember_s:
            del self._paid[first[0]]

    def _traffic(self, at: float, amount: float) -> None:
        hour = int(at // HOUR_S)
        self._hours[hour] = self._hours.get(hour, 0.0) + amount
        if len(self._hours) > 24 * (KEPT_DAYS + 1):
            first = max(self._hours) - 24 * KEPT_DAYS
            self._hours = {hour: lists for hour, lists in self._hours.items() if hour >= first}

    def _count(self, counted: _Counted, sign: float) -> None:
        at = counted.at
        for item_id, terms, when in counted.lines:
            clicks = sign * bool(when)
            if when:
                self._bill(terms, when, sign)
            self._tally(terms, at, sign, clicks)
            cell = cell_key(item_id, terms.near, seat_key(counted.placement, terms.place))
            self._add("cell", cell, sign, sign * terms.raw, clicks, at)
            self._add("bin", str(bin_of(terms.raw)), sign, sign * terms.raw, clicks, at)
            self._add("check", CHECK, sign, sign * terms.chance, clicks, at)

    def _bill(self, terms: Terms, when: float, sign: float) -> None:
        day = int(when // DAY_S)
        spent = self._spent.setdefault(day, {})
        spent[terms.campaign] = max(0.0, spent.get(terms.campaign, 0.0) + sign * terms.price)
        for old in [each for each in self._spent if each < max(self._spent) - KEPT_DAYS]:
            del self._spent[old]

    def _tally(self, terms: Terms, at: float, sign: float, clicks: float) -> None:
        of = self._days.setdefault(int(at // DAY_S), {})
        shown, foreseen, clicked = of.get(terms.campaign, Tally())
        now = shown + sign, foreseen + sign * terms.chance, clicked + clicks
        of[terms.campaign] = Tally(*(max(0.0, each) for each in now))
        for old in [each for each in self._days if each < max(self._days) - KEPT_DAYS]:
            del self._days[old]

    def _add(self, kind: str, name: str, shown: float, expected: float, clicks: float, at: float) -> None:
        sums = self._sums[kind]
        if (found := sums.get(name)) is None:
            if len(sums) >= MAX_CELLS:  # the longest unseen make room
                for gone in sorted(sums, key=lambda each: sums[each].at)[: MAX_CELLS // 2]:
                    del sums[gone]
            found = sums[name] = Sum()
        found.add(shown, expected, clicks, at, self._half_life_s(kind))

    def _half_life_s(self, kind: str) -> float:
        """What was foreseen says more of how well is foreseen now than what was foreseen when less was known."""
        return self.half_life_s if kind == "cell" else min(self.half_life_s, FORESIGHT_S)

    # ------------------------------------------------------------------ reading
    def spent(self, now: float) -> dict[str, float]:
        """campaign → what its clicks of this day (UTC) cost, as agreed. A budget is billed in full at most."""
        return dict(self._spent.get(int(now // DAY_S), {}))

    def tallies(self, now: float) -> dict[str, Tally]:
        """campaign → what was seen of its ads this day (UTC), and what came of that."""
        return dict(self._days.get(int(now // DAY_S), {}))

    def odds(self, now: float) -> Odds:
        """What is believed of clicks."""
        cells = {name: each.as_of(now, self._half_life_s("cell")) for name, each in self._sums["cell"].items()}
        bins = {name: each.as_of(now, self._half_life_s("bin")) for name, each in self._sums["bin"].items()}
        return believed(cells, bins)

    def traffic(self, now: float) -> tuple[float, ...]:
        """Of the 24 hours of a day."""
        return day_curve(self._hours, now)

    def check(self, now: float) -> tuple[float, float]:
        """(clicks, clicks that were foreseen) of the ads that were seen, decayed: alike where p(click) is true."""
        found = self._sums["check"].get(CHECK, Sum()).as_of(now, self._half_life_s("check"))
        return found[2], found[1]

    # ------------------------------------------------------------------ snapshots
    def to_pieces(self) -> Iterator[bytes]:
        """All of it, as of now, in pieces of some thousand bytes; nothing may be learned until the last is out."""
        known = [self._known.old, self._known.young, self._paid]
        return pieces([FORMAT, self.offsets, self._spent, self._sums, self._hours, known, self._days])

    def to_bytes(self) -> bytes:
        """The same at once."""
        return b"".join(self.to_pieces())

    @classmethod
    def from_bytes(
        cls, raw: bytes, half_life_s: float = 7 * DAY_S, *, rewound: bool = False, remember_s: float = REMEMBER_S
    ) -> AdBook:
        """As `to_bytes` left it. `rewound`: the log that the offsets are of is gone, a new one begins.

        Raises ModelError if these are no such bytes; the remedy is to drop them and learn from the log anew.
        """
        kept = opened(raw, _decoder, "ads", FORMAT)
        self = cls(half_life_s, remember_s=remember_s)
        self.offsets = {} if rewound else kept.offsets
        self._spent, self._hours, self._days = kept.spent, kept.hours, kept.days
        self._sums |= kept.sums
        for generation in kept.known:
            for mark, counted in generation.items():
                self._remember(mark, counted)
        return self


def lines_of(example: FeedbackExample) -> tuple[Line, ...]:
    """The ads of a list that were seen. A click from before the list, by a clock that was wrong, is of its moment."""
    seen = ((place, place.ad, place.actions.get(CLICK)) for place in example.places if place.seen)
    return tuple(
        Line(place.item_id, ad, 0.0 if click is None else max(click, example.served_at))
        for place, ad, click in seen
        if ad is not None
    )


class _Snapshot(msgspec.Struct, array_like=True):
    format: int
    offsets: dict[int, int]
    spent: dict[int, dict[str, float]]
    sums: dict[str, dict[str, Sum]]
    hours: dict[int, float]
    known: list[dict[int, _Counted]]
    days: dict[int, dict[str, Tally]] = {}


_decoder = msgspec.msgpack.Decoder(_Snapshot)
