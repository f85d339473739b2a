"""Why one item is on a list and another is not: said by the code that makes the lists, and never otherwise than it."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from rec.explain import Fate, apart, barriers, explain
from rec.policy.filters import ListRules
from rec.policy.rules import Rule, Rulebook
from rec.policy.strategy import Strategy
from rec.recommend import Ask, Brain, World, plan, recommend
from tests.unit.shop import NOW, after, ask, event, item, shop


def world_with(**more: object) -> World:
    world = shop(lists=ListRules(seen_excluded=False))
    world.brain = Brain.untaught()
    world.strategy = msgspec.structs.replace(Strategy(), **more)
    return world


def busy(world: World) -> Ask:
    events = [event("view_item", f"camping-{n}", at=NOW - 60 + n) for n in range(8)]
    events += [event("purchase", "camping-1", at=NOW - 20), event("not_interested", "camping-2", at=NOW - 10)]
    return ask(after(events, world), n=6)


def fates_of(world: World, wanted: Ask, top: int = 40) -> dict[str, Fate]:
    return {fate.item_id: fate for fate in explain(wanted, world, now=NOW, rng=random.Random(1), top=top).fates}


@pytest.mark.parametrize("more", [{}, {"temperature": 0.5}, {"diversity": "mmr", "cold_place": 2}])
def test_the_list_is_the_one_that_would_be_made_and_every_place_of_it_is_told(more: dict[str, object]) -> None:
    world = world_with(**more)
    wanted = busy(world)
    found = explain(wanted, apart(world), now=NOW, rng=random.Random(1), top=3)
    assert found.slate == recommend(wanted, world, now=NOW, rng=random.Random(1))
    told = {fate.place: fate.item_id for fate in found.fates if fate.place is not None}
    named = {at: each.item_id for at, each in enumerate(found.slate.items)}
    assert told.items() <= named.items()
    missing = named.keys() - told.keys()  # what is no candidate of the ranker: the cold place's, a filler
    assert all(found.slate.items[at].source in ("new", "popular") for at in missing)
    assert [fate.rank for fate in found.fates] == sorted(fate.rank for fate in found.fates)


def test_what_was_kept_off_says_by_what_and_how_good_it_would_have_been() -> None:
    world = world_with()
    world.catalog.upsert([item("camping-3", in_stock=False), item("camping-4", flagged=True)])
    world.rulebook = Rulebook([Rule(rule_id="no", effect="exclude", condition='item_id = "camping-5"')])
    fates = fates_of(world, busy(world))
    why = {item_id: fate.because for item_id, fate in fates.items() if fate.fate == "filter"}
    assert why == {
        "camping-1": ("bought",), "camping-2": ("not_interested",), "camping-3": ("out_of_stock",),
        "camping-4": ("flagged",), "camping-5": ("rule",),
    }  # fmt: skip
    assert fates["camping-1"].says["history"] > 0
    assert not fates["camping-1"].places, "what was kept off never stood in the chain"


def test_the_step_that_took_an_item_off_is_named() -> None:
    fates = fates_of(world := world_with(category_share=0.5), wanted := busy(world))
    by_fate = {fate: [each for each in fates.values() if each.fate == fate] for fate in ("listed", "spread", "rank")}
    assert len(by_fate["listed"]) == wanted.n
    assert by_fate["spread"], "one category would have taken over"
    for each in by_fate["spread"]:
        assert each.places["share"] < wanted.n <= each.places["spread"]
    assert all(each.places["weigh"] >= wanted.n for each in by_fate["rank"])
    drawn = fates_of(world := world_with(temperature=1.0, explore_depth=3.0), busy(world))
    assert sum(each.fate == "explore" for each in drawn.values()) == 12  # three times as many as are on the list


def test_what_a_pin_replaces_fell_to_the_pin() -> None:
    world = world_with(category_share=1.0)
    world.rulebook = Rulebook([Rule(rule_id="hero", effect="pin", condition='item_id = "music-7"')])
    fates = fates_of(world, busy(world))
    assert [each.places["weigh"] for each in fates.values() if each.fate == "pin"] == [5]


@pytest.mark.parametrize("placement", ["home", "cart"])
@pytest.mark.parametrize("item_id", [None, "camping-0"])
def test_together_the_barriers_keep_off_what_the_plan_does(placement: str, item_id: str | None) -> None:
    world = shop(lists=ListRules(seen_excluded=True, fatigue_impressions=1, cart_block_s=60))
    world.catalog.upsert([item("camping-3", in_stock=False), item("garden-1", attributes={"min_age": 18})])
    events = [event("view_item", "camping-6"), event("add_to_cart", "kitchen-1"), event("purchase", "music-1")]
    events += [event("view_item_list", "garden-4", "garden-5"), event("not_interested", "garden-6")]
    wanted = ask(after(events, world), placement=placement, item_id=item_id)
    planned, on_shelf = plan(wanted, world.shelf(NOW), world, NOW), world.shelf(NOW)
    barred = np.logical_or.reduce([mask for _, mask in barriers(planned, on_shelf, world, NOW)])
    assert np.array_equal(on_shelf.view.known & ~barred, planned.fresh)
