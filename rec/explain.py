"""state → candidates → scores → policy steps → list: **why one item is on a list and another is not**. For people.

    explain(ask, world)
        judge, once more with everything     what the ranker would say of items that were kept off, too
        made, watched                        the list itself, and each candidate's place after each step of the chain
        fates                                where each of the best fell out, and why

The list is made by the code that makes all lists, with the same arguments; what is added is only looked at. Pure, as
`rec.recommend` is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rec.about import NOBODY
from rec.candidates import SOURCES
from rec.catalog import Mask
from rec.policy import filters
from rec.policy.chain import Draft
from rec.policy.filters import cycle_in
from rec.ranking import CART
from rec.recommend import Ask, Judged, Plan, World, judge_planned, made, plan
from rec.shelf import Shelf
from rec.slates import Slate

LISTED, RANKED, DRAWN, FILTERED = "listed", "rank", "explore", "filter"  # a fate, beside the names of steps


class Fate(msgspec.Struct, frozen=True):
    """What became of one item. Ranks and places are 0-based."""

    item_id: str
    title: str | None
    rank: int  # by the ranker, of all that anything spoke for, kept off or not
    score: float  # the ranker's, a share of 1 where the gate ranks
    source: str  # what spoke most for it
    says: dict[str, float]  # by source: what it says, in its own unit; those that say nothing are left out
    places: dict[str, int]  # step → its place after it; none where it was kept off
    place: int | None  # on the list
    fate: str  # listed; or where it fell out: filter, rank, a step of the chain, explore (it was not drawn)
    because: tuple[str, ...] = ()  # of filter: which rules kept it off


class Explained(NamedTuple):
    """A list, and what became of the best candidates, the best first. `candidates`: how many there were in all."""

    slate: Slate
    fates: tuple[Fate, ...]
    candidates: int


class _Step(NamedTuple):
    name: str
    place: dict[int, int]  # row → place
    head: int


def explain(ask: Ask, world: World, *, now: float, rng: random.Random, top: int = 30) -> Explained:
    """One list and the fates of the `top` best items by the ranker, and of every other item that is on the list."""
    brain, on_shelf = world.brain, world.shelf(now)
    planned = plan(ask, on_shelf, world, now)
    everything = planned._replace(allowed=on_shelf.view.known, fresh=on_shelf.view.known)
    (judged,) = judge_planned([planned], on_shelf, world, brain, now)  # alone, as it is to be the same to the bit
    (whole,) = judge_planned([everything], on_shelf, world, brain, now)
    steps: list[_Step] = []

    def watch(step: str, draft: Draft, head: int) -> None:
        rows = judged.pool.rows[draft.order].tolist()
        steps.append(_Step(step, {row: place for place, row in enumerate(rows)}, head))

    slate = made(judged, world, brain, now, rng, watch)
    return Explained(slate, _fates(whole, planned, steps, slate, world, now, top), len(judged.pool.rows))


def apart(world: World) -> World:
    """The same world with caches of its own, for another thread than that which makes the lists."""
    same = World(
        world.catalog,
        world.counters,
        world.rules,
        world.lists,
        world.brain,
        world.worth,
        strategy=world.strategy,
        rulebook=world.rulebook,
        query_vector=world.query_vector,
    )
    same.audience, same.scenes = world.audience, world.scenes
    return same


def _fates(
    whole: Judged, planned: Plan, steps: Sequence[_Step], slate: Slate, world: World, now: float, top: int
) -> tuple[Fate, ...]:
    view, rows = whole.shelf.view, whole.pool.rows
    listed = {place.item_id: at for at, place in enumerate(slate.items)}
    barred = barriers(planned, whole.shelf, world, now)
    order, fates = whole.order.tolist(), []
    for rank, (at, spoke) in enumerate(zip(order, whole.spoke(order), strict=True)):
        row = int(rows[at])
        item = view.items[row]
        place = listed.get(item.item_id)
        if rank >= top and place is None:
            continue
        because = tuple(name for name, mask in barred if mask[row])
        raw = whole.pool.features[at]
        fates.append(
            Fate(
                item.item_id,
                item.title,
                rank,
                float(whole.scores[at]),
                spoke,
                {name: float(value) for name, value in zip(SOURCES, raw, strict=True) if value},
                {step.name: step.place[row] for step in steps if row in step.place},
                place,
                _fate(row, place, steps, because),
                because,
            )
        )
    return tuple(fates)


def _fate(row: int, place: int | None, steps: Sequence[_Step], because: Sequence[str]) -> str:
    """Where it fell out: the last step that took it from within reach of the list to beyond it."""
    if place is not None:
        return LISTED
    if because:
        return FILTERED
    fell, within = RANKED, False
    for step in steps:
        inside = step.place.get(row, step.head) < step.head
        if within and not inside:
            fell = step.name
        within = inside
    return DRAWN if within else fell


def barriers(planned: Plan, on_shelf: Shelf, world: World, now: float) -> list[tuple[str, Mask]]:
    """(name, [size] what it keeps off) of each thing that keeps items off this list; empty ones are left out.

    All but `tired` are hard: what is tired comes back where the list would be too short.
    """
    view, ask, state, rules = on_shelf.view, planned.ask, planned.state, world.lists
    found: list[tuple[str, Mask]] = []

    def keeps(name: str, mask: Mask) -> None:
        if mask.any():
            found.append((name, mask))

    def named(name: str, item_ids: set[str]) -> None:
        mask = np.zeros(view.size, np.bool_)
        mask[[row for item_id in item_ids if (row := view.row(item_id)) is not None]] = True
        keeps(name, mask)

    away = np.flatnonzero(view.known & ~view.listed).tolist()
    named("flagged", {view.items[row].item_id for row in away if view.items[row].flagged})
    named("out_of_stock", {view.items[row].item_id for row in away if not view.items[row].in_stock})
    named("on_the_page", {ask.item_id} if ask.item_id else set())
    if state is not None:
        named("in_cart", set(state.cart()) if planned.mix is CART else filters.carted(state, now, rules))
        named("bought", filters.bought(state, now, rules, cycle_in(view, rules)))
        named("not_interested", filters.hidden(state))
        named("seen", filters.seen(state, world.scenes.of(ask.placement).lists(rules)))
        named("tired", filters.tired(state, now, rules))
    keeps("kind", ~world.scenes.keep(np.ones(view.size, np.bool_), view, ask.placement))
    if (theirs := world.audience.mask(view, state.about if state else NOBODY)) is not None:
        keeps("audience", ~theirs)
    if planned.orders.excluded is not None:
        keeps("rule", planned.orders.excluded)
    return found
