"""events → **votes** → popularity. What of a subject's action is news: how dear an item is to them, not how often.

A subject's vote for an item is the strongest thing they did to it, decayed since: a repeat lifts it back to where it
was, a stronger action to where that is. So nobody, however busy, decides what everybody else sees. Kept under digests,
and of the last pairs alone; of who voted before those, another vote counts. Pure; time comes with the events.
Invariant: in whatever order events come, a vote counts the most that any of them is worth.
"""

from __future__ import annotations

from typing import NamedTuple

from rec.cooccurrence import TREND
from rec.ids import mark64
from rec.recent import Recent

MAX_VOTES = 100_000  # of a subject and an item
_HALF = 32  # bits of a mark that say whose it is; the others say for what


class Vote(NamedTuple):
    """As of `at`, in seconds since 1970: what is left of the strongest action, by either half-life."""

    at: float
    popular: float
    trend: float


class Votes:
    """The last votes of everybody."""

    def __init__(self, limit: int = MAX_VOTES) -> None:
        self._votes: Recent[int, Vote] = Recent(limit)

    def cast(self, subject: str, item_id: str, at: float, gain: float, half_life_s: float) -> Vote:
        """What an action at `at`, worth `gain`, adds to the vote. `half_life_s` is popularity's, see TREND.

        >>> votes = Votes()
        >>> [votes.cast("u", "tent", at, gain, 60.0).popular for at, gain in ((0.0, 1.0), (0.0, 1.0), (60.0, 3.0))]
        [1.0, 0.0, 2.5]
        """
        mark = mark64(subject) >> _HALF << _HALF | mark64(item_id) >> _HALF
        if (before := self._votes.get(mark)) is None:
            vote = Vote(at, gain, gain)
            self._votes.put(mark, vote)
            return vote
        now = max(at, before.at)
        old, new = (now - before.at) / half_life_s, (now - at) / half_life_s
        popular, more = _lifted(before.popular * 0.5**old, gain * 0.5**new)
        trend, more_trend = _lifted(before.trend * 0.5 ** (TREND * old), gain * 0.5 ** (TREND * new))
        self._votes.put(mark, Vote(now, popular, trend))
        return Vote(now, more, more_trend)

    def forget(self, subject: str) -> None:
        """Drop the marks of an erased subject. What they counted stays: it names nobody."""
        mark = mark64(subject) >> _HALF
        for vote in [vote for vote, _ in self._votes.items() if vote >> _HALF == mark]:
            self._votes.pop(vote)

    # ------------------------------------------------------------------ snapshots
    def to_parts(self) -> list[dict[int, Vote]]:
        """The older generation first, for the snapshot of the counters."""
        return self._votes.generations

    def restore(self, parts: list[dict[int, Vote]]) -> None:
        self._votes.restore(parts)


def _lifted(before: float, to: float) -> tuple[float, float]:
    """The higher of the two, and what that is above the first."""
    return max(before, to), max(0.0, to - before)
