"""counts of impressions and clicks → **p(click)** → auction. Three factors, fitted together, and then made to be true.

    raw      quality of the ad × lift of its nearness to the shopper × lift of the place
             each factor: (clicks + its prior) / (impressions, weighed by the other two, + its prior), in turn until
             they fit (iterative scaling: Darroch & Ratcliff 1972); clicks over expected clicks: Zhang & Jones 2007
    p        a rising function of raw: clicks over foreseen clicks in bins of half a factor of two, made monotone by
             pooling adjacent violators: isotonic calibration, Zadrozny & Elkan 2002

The bins compare what was foreseen when an ad was served with what came of it, so what the factors believe too readily
(the winner of an auction is the one that was overrated most) is put right. What was overrated when little was known
is no measure of what is believed later: the bins forget within half a day.

All that is learned are sums. They do not depend on the order, so every worker that has read the same feedback believes
the same, and a list that is revised is taken back exactly. A logistic regression that is trained online (McMahan et
al. 2013) would do neither. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

NEAR = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # bounds of the likeness of an ad to what the shopper is after; code 0: unknown
BASE, BASE_SHOWN = 0.02, 50.0  # a rate of clicks to begin with, worth so many impressions
SHOWN = 50.0  # impressions that all ads together are worth for one of them
CLICKS = 5.0  # expected clicks without which a lift is not much else than 1
STEP = 2.0  # bins in a factor of two
ROUNDS = 10  # of fitting the factors
LEAST, MOST = 1e-4, 0.95  # of a p(click)

Counts = tuple[float, float, float]  # shown, foreseen, clicks
Numbers = npt.NDArray[np.float64]


class Sum(msgspec.Struct, array_like=True):
    """Decayed sums as of `at`, seconds since 1970."""

    shown: float = 0.0
    expected: float = 0.0
    clicks: float = 0.0
    at: float = 0.0

    def add(self, shown: float, expected: float, clicks: float, at: float, half_life_s: float) -> None:
        """What happened at `at`; below 0 takes back."""
        if at > self.at:
            kept, worth = (0.5 ** ((at - self.at) / half_life_s) if self.at else 0.0), 1.0
            self.shown, self.expected, self.clicks = self.shown * kept, self.expected * kept, self.clicks * kept
            self.at = at
        else:
            worth = 0.5 ** ((self.at - at) / half_life_s)
        self.shown += shown * worth
        self.expected += expected * worth
        self.clicks += clicks * worth

    def as_of(self, now: float, half_life_s: float) -> tuple[float, float, float]:
        """(shown, expected, clicks) decayed to `now`, none below 0."""
        kept = 0.5 ** (max(0.0, now - self.at) / half_life_s)
        return max(0.0, self.shown * kept), max(0.0, self.expected * kept), max(0.0, self.clicks * kept)


class Odds(NamedTuple):
    """What is believed at one moment. Values; whoever has them keeps them while more is learned."""

    base: float = BASE  # of an ad that nothing is known of
    qualities: Mapping[str, float] = {}  # by ad
    lifts: tuple[float, ...] = (1.0,) * (len(NEAR) + 2)  # by nearness, 0 where it is unknown
    seats: Mapping[str, float] = {}  # by placement and place, as `seat_key`
    xs: tuple[float, ...] = ()  # log raw, rising
    ys: tuple[float, ...] = ()  # log p there

    def quality(self, item_ids: Sequence[str]) -> Numbers:
        """[m] of the ads."""
        return np.array([self.qualities.get(item_id, self.base) for item_id in item_ids])

    def seat(self, placement: str, place: int) -> float:
        return self.seats.get(seat_key(placement, place), 1.0)

    def calibrated(self, raw: Numbers) -> Numbers:
        """[m] p(click) from the products of the factors [m].

        >>> Odds(xs=(-4.0, -3.0), ys=(-4.5, -3.2)).calibrated(np.exp([-5.0, -4.0, -3.5])).round(4).tolist()
        [0.0041, 0.0111, 0.0213]
        """
        logs = np.log(np.maximum(raw, LEAST))
        if self.xs:
            xs, ys = np.array(self.xs), np.array(self.ys)
            inside = np.clip(logs, xs[0], xs[-1])
            logs = np.interp(inside, xs, ys) + (logs - inside)
        out: Numbers = np.clip(np.exp(logs), LEAST, MOST)
        return out


def seat_key(placement: str, place: int) -> str:
    return f"{placement}/{place}"


def nearness(likeness: Numbers) -> npt.NDArray[np.int64]:
    """[m] which lift the likenesses [m] have; NaN: unknown.

    >>> nearness(np.array([np.nan, -0.2, 0.15, 0.9])).tolist()
    [0, 1, 2, 7]
    """
    return np.where(np.isnan(likeness), 0, 1 + np.searchsorted(NEAR, np.nan_to_num(likeness), side="right"))


def bin_of(raw: float) -> int:
    """
    >>> bin_of(0.25), bin_of(0.3), bin_of(0.5), bin_of(7.0)
    (-4, -4, -2, -1)
    """
    return min(-1, math.floor(STEP * math.log2(max(raw, LEAST))))


def cell_key(item_id: str, near: int, seat: str) -> str:
    """What impressions are counted by; no id has a NUL in it."""
    return f"{item_id}\0{near}\0{seat}"


def believed(cells: Mapping[str, Counts], bins: Mapping[str, Counts]) -> Odds:
    """The odds that follow from what was counted, by cell (`cell_key`) and by bin of raw."""
    curve_ = curve(bins)
    if not cells:
        return Odds(xs=curve_[0], ys=curve_[1])
    counted = np.array(list(cells.values()))
    shown, clicks = counted[:, 0], counted[:, 2]
    ads, nears, seats = zip(*(name.split("\0") for name in cells), strict=True)
    names, ad = np.unique(ads, return_inverse=True)
    places, seat = np.unique(seats, return_inverse=True)
    near = np.array(nears, np.int64)
    lifts, there, base = np.ones(len(NEAR) + 2), np.ones(len(places)), BASE
    quality = np.full(len(names), base)
    for _ in range(ROUNDS):
        weighed = shown * lifts[near] * there[seat]
        base = float((clicks.sum() + BASE * BASE_SHOWN) / (weighed.sum() + BASE_SHOWN))
        quality = (_by(ad, clicks, names) + SHOWN * base) / (_by(ad, weighed, names) + SHOWN)
        expected = shown * quality[ad] * there[seat]
        lifts = (_by(near, clicks, lifts) + CLICKS) / (_by(near, expected, lifts) + CLICKS)
        expected = shown * quality[ad] * lifts[near]
        there = (_by(seat, clicks, places) + CLICKS) / (_by(seat, expected, places) + CLICKS)
    return Odds(
        base,
        dict(zip(names.tolist(), quality.tolist(), strict=True)),
        tuple(lifts.tolist()),
        dict(zip(places.tolist(), there.tolist(), strict=True)),
        *curve_,
    )


def _by(codes: npt.NDArray[np.int64], amounts: Numbers, of: npt.NDArray[Any]) -> Numbers:
    """The amounts [m] summed by their codes [m], one sum for each of `of`."""
    sums: Numbers = np.bincount(codes, weights=amounts, minlength=len(of)).astype(np.float64)
    return sums


def curve(bins: Mapping[str, Counts]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(log raw, log p), both rising, from bin → (shown, foreseen, clicks). What was never seen is taken for true."""
    if not any(shown > 1e-6 for shown, _, _ in bins.values()):
        return (), ()
    means, values, weights = [], [], []
    for number in range(bin_of(LEAST), 0):
        shown, foreseen, clicks = bins.get(str(number), (0.0, 0.0, 0.0))
        middle = 2.0 ** ((number + 0.5) / STEP)
        means.append(foreseen / shown if shown > 1e-6 else middle)
        values.append(means[-1] * (clicks + CLICKS) / (foreseen + CLICKS))
        weights.append(foreseen + CLICKS)
    found = np.clip(rising(np.array(values), np.array(weights)), LEAST, MOST)
    return tuple(np.log(means).tolist()), tuple(np.log(found).tolist())


def rising(values: Numbers, weights: Numbers) -> Numbers:
    """The rising sequence [m] that is nearest to the values [m], by weighed squares: pool adjacent violators.

    Ayer et al. 1955. The same as `scipy.optimize.isotonic_regression`, whose import takes longer than all the
    calibrations of a day: there are some twenty bins.

    >>> rising(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, wa, na), (b, wb, nb) = blocks[-2:]
            blocks[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    return np.repeat([mean for mean, _, _ in blocks], [many for _, _, many in blocks])
