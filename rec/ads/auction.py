"""bids, odds, shares → **auction** → sponsored places. Who stands there, what a click costs them, how likely it was.

    order   eCPM = bid × p(click), the largest first; of a campaign its best ad alone
    price   of a click, the second price: what keeps the place, eCPM of the next one / own p(click), or the reserve
            (generalized second-price auction: Edelman, Ostrovsky & Schwarz 2007); or the first: the bid
    pacing  a campaign takes part with the probability of its share                               rec.ads.pacing

`propensity` is exact: an ad is on the list if it takes part, and of those before it fewer do than there are places.
Pure.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rec.catalog import Ints, Mask

Numbers = npt.NDArray[np.float64]
Pricing = Literal["second", "first"]
CENTS = 4  # decimals of a price


class Won(NamedTuple):
    """A place that was sold: to which ad (index), at which price of a click, and how likely it was to be there."""

    ad: int
    price: float
    propensity: float


def auction(
    bids: Numbers,
    chances: Numbers,
    campaign: Ints,
    shares: Numbers,
    takes_part: Mask,
    places: int,
    *,
    reserve: float = 0.0,
    pricing: Pricing = "second",
) -> list[Won]:
    """The winners of up to `places` places, the best first.

    Of the m ads: bids, p(click), the campaign of each; of the C campaigns: shares in (0, 1], and who takes part now.

    >>> two = np.array([0.5, 0.4]), np.array([0.02, 0.03]), np.array([0, 1], np.int32)
    >>> [won] = auction(*two, np.ones(2), np.ones(2, np.bool_), 1)
    >>> won.ad, round(won.price, 4)
    (1, 0.3333)
    """
    values = bids * chances
    order = [at for at in np.argsort(-values, kind="stable").tolist() if bids[at] >= reserve and values[at] > 0]
    before = [1.0] + [0.0] * (places - 1)  # probability that so many of those who came before take part
    taken: set[int] = set()
    winners: list[tuple[int, float]] = []
    for at in order:
        mine = int(campaign[at])
        if mine in taken:
            continue
        taken.add(mine)
        share = float(shares[mine])
        if takes_part[mine]:
            if len(winners) == places:
                return _priced(winners, at, bids, chances, reserve, pricing)
            winners.append((at, min(1.0, max(1e-6, share * sum(before)))))
        before = [now * (1 - share) + was * share for now, was in zip(before, [0.0, *before], strict=False)]
    return _priced(winners, None, bids, chances, reserve, pricing)


def _priced(
    winners: list[tuple[int, float]],
    behind: int | None,
    bids: Numbers,
    chances: Numbers,
    reserve: float,
    pricing: Pricing,
) -> list[Won]:
    followers = [at for at, _ in winners[1:]] + [behind]
    out = []
    for (at, propensity), follower in zip(winners, followers, strict=False):
        price = float(bids[at])
        if pricing == "second":
            next_value = 0.0 if follower is None else float(bids[follower] * chances[follower])
            price = min(price, max(reserve, next_value / float(chances[at])))
        out.append(Won(at, round(price, CENTS), propensity))
    return out
