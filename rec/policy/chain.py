"""ranking → **the chain** → slate. Scores become a list, step by step; each step is pure, and off unless asked for.

    weigh      the strategy's mix, and the rules that boost and bury     new logits, ranked anew
    calibrate  to the shopper's interests                                rec.policy.calibrate
    diversify  MMR or DPP                                                rec.policy.diversity
    share      exposure by brand or seller                               rec.policy.fairness
    spread     no category takes over                                    rec.policy.spread
    explore    which candidates are on the list is drawn                 rec.policy.explore
    cold       one place for an item that hardly anybody came to
    pin        the rules that pin
    fill       popular and new items, so that a list is never too short  rec.shelf.tail

What may not be on the list at all (stock, seen, bought, age, region, rules that exclude) was left out of the
candidates before they were ranked: `Bench.allowed`.

Propensities stay true because all that depends on the order of the others comes before the draw, and all that comes
after it takes its items out of the draw beforehand. Until the draw a step is a permutation: whoever stands at a place,
the place keeps its logit, the largest first; so the draw sees the order that the steps made, and how far apart the
ranker's scores are. What is not drawn has a propensity of 1; the cold item has that of its own draw, among others that
are not in the first one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, Mask
from rec.features import FEATURES
from rec.policy.calibrate import calibrate, interests
from rec.policy.cold import fit, promising
from rec.policy.dice import Dice
from rec.policy.diversity import dpp, mmr
from rec.policy.explore import draw
from rec.policy.exposure import Ledger, groups_of, targets_within
from rec.policy.fairness import share_out
from rec.policy.rules import NOTHING, Orders
from rec.policy.spread import spread
from rec.policy.strategy import MOST_COLD, Strategy
from rec.shelf import Shelf, tail
from rec.state import FoldRules, UserState

NEWEST = 1_000  # where there is no cold candidate, among so many of the newest items one is looked for
COLD = 1  # the salt of the cold place: its draw is another one
_LEAST = float(np.finfo(np.float32).tiny)  # of a score, before its logarithm


class Bench(NamedTuple):
    """The candidates of one list, and all that the steps look at. Arrays over the m candidates or the whole catalog."""

    rows: Ints  # [m] of the catalog
    scores: Floats  # [m] in [0, 1]
    features: Floats | None  # [m, len(FEATURES)] where the gate ranked
    order: Ints  # [m] best first
    n: int
    shelf: Shelf
    allowed: Mask  # [size] nothing else may be on the list
    fresh: Mask  # [size] allowed, and not tired: nothing else may be a candidate
    of_the_shopper: bool  # not beside an item or a cart, where more of the same is what the list is for
    state: UserState | None  # None: nothing personal goes in
    folding: FoldRules
    now: float
    orders: Orders = NOTHING
    ledger: Ledger | None = None  # who was seen how much, in all lists


class Draft(NamedTuple):
    """A list in the making: candidates in their order, and the logits of the places they stand at."""

    order: Ints  # places of the bench, best first
    logits: Floats  # falling
    moved: dict[int, tuple[str, ...]]  # place of the bench → the steps that moved it up

    def permuted(self, chosen: Sequence[int] | Ints, step: str) -> Draft:
        """With the chosen places first, in that order, and the rest behind them as they were."""
        first = np.asarray(chosen, np.int32)
        if np.array_equal(first, np.arange(len(first))):
            return self
        rest = np.ones(len(self.order), np.bool_)
        rest[first] = False
        up = {int(self.order[was]): step for place, was in enumerate(first.tolist()) if was > place}
        moved = self.moved | {at: (*self.moved.get(at, ()), step) for at, step in up.items()}
        return Draft(np.concatenate([self.order[first], self.order[rest]]), self.logits, moved)

    def without(self, gone: Mask) -> Draft:
        """Without some candidates [m]; who is behind them moves up."""
        stays = ~gone[self.order]
        return Draft(self.order[stays], self.logits[stays], self.moved)


class Placed(NamedTuple):
    """One place of the finished list."""

    row: int
    at: int | None  # its place of the bench; None: it was no candidate
    score: float
    propensity: float
    moved: tuple[str, ...] = ()
    step: str = ""  # the step that put it there although nothing else spoke for it: pin or cold


Watch = Callable[[str, Draft, int], None]  # a step, what it left, how many of that are on the list or in the draw


def unwatched(step: str, draft: Draft, head: int) -> None:
    """Nobody wants to know."""


def lay_out(bench: Bench, strategy: Strategy, dice: Dice, watch: Watch = unwatched) -> list[Placed]:
    """The list: min(n, allowed items) of them, each once. `watch` hears of each step before the draw."""
    draft, pins = weigh(bench, strategy), pinned(bench)
    places = max(0, bench.n - len(pins))
    head = places if strategy.temperature <= 0 else math.ceil(places * strategy.explore_depth)
    watch("weigh", draft, head + len(pins))
    if pins:
        taken = np.isin(bench.rows, [pin.row for pin in pins])
        draft = draft.without(taken)
        watch("pin", draft, head)
    if bench.of_the_shopper:
        draft = calibrated(draft, bench, strategy, places)
        watch("calibrate", draft, head)
        draft = diversified(draft, bench, strategy, places)
        watch("diversify", draft, head)
    draft = shared(draft, bench, strategy, places)
    watch("share", draft, head)
    if bench.of_the_shopper and strategy.category_share < 1:
        categories = bench.shelf.view.category[bench.rows[draft.order]].tolist()
        draft = draft.permuted(spread(categories, head, strategy.category_share), "spread")
    watch("spread", draft, head)
    cold = drawn_cold(draft, bench, strategy, head, pins, dice)
    wanted = places - (cold is not None)
    watch("cold", draft, wanted if strategy.temperature <= 0 else head)
    listed = explored(draft, bench, strategy, wanted, head, dice)
    fixed = [(pin.place, Placed(pin.row, None, 0.0, 1.0, (f"pin:{pin.rule_id}",), "pin")) for pin in pins]
    if cold is not None and strategy.cold_place is not None:
        fixed.append((free_place(strategy.cold_place, {place for place, _ in fixed}), cold))
    used = [*(each.row for each in listed), *(each.row for _, each in fixed)]
    return seated([*listed, *filled(used, bench, wanted - len(listed))], fixed)


# ---------------------------------------------------------------- the steps before the draw
def weigh(bench: Bench, strategy: Strategy) -> Draft:
    """The ranker's order; with a mix, or rules that boost and bury, the one that these make of it."""
    orders, moved, order = bench.orders, dict[int, tuple[str, ...]](), bench.order
    logits = np.log(np.maximum(bench.scores, _LEAST)).astype(np.float32)
    mixed = bool(strategy.mix) and bench.features is not None
    if mixed and bench.features is not None:
        logits = logits + bench.features @ np.array([strategy.mix.get(name, 0.0) for name in FEATURES], np.float32)
    if orders.lift is not None:
        logits = logits + orders.lift[bench.rows]
        for rule_id, mask in orders.lifting:
            for at in np.flatnonzero(mask[bench.rows]).tolist():
                moved[at] = (*moved.get(at, ()), f"boost:{rule_id}")
    if mixed or orders.lift is not None:
        order = order[np.argsort(-logits[order], kind="stable")]
    return Draft(order, logits[order], moved)


