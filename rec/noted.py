"""judge → **made, noted, put in the place of another** → slate + note. What a worker calls to make lists.

The lists are those of `rec.recommend`. Beside each stands what its feedback will need to know (`rec.policy.note`), and
where the list on the screen may stay, wholly or in part, it is decided here (`rec.policy.refresh`): the context of that
decision is the new list beside the old one, so it can only be taken when both are known.

What stays is ordered like what a shop pins: it has its place, everything else is laid out around it. With `steady_s`
the rest is drawn by the dice of the whole list: another action alone moves nothing else. Propensities are over all
draws, given what stays, and that of the decision is given the draw: together they are that of what happened. What
stays is held against what may be listed now: what is sold out, flagged, bought, not wanted or excluded by a rule
since stays nowhere. Pure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from rec.ads.market import AD_SOURCE
from rec.policy.bandit import BanditRules
from rec.policy.note import Note
from rec.policy.refresh import ACTIONS, Action, Decision, OnScreen, Solved, context_of, decide
from rec.policy.rules import Pin
from rec.policy.strategy import Strategy
from rec.recommend import Ask, Brain, Judged, World, judge, made
from rec.slates import Slate, SlateItem

KEPT: Mapping[Action, str] = {"tail": "kept", "wait": "waiting"}  # in `reason.policy` of what stays
_OURS = "\0"  # no id of a rule begins so


class Noted(NamedTuple):
    """A list, and what its feedback needs beside it."""

    slate: Slate
    note: Note
    strategy: Strategy = Strategy()

    @property
    def waits(self) -> Decision | None:
        """The decision to let what is on the screen stay, so that another list is to come after `strategy.wait_s`."""
        decision = self.note.decision
        return decision if decision is not None and decision.action == "wait" and not decision.root else None


class Learned(NamedTuple):
    """What is believed of the actions, and how it is acted upon."""

    solved: Solved
    rules: BanditRules


LearnedNow = Callable[[float], Learned | None]  # None: nobody hears what lists earn, so nothing is tried


def nothing_learned(_: float) -> None:
    """Where nobody hears what lists earn."""


def noted_many(
    asks: Sequence[Ask], world: World, *, now: float, rng: random.Random, learned: LearnedNow = nothing_learned
) -> list[Noted]:
    """The lists asked for, in the order of the asks."""
    brain = world.brain
    lists = judge(asks, world, brain, now)
    noted: list[Noted] = []

    def organic(judged: Judged) -> Slate:
        noted.append(_noted(judged, world, brain, now, rng, learned))
        return noted[-1].slate

    for judged in lists:
        slate = world.scenes.made(judged, world, now, organic)
        noted[-1] = noted[-1]._replace(slate=slate)
    return noted


def _noted(
    judged: Judged, world: World, brain: Brain | None, now: float, rng: random.Random, learned: LearnedNow
) -> Noted:
    note = _note(judged)
    slate = made(judged, world, brain, now, rng, note)
    plan, there = judged.plan, judged.plan.ask.on_screen
    if there is None or plan.state is None or not there.items or plan.strategy.refresh == "replace":
        return Noted(slate, note, plan.strategy)
    if there.waited is not None:  # it has stayed for long enough; what it earns counts for that decision
        note.decision = msgspec.structs.replace(there.waited, root=there.waited.root or there.slate_id)
        return Noted(slate, note, plan.strategy)
    organic = [place for place in there.items if place.source != AD_SOURCE]  # ads are sold anew with each list
    keep = min(plan.strategy.keep_places, len(organic))
    shown, new = ([place.item_id for place in places] for places in (organic, slate.items))
    if shown == new:  # nothing would change, so nothing is decided
        return Noted(slate, note, plan.strategy)
    context = context_of(shown, new, keep, plan.state, shown_at=there.at, now=now)
    decision = _decision(plan.strategy.refresh, context, there, now, rng, learned)
    if decision.action != "replace":
        kept = organic[: keep if decision.action == "tail" else plan.ask.n]
        note = _note(judged)
        slate = _around(kept, KEPT[decision.action], slate, judged, world, brain, now, rng, note)
    note.decision = decision
    return Noted(slate, note, plan.strategy)


def _decision(
    how: str, context: tuple[float, ...], there: OnScreen, now: float, rng: random.Random, learned: LearnedNow
) -> Decision:
    actions: list[Action] = [each for each in ACTIONS if there.may_wait or each != "wait"]
    if how == "learned" and (found := learned(now)) is not None:
        return decide(found.solved, context, actions, rng=rng, rules=found.rules)
    return Decision(next((each for each in actions if each == how), "replace"), 1.0, context)


def _note(judged: Judged) -> Note:
    return Note(judged.shelf.view, judged.pool.rows, judged.plan.strategy.temperature)


def _around(
    kept: Sequence[SlateItem],
    word: str,
    whole: Slate,
    judged: Judged,
    world: World,
    brain: Brain | None,
    now: float,
    rng: random.Random,
    note: Note,
) -> Slate:
    """The list with `kept` at its places, as far as it may still be listed; the shop's own pins go before it."""
    plan, view = judged.plan, judged.shelf.view
    rows = [(place, row) for place, each in enumerate(kept) if (row := view.row(each.item_id)) is not None]
    pins = tuple(Pin(_OURS + word, place, np.array([row], np.int32)) for place, row in rows if plan.allowed[row])
    ordered = plan._replace(orders=plan.orders._replace(pins=(*plan.orders.pins, *pins)))
    slate = made(judged._replace(plan=ordered), world, brain, now, rng, note)
    before = {each.item_id: each for each in (*kept, *whole.items)}  # the new list knows better why it is there
    items = tuple(_known(each, before, word) for each in slate.items)
    return msgspec.structs.replace(slate, items=items)


def _known(each: SlateItem, before: Mapping[str, SlateItem], word: str) -> SlateItem:
    """What stays has the source and the reason that it was listed for, and says that it stays."""
    if f"pin:{_OURS}{word}" not in each.reason.policy:
        return each
    known = before[each.item_id]
    moved = (*(step for step in known.reason.policy if step not in KEPT.values()), word)
    return msgspec.structs.replace(
        each, source=known.source, reason=msgspec.structs.replace(known.reason, policy=moved)
    )


def is_waiting(policy: Sequence[str]) -> bool:
    """Whether a place of a list stands there by a decision to wait, so that another list is to come."""
    return KEPT["wait"] in policy
