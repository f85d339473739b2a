"""What a search finds, in which order, and what it says when it finds something else."""

from __future__ import annotations

import pytest

from rec.catalog import Item
from rec.errors import BadInput
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
    assert facts(slate).fallback == "filters_exclude_all"
    assert {place.item_id for place in slate.items} == {"tent-1", "tent-2", "tent-3", "lamp-1"}


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
    assert shop.found("tent", sort="price_asc") == ["tent-3", "lamp-1", "tent-2", "tent-1"]
    assert shop.found("tent", sort="price_desc") == ["tent-1", "tent-2", "lamp-1", "tent-3"]
    assert shop.found("tent", sort="newest") == ["lamp-1", "tent-3", "tent-2", "tent-1"]
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


def test_a_page_that_nobody_remembers_is_made_anew() -> None:
    page = f"{'0' * 8}-0000-0000-0000-{'0' * 12}.2"
    assert Shop().found("tent", n=2, page=page) == Shop().found("tent")[2:4]


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
    for at in range(5):
        shop.does("view_item", "lamp-1", at=NOW - 500 + at, learn=False)
    assert shop.found("tent", user="u2")[0] != "lamp-1" == shop.found("tent")[0]
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


def test_clicks_on_lists_teach_the_fusion_and_strangers_teach_nothing() -> None:
    shop = Shop()
    slate = shop.slate("tent")
    before = shop.engine.fusion
    last = slate.items[-1].item_id
    assert not shop.engine.clicked(slate.slate_id, "u2", [last], 1)
    assert not shop.engine.clicked("unknown", "u1", [last], 1)
    assert shop.engine.fusion == before
    assert shop.engine.clicked(slate.slate_id, "u1", [last], 1)
    assert shop.engine.fusion.learned == 1


def test_an_erased_shoppers_searches_are_forgotten() -> None:
    shop = Shop()
    slate = shop.slate("tent", n=1)
    shop.slate("lamp", user="u2")
    assert shop.engine.forget("u1") == 1
    assert not shop.engine.clicked(slate.slate_id, "u1", [slate.items[0].item_id], 1)


def test_suggestions_complete_what_is_typed() -> None:
    shop = Shop()
    tr = [s.text for s in shop.engine.suggest("tr", 5, shop.world)]
    assert tr == ["trail", "trekking", "Trail running shoes", "Trekking tent"]
    assert [s.text for s in shop.engine.suggest("running s", 5, shop.world)][0] == "running shoes"
    assert ("Camping", "category") in [s[:2] for s in shop.engine.suggest("camp", 5, shop.world)]
    assert ("Behr", "brand") in [s[:2] for s in shop.engine.suggest("be", 5, shop.world)]
    assert [s.text for s in shop.engine.suggest("trekkign", 5, shop.world)] == ["trekking"]
    [product] = [s for s in shop.engine.suggest("green", 9, shop.world) if s.kind == "product"]
    assert product.item_id == "sofa-1"
    assert shop.engine.suggest("?", 5, shop.world) == []


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
    assert "tent for two" not in [s.text for s in shop.engine.suggest("tent f", 5, shop.world)]
    shop.does("search", user="c", search_term="Tent for  two")
    assert [s.text for s in shop.engine.suggest("tent f", 5, shop.world)][0] == "tent for two"