def calibrated(draft: Draft, bench: Bench, strategy: Strategy, n: int) -> Draft:
    """Categories in proportion to the shopper's interests."""
    view = bench.shelf.view
    if strategy.calibration <= 0 or bench.state is None or not len(draft.order):
        return draft
    wanted = interests(bench.state, view, bench.now, bench.folding)
    if wanted is None:
        return draft
    depth = max(n, strategy.diversity_depth)
    head = bench.rows[draft.order[:depth]]
    chosen = calibrate(draft.logits[:depth], view.category[head], wanted, n, strategy.calibration)
    return draft.permuted(chosen, "calibration")


def diversified(draft: Draft, bench: Bench, strategy: Strategy, n: int) -> Draft:
    """Not n times the same."""
    view = bench.shelf.view
    if strategy.diversity == "off" or not view.vectors.shape[1] or not len(draft.order):
        return draft
    depth = max(n, strategy.diversity_depth)
    head = bench.rows[draft.order[:depth]]
    vectors = view.vectors[head] * view.has_vector[head][:, None]
    choose = mmr if strategy.diversity == "mmr" else dpp
    return draft.permuted(choose(draft.logits[:depth], vectors, n, strategy.theta), strategy.diversity)


def shared(draft: Draft, bench: Bench, strategy: Strategy, n: int) -> Draft:
    """Exposure by brand or seller, in proportion to merit or as it is given."""
    if strategy.fairness <= 0 or not len(draft.order):
        return draft
    view, depth = bench.shelf.view, max(n, strategy.diversity_depth)
    head = bench.rows[draft.order[:depth]]
    groups = view.brand[head] if strategy.fairness_by == "brand" else _sellers(head, bench)
    targets = carried = None
    if not strategy.fair_by_merit_alone:
        names = [groups_of(view.items[row])[strategy.fairness_by == "seller"] for row in head.tolist()]
        aim = strategy.fairness_target, strategy.fairness_shares
        targets = targets_within(draft.logits[:depth], names, *aim)
        if bench.ledger is not None:
            carried = bench.ledger.owed(strategy.fairness_by, names, *aim) * strategy.fairness_carry
    chosen = share_out(draft.logits[:depth], groups, n, strategy.fairness, targets=targets, carried=carried)
    return draft.permuted(chosen, "amortized_fairness" if strategy.fairness_carry else "fairness")


