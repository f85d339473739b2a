"""What the trainer does how often, and what of it is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Rhythm(NamedTuple):
    """How often what is done, in seconds."""

    fill: float = 2.0  # a batch waits at most this long for its last example
    judge: float = 3.0
    checkpoint: float = 30.0
    late: float = 5.0  # further behind than this, some examples are left out
    pace: float = 5.0
    catalog: float = 2.0
    epoch: float = 5.0  # a switch that was not heard of is said again
    gather: float = 5.0  # erasures gather this long before a rebuild: each costs a replay


class Due:
    """Pure but for the clock it is given.

    >>> now = [0.0]
    >>> due = Due(lambda: now[0])
    >>> due.is_due("judge", 3.0), now.append(now.pop() + 3.0), due.is_due("judge", 3.0), due.is_due("judge", 3.0)
    (False, None, True, False)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at: dict[str, float] = {}

    def __contains__(self, what: str) -> bool:
        return what in self._at

    def is_due(self, what: str, every_s: float) -> bool:
        """True once `every_s` after it was first asked, or last true."""
        if what not in self._at:
            self.wait(what, every_s)
        if self._clock() < self._at[what]:
            return False
        self.wait(what, every_s)
        return True

    def wait(self, what: str, for_s: float) -> None:
        """Not due before so many seconds."""
        self._at[what] = self._clock() + for_s

    def drop(self, what: str) -> None:
        """Asked next time, it begins anew."""
        self._at.pop(what, None)
