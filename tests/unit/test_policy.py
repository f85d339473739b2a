"""What may not be on a list, and how a list is spread over categories."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.config import load_settings
from rec.policy.filters import ListRules, bought, eligible, forbidden, hidden, seen, tired
from rec.policy.spread import UNGROUPED, spread
from rec.state import UserState
from tests.unit.shop import NOW, after, event, item, shop

DAY = 86_400.0
RULES = ListRules()


def state(*events: Any) -> UserState:
    folded = after(events, shop())
    assert folded is not None
    return folded


# ---------------------------------------------------------------- filters
@pytest.mark.parametrize(("days", "blocked"), [(0.1, True), (29, True), (31, False)])
def test_a_bought_item_rests_for_as_long_as_the_setting_says(days: float, blocked: bool) -> None:
    assert (bought(state(event("purchase", "music-1")), NOW + days * DAY, RULES) == {"music-1"}) is blocked


def test_a_purchase_block_of_nothing_blocks_nothing() -> None:
    assert bought(state(event("purchase", "music-1")), NOW, ListRules(purchase_block_s=0)) == set()


@pytest.mark.parametrize(
    ("cycle", "block", "days", "blocked"),
    [(10, 30, 7.9, True), (10, 30, 8.1, False), (60, 30, 29, True), (60, 30, 31, False), (60, 0, 0.1, False)],
)
def test_a_shoppers_own_cycle_brings_an_item_back_earlier_and_never_later(
    cycle: float, block: float, days: float, blocked: bool
) -> None:
    regular = state(event("purchase", "music-1", at=NOW - cycle * DAY), event("purchase", "music-1", at=NOW))
    rules = ListRules(purchase_block_s=block * DAY)
    assert (bought(regular, NOW + days * DAY, rules) == {"music-1"}) is blocked
    every_day = bought(regular, NOW + days * DAY, rules, lambda _: 90 * DAY)  # the shop's own word: 72 days
    assert (every_day == {"music-1"}) is (days < 0.8 * min(cycle, 90))


def test_what_was_told_off_stays_away_until_it_is_wanted_again() -> None:
    off = event("not_interested", "music-1", at=NOW + 1)
    assert hidden(state(event("view_item", "music-1"), off)) == {"music-1"}
    assert hidden(state(off, event("view_item", "music-1", at=NOW + 2))) == set()


def test_seen_items_are_kept_or_left_out_as_the_setting_says() -> None:
    looked = state(event("view_item", "music-1"), event("purchase", "music-2"), event("view_item_list", "music-3"))
    assert seen(looked, ListRules(seen_excluded=False)) == set()
    assert seen(looked, ListRules(seen_excluded=True)) == {"music-1", "music-2"}


def shown(times: int, at: float = NOW) -> list[Any]:
    return [event("view_item_list", "music-1", at=at + n) for n in range(times)]


def test_an_item_tires_when_it_was_shown_often_and_left_alone() -> None:
    assert tired(state(*shown(6)), NOW + 60, RULES) == {"music-1"}
    assert tired(state(*shown(5)), NOW + 60, RULES) == set()


def test_a_tired_item_has_rested_after_a_day() -> None:
    assert tired(state(*shown(6)), NOW + 2 * DAY, RULES) == set()


def test_an_item_that_is_acted_on_does_not_tire() -> None:
    assert tired(state(*shown(6), event("select_item", "music-1", at=NOW + 30)), NOW + 60, RULES) == set()


def test_only_items_of_the_catalog_that_are_in_stock_and_not_excluded_are_eligible() -> None:
    world = shop(each=1)
    world.catalog.upsert([item("music-0", in_stock=False)])
    view = world.catalog.view()
    mask = eligible(view, ["garden-0", "unknown-1"])
    assert {view.ids[row] for row in range(view.size) if mask[row]} == {"camping-0", "kitchen-0"}
    assert view.listed.sum() == 3, "the view itself stays as it was"


def test_the_hard_rules_add_up() -> None:
    events = [event("purchase", "music-1"), event("not_interested", "music-2", at=NOW + 1)]
    assert forbidden(state(*events), NOW + 2, RULES) == {"music-1", "music-2"}


def test_what_lies_in_the_cart_rests_until_it_is_taken_out_or_has_lain_there_for_long() -> None:
    rules = RULES._replace(cart_block_s=7 * DAY)
    inside = [event("add_to_cart", "music-1"), event("add_to_cart", "music-2")]
    assert forbidden(state(*inside), NOW + DAY, rules) == {"music-1", "music-2"}
    assert forbidden(state(*inside, event("remove_from_cart", "music-2", at=NOW + 1)), NOW + 2, rules) == {"music-1"}
    assert forbidden(state(*inside), NOW + 8 * DAY, rules) == set()
    assert forbidden(state(*inside), NOW + DAY, RULES) == set()  # 0: not at all


def test_the_rules_come_from_the_settings() -> None:
    rules = ListRules.from_settings(load_settings(seen="exclude", purchase_block_days=2, fatigue_impressions=3))
    assert (rules.seen_excluded, rules.purchase_block_s, rules.fatigue_impressions) == (True, 2 * DAY, 3)


# ---------------------------------------------------------------- variety
groups = st.lists(st.integers(0, 4), max_size=60)


@settings(max_examples=100, deadline=None)
@given(groups, st.integers(0, 30), st.floats(0.2, 1.0))
def test_a_group_takes_no_more_than_its_share_while_there_is_anything_else(
    ranked: list[int], n: int, share: float
) -> None:
    chosen = spread(ranked, n, share)
    assert len(chosen) == len(set(chosen)) == min(n, len(ranked))
    for place, position in enumerate(chosen):
        group, before = ranked[position], [ranked[p] for p in chosen[:place]]
        limit = math.ceil(share * (place + 1))
        if group != UNGROUPED and before.count(group) >= limit:
            left = set(range(len(ranked))) - set(chosen[:place])
            assert all(ranked[p] != UNGROUPED and before.count(ranked[p]) >= limit for p in left)


@settings(max_examples=100, deadline=None)
@given(groups, st.integers(0, 30), st.floats(0.2, 1.0))
def test_within_a_group_the_order_stays(ranked: list[int], n: int, share: float) -> None:
    chosen = spread(ranked, n, share)
    for group in set(ranked):
        of_group = [position for position in chosen if ranked[position] == group]
        assert of_group == sorted(of_group)
        assert of_group == [p for p, g in enumerate(ranked) if g == group][: len(of_group)]


@settings(max_examples=50, deadline=None)
@given(groups, st.integers(0, 30))
def test_a_share_of_all_changes_nothing(ranked: list[int], n: int) -> None:
    assert spread(ranked, n, 1.0) == list(range(min(n, len(ranked))))


def test_items_without_a_category_are_never_held_back() -> None:
    assert spread([UNGROUPED] * 5, 5, 0.2) == [0, 1, 2, 3, 4]
