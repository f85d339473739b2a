"""What a search finds, in which order, and what it says when it finds something else."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import msgspec
import pytest

from rec.catalog import Item
from rec.errors import BadInput
from rec.policy.rules import Rulebook, rule_of
from rec.search.suggest import RENEW_S
from tests.search.shop import NOW, Shop, facts, toward


def test_words_find_products_in_any_form_and_the_best_match_is_first() -> None:
    shop = Shop()
    tents = shop.found("tent")
    assert set(tents) == {"tent-1", "tent-2", "tent-3", "lamp-1"}
    assert shop.found("TENTS") == shop.found("Tent's") == tents
    assert shop.found("trekking tent")[0] == "tent-2"
    assert set(shop.found("shoe run")) == {"shoe-1", "shoe-2"}
    assert shop.found("birch tent")[0] == "tent-2"  # the brand counts, too


def test_a_typo_finds_what_was_meant_and_says_so() -> None:
    slate = Shop().slate("trekkign tnet")
    assert slate.items[0].item_id == "tent-2"
    assert facts(slate).understood == "trekking tent"


def test_words_written_together_or_apart_are_found() -> None:
    shop = Shop()
    assert shop.found("deck over") == ["deck-1"]
    slate = shop.slate("desklamp")
    assert (slate.items[0].item_id, facts(slate).understood) == ("lamp-2", "desk lamp")


def test_synonyms_of_the_shops_own_table_are_looked_for() -> None:
    assert Shop().slate("sofa").strategy == "search-fallback"
    assert Shop(synonyms=("sofa, couch",)).found("sofa") == ["sofa-1"]


def test_a_synonym_of_several_words_is_all_of_them() -> None:
    sofas = [Item(item_id="sofa", title="Sofa with a bed"), Item(item_id="couch", title="Couch")]
    beds = [Item(item_id="frame", title="Bed frame"), Item(item_id="dog", title="Dog bed")]
    shop = Shop([*sofas, *beds], synonyms=("sofa bed, couch",))
    slate = shop.slate("couch")
    assert (facts(slate).total, {place.item_id for place in slate.items}) == (2, {"sofa", "couch"})
    assert facts(shop.slate("sofa bed")).total == 2
    assert Shop(beds, synonyms=("sofa bed, couch",)).slate("couch").strategy == "search-fallback"
    assert Shop([*sofas[:1], *beds], synonyms=("sofa bed, couch",)).found("couch") == ["sofa"]


def test_a_query_language_is_text() -> None:
    shop = Shop()
    for q in (
        'tent" OR "lamp',
        "title:tent",
        "tent^9",
        "+tent -lamp",
        "(tent",
        "tent*",
        "tent~2",
        "\\tent",
        "[a TO z] tent",
    ):
        assert "tent-2" in shop.found(q), q
    assert shop.slate("* OR *:*").strategy == "search-fallback"


@pytest.mark.parametrize("q", ["\x00\x1b", " \n ", "\u200b", "x" * 1025])
def test_what_is_no_query_is_refused_by_name(q: str) -> None:
    with pytest.raises(BadInput) as refused:
        Shop().slate(q)
    assert refused.value.field == "q"


@pytest.mark.parametrize(
    "q", ["🏕️", "\ud83d".encode("utf-8", "replace").decode(), "ﬁre", "a" * 1024, "a " * 512, "1/2\"x3'", "%_"]
)
def test_odd_queries_are_answered(q: str) -> None:
    assert len(Shop().slate(q).items) == 9 or facts(Shop().slate(q)).total


def test_filters_let_through_what_they_say_and_facets_count_what_was_found() -> None:
    shop = Shop()
    slate = shop.slate("tent")
    assert facts(slate).categories == {"Camping": 3, "Lighting": 1}
    assert facts(slate).brands == {"Oak": 2, "Birch": 1, "Glim": 1}
    assert facts(slate).prices == (9.0, 200.0)
    assert set(shop.found("tent", category="Camping", brand="Oak")) == {"tent-1", "tent-3"}
    assert set(shop.found("tent", price_min=25, price_max=150)) == {"tent-2", "lamp-1"}


def test_filters_that_let_nothing_through_are_left_out_and_it_says_so() -> None:
    slate = Shop().slate("tent", category="Paint")
    assert (facts(slate).fallback, facts(slate).ignored) == ("filters_exclude_all", ("category",))
    assert {place.item_id for place in slate.items} == {"tent-1", "tent-2", "tent-3", "lamp-1"}


def test_category_and_brand_are_found_however_they_are_written() -> None:
    slate = Shop().slate("tent", category="camping ", brand="OAK")
    assert {place.item_id for place in slate.items} == {"tent-1", "tent-3"}
    assert (facts(slate).fallback, facts(slate).ignored) == (None, ())


def test_a_filter_that_lets_nothing_through_takes_no_other_with_it() -> None:
    shop = Shop()
    slate = shop.slate("tent", category="Tents", price_max=150, sort="price_asc")
    assert [place.item_id for place in slate.items] == ["tent-2", "tent-3", "lamp-1"]
    assert (facts(slate).fallback, facts(slate).ignored) == ("filters_exclude_all", ("category",))
    both = shop.slate("tent", brand="Glim", category="Camping", price_max=150)  # each lets something through, alone
    assert facts(both).ignored == ("brand",)
    assert {place.item_id for place in both.items} == {"tent-2", "tent-3"}
    prices = shop.slate("tent", price_min=9_000, price_max=30)
    assert (facts(prices).ignored, {p.item_id for p in prices.items}) == (("price_min",), {"tent-3", "lamp-1"})
    assert facts(shop.slate("zzzzqq", category="Camping")).ignored == ()


def test_what_is_flagged_is_not_found_among_what_is_not_in_stock_either() -> None:
    shop = Shop()
    shop.change(Item(item_id="tent-2", title="Trekking tent", category="Camping", flagged=True))
    assert "tent-2" not in shop.found("tent", in_stock=False)


@pytest.mark.parametrize("q", ["SKU77", "sku77", " Sku77 "])
@pytest.mark.parametrize("sort", ["relevance", "price_asc"])
def test_a_product_is_found_by_its_id_however_that_is_written(q: str, sort: str) -> None:
    shop = Shop()
    shop.change(Item(item_id="SKU77", title="Blue enamel mug"))
    slate = shop.slate(q, sort=sort)
    assert [(place.item_id, place.reason.kind) for place in slate.items] == [("SKU77", "exact_match")]
    assert facts(slate).fallback is None
    shop.change(deleted=("SKU77",))
    assert facts(shop.slate(q)).fallback == "nothing_matches"


def test_a_title_is_an_exact_match_however_it_is_written() -> None:
    for q in ("Trekking tent", "TREKKING TENT", " trekking  Tent."):
        assert Shop().slate(q).items[0].reason.kind == "exact_match", q


def test_nothing_found_is_the_shoppers_own_list_and_it_says_so() -> None:
    shop = Shop()
    shop.does("view_item", "shoe-1")
    slate = shop.slate("zzzzqq", n=5)
    assert (facts(slate).fallback, facts(slate).total, len(slate.items)) == ("nothing_matches", 0, 5)
    assert slate.items[0].item_id.startswith("shoe")


def test_what_is_not_in_stock_is_found_only_when_asked_for() -> None:
    shop = Shop()
    shop.change(Item(item_id="tent-2", title="Trekking tent", category="Camping", brand="Birch", in_stock=False))
    assert "tent-2" not in shop.found("tent")
    assert "tent-2" in shop.found("tent", in_stock=False)


def test_sorts_are_of_what_matches_best() -> None:
    shop = Shop()
    assert shop.found("tent", sort="price_asc") == [
        "tent-2",
        "tent-1",
        "tent-3",
        "lamp-1",
    ]  # tents before what is for them
    assert shop.found("tent", sort="price_desc") == ["tent-1", "tent-2", "lamp-1", "tent-3"]
    assert shop.found("tent", sort="newest") == ["tent-2", "tent-1", "lamp-1", "tent-3"]
    shop.does("purchase", "tent-1", user="u2")
    assert shop.found("tent", sort="popular")[0] == "tent-1"
    assert shop.found("trekking tent", sort="price_asc")[0] == "tent-2"  # has both words, the cheaper ones one


def test_pages_follow_one_order_whatever_happens_in_between() -> None:
    shop = Shop()
    whole = shop.found("tent")
    first = shop.slate("tent", n=2)
    shop.does("purchase", whole[3])
    shop.change(Item(item_id="tent-9", title="Tent tent tent"), deleted=(whole[2],))
    second = shop.slate("tent", n=2, page=facts(first).next)
    assert [place.item_id for place in first.items] == whole[:2]
    assert [place.item_id for place in second.items] == [whole[3]]  # a gap where one went, no place twice
    assert facts(second).next is None


def test_a_later_page_leaves_out_what_the_filters_let_through_no_more() -> None:
    shop, other = Shop(), Shop()
    sold = Item(item_id="tent-3", title="Tent pegs", category="Camping", brand="Oak", price=9.0, in_stock=False)
    dearer = Item(item_id="lamp-1", title="Tent lantern", category="Lighting", brand="Glim", price=161.0)
    page = facts(shop.slate("tent", n=1, price_max=160, sort="price_desc")).next
    said = facts(other.slate("tent under 160", n=1, in_stock=False, sort="price_desc")).next
    assert shop.found("tent", price_max=160, sort="price_desc", page=page) == ["lamp-1", "tent-3"]
    for each in (shop, other):
        each.change(sold)
        each.change(dearer)
    assert shop.found("tent", price_max=160, sort="price_desc", page=page) == []
    assert other.found("tent under 160", in_stock=False, sort="price_desc", page=said) == ["tent-3"]


def test_a_click_on_a_later_page_teaches() -> None:
    shop = Shop([Item(item_id=f"m{at}", title="Blue mug") for at in range(100)])
    first = shop.slate("mug")
    second = shop.slate("mug", page=facts(first).next)
    assert not shop.engine.clicked(first.slate_id, "u1", [second.items[9].item_id], NOW)  # it was not on that list
    assert shop.engine.clicked(second.slate_id, "u1", [second.items[9].item_id], NOW)


def test_a_search_is_remembered_in_few_bytes() -> None:
    shop = Shop([Item(item_id=f"m{at}", title="Blue mug") for at in range(1_500)])
    shop.slate("mug")
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for at in range(50):
            page = facts(shop.slate("mug", user=f"s{at}")).next
            shop.slate("mug", user=f"s{at}", page=page)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 50 < 30_000  # of 1,000 places


def test_a_page_that_nobody_remembers_is_made_anew() -> None:
    page = facts(Shop().slate("tent", n=2)).next
    assert Shop().found("tent", n=2, page=page) == Shop().found("tent")[2:4]


@pytest.mark.parametrize(
    ("q", "other"),
    [("lamp", {}), ("tent", {"brand": "Oak"}), ("tent", {"price_max": 99}), ("tent", {"sort": "newest"})],
)
def test_a_page_of_another_search_is_refused_by_name_also_when_nobody_remembers_it(
    q: str, other: dict[str, Any]
) -> None:
    shop = Shop()
    page = facts(shop.slate("tent", n=1)).next
    for asked in (shop, Shop()):
        with pytest.raises(BadInput, match="another q, sort or filter") as refused:
            asked.slate(q, n=1, page=page, **other)
        assert refused.value.field == "page"
    assert len(shop.found("tent", n=3, page=page)) == 3  # another length is another page of the same search


def test_the_catalog_changes_and_search_with_it() -> None:
    shop = Shop()
    assert shop.change(Item(item_id="x", title="Hammock")) == 1
    assert shop.found("hammock") == ["x"]
    assert shop.change(Item(item_id="x", title="Hammock", price=5.0)) == 0  # the words are the same
    shop.change(Item(item_id="x", title="Swing"))
    assert (facts(shop.slate("hammock")).total, shop.found("swing")) == (0, ["x"])
    shop.change(deleted=("x",))
    assert facts(shop.slate("swing")).total == 0


def test_vectors_find_what_has_none_of_the_words() -> None:
    shop = Shop(tent_1=[1, 0], tent_2=[1, 0.1], lamp_2=[0, 1], shoe_1=[0.1, 1])
    slate = shop.slate("bivouac", vector=toward(1, 0))
    assert [place.item_id for place in slate.items] == ["tent-1", "tent-2"]
    assert (slate.strategy, slate.items[0].reason.kind) == ("search-hybrid", "means")
    assert shop.slate("tent", vector=toward(1, 2, 3)).strategy == "search-lexical"  # of another encoder


def test_taste_moves_what_is_found_but_never_above_an_exact_match() -> None:
    shop = Shop()
    other = shop.found("tent", user="u2")[1]
    for at in range(5):
        shop.does("view_item", other, at=NOW - 500 + at, learn=False)
    assert shop.found("tent")[0] == other != shop.found("tent", user="u2")[0]
    exact = shop.slate("trekking tent")
    assert (exact.items[0].item_id, exact.items[0].score, exact.items[0].reason.kind) == ("tent-2", 1.0, "exact_match")
    assert shop.found("lamp-2")[0] == "lamp-2"  # an id is an exact match, too


def test_without_consent_everybody_gets_the_same_order() -> None:
    from rec.events import Consent

    shop = Shop()
    strangers = shop.found("tent", user="u2")
    shop.does("view_item", "tent-1", user="u1", at=NOW - 100, consent=Consent(personalization_storage="denied"))
    assert shop.found("tent") == strangers


def test_what_was_clicked_for_a_query_comes_first_for_that_query_alone() -> None:
    shop = Shop()
    for n in range(12):
        shop.does("select_item", "lamp-1", user=f"s{n}", search_term="Tent!")
    assert shop.found("tent", user="new")[0] == "lamp-1"
    assert shop.slate("tent", user="new").items[0].reason.kind == "chosen_for"
    assert shop.found("trekking tent", user="new")[0] == "tent-2"


def test_one_shopper_cannot_buy_a_place_for_all_others() -> None:
    many = [Item(item_id=f"t{n}", title=f"Tent number {n} for camping") for n in range(300)]
    once, often = Shop(many), Shop(many)
    [bought] = once.found("tent", n=200, user="other")[-1:]
    for shop, times in ((once, 1), (often, 100)):
        for n in range(times):
            shop.does("purchase", bought, user="seller", search_term="tent", at=NOW - 200 + n)
    places = [shop.found("tent", n=200, user="other").index(bought) for shop in (once, often)]
    assert abs(places[0] - places[1]) <= 2
    assert min(places) > 30


def test_clicks_on_lists_teach_the_fusion_and_strangers_teach_nothing() -> None:
    shop = Shop()
    slate = shop.slate("tent")
    before = shop.engine.fusion
    last = slate.items[-1].item_id
    assert not shop.engine.clicked(slate.slate_id, "u2", [last], NOW)
    assert not shop.engine.clicked("unknown", "u1", [last], NOW)
    assert shop.engine.fusion == before
    assert shop.engine.clicked(slate.slate_id, "u1", [last], NOW)
    assert shop.engine.fusion.learned == 1


def test_one_shopper_who_clicks_the_last_hit_forty_times_bends_search_for_nobody() -> None:
    shop = Shop()
    before = shop.slate("tent", user="u2").items
    for _ in range(40):
        slate = shop.slate("tent")
        shop.engine.clicked(slate.slate_id, "u1", [slate.items[-1].item_id], NOW)
    assert shop.engine.fusion.learned == 1
    assert shop.slate("tent", user="u2").items == before


def test_an_erased_shoppers_searches_are_forgotten() -> None:
    shop = Shop()
    slate = shop.slate("tent", n=1)
    shop.slate("lamp", user="u2")
    assert shop.engine.forget("u1") == 1
    assert not shop.engine.clicked(slate.slate_id, "u1", [slate.items[0].item_id], NOW)


def test_suggestions_complete_what_is_typed() -> None:
    shop = Shop()
    tr = [s.text for s in shop.engine.suggest("tr", 5, shop.world, NOW)]
    assert tr == ["trail", "trekking", "Trail running shoes", "Trekking tent"]
    assert [s.text for s in shop.engine.suggest("running s", 5, shop.world, NOW)][0] == "running shoes"
    assert ("Camping", "category") in [s[:2] for s in shop.engine.suggest("camp", 5, shop.world, NOW)]
    assert ("Behr", "brand") in [s[:2] for s in shop.engine.suggest("be", 5, shop.world, NOW)]
    assert [s.text for s in shop.engine.suggest("trekkign", 5, shop.world, NOW)] == ["trekking", "Trekking tent"]
    [product] = [s for s in shop.engine.suggest("green", 9, shop.world, NOW) if s.kind == "product"]
    assert product.item_id == "sofa-1"
    assert shop.engine.suggest("?", 5, shop.world, NOW) == []


def test_a_search_without_words_counts_for_no_query() -> None:
    from rec.events import Consent

    shop = Shop()
    for user in ("a", "b", "c"):
        shop.does("search", user=user, consent=Consent(personalization_storage="granted"))
        shop.does("search", user=user, search_term="")
    assert len(shop.world.counters.queries) == 0


def test_a_query_is_suggested_to_others_once_three_have_asked_for_it() -> None:
    shop = Shop()
    for user in ("a", "a", "b"):
        shop.does("search", user=user, search_term="tent for two", at=NOW - len(user) - ord(user))
    assert "tent for two" not in [s.text for s in shop.engine.suggest("tent f", 5, shop.world, NOW)]
    shop.does("search", user="c", search_term="Tent for  two")
    assert [s.text for s in shop.engine.suggest("tent f", 5, shop.world, NOW + RENEW_S)][0] == "tent for two"


def suggested(shop: Shop, typed: str) -> set[str]:
    return {each.text for each in shop.engine.suggest(typed, 9, shop.world, NOW)}


def test_what_nothing_listed_is_found_for_is_not_suggested() -> None:
    shop = Shop()
    for user in ("a", "b", "c"):
        shop.does("search", user=user, search_term="trekking")
    assert suggested(shop, "trek") == {"trekking", "Trekking tent"}
    assert suggested(shop, "lamp") == {"lamp", "Desk lamp"}
    assert suggested(shop, "behr") == {"Behr"}
    gone = Item(item_id="tent-2", title="Trekking tent", category="Camping", brand="Birch", in_stock=False)
    shop.change(gone, deleted=("lamp-2", "deck-1"))
    assert not suggested(shop, "trek") | suggested(shop, "trekkign") | suggested(shop, "lamp") | suggested(shop, "behr")
    shop.change(msgspec.structs.replace(gone, in_stock=True))
    assert suggested(shop, "trek") == {"trekking", "Trekking tent"}


def test_what_a_rule_excludes_or_an_age_keeps_back_is_not_suggested() -> None:
    shop = Shop()
    shop.change(Item(item_id="gin", title="Sloe gin", brand="Gordon", attributes={"min_age": 18}))
    assert not suggested(shop, "slo") | suggested(shop, "gordon")
    shop.world.rulebook = Rulebook([rule_of({"rule_id": "r", "effect": "exclude", "condition": 'item_id = "tent-2"'})])
    assert not suggested(shop, "trek")
    assert "tent" in suggested(shop, "ten")


def test_of_two_products_of_one_title_the_one_that_is_there_is_suggested() -> None:
    shop = Shop()
    shop.change(Item(item_id="other", title="Trekking tent"), deleted=("tent-2",))
    [product] = [each for each in shop.engine.suggest("trek", 9, shop.world, NOW) if each.kind == "product"]
    assert product.item_id == "other"