def _sellers(rows: Ints, bench: Bench) -> Ints:
    """[rows] codes of the sellers; 0 where the item names none."""
    names = [str(bench.shelf.view.items[row].attributes.get("seller") or "") for row in rows.tolist()]
    codes = {"": 0}
    return np.array([codes.setdefault(name, len(codes)) for name in names], np.int32)


# ---------------------------------------------------------------- the draw
def explored(draft: Draft, bench: Bench, strategy: Strategy, n: int, head: int, dice: Dice) -> list[Placed]:
    """n of the first `head` candidates, drawn; at temperature 0 the first n."""
    marks = bench.shelf.view.marks
    chances = partial(dice.uniform, marks[bench.rows[draft.order[:head]]])
    drawn = draw(draft.logits[:head], n, strategy.temperature, chances)
    order = draft.order[drawn.order]
    scores = np.minimum.accumulate(bench.scores[order])  # a list's scores fall
    rows, places = bench.rows[order].tolist(), drawn.order.tolist()
    out = []
    for row, at, place, score, chance in zip(
        rows, order.tolist(), places, scores.tolist(), drawn.propensities.tolist(), strict=True
    ):
        moved = draft.moved.get(at, ())
        out.append(Placed(row, at, score, chance, (*moved, "exploration") if place >= n else moved))
    return out


