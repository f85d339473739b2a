"""What the shop decides, and whom a product is for, holds in search as on lists."""

from __future__ import annotations

from typing import Any

import pytest

from rec.catalog import Item
from rec.policy.rules import Rulebook, rule_of
from rec.slates import Slate
from tests.search.shop import NOW, Shop, facts, toward


def shop_with(*rules: dict[str, Any]) -> Shop:
    shop = Shop()
    shop.world.rulebook = Rulebook([rule_of({"rule_id": f"r{at}", **rule}) for at, rule in enumerate(rules)])
    return shop


def found(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items]


@pytest.mark.parametrize("placements", [[], ["search"], ["home", "search"]])
def test_what_a_rule_excludes_is_not_found_by_words_title_id_or_meaning(placements: list[str]) -> None:
    shop = shop_with({"effect": "exclude", "condition": 'item_id = "tent-2"', "placements": placements})
    shop.world.catalog.set_vectors({"tent-1": [1, 0], "tent-2": [1, 0.1]})
    slate = shop.slate("tent", vector=toward(1, 0))
    assert set(found(slate)) == {"tent-1", "tent-3", "lamp-1"}
    assert (facts(slate).total, facts(slate).categories) == (3, {"Camping": 2, "Lighting": 1})
    for q in ("Trekking tent", "tent-2"):
        assert "tent-2" not in shop.found(q), q
    for _ in range(9):
        shop.does("select_item", "tent-2", search_term="tent", user=f"s{_}")
    assert "tent-2" not in shop.found("tent")


def test_a_rule_of_another_placement_says_nothing_about_search() -> None:
    shop = shop_with({"effect": "exclude", "condition": 'category = "Camping"', "placements": ["home"]})
    assert shop.found("tent") == Shop().found("tent")


def test_an_exclusion_holds_on_the_next_page_of_a_search_made_before() -> None:
    shop = Shop()
    whole = shop.found("tent")
    page = facts(shop.slate("tent", n=1)).next
    shop.world.rulebook = Rulebook(
        [rule_of({"rule_id": "r", "effect": "exclude", "condition": f'item_id = "{whole[2]}"'})]
    )
    assert shop.found("tent", n=9, page=page) == [whole[1], whole[3]]


@pytest.mark.parametrize(
    ("attributes", "context"), [({"min_age": 18}, {"age": 30}), ({"regions": "DE, AT"}, {"region": "AT"})]
)
def test_what_is_for_certain_people_alone_is_found_by_them_alone(
    attributes: dict[str, Any], context: dict[str, Any]
) -> None:
    shop = Shop()
    shop.change(Item(item_id="gin", title="Sloe gin", attributes=attributes))
    for q in ("gin", "sloe gin", "GIN"):
        assert "gin" not in shop.found(q), q
    shop.does("view_item", "tent-1", context=context)
    assert shop.found("gin") == ["gin"]
    assert "gin" not in shop.found("gin", user="somebody else")


def test_who_took_the_consent_back_is_a_stranger_of_unknown_age() -> None:
    from rec.events import Consent

    shop = Shop()
    shop.change(Item(item_id="gin", title="Sloe gin", attributes={"min_age": 18}))
    shop.does("view_item", "tent-1", context={"age": 30})
    assert "gin" in shop.found("gin")
    shop.does("view_item", "tent-1", at=NOW - 10, consent=Consent(personalization_storage="denied"))
    assert "gin" not in shop.found("gin")


def test_boost_and_bury_move_what_is_found_and_add_nothing() -> None:
    plain = Shop().found("tent")
    last, first = plain[-1], plain[0]
    boosted = shop_with({"effect": "boost", "condition": f'item_id in ("{last}", "sofa-1")', "factor": 1000}).slate(
        "tent"
    )
    assert sorted(found(boosted)) == sorted(plain)
    assert (boosted.items[0].item_id, boosted.items[0].reason.policy) == (last, ("boost:r0",))
    assert shop_with({"effect": "bury", "condition": f'item_id = "{first}"', "factor": 1000}).found("tent")[-1] == first


def test_a_boost_never_beats_an_exact_match_and_a_sort_is_the_shoppers() -> None:
    shop = shop_with({"effect": "boost", "condition": 'item_id = "tent-1"', "factor": 1e6})
    assert shop.found("trekking tent")[0] == "tent-2"
    assert shop.found("tent", sort="price_asc") == ["tent-2", "tent-1", "tent-3", "lamp-1"]


def test_a_pin_for_search_stands_at_its_place_in_every_search() -> None:
    shop = shop_with({"effect": "pin", "condition": 'category = "Furniture"', "place": 1, "placements": ["search"]})
    slate = shop.slate("tent")
    assert (found(slate)[1], slate.items[1].reason.kind) == ("sofa-1", "pinned")
    assert slate.items[1].reason.policy == ("pin:r0",)
    assert [i for i in found(slate) if i != "sofa-1"] == Shop().found("tent")
    assert [p.score for p in slate.items] == sorted((p.score for p in slate.items), reverse=True)
    assert "sofa-1" not in shop.found("tent", price_max=500)  # no rule beats the shopper's filter
    assert "sofa-1" in shop.found("tent", price_min=100)
    assert "sofa-1" not in shop.found("tent", sort="newest")
    assert facts(shop.slate("zzzzqq")).fallback == "nothing_matches"


def test_a_pin_for_all_placements_moves_what_the_search_found_and_brings_nothing_in() -> None:
    last = Shop().found("tent")[-1]
    shop = shop_with(
        {"effect": "pin", "condition": f'item_id = "{last}"'}, {"effect": "pin", "condition": 'item_id = "sofa-1"'}
    )
    assert shop.found("tent") == [last, *(i for i in Shop().found("tent") if i != last)]
    first = shop.slate("tent", n=1)
    assert [*found(first), *shop.found("tent", page=facts(first).next)] == shop.found("tent")


def test_a_pin_behind_the_end_stands_at_the_end() -> None:
    shop = shop_with({"effect": "pin", "condition": 'item_id = "tent-1"', "place": 50, "placements": ["search"]})
    assert shop.found("tent")[-1] == "tent-1"
    assert len(shop.found("tent")) == 4
