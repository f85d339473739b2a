"""lag → **pace** → share. How much of the stream a trainer that cannot keep up learns from. Pure."""

from __future__ import annotations

LEAST = 0.2  # of the examples is always learned from
SOON_S = 30.0  # whoever will be in time again within this is not falling behind, but catching up


def next_share(share: float, lag_s: float, late_s: float, gained_s: float = 0.0) -> float | None:
    """The share of examples to learn from after `share`, when the newest was `lag_s` old; None: as it is.

    Down by a third at a time while more than `late_s` behind, never below LEAST, and up again once well in time.
    `gained_s` is by how much less it is behind than a second ago: what waited while the trainer started is no reason to
    leave anything out, if it is worked off soon.

    >>> next_share(1.0, 9.0, 5.0), next_share(0.25, 9.0, 5.0), next_share(0.2, 9.0, 5.0)
    (0.67, 0.2, None)
    >>> next_share(0.67, 0.1, 5.0), next_share(0.67, 3.0, 5.0), next_share(1.0, 0.1, 5.0)
    (1.0, None, None)
    >>> next_share(1.0, 20.0, 5.0, 0.6), next_share(1.0, 20.0, 5.0, 0.4)  # in time in 25 s, in 38 s
    (None, 0.67)
    """
    if lag_s > late_s:
        soon = gained_s > 0 and (lag_s - late_s) / gained_s <= SOON_S
        wanted = share if soon else max(LEAST, round(share * 0.67, 2))
    elif lag_s < late_s / 4:
        wanted = min(1.0, round(share * 1.5, 2))
    else:
        wanted = share
    return wanted if wanted != share else None