def drawn_cold(
    draft: Draft, bench: Bench, strategy: Strategy, head: int, pins: Sequence[Pinned], dice: Dice
) -> Placed | None:
    """One item that hardly anybody came to: of the candidates behind the head that promise most, else of the newest.

    None without one, and where the candidates do not fill the list: then new items come in anyway.
    """
    full = len(pins) >= bench.n
    if full or strategy.cold_place is None or strategy.cold_place >= bench.n or len(draft.order) < bench.n - len(pins):
        return None
    support, view = bench.shelf.support, bench.shelf.view
    behind = draft.order[head:]
    cold = behind[support[bench.rows[behind]] < strategy.cold_support]
    if len(cold):
        later = view.born.max() - view.born[bench.rows[cold]]  # those that are gone again count, too
        chosen, promise = promising(_fit(bench, cold), later, MOST_COLD)
        cold = cold[chosen]
        chances = partial(dice.uniform, view.marks[bench.rows[cold]], COLD)
        one = draw(promise, 1, strategy.temperature, chances)
        at = int(cold[one.order[0]])
        row, score = int(bench.rows[at]), float(bench.scores[at])
        return Placed(row, at, score, float(one.propensities[0]), ("cold_start",), "cold")
    newest = view.newest[:NEWEST]
    newest = newest[bench.fresh[newest] & (support[newest] < strategy.cold_support)]
    barred = [*(pin.row for pin in pins), *bench.rows[draft.order].tolist()]
    rows = newest[~np.isin(newest, barred)][:MOST_COLD]
    if not len(rows):
        return None
    one = draw(np.zeros(len(rows), np.float32), 1, strategy.temperature, partial(dice.uniform, view.marks[rows], COLD))
    return Placed(int(rows[one.order[0]]), None, 0.0, float(one.propensities[0]), ("cold_start",), "cold")


def _fit(bench: Bench, cold: Ints) -> Floats:
    """[m] of the candidates `cold` [m]; where no gate ranks, what the ranking says. The rules boost and bury it."""
    if bench.features is not None:
        fits = fit(bench.features[cold], bench.shelf.pull[bench.rows[cold]])
    else:
        fits = np.log(np.maximum(bench.scores[cold], _LEAST)).astype(np.float32)
    return fits if bench.orders.lift is None else fits + bench.orders.lift[bench.rows[cold]]


# ---------------------------------------------------------------- after the draw
class Pinned(NamedTuple):
    """An item that has its place already."""

    row: int
    place: int
    rule_id: str


def pinned(bench: Bench) -> list[Pinned]:
    """Of each rule that pins the best item that may be listed, at its place or the next one that is free."""
    pins: list[Pinned] = []
    if not bench.orders.pins:
        return pins
    score = np.full(len(bench.allowed), -1.0, np.float32)
    score[bench.rows] = bench.scores
    for pin in bench.orders.pins:
        rows = pin.rows[bench.allowed[pin.rows]]
        rows = rows[~np.isin(rows, [known.row for known in pins])]
        place = free_place(pin.place, {known.place for known in pins})
        if len(rows) and place < bench.n:
            best = np.lexsort((rows, -bench.shelf.popularity[rows], -score[rows]))[0]
            pins.append(Pinned(int(rows[best]), place, pin.rule_id))
    return pins


def free_place(place: int, taken: Container[int]) -> int:
    """The place, or the next one that nobody has."""
    while place in taken:
        place += 1
    return place


def filled(used: Sequence[int], bench: Bench, missing: int) -> list[Placed]:
    """What a list is filled up with: with what is fresh, then with what is at least allowed."""
    out: list[Placed] = []
    for mask in (bench.fresh, bench.allowed):
        if (left := missing - len(out)) > 0:
            rest = mask.copy()
            rest[[*used, *(each.row for each in out)]] = False
            out += [Placed(row, None, 0.0, 1.0) for row in tail(bench.shelf, rest, left).tolist()]
    return out


def seated(listed: Sequence[Placed], fixed: Sequence[tuple[int, Placed]]) -> list[Placed]:
    """The list with the fixed items at their places; those whose place it is too short for come at its end.

    A fixed item has no score of its own that could stand among the others: it takes that of the place.
    """
    if not fixed:
        return list(listed)
    length = len(listed) + len(fixed)
    at = {place: each for place, each in fixed if place < length}
    late = [each for place, each in sorted(fixed, key=lambda pair: pair[0]) if place >= length]
    others = iter([*listed, *late])
    out: list[Placed] = []
    for place in range(length):
        each = at.get(place) or next(others)
        out.append(each)
    score = 0.0
    for place in range(length - 1, -1, -1):  # from the end, so that scores fall
        each = out[place]
        score = max(score, each.score) if not each.step else score
        out[place] = each._replace(score=score)
    return out
