"""lag → **pace** → share. How much of the stream a trainer that cannot keep up learns from. Pure."""

from __future__ import annotations

LEAST = 0.2  # of the examples is always learned from


def next_share(share: float, lag_s: float, late_s: float) -> float | None:
    """The share of examples to learn from after `share`, when the newest was `lag_s` old; None: as it is.

    Down by a third at a time while more than `late_s` behind, never below LEAST, and up again once well in time.

    >>> next_share(1.0, 9.0, 5.0), next_share(0.25, 9.0, 5.0), next_share(0.2, 9.0, 5.0)
    (0.67, 0.2, None)
    >>> next_share(0.67, 0.1, 5.0), next_share(0.67, 3.0, 5.0), next_share(1.0, 0.1, 5.0)
    (1.0, None, None)
    """
    if lag_s > late_s:
        wanted = max(LEAST, round(share * 0.67, 2))
    elif lag_s < late_s / 4:
        wanted = min(1.0, round(share * 1.5, 2))
    else:
        wanted = share
    return wanted if wanted != share else None
