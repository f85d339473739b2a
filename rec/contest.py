"""scores → **contest** → promote, hold or roll back. Which version may make the lists. Pure.

Every batch is first a test: each contender says how likely what somebody turned to was, before any of them learns it.
The candidate learns on and on; the live version is a copy of it that serves; the anchors are older copies, up to
4,000, 36,000 and 290,000 examples old, and the gate nobody has trained. A candidate goes live unless it is worse than
one of them. A live version that an anchor clearly beats gives its place back to it: what was learned since is no good.

Differences are paired, batch by batch (McNemar's idea for means), so that a hard batch is hard for all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

CANDIDATE = "candidate"
UNTAUGHT = "gate-0"
WINDOW = 512  # examples that a judgement is of
LEAST_ROUNDS = 4
SLIGHTLY, CLEARLY = 1.0, 3.0  # standard errors
LEAST = 0.002  # nats: less than this is no difference
RUNGS = (500, 4_000, 32_000)  # ages of the anchors, in examples


class Round(NamedTuple):
    """One batch: how many examples were scored, and by contender the sums of what they earned at ten."""

    examples: int
    loss: dict[str, float]  # -log P, nats
    hits: dict[str, float]
    mrr: dict[str, float]


class Verdict(NamedTuple):
    """What is to be done. `to` is the version to go back to; `why` is one sentence for people."""

    kind: Literal["promote", "hold", "roll_back"]
    why: str
    to: str = ""


class Scores(NamedTuple):
    """Means over the window: -log P in nats, hit rate and reciprocal rank at ten."""

    loss: float
    hits: float
    mrr: float


class Contest:
    """The last rounds, and what follows from them."""

    def __init__(self) -> None:
        self._rounds: deque[Round] = deque()

    def add(self, one: Round) -> None:
        """The newest round; what is more than WINDOW examples old goes."""
        if one.examples:
            self._rounds.append(one)
        while self._rounds and sum(r.examples for r in self._rounds) - self._rounds[0].examples >= WINDOW:
            self._rounds.popleft()

    def crown(self, name: str) -> None:
        """The candidate as it is now goes on under this name: its scores so far are those of its copy."""
        for one in self._rounds:
            for sums in (one.loss, one.hits, one.mrr):
                if CANDIDATE in sums:
                    sums[name] = sums[CANDIDATE]

    def scores(self, name: str) -> Scores | None:
        """How a contender did in the rounds it took part in."""
        mine = [one for one in self._rounds if name in one.loss]
        count = sum(one.examples for one in mine)
        if not count:
            return None
        sums = (sum(getattr(one, what)[name] for one in mine) for what in Scores._fields)
        return Scores(*(each / count for each in sums))

    def decide(self, live: str, anchors: Iterable[str]) -> Verdict:
        """Whether the candidate goes live, and if not, whether the live version stays."""
        anchors = [name for name in anchors if name != live]
        better = [name for name in anchors if self._worse(live, name, CLEARLY)]
        for name in sorted(better, key=lambda name: self._loss(name)):
            if self._worse(CANDIDATE, name, SLIGHTLY):
                return Verdict("roll_back", f"{live} has become worse than {name}: {self._gap(live, name)}", name)
        if self._differences(CANDIDATE, live)[2] < LEAST_ROUNDS:
            return Verdict("hold", f"not scored beside {live} in {LEAST_ROUNDS} batches yet")
        if not math.isfinite(self._loss(CANDIDATE)):
            return Verdict("hold", "what the candidate says is no number")
        for name in (live, *anchors):
            if self._worse(CANDIDATE, name, SLIGHTLY if name == live else CLEARLY):
                return Verdict("hold", f"worse than {name}: {self._gap(CANDIDATE, name)}")
        return Verdict("promote", f"not worse than {live}: {self._gap(CANDIDATE, live)}")

    def _loss(self, name: str) -> float:
        mine = [one for one in self._rounds if name in one.loss]
        return sum(one.loss[name] for one in mine) / sum(one.examples for one in mine) if mine else math.inf

    def _differences(self, a: str, b: str) -> tuple[float, float, int]:
        """Mean of loss a - loss b over the rounds that both took part in, its standard error, and how many."""
        both = [one for one in self._rounds if a in one.loss and b in one.loss]
        if len(both) < LEAST_ROUNDS:
            return 0.0, math.inf, len(both)
        count = sum(one.examples for one in both)
        mean = sum(one.loss[a] - one.loss[b] for one in both) / count
        spread = sum(one.examples * ((one.loss[a] - one.loss[b]) / one.examples - mean) ** 2 for one in both) / count
        return mean, math.sqrt(spread / (len(both) - 1)), len(both)

    def _worse(self, a: str, b: str, by: float) -> bool:
        mean, error, _ = self._differences(a, b)
        if not math.isfinite(mean):  # who says no number is worse than who does; a comparison with NaN says neither
            return math.isfinite(self._loss(b))
        return mean > max(LEAST, by * error)

    def _gap(self, a: str, b: str) -> str:
        mean, error, rounds = self._differences(a, b)
        return f"{mean:+.4f} ± {error:.4f} nats in {rounds} batches"


class Ladder:
    """Which older versions stay as anchors. Ages are counted in examples.

    >>> ladder = Ladder()
    >>> for count in range(0, 40_000, 200): ladder.add(f"v{count}", count)
    >>> [count for _, count in ladder.rungs]
    [36000, 28000, 0]
    """

    def __init__(self, rungs: Iterable[tuple[str, int]] = ()) -> None:
        self.rungs: list[tuple[str, int]] = list(rungs)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.rungs]

    def add(self, name: str, count: int) -> None:
        """A version that went live after `count` examples."""
        coming = (name, count)
        for rung, age in enumerate(RUNGS):
            if rung == len(self.rungs):
                self.rungs.append(coming)
                return
            if count - self.rungs[rung][1] < age * RUNGS[1] // RUNGS[0]:
                return
            self.rungs[rung], coming = coming, self.rungs[rung]
