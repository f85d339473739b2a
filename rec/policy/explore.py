"""ranked candidates → **exploration** → list. Which of them are on the list is drawn, and how likely each was is known.

Plackett-Luce: the first place is drawn with probabilities softmax(logits / temperature), the next from what is left,
and so on. Adding Gumbel noise and sorting draws just so (Yellott 1977; Kool et al. 2019, "Gumbel top-k"). Pure; all
randomness comes in as numbers.

The propensity of an item is its inclusion probability: that of being anywhere among the k drawn, over the draws of
this list with everything else as it is. It is exact, by integrating over the arrival times of a race: with
T_i ~ Exp(w_i), w_i = exp(logit_i / temperature), the order of arrival is a Plackett-Luce order, so item i is among the
first k if fewer than k others have arrived by T_i; how many others have is a sum of independent yes and no.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints

STEP = 0.3  # of the integral over log time; the next test to fail would be one at 0.6
_BEFORE, _BEHIND = 6.0, 3.5  # of log time around the k-th arrival; e^-6 and e^-e^3.5 of the mass lie outside
COLDEST = 1e-3  # below that temperature, only candidates that score the same to three places are drawn at all
_CERTAIN = 1e-5
_DEVIATIONS = 5.0

Doubles = npt.NDArray[np.float64]


class Drawn(NamedTuple):
    """The places [k] of the candidates that were drawn, in the order of the list, and how likely each was to be."""

    order: Ints
    propensities: Doubles


def draw(logits: Floats, k: int, temperature: float, uniform: Callable[[], Doubles]) -> Drawn:
    """Draw k of the candidates [m] by their logits; all of them if there are no more. Temperature 0: the k largest.

    `uniform` gives [m] independent numbers in (0, 1] (rec.policy.dice), if they are needed. What comes out is a number
    whatever goes in: a temperature below `COLDEST` draws as that does, a logit that is none (NaN) as the least likely.

    >>> draw(np.array([3.0, 1.0, 2.0], np.float32), 2, 0.0, lambda: np.ones(3)).order.tolist()
    [0, 2]
    """
    m = len(logits)
    k = min(k, m)
    if temperature <= 0 or m == 0:
        return Drawn(np.argsort(-logits, kind="stable")[:k].astype(np.int32), np.ones(k))
    least, most = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)
    finite = np.nan_to_num(logits.astype(np.float64), nan=least, neginf=least, posinf=most)
    scaled = (finite - finite.max()) / max(temperature, COLDEST)
    noise = -np.log(np.maximum(-np.log(uniform()), np.finfo(np.float64).tiny))
    order = np.argsort(-(scaled + noise), kind="stable")[:k].astype(np.int32)
    return Drawn(order, inclusion(scaled, k)[order])


def inclusion(scaled: Doubles, k: int) -> Doubles:
    """[m] the probability of each candidate to be among the first k, given logits / temperature [m].

    Sums to k. Invariants: k >= m gives 1 for all; adding a number to all logits changes nothing.
    """
    m = len(scaled)
    if k >= m:
        return np.ones(m)
    if k <= 0:
        return np.zeros(m)
    best_first = np.argsort(-scaled, kind="stable")
    logs = scaled[best_first] - scaled[best_first[k - 1]]  # log weights; the k-th best arrives about at time 1
    log_times = np.arange(-np.log(m) - _BEFORE, _BEHIND + STEP, STEP)
    spent = np.exp(np.minimum(logs[:, None] + log_times, 60.0))  # [m, t] what has gone by of each one's clock
    waiting = np.exp(-spent)
    arrived = 1.0 - waiting
    late = _late(arrived, waiting, k)
    density = spent * waiting  # of one's own arrival, over log time
    # The first k are there but for what others take from them, the rest are not but for what they take: each integral
    # is over the side on which nothing lies beyond the ends.
    chances = np.empty(m)
    chances[:k] = 1.0 - STEP * (density[:k] * (1.0 - late[:k])).sum(axis=1)
    chances[k:] = STEP * (density[k:] * late[k:]).sum(axis=1) + arrived[k:, 0] * late[k:, 0]
    out = np.empty(m)
    out[best_first] = np.minimum(np.maximum(chances, 0.0), 1.0)
    return out


def _late(arrived: Doubles, waiting: Doubles, k: int) -> Doubles:
    """[m, t] the probability that fewer than k of all others have arrived, for each one left out.

    Where the number of arrivals is far from k the answer is 1 or 0; only the times between are worked out.
    """
    mean, variance = arrived.sum(axis=0), (arrived * waiting).sum(axis=0)
    reach = _DEVIATIONS * np.sqrt(variance) + 2.0
    near = np.flatnonzero(np.abs(k - mean) <= reach)
    late = np.zeros(arrived.shape)
    late[:, mean < k] = 1.0
    if not len(near):
        return late
    span = slice(int(near[0]), int(near[-1]) + 1)
    some_in, some_out = arrived[:, span], waiting[:, span]
    late[:, span] = 0.0
    sure = int(np.count_nonzero(some_out[:, 0] <= _CERTAIN))  # the best ones have arrived before it matters
    end = int(np.count_nonzero(some_in[:, -1] > _CERTAIN))  # and the last ones do so afterwards
    if sure < min(k, end):  # of the others none comes to the door in this time
        late[sure:end, span] = _fewer(some_in[sure:end], some_out[sure:end], k - sure)
    return late


def _fewer(arrived: Doubles, waiting: Doubles, places: int) -> Doubles:
    """[m, t] the probability that fewer than `places` of all but one have arrived, for each one left out.

    The number of arrivals is Poisson-binomial. How many of those before, and at most how many of those behind, is
    built up one by one, and joined for each that stands between.
    """
    m, times = arrived.shape
    both = np.empty((m, 2, places, times))  # [., 0, c]: c of those before; [., 1, c]: at most c of those behind
    both[0, 0] = 0.0
    both[0, 0, 0] = both[0, 1] = 1.0
    comes = np.stack([arrived, arrived[::-1]], axis=1)[:, :, None]  # [m, 2, 1, t]
    stays = np.stack([waiting, waiting[::-1]], axis=1)[:, :, None]
    for known, more, come, stay in zip(both[:-1], both[1:], comes, stays, strict=False):
        np.multiply(known, stay, out=more)
        more[:, 1:] += known[:, :-1] * come
    fewer: Doubles = np.einsum("mct,mct->mt", both[:, 0], both[::-1, 1, ::-1])
    return fewer
