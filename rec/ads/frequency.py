"""impressions → **how often** → auction. When somebody saw an ad, and whether once more is too often. Pure.

Kept in the shopper's state beside everything else of them: without consent there is none, an erasure takes it along,
and it moves with the user to another worker. Times are a sorted set, so events in whatever order leave the same.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping

MOST_TIMES = 20  # of one ad; no cap is larger
MOST_ADS = 100  # of one shopper, those seen last

Seen = dict[str, tuple[float, ...]]  # ad → when it was seen, seconds since 1970, oldest first


def noted(seen: Seen, item_id: str, at: float) -> Seen:
    """With one more impression.

    >>> noted(noted({}, "a", 9.0), "a", 5.0)
    {'a': (5.0, 9.0)}
    """
    times = list(seen.get(item_id, ()))
    insort(times, at)
    return _within({**seen, item_id: tuple(times[-MOST_TIMES:])})


def together(a: Seen, b: Seen) -> Seen:
    """Of two shoppers who are one."""
    both = {item_id: tuple(sorted((*a.get(item_id, ()), *b.get(item_id, ())))[-MOST_TIMES:]) for item_id in {**a, **b}}
    return _within(both)


def since(seen: Seen, at: float) -> Seen:
    """Without what was before a moment."""
    left = {item_id: tuple(time for time in times if time >= at) for item_id, times in seen.items()}
    return {item_id: times for item_id, times in left.items() if times}


def times_within(seen: Mapping[str, tuple[float, ...]], item_id: str, now: float, window_s: float) -> int:
    """How often an ad was seen in the last `window_s`.

    >>> times_within({"a": (5.0, 9.0)}, "a", 16.0, 10.0), times_within({}, "a", 16.0, 10.0)
    (1, 0)
    """
    times = seen.get(item_id, ())
    return len(times) - bisect_left(times, now - window_s)


def _within(seen: Seen) -> Seen:
    if len(seen) <= MOST_ADS:
        return seen
    return dict(sorted(seen.items(), key=lambda pair: (pair[1][-1], pair[0]))[-MOST_ADS:])
