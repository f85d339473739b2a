"""what refreshes earned → **solved** → scoring. What every worker believes now."""

from __future__ import annotations

from collections.abc import Mapping

from rec.noted import Learned
from rec.policy.bandit import BanditRules
from rec.policy.refresh import Belief, Solved, solve


class Refreshing:
    """Called for every decision, from any thread: solves anew when something was learned, and as time passes.

    `hears`: whether lists are joined here at all; else nothing is decided by what nobody learns.
    """

    def __init__(self, rules: BanditRules, *, hears: bool) -> None:
        self._rules, self._hears = rules, hears
        self._beliefs: Mapping[str, Belief] = {}
        self._solved: tuple[Mapping[str, Belief], Solved] | None = None

    def learned(self, beliefs: Mapping[str, Belief]) -> None:
        """These are the beliefs from now on; the mapping is not changed any more."""
        self._beliefs = beliefs

    def __call__(self, now: float) -> Learned | None:
        """The beliefs as of `now`."""
        if not self._hears:
            return None
        beliefs, kept = self._beliefs, self._solved
        if kept is None or kept[0] is not beliefs or kept[1].stale(now):
            kept = self._solved = beliefs, solve(beliefs, now=now, rules=self._rules)
        return Learned(kept[1], self._rules)
