"""feedback → **exposure by brand and seller, over lists** → the fairness step, people. Who was seen how much, and who
had earned it.

    exposure   of a place that was seen: 1 / log2(2 + place), as in DCG
    merit      of a group in a list: its share of the candidates' scores, times the exposure that the list gave
    share      of a group: its part of what all groups have; decayed by half in the half-life of the rates

No single list can be fair to twenty brands, many lists together can: amortized fairness (Biega, Gummadi & Weikum 2018,
"Equity of attention"). What a group is behind its target is handed to the next lists as an error that is added to
relevance, as a proportional controller does (Morik, Singh, Hong & Joachims 2020, FairCo). Pure: time comes with the
lists. Invariant: what is added with sign -1 takes back just what was added with +1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Item
from rec.errors import BadInput

Kind = Literal["brand", "seller"]
KINDS: tuple[Kind, ...] = ("brand", "seller")
Target = Literal["merit", "equal"]
GAIN = 5.0  # a group that lacks a fifth of its target is owed all that may be carried
ENOUGH = 100.0  # exposure (first places seen) from which on shares are half believed
MAX_GROUPS = 5_000  # of a kind; the most exposed are kept

Floats64 = npt.NDArray[np.float64]


class Amount(msgspec.Struct, array_like=True):
    """Decayed sums of one group as of `at`, seconds since 1970."""

    exposure: float = 0.0
    merit: float = 0.0
    at: float = 0.0

    def add(self, exposure: float, merit: float, at: float, half_life_s: float) -> None:
        """What happened at `at`. Decay commutes with addition, so the late are decayed first."""
        worth = 1.0
        if at > self.at:
            kept = 0.5 ** ((at - self.at) / half_life_s) if self.at else 0.0
            self.exposure, self.merit, self.at = self.exposure * kept, self.merit * kept, at
        else:
            worth = 0.5 ** ((self.at - at) / half_life_s)
        self.exposure += exposure * worth
        self.merit += merit * worth

    def as_of(self, now: float, half_life_s: float) -> tuple[float, float]:
        """(exposure, merit) decayed to `now`; none below 0."""
        kept = 0.5 ** (max(0.0, now - self.at) / half_life_s)
        return max(0.0, self.exposure * kept), max(0.0, self.merit * kept)


Amounts = dict[str, dict[str, Amount]]  # kind → group → amount


class Held(NamedTuple):
    """One group beside its target. Shares of all exposure, in [0, 1]."""

    group: str
    share: float
    merit: float
    target: float

    @property
    def gap(self) -> float:
        """What it has beyond its target; below 0: what it lacks."""
        return self.share - self.target


class Standings(NamedTuple):
    """The groups of a kind at one moment: what each had, of all exposure and of all merit; `total` in first places."""

    shares: Mapping[str, float] = {}
    merits: Mapping[str, float] = {}
    total: float = 0.0

    def targets(self, target: Target, given: Mapping[str, float]) -> dict[str, float]:
        """The share that each group is to have; they sum to 1. Given shares leave the rest to the others by target."""
        groups = self.merits.keys() | self.shares.keys() | given.keys()
        base = (
            dict.fromkeys(groups, 1.0)
            if target == "equal"
            else {group: self.merits.get(group, 0.0) for group in groups}
        )
        free = max(0.0, 1.0 - sum(given.values()))
        others = sum(amount for group, amount in base.items() if group not in given)
        found = {group: free * amount / others if others else 0.0 for group, amount in base.items()}
        found |= given
        whole = sum(found.values())
        return {group: share / whole for group, share in found.items()} if whole else found

    def errors(self, target: Target, given: Mapping[str, float]) -> dict[str, float]:
        """What each group is owed: in [-1, 1], 1 for one that lacks a fifth of its target or more."""
        believed = self.total / (self.total + ENOUGH) * GAIN
        return {
            group: believed_error(believed, self.shares.get(group, 0.0), wanted)
            for group, wanted in self.targets(target, given).items()
        }

    def beside(self, target: Target, given: Mapping[str, float]) -> list[Held]:
        """Each group beside its target, the one that lacks most first."""
        rows = [
            Held(group, self.shares.get(group, 0.0), self.merits.get(group, 0.0), wanted)
            for group, wanted in self.targets(target, given).items()
        ]
        return sorted(rows, key=lambda row: (row.gap, row.group))


def believed_error(gain: float, share: float, wanted: float) -> float:
    """Of one group, in [-1, 1].

    >>> round(believed_error(5.0, 0.225, 0.25), 6), believed_error(5.0, 0.2, 0.1), believed_error(5.0, 0.1, 0.0)
    (0.5, -1.0, -1.0)
    """
    if wanted <= 0:
        return -1.0 if share > 0 else 0.0
    return min(1.0, max(-1.0, gain * (wanted - share) / wanted))


def unfairness(rows: Iterable[Held]) -> float:
    """Half of the sum of all gaps: the part of the exposure that is not where it should be, in [0, 1]."""
    return sum(abs(row.gap) for row in rows) / 2


class Ledger:
    """What the chain asks: the standings of each kind, as a value; errors are worked out once for each target."""

    def __init__(self, standings: Mapping[str, Standings]) -> None:
        self._standings = standings
        self._errors: dict[tuple[str, str, tuple[tuple[str, float], ...]], dict[str, float]] = {}

    def owed(self, kind: Kind, groups: Sequence[str], target: Target, given: Mapping[str, float]) -> Floats64:
        """[groups] what each is owed, in [-1, 1]; 0 for one that has no name."""
        key = (kind, target, tuple(sorted(given.items())))
        errors = self._errors.get(key)
        if errors is None:  # two threads may both do it: they come to the same
            errors = self._errors[key] = self._standings.get(kind, Standings()).errors(target, given)
        return np.array([errors.get(group, 0.0) if group else 0.0 for group in groups])


class Exposures:
    """Adds up lists. `amounts` are as a snapshot keeps them."""

    def __init__(self, half_life_s: float, amounts: Amounts | None = None) -> None:
        self.half_life_s = half_life_s
        self.amounts: Amounts = amounts or {kind: {} for kind in KINDS}

    def add(
        self,
        seen: Iterable[tuple[int, str, str]],
        merit: Mapping[str, Mapping[str, float]],
        at: float,
        sign: float = 1.0,
    ) -> None:
        """A list that was looked at: (place, brand, seller) of what was seen, and kind → group → share of merit."""
        total, given = 0.0, {kind: dict[str, float]() for kind in KINDS}
        for place, *groups in seen:
            weight = exposure_of(place)
            total += weight
            for kind, group in zip(KINDS, groups, strict=True):
                if group:
                    given[kind][group] = given[kind].get(group, 0.0) + weight
        for kind in KINDS:
            earned, amounts = merit.get(kind, {}), self.amounts[kind]
            for group in given[kind].keys() | earned.keys():
                amount = amounts.setdefault(group, Amount())
                exposure = given[kind].get(group, 0.0)
                amount.add(sign * exposure, sign * total * earned.get(group, 0.0), at, self.half_life_s)
            if len(amounts) > MAX_GROUPS:
                most = sorted(amounts, key=lambda group: -amounts[group].as_of(at, self.half_life_s)[0])
                self.amounts[kind] = {group: amounts[group] for group in most[: MAX_GROUPS // 2]}

    def standings(self, kind: Kind, now: float) -> Standings:
        """The groups of a kind as of `now`."""
        found = {group: amount.as_of(now, self.half_life_s) for group, amount in self.amounts[kind].items()}
        exposure, merit = (sum(each[at] for each in found.values()) for at in (0, 1))
        return Standings(
            {group: each[0] / exposure for group, each in found.items()} if exposure else {},
            {group: each[1] / merit for group, each in found.items()} if merit else {},
            exposure,
        )

    def ledger(self, now: float) -> Ledger:
        """For the chain."""
        return Ledger({kind: self.standings(kind, now) for kind in KINDS})


def targets_within(logits: Floats, names: Sequence[str], target: Target, given: Mapping[str, float]) -> Floats64:
    """[m] of each candidate the share that its group is to have of one list, among the groups that are there."""
    weights = np.exp(logits.astype(np.float64) - float(logits.max()))
    merits: dict[str, float] = {}
    for name, weight in zip(names, (weights / weights.sum()).tolist(), strict=True):
        if name:
            merits[name] = merits.get(name, 0.0) + weight
    there = {group: share for group, share in given.items() if group in merits}
    found = Standings(merits=merits).targets(target, there)
    return np.array([found.get(name, 0.0) for name in names])


def groups_of(item: Item) -> tuple[str, str]:
    """Brand and seller of an item, "" where it has none."""
    return item.brand or "", str(item.attributes.get("seller") or "")


def exposure_of(place: int) -> float:
    """Of a 0-based place that is seen.

    >>> exposure_of(0), exposure_of(2)
    (1.0, 0.5)
    """
    return float(1.0 / np.log2(2.0 + place))


def shares_of(given: Mapping[str, float]) -> Mapping[str, float]:
    """Given shares, checked. Raises BadInput for one that is none, or more than everything together.

    >>> shares_of({"Acme": 0.3})
    {'Acme': 0.3}
    """
    for group, share in given.items():
        if not 0 <= share <= 1:
            raise BadInput(
                f"{group!r} cannot have {share:g} of all exposure. Give a share from 0 to 1.", field="shares"
            )
    if (total := sum(given.values())) > 1 + 1e-9:
        raise BadInput(f"The shares sum to {total:g}, which is more than all exposure (1).", field="shares")
    return given
