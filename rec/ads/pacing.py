"""spend, budget, time → **share of the auctions** → auction. So that a budget lasts until the evening. Pure.

Throttling as at LinkedIn (Agarwal, Ghosh, Wei & You 2014, "Budget pacing for targeted online advertisements at
LinkedIn"): a campaign takes part in a share of the auctions it could be in, and once a minute the share grows by a
tenth where less was spent than is due by now, and shrinks where more was. What is due follows the traffic of the days
before (`day_curve`), not the clock, and is due in full an hour before midnight: the last hour is for what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DAY_S, HOUR_S = 86_400, 3_600
DAYS = 7  # that the curve is made from
STEP = 0.1  # by which a share changes
EVERY_S = 60.0
START, LEAST = 0.1, 0.005  # of a share, at first and at least
DUE_H = 23.0  # hours after midnight UTC at which all of a budget is due


def next_share(share: float, spent: float, due: float) -> float:
    """The share of the auctions for the next minute.

    >>> round(next_share(0.5, spent=3.0, due=4.0), 3), round(next_share(0.5, spent=5.0, due=4.0), 3)
    (0.55, 0.45)
    """
    return min(1.0, max(LEAST, share * (1 - STEP if spent > due else 1 + STEP)))


def due_by(now: float, curve: Sequence[float]) -> float:
    """The share of a day's budget that is due at `now`, by the traffic of the 24 hours; rises from 0 to 1.

    >>> due_by(0.0, [1.0] * 24), due_by(11.5 * HOUR_S, [1.0] * 24), due_by(23.5 * HOUR_S, [1.0] * 24)
    (0.0, 0.5, 1.0)
    """
    hours = (now % DAY_S) / HOUR_S

    def through(until: float) -> float:
        whole = int(until)
        return sum(curve[:whole]) + (until - whole) * (curve[whole] if whole < len(curve) else 0.0)

    return min(1.0, through(hours) / through(DUE_H))


def day_curve(lists: Mapping[int, float], now: float) -> tuple[float, ...]:
    """Traffic by hour of the day (UTC), from lists seen by hour since 1970 of the last days; hours that were never
    observed are as the others on average. The hour that is not over is left out, and so is the first one.

    >>> day_curve({}, 0.0) == (1.0,) * 24
    True
    """
    this = int(now // HOUR_S)
    first = min(lists, default=this)
    sums, times = [0.0] * 24, [0] * 24
    for hour in range(max(first + 1, this - 24 * DAYS), this):
        sums[hour % 24] += lists.get(hour, 0.0)
        times[hour % 24] += 1
    seen = [total / many for total, many in zip(sums, times, strict=True) if many]
    mean = sum(seen) / len(seen) if seen else 0.0
    if mean <= 0:
        return (1.0,) * 24
    least = mean / 100  # a night without anybody is still a part of the day
    return tuple(max(least, total / many) if many else mean for total, many in zip(sums, times, strict=True))
