"""clicks on searches → **lessons** → fusion. Who may teach, what a click says, and whether what was taught serves.

A click says that its product was wanted more than those above it, which were looked at and left alone; of those below
it says nothing (Joachims, KDD 2002, "skip above"): otherwise the order of a list would confirm itself. A subject
teaches once a query and day, and a few times a day; the learned weights stay near the prior, whatever happens; and
they serve only while they explain the clicks of many different subjects, each before it was learned from, better than
the prior does (prequential, Dawid 1984). There a click on the first place counts, too, beside the second, which most
have seen: else only those who disagree with the list would be asked. So no single one bends search for the others.
Pure; time comes with the clicks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rec.catalog import Floats
from rec.ids import mark64
from rec.recent import Recent
from rec.search.clicks import key_of
from rec.search.fusion import Fusion, FusionLearner

DAY_S = 86_400.0
A_DAY = 3  # lessons of a subject
WINDOW = 400  # subjects whose last lesson is looked at
ENOUGH = 30  # ... before learned weights serve
MAX_MARKS = 100_000  # who taught what today; of who did before, another click teaches
_HALF = 32  # bits of a mark that say whose it is; the others say for what


class Lessons:
    """The prior, what clicks made of it, and which of the two serves."""

    def __init__(self, start: Fusion | None = None, window: int = WINDOW, enough: int = ENOUGH) -> None:
        self._learner = FusionLearner(start)
        self._prior = Fusion()
        self._taught: Recent[int, int] = Recent(MAX_MARKS)
        self._gains: dict[int, float] = {}  # subject's mark → nats by which the learned weights explained their click
        self._window, self._enough = window, enough

    @property
    def learned(self) -> Fusion:
        """What is kept over a restart; that it is better has to be shown anew."""
        return self._learner.fusion

    @property
    def serving(self) -> Fusion:
        """The learned weights while they are better by more than chance (two standard errors), else the prior's."""
        n, gains = len(self._gains), self._gains.values()
        if n < self._enough:
            return self._prior
        mean = sum(gains) / n
        error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / max(1, n - 1) / n)
        return self._learner.fusion if mean > 2 * error and mean > 0 else self._prior

    def learn(self, subject: str, query: str, features: Floats, clicked: Sequence[int], at: float) -> bool:
        """A click on the places `clicked` of the list [m, len(FUSED)]; whether anything was learned from it."""
        above, seen = features[: max(clicked) + 1], features[: max(clicked) + 2]
        if len(set(clicked)) == len(seen) or not self._may(subject, query, int(at // DAY_S)):
            return False
        mark = mark64(subject)
        self._gains.pop(mark, None)
        self._gains[mark] = self._prior.surprise(seen, clicked) - self._learner.fusion.surprise(seen, clicked)
        if len(self._gains) > self._window:
            del self._gains[next(iter(self._gains))]
        if len(set(clicked)) == len(above):  # nothing was left alone
            return False
        self._learner.learn(above, clicked)
        return True

    def forget(self, subject: str) -> None:
        """Drop the marks of an erased subject. The weights stay: they name nobody."""
        mark = mark64(subject)
        self._gains.pop(mark, None)
        for taught in [one for one, _ in self._taught.items() if one >> _HALF == mark >> _HALF]:
            self._taught.pop(taught)

    def _may(self, subject: str, query: str, day: int) -> bool:
        """Counts it, if the subject has not taught this query today, nor `A_DAY` others."""
        whose = mark64(subject) >> _HALF << _HALF
        this, all_of_day = (whose | mark64(f"{day}\0{what}") >> _HALF for what in (key_of(query), "\0"))
        times = self._taught.get(all_of_day) or 0
        if self._taught.get(this) or times >= A_DAY:
            return False
        self._taught.put(this, 1)
        self._taught.put(all_of_day, times + 1)
        return True
