"""feedback → **rates** → people, reports. Smoothed CTR and CVR by item, category, placement and strategy.

    CTR   of the times an item was seen, how many led to an action that wants it
    CVR   of those, how many to a purchase

Counts decay by half in `half_life_s` of event time. A rate is the mean of a Beta posterior (beta-binomial; Gelman et
al., Bayesian Data Analysis, 2.4) with its equal-tailed 95 % interval. The prior of the whole is Jeffreys' Beta(½, ½).
That of a part is what the others of its kind say (empirical Bayes, rec.priors), so a thing seen three times does not
claim 100 %; where they are too few to say anything it is Jeffreys' too. Pure: time comes with the examples.

Invariants: of several revisions of an example the newest is counted, in whatever order and however often they come;
nobody is named: of a list a hash and what was counted of it is remembered, and that of the last `max_lists` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, get_args

import msgspec

from rec.events import POSITIVE
from rec.feedback import FeedbackExample, Place
from rec.ids import mark64
from rec.pieces import pieces
from rec.policy.exposure import Amounts, Exposures
from rec.priors import Others, Prior
from rec.protocol import RateKind
from rec.recent import Recent
from rec.scenes import SEARCH
from rec.snapshots import opened

KINDS: tuple[RateKind, ...] = get_args(RateKind)
EVERYTHING = "all"  # the key of the kind `all`
LEVEL = 0.95
FORMAT = 1
MAX_PARTS = 2_000  # that the prior of the others is made from

UNSEEN, SEEN, CLICKED, BOUGHT = range(4)


class Count(msgspec.Struct, array_like=True):
    """Decayed sums as of `at`, seconds since 1970."""

    seen: float = 0.0
    clicks: float = 0.0
    purchases: float = 0.0
    at: float = 0.0

    def add(self, amount: tuple[float, float, float], at: float, half_life_s: float) -> None:
        """What happened at `at`. Decay commutes with addition, so the late are decayed first."""
        if at > self.at:
            kept, worth = 0.5 ** ((at - self.at) / half_life_s) if self.at else 0.0, 1.0
            self.seen, self.clicks, self.purchases = self.seen * kept, self.clicks * kept, self.purchases * kept
            self.at = at
        else:
            worth = 0.5 ** ((self.at - at) / half_life_s)
        seen, clicks, purchases = amount
        self.seen += seen * worth
        self.clicks += clicks * worth
        self.purchases += purchases * worth

    def as_of(self, now: float, half_life_s: float) -> tuple[float, float, float]:
        """(seen, clicks, purchases) decayed to `now`; none below 0, none above the one before it."""
        kept = 0.5 ** (max(0.0, now - self.at) / half_life_s)
        seen = max(0.0, self.seen * kept)
        clicks = min(seen, max(0.0, self.clicks * kept))
        return seen, clicks, min(clicks, max(0.0, self.purchases * kept))


class Rate(msgspec.Struct, frozen=True):
    """A posterior mean and its 95 % interval."""

    value: float
    low: float
    high: float


class Row(msgspec.Struct, frozen=True):
    """What is known of one item, category, placement or strategy; counts are decayed sums."""

    key: str
    seen: float
    clicks: float
    purchases: float
    ctr: Rate
    cvr: Rate


class _Counted(NamedTuple):
    """What was counted of a list, to take it back when a newer revision comes."""

    revision: int
    at: float
    codes: bytes  # one a place


class Rates:
    """Learns from every example. `offsets` are carried for whoever reads the log."""

    def __init__(self, half_life_s: float = 7 * 86_400, *, max_lists: int = 100_000, max_keys: int = 200_000) -> None:
        self.half_life_s, self.max_keys = half_life_s, max_keys
        self.offsets: dict[int, int] = {}
        self.through = 0.0  # the newest list counted, by its first sign
        self.lists = 0
        self._counts: dict[RateKind, dict[str, Count]] = {kind: {} for kind in KINDS}
        self._known: Recent[int, _Counted] = Recent(max_lists)
        self.exposures = Exposures(half_life_s)

    def learn(self, example: FeedbackExample) -> bool:
        """Count an example; False for one that was counted, or whose successor was."""
        mark = mark64(example.slate_id)
        known = self._known.get(mark)
        if known is not None and known.revision >= example.revision:
            return False
        codes = bytes(map(code_of, example.places))
        if known is not None:
            self._add(example, known.codes, known.at, -1.0)
        self._add(example, codes, example.at, 1.0)
        self._known.put(mark, _Counted(example.revision, example.at, codes))
        self.lists += known is None and bool(example.user_id)  # else a list's ads alone (rec.ads.receipt)
        self.through = max(self.through, example.at)
        for kind, counts in self._counts.items():  # a client may ask for placements that it has invented
            if len(counts) > self.max_keys:
                self._counts[kind] = self._most_seen(counts)
        return True

    def _add(self, example: FeedbackExample, codes: bytes, at: float, sign: float) -> None:
        whole = [0.0, 0.0, 0.0]
        for place, code in zip(example.places, codes, strict=False):
            if code == UNSEEN:
                continue
            amount = (sign, sign * (code >= CLICKED), sign * (code >= BOUGHT))
            if place.ad is None:  # what was paid for is not what the list was made for
                whole = [a + b for a, b in zip(whole, amount, strict=True)]
            self._count("item", place.item_id, amount, at)
            if place.category:
                self._count("category", place.category, amount, at)
        seen = [
            (at_place, place.brand, place.seller)
            for at_place, (place, code) in enumerate(zip(example.places, codes, strict=False))
            if code != UNSEEN and place.ad is None
        ]
        if example.placement != SEARCH:  # drawn from nothing: whoever is asked for by name has not had too much
            self.exposures.add(seen, example.merit, at, sign)
        together = (whole[0], whole[1], whole[2])
        self._count("all", EVERYTHING, together, at)
        self._count("placement", example.placement, together, at)
        self._count("strategy", example.strategy, together, at)

    def _count(self, kind: RateKind, key: str, amount: tuple[float, float, float], at: float) -> None:
        counts = self._counts[kind]
        if (count := counts.get(key)) is None:
            count = counts[key] = Count()
        count.add(amount, at, self.half_life_s)

    def _most_seen(self, counts: dict[str, Count]) -> dict[str, Count]:
        """Half of what may be kept; the rest makes room."""
        order = sorted(counts, key=lambda key: (-counts[key].as_of(self.through, self.half_life_s)[0], key))
        return {key: counts[key] for key in order[: self.max_keys // 2]}

    # ------------------------------------------------------------------ reading
    def rows(self, kind: RateKind, now: float, *, limit: int = 50, key: str | None = None) -> list[Row]:
        """The most seen of a kind as of `now`, at most `limit`; with `key` that one alone, if it was ever seen."""
        counts = self._counts[kind]
        ctr, cvr = self.others(kind, now)
        if key is not None:
            counts = {key: counts[key]} if key in counts else {}
        found = [(name, count.as_of(now, self.half_life_s)) for name, count in counts.items()]
        found.sort(key=lambda pair: (-pair[1][0], pair[0]))
        rows = []
        for name, (seen, clicks, purchases) in found[:limit]:
            priors = ctr.prior(name), cvr.prior(name)
            rates = rate_of(clicks, seen, priors[0]), rate_of(purchases, clicks, priors[1])
            rows.append(Row(name, seen, clicks, purchases, *rates))
        return rows

    def others(self, kind: RateKind, now: float) -> tuple[Others, Others]:
        """What the parts of a kind say about the CTR and the CVR of one of them; of many a sample of `MAX_PARTS`."""
        counts = self._counts[kind]
        sample = islice(counts, 0, None, max(1, -(-len(counts) // MAX_PARTS)))
        parts = {name: counts[name].as_of(now, self.half_life_s) for name in sample}
        return (
            Others({name: (clicks, seen) for name, (seen, clicks, _) in parts.items()}),
            Others({name: (purchases, clicks) for name, (_, clicks, purchases) in parts.items()}),
        )

    # ------------------------------------------------------------------ snapshots
    def to_bytes(self) -> bytes:
        """All of it, as of now."""
        return b"".join(self.to_pieces())

    def to_pieces(self) -> Iterator[bytes]:
        """The same in pieces of some thousand bytes; nothing may be learned until the last of them is out."""
        counts, known = list(self._counts.values()), self._known.generations
        kept = [FORMAT, self.half_life_s, self.offsets, self.through, self.lists, counts, known]
        return pieces([*kept, self.exposures.amounts])

    @classmethod
    def from_bytes(cls, raw: bytes, half_life_s: float = 7 * 86_400, *, rewound: bool = False) -> Rates:
        """Rates as `to_bytes` left them. `rewound`: the log that the offsets are of is gone, a new one begins.

        Raises ModelError if these are no such bytes; the remedy is to drop them and learn from the log anew.
        """
        kept = opened(raw, _decoder, "rates", FORMAT)
        self = cls(half_life_s)
        self.offsets = {} if rewound else kept.offsets
        self.through, self.lists = kept.through, kept.lists
        self._counts = dict(zip(KINDS, kept.counts, strict=True))
        self._known.restore(kept.known)
        self.exposures = Exposures(half_life_s, kept.exposures)
        return self


class _Snapshot(msgspec.Struct, array_like=True):
    format: int
    half_life_s: float
    offsets: dict[int, int]
    through: float
    lists: int
    counts: list[dict[str, Count]]
    known: list[dict[int, _Counted]]
    exposures: Amounts | None = None


_decoder = msgspec.msgpack.Decoder(_Snapshot)


def code_of(place: Place) -> int:
    """What of a place is counted: the furthest that somebody went with it."""
    if "purchase" in place.actions:
        return BOUGHT
    if any(name in POSITIVE for name in place.actions):
        return CLICKED
    return SEEN if place.seen else UNSEEN


def rate_of(hits: float, tries: float, prior: Prior) -> Rate:
    """Posterior of a rate after `hits` in `tries`, which need not be whole.

    >>> rate = rate_of(3, 3, Prior(1, 19)); round(rate.value, 3), rate.low < 0.18 < rate.high < 0.4
    (0.174, True)
    """
    from scipy.special import betaincinv  # takes a third of a second, and few processes ask

    a, b = prior.a + hits, prior.b + max(0.0, tries - hits)
    low, high = (float(betaincinv(a, b, q)) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Rate(a / (a + b), low, high)
