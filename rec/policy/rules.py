"""SQL → **rules** → chain. What the shop decides: boost, bury, pin or exclude what a condition means.

A rule holds in its placements, in its window of time, in the order of priority. `Rulebook` is all rules as one value;
what they mean for the rows of a catalog is worked out once for each catalog and kept. Raises BadInput, by field and
remedy, where a rule makes no sense.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from threading import Lock
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from rec.catalog import Floats, Ints, Mask, View
from rec.errors import BadInput
from rec.events import Instant, Text
from rec.policy.columns import Columns
from rec.policy.expression import MAX_LENGTH, Condition, parse
from rec.protocol import Placement
from rec.shelf import DEPTH

RuleId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
]  # noqa: E501
Effect = Literal["boost", "bury", "pin", "exclude"]
FACTOR = 4.0  # by which the odds of what is boosted grow and of what is buried shrink, where a rule does not say


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One decision. Times are instants; `starts_at` is included, `ends_at` is not."""

    rule_id: RuleId
    effect: Effect
    condition: Annotated[str, msgspec.Meta(max_length=MAX_LENGTH)]
    placements: Annotated[tuple[Placement, ...], msgspec.Meta(max_length=64)] = ()  # none named: all of them
    factor: Annotated[float, msgspec.Meta(ge=1, le=1e6)] | None = None  # of boost and bury
    place: Annotated[int, msgspec.Meta(ge=0, le=199)] | None = None  # of a pin, 0-based; the first where it is missing
    priority: Annotated[int, msgspec.Meta(ge=-1_000_000, le=1_000_000)] = 0  # the larger one comes first
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    enabled: bool = True
    note: Text = ""


def checked(rule: Rule) -> Condition:
    """The condition of a rule that makes sense. Raises BadInput."""
    if rule.place is not None and rule.effect != "pin":
        raise BadInput(f"place: a {rule.effect} has no place, a pin has. Leave it out.", field="place")
    if rule.factor is not None and rule.effect not in ("boost", "bury"):
        raise BadInput(f"factor: belongs to boost and bury, not to {rule.effect}. Leave it out.", field="factor")
    if rule.starts_at is not None and rule.ends_at is not None and rule.ends_at <= rule.starts_at:
        raise BadInput("ends_at: lies before starts_at. Give a later time, or leave it out.", field="ends_at")
    return parse(rule.condition)


def rule_of(values: Mapping[str, Any]) -> Rule:
    """A rule from JSON's values, checked. Raises BadInput."""
    try:
        rule = msgspec.convert(dict(values), Rule)
    except msgspec.ValidationError as error:
        known = ", ".join(Rule.__struct_fields__)
        raise BadInput(f"rule: {error}. Fields of a rule: {known}.", code="bad_rule", field="rule") from None
    checked(rule)
    return rule


class Pin(NamedTuple):
    """One item at one place: the best of `rows` that may be listed."""

    rule_id: str
    place: int
    rows: Ints
    named: bool = True  # whether the rule names its placements, or is of all


class Orders(NamedTuple):
    """What the rules say of one placement at one moment, by the rows of a catalog."""

    excluded: Mask | None = None  # [size]
    lift: Floats | None = None  # [size] log factors
    lifting: tuple[tuple[str, Mask], ...] = ()  # rule_id → [size], of boosts alone
    boosted: Ints | None = None  # rows that become candidates whatever else speaks for them
    pins: tuple[Pin, ...] = ()  # in the order in which they choose their places


NOTHING = Orders()


class Rulebook:
    """All rules that are in force, now or at another time. One per `World`; swapped as a whole.

    Pure but for what it remembers: the same rules, catalog, placement and moment have the same orders. Any thread may
    ask: lists and searches are made in different ones.
    """

    def __init__(self, rules: Iterable[Rule] = (), revision: int = 0) -> None:
        """Raises BadInput for a rule that makes no sense."""
        kept = [(rule, checked(rule)) for rule in rules if rule.enabled]
        self.revision = revision
        self._rules = sorted(kept, key=lambda pair: (-pair[0].priority, pair[0].rule_id))
        times = (at.timestamp() for rule, _ in kept for at in (rule.starts_at, rule.ends_at) if at is not None)
        self._turns = sorted(set(times))
        self._columns, self._lock = Columns(), Lock()
        self._view: View | None = None
        self._masks: dict[str, Mask] = {}
        self._named = frozenset(placement for rule, _ in kept for placement in rule.placements)
        self._period = 0
        self._orders: dict[str | None, Orders] = {}  # by placement; None: all those that no rule names

    def __len__(self) -> int:
        return len(self._rules)

    def period(self, now: float) -> int:
        """Between two periods the rules in force differ; within one they do not."""
        return bisect_right(self._turns, now)

    def active(self, now: float) -> frozenset[str]:
        """The ids of the rules in force."""
        return frozenset(rule.rule_id for rule, _ in self._rules if _holds(rule, now))

    def orders(self, view: View, placement: str, now: float) -> Orders:
        """What holds for a list of this placement."""
        if not self._rules:
            return NOTHING
        with self._lock:
            if view is not self._view:
                self._view, self._masks, self._orders = view, {}, {}
                self._columns.follow(view)
            if (period := self.period(now)) != self._period:
                self._period, self._orders = period, {}
            key = placement if placement in self._named else None  # clients make up names, and would fill the memory
            if (known := self._orders.get(key)) is None:
                known = self._orders[key] = self._worked_out(view, placement, now)
            return known

    def _worked_out(self, view: View, placement: str, now: float) -> Orders:
        rules = [
            (rule, self._mask(rule, condition))
            for rule, condition in self._rules
            if _holds(rule, now) and (not rule.placements or placement in rule.placements)
        ]
        excluding = [mask for rule, mask in rules if rule.effect == "exclude"]
        lifting = [(rule, mask) for rule, mask in rules if rule.effect in ("boost", "bury")]
        lift = np.zeros(view.size, np.float32)
        for rule, mask in lifting:
            log = math.log(FACTOR if rule.factor is None else rule.factor)
            lift[mask] += log if rule.effect == "boost" else -log
        boosts = tuple((rule.rule_id, mask) for rule, mask in lifting if rule.effect == "boost")
        return Orders(
            np.logical_or.reduce(excluding) if excluding else None,
            lift if lifting else None,
            boosts,
            _newest(np.logical_or.reduce([mask for _, mask in boosts]), view) if boosts else None,
            tuple(
                Pin(
                    rule.rule_id,
                    rule.place or 0,
                    np.flatnonzero(mask & view.listed).astype(np.int32),
                    bool(rule.placements),
                )
                for rule, mask in rules
                if rule.effect == "pin"
            ),
        )

    def _mask(self, rule: Rule, condition: Condition) -> Mask:
        found = self._masks.get(rule.rule_id)
        if found is None:
            found = self._masks[rule.rule_id] = self._columns.mask(condition)
        return found


def _newest(mask: Mask, view: View) -> Ints:
    """The listed rows of the mask; of many the newest."""
    rows = np.flatnonzero(mask & view.listed)
    return rows[np.argsort(-view.born[rows], kind="stable")][:DEPTH].astype(np.int32)


def _holds(rule: Rule, now: float) -> bool:
    return _at(rule.starts_at, -math.inf) <= now < _at(rule.ends_at, math.inf)


def _at(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()
