"""state → candidates → ranking → policy → **slate**. How a list is made; start reading here.

    recommend_many(asks, world)
        shelf       the catalog and the counts, side by side                     rec.shelf
        plan        whom is the list for, what is it made from, what may be on it
        gather      what each source says of which item                          rec.candidates
        rank        one score per item: the learned gate, or a fixed mix         rec.gate, rec.ranking
        value       what it would be worth, by the network's heads                rec.value
        lay out     rules, variety, chance: the chain of the strategy             rec.policy.chain
        slate       the list with scores, sources, reasons and provenance        rec.slates

Pure but for two caches in `World` that change no answer: `now` and `rng` are arguments, no argument is changed.
Safe in any one thread while another changes the catalog and the counters. Invariants: an item is on a list at most
once, is in stock and not forbidden; a list of n has min(n, eligible items) of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rec.about import NOBODY
from rec.candidates import (
    SOURCES,
    Anchor,
    Found,
    Pool,
    anchors_of,
    by_content,
    by_history,
    by_interest,
    by_neighbours,
    by_neighbours_and_taste,
    by_rules,
    gather,
)
from rec.catalog import Catalog, Floats, Ints, Mask, View, card
from rec.contest import UNTAUGHT
from rec.counters import Counters
from rec.events import instant, moment
from rec.features import features_of
from rec.gate import Gate, bucket_of, softmax, weigh
from rec.ids import uuid7
from rec.likeness import ItemLikeness
from rec.policy.audience import Audience
from rec.policy.chain import Bench, Placed, Watch, lay_out, unwatched
from rec.policy.dice import Dice
from rec.policy.exposure import Ledger
from rec.policy.filters import ListRules, cycle_in, due_again, eligible, forbidden, tired
from rec.policy.refresh import OnScreen
from rec.policy.rules import Orders, Rulebook
from rec.policy.strategy import Strategy
from rec.ranking import CART, HOME, ITEM, Mix, rank
from rec.reasons import Why, discreet
from rec.scenes import EVERYTHING
from rec.search.intent import SPOKE, QueryVector, sought
from rec.shelf import Shelf, shelf
from rec.slates import Cause, Position, Reason, Slate, SlateItem
from rec.state import FoldRules, UserState
from rec.value import Heard, SequenceModel, Worth, hear, log_value

MODEL_VERSION = "mix-1"
_UNASKED = {"pin": "rule", "cold": "new"}  # the source of what no candidate source has named
NOWHERE = Position("none", 0)  # where a user without a state stands


class Ask(NamedTuple):
    """One list wanted: for whom, where on the page, how long, beside which item, and why now."""

    user_id: str
    placement: str
    n: int
    item_id: str | None
    cause: Cause
    state: UserState | None
    strategy: Strategy | None = None  # None: the world's
    on_screen: OnScreen | None = None  # what is there, where it may stay (rec.noted)


class Brain(NamedTuple):
    """What was learned, as one version: swapped in by one assignment."""

    gate: Gate
    network: SequenceModel | None = None
    version: str = UNTAUGHT
    learned_through: float = 0.0  # the newest event it has learned from, seconds since 1970; 0: none

    @classmethod
    def untaught(cls) -> Brain:
        """What every installation begins with."""
        return cls(Gate.prior())


class World:
    """What lists are made from, beside the user's state. One per worker. Without a `brain` the fixed mix ranks.

    Without `worth` the order is that of what is likely, whatever the heads say. `shelf_s` (seconds): for so long the
    counts over the whole catalog are not brought together again. `likeness`: what is kept of it from list to list. What
    learns from lists has neither, so that the same events give the same lists to the bit.
    """

    def __init__(
        self,
        catalog: Catalog,
        counters: Counters,
        rules: FoldRules | None = None,
        lists: ListRules | None = None,
        brain: Brain | None = None,
        worth: Worth | None = None,
        shelf_s: float = 0.0,
        strategy: Strategy | None = None,
        rulebook: Rulebook | None = None,
        query_vector: QueryVector = lambda query: None,
        likeness: ItemLikeness | None = None,
    ) -> None:
        self.brain = brain
        self.strategy = strategy or Strategy()  # of every list whose ask names none
        self.worth = worth
        self.rulebook = rulebook or Rulebook()
        self.audience = Audience()
        self.ledger: Ledger | None = None  # who was seen how much; None: nobody looks
        self.query_vector = query_vector
        self.likeness = likeness
        self.scenes = EVERYTHING  # what serves has those of the settings
        self._shelf_s = shelf_s
        self.catalog = catalog
        self.counters = counters
        self.rules = rules or FoldRules()
        self.lists = lists or ListRules()
        self._shelf: Shelf | None = None
        self._shelved_at = 0.0

    def shelf(self, now: float) -> Shelf:
        """Catalog and counts, aligned: the catalog as it is, what is popular as it was at most `shelf_s` ago."""
        view, tables, kept = self.catalog.view(), self.counters.tables, self._shelf
        same = kept is not None and kept.view is view and kept.tables is tables
        if kept is None or not same or not 0 <= now - self._shelved_at < self._shelf_s:
            kept = self._shelf = shelf(view, tables, kept)
            self._shelved_at = now
        return kept


class Plan(NamedTuple):
    """One list before it is made: the state if it may be used, what the list follows from, what may be on it."""

    ask: Ask
    state: UserState | None
    anchors: Sequence[Anchor]  # what rules, neighbours and likeness start from
    own: Sequence[Anchor]  # what the shopper acted on
    mix: Mix
    allowed: Mask
    fresh: Mask  # allowed, and not tired
    strategy: Strategy
    orders: Orders  # of the rules
    due: frozenset[str]  # what the shopper would buy again about now


def recommend(ask: Ask, world: World, *, now: float, rng: random.Random) -> Slate:
    """One list."""
    return recommend_many([ask], world, now=now, rng=rng)[0]


def recommend_many(asks: Sequence[Ask], world: World, *, now: float, rng: random.Random) -> list[Slate]:
    """The lists asked for, in the order of the asks; together they cost less than one by one."""
    brain = world.brain  # one version for all of them, whatever is swapped in meanwhile
    lists = judge(asks, world, brain, now)
    scenes = world.scenes
    return [scenes.made(judged, world, now, lambda organic: made(organic, world, brain, now, rng)) for judged in lists]


class Judged(NamedTuple):
    """The candidates of one list, before policy: `order` is best first, over the m rows of the pool."""

    plan: Plan
    shelf: Shelf
    found: dict[str, Found]
    pool: Pool
    features: Floats | None  # [m, len(FEATURES)] where the gate ranks, None where the mix does
    scores: Floats  # [m] in [0, 1]
    said: Floats  # [sources, m] what each of `sources` says for it
    sources: tuple[str, ...]
    order: Ints  # [m]

    def spoke(self, at: Sequence[int]) -> list[str]:
        """Which source spoke most for each of these places of the pool."""
        return [self.sources[most] for most in self.said[:, at].argmax(axis=0).tolist()] if len(at) else []


def judge(asks: Sequence[Ask], world: World, brain: Brain | None, now: float) -> list[Judged]:
    """Candidates and their ranking for each ask."""
    on_shelf = world.shelf(now)
    return judge_planned([plan(ask, on_shelf, world, now) for ask in asks], on_shelf, world, brain, now)


def judge_planned(
    plans: Sequence[Plan], on_shelf: Shelf, world: World, brain: Brain | None, now: float
) -> list[Judged]:
    """The same of what is planned already."""
    likeness = by_content(on_shelf.view, [p.anchors for p in plans], world.likeness)
    said: Sequence[Heard | None] = [None] * len(plans)
    readers = [at for at, p in enumerate(plans) if p.own and p.mix is HOME]  # the others have nothing to read
    if brain is not None and brain.network is not None and readers:
        users = [plans[at].state for at in readers]
        heard = dict(zip(readers, hear(brain.network, on_shelf.view, users, [now] * len(users)), strict=True))
        said = [heard.get(at) for at in range(len(plans))]
    return [
        _judged(p, alike, says, on_shelf, world, brain, now)
        for p, alike, says in zip(plans, likeness, said, strict=True)
    ]


def plan(ask: Ask, on_shelf: Shelf, world: World, now: float) -> Plan:
    """Without consent or state nothing personal goes in: everyone without gets the same list."""
    state = ask.state if ask.state is not None and may_use(ask.state, world.rules) else None
    own = anchors_of(state) if state else []
    scene = world.scenes.of(ask.placement)
    page = ask.item_id if scene.follows != "shopper" else None
    context = [Anchor(page, now, 1, "view_item")] if page and _known(page, on_shelf) else []
    cart = state.cart() if state and scene.follows == "cart" and not context else {}
    basket = [Anchor(i, at, 1, "add_to_cart") for i, at in sorted(cart.items(), key=lambda pair: -pair[1])]
    cycle_of = cycle_in(on_shelf.view, world.lists)
    excluded = {*cart, *([ask.item_id] if ask.item_id else ())}
    if state:
        excluded |= forbidden(state, now, scene.lists(world.lists), cycle_of)
    due = frozenset(due_again(state, now, cycle_of)) if state and state.bought else frozenset[str]()
    allowed = world.scenes.keep(eligible(on_shelf.view, excluded), on_shelf.view, ask.placement)
    orders = permit(allowed, on_shelf.view, ask.placement, state, world, now)
    fresh = allowed & eligible(on_shelf.view, tired(state, now, world.lists)) if state else allowed
    anchors, mix = context or basket or own, ITEM if context else CART if basket else HOME
    return Plan(ask, state, anchors, own, mix, allowed, fresh, ask.strategy or world.strategy, orders, due)


def permit(mask: Mask, view: View, placement: str, state: UserState | None, world: World, now: float) -> Orders:
    """What the rules order for a placement. Takes out of `mask` [size] what they exclude, and what is for others than
    this shopper; `state` None: for one who has not said how old they are, or where."""
    if (theirs := world.audience.mask(view, state.about if state else NOBODY)) is not None:
        mask &= theirs
    orders = world.rulebook.orders(view, placement, now)
    if orders.excluded is not None:
        mask &= ~orders.excluded
    return orders


def may_use(state: UserState, rules: FoldRules) -> bool:
    """Whether anything personal may go in."""
    return rules.consent_default if state.consent is None else state.consent


def _known(item_id: str, on_shelf: Shelf) -> bool:
    return item_id in on_shelf.tables.code_of or on_shelf.view.row(item_id) is not None


def _judged(
    p: Plan, alike: Floats | None, says: Heard | None, on_shelf: Shelf, world: World, brain: Brain | None, now: float
) -> Judged:
    view = on_shelf.view
    found = {"rules": by_rules(on_shelf, p.anchors), "history": by_history(view, p.own)}
    if p.orders.boosted is not None:
        found["boost"] = Found(p.orders.boosted, np.zeros(0, np.float32), np.zeros(0, np.int32))
    gated = brain is not None and p.mix is HOME
    if gated:
        found["knn"], found["taste"] = by_neighbours_and_taste(on_shelf, p.own)
    else:
        found["knn"] = by_neighbours(on_shelf, p.anchors)
    dense: dict[str, Floats] = {}
    if alike is not None:
        dense["content"] = alike
    if p.state and (leaning := by_interest(on_shelf, p.state, p.own, now, world.rules)) is not None:
        dense["interest"] = leaning
    if says is not None:
        dense["sequence"] = np.exp(says.log_p)
    searched = sought(view, p.state, world.query_vector, now, world.rules) if gated else None
    if searched is not None:
        dense["query"] = searched  # names candidates, and is no column of the gate's
    pool = gather(on_shelf, found, dense, p.fresh)
    features = None
    if brain is not None and gated:
        features = features_of(pool, on_shelf, found, p.own, {} if says is None else {"sequence": says.log_p}, now)
        weighed = weigh(features, brain.gate, bucket_of(len(p.own)))
        logits = weighed.logits
        worth = world.scenes.worth(p.ask.placement, world.worth)
        if worth and says is not None and (chances := says.chances(pool.rows)) is not None:
            logits = logits + log_value(chances, worth)
        said, sources = weighed.said, weighed.sources
        if searched is not None:
            logits = logits + searched[pool.rows]
            query = np.where(searched[pool.rows] >= SPOKE, np.inf, -np.inf).astype(np.float32)
            said, sources = np.vstack([said, query]), (*sources, "query")
        scores = softmax(logits)
    else:
        ranked = rank(pool.features, p.mix)
        scores, said, sources = ranked.scores, ranked.said, SOURCES
    order = np.lexsort((-view.born[pool.rows], -scores))  # of equals the newer first, as in the tail
    return Judged(p, on_shelf, found, pool, features, scores, said, sources, order.astype(np.int32))


def made(
    judged: Judged, world: World, brain: Brain | None, now: float, rng: random.Random, watch: Watch = unwatched
) -> Slate:
    """The list of the judged candidates. `watch`: who is told of the steps, see `lay_out`."""
    p, rules = judged.plan, world.rules
    ranked = judged.pool.rows, judged.scores, judged.features, judged.order, p.ask.n
    bench = Bench(*ranked, judged.shelf, p.allowed, p.fresh, p.mix is HOME, p.state, rules, now, p.orders, world.ledger)
    who = p.ask.user_id if p.own else ""  # of whom nothing is known gets what everybody gets
    dice = Dice.thrown(rng, f"{p.ask.placement}/{p.ask.item_id}/{who}", p.strategy.steady_s, now)
    placed = lay_out(bench, p.strategy, dice, watch)
    ranker = brain if p.mix is HOME else None  # beside an item and in the cart the mix ranks
    return _slate(judged, placed, world, ranker, now, rng)


def _slate(
    judged: Judged, placed: Sequence[Placed], world: World, brain: Brain | None, now: float, rng: random.Random
) -> Slate:
    p, view = judged.plan, judged.shelf.view
    why = Why(judged.found, p.anchors, judged.shelf, p.state, p.mix is HOME, [place.row for place in placed])
    spoke, items = iter(judged.spoke([place.at for place in placed if place.at is not None])), []
    for place in placed:
        source = next(spoke) if place.at is not None else _UNASKED.get(place.step, "popular")
        item = view.items[place.row]
        reason = why.reason(place.row, source) if place.step != "pin" else Reason("pinned")
        moved = (*place.moved, "due_again") if item.item_id in p.due else place.moved
        if world.rules.sensitive:
            reason = discreet(reason, item, view, world.rules.sensitive)
        if moved:
            reason = msgspec.structs.replace(reason, policy=moved)
        items.append(SlateItem(item.item_id, place.score, source, reason, place.propensity, card(item)))
    position = p.ask.state.position if p.ask.state else NOWHERE
    return Slate(
        slate_id=uuid7(now, rng.getrandbits),
        user_id=p.ask.user_id,
        placement=p.ask.placement,
        epoch=position.epoch,
        version=position.version,
        cause=p.ask.cause,
        model_version=brain.version if brain else MODEL_VERSION,
        strategy=p.strategy.name,
        events_through=moment(p.ask.state.events_through) if p.ask.state else None,
        learned_through=moment((brain.learned_through if brain else 0.0) or world.counters.learned_through),
        created_at=instant(now),
        items=tuple(items),
    )
