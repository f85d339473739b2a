"""What counts as found, what is read out of a query beside its words, and what the counts beside a list are of."""

from __future__ import annotations

import msgspec
import pytest

from rec.catalog import Item
from tests.search.shop import Shop, facts, many, things, toward

# ---------------------------------------------------------------- words that are no typos
KNOWN = frozenset(("boots", "jacket", "food", "wine", "sofa", "dress", "laptop"))
SOLD = ("Hiking books", "Seed packet", "Dog foot brush", "White wide lamp", "Soft flask", "French press",
        "Felt mouse", "Tent", "Running shoes", "Headphones", "Rucksack", "Oskelund throw", "Garden chair",
        "Lap top tray")  # fmt: skip


def sold() -> list[Item]:
    return [Item(item_id=f"s{at}", title=title) for at, title in enumerate(SOLD)]


@pytest.mark.parametrize("q", ["hiking boots", "jacket", "dog food", "white wine", "sofa", "dress", "zelt"])
def test_a_word_that_the_shop_does_not_have_is_no_typo_of_another(q: str) -> None:
    assert facts(Shop(sold(), known=KNOWN).slate(q)).understood is None


@pytest.mark.parametrize(
    ("q", "meant"),
    [("tetn", "tent"), ("runing", "running"), ("hedphones", "headphones"), ("rucksak", "rucksack"),
     ("oskelnd", "oskelund"), ("chiar", "chair"), ("etnt", "tent")],
)  # fmt: skip
def test_a_typo_is_still_one(q: str, meant: str) -> None:
    assert facts(Shop(sold(), known=KNOWN).slate(q)).understood == meant


def test_a_known_word_comes_apart_only_where_a_title_has_both_parts_side_by_side() -> None:
    assert facts(Shop(sold(), known=KNOWN).slate("laptop")).understood == "lap top"
    apart = [Item(item_id="a", title="Lap steel"), Item(item_id="b", title="Top hat")]
    assert facts(Shop(apart, known=KNOWN).slate("laptop")).fallback == "nothing_matches"


def test_the_words_of_a_product_that_is_gone_are_typos_again() -> None:
    shop = Shop()
    shop.change(Item(item_id="x", title="Tant"))
    assert facts(shop.slate("tant")).understood is None
    shop.change(deleted=("x",))
    assert facts(shop.slate("tant")).understood == "tent"
    assert "tant" not in shop.engine.index.spelled | shop.engine.index.title_words


# ---------------------------------------------------------------- found
def test_stop_words_find_nothing_beside_other_words() -> None:
    shop = Shop(many("A book of the sea", 30) + things())
    assert facts(shop.slate("a tent")).total == facts(shop.slate("tent")).total == 4
    assert facts(shop.slate("a tent")).categories == {"Camping": 3, "Lighting": 1}
    assert facts(shop.slate("the")).total == 30


def test_what_has_less_than_half_of_the_query_follows_and_is_not_counted() -> None:
    shop = Shop(many("Camping stove", 30) + many("Camping chair", 3))
    slate = shop.slate("camping chair")
    assert facts(slate).total == 3
    assert {place.item["title"] for place in slate.items[:3]} == {"Camping chair"}
    assert slate.items[3].item["title"] == "Camping stove"


def test_all_that_is_found_is_counted_and_pages_reach_it() -> None:
    shop = Shop(many("Blue mug", 700, category="Cups") + many("Blue book", 200, category="Books"))
    everything = facts(shop.slate("blue"))
    assert (everything.total, everything.categories) == (900, {"Cups": 700, "Books": 200})
    assert facts(shop.slate("blue", category="Books")).total == 200
    seen, page = set[str](), None
    while True:
        slate = shop.slate("blue", n=200, page=page)
        seen |= {place.item_id for place in slate.items}
        if (page := facts(slate).next) is None:
            break
    assert len(seen) == 900


def test_the_cheapest_of_all_that_is_found_is_first() -> None:
    mugs = [Item(item_id=f"m{at}", title="Blue mug", price=1_000.0 - at) for at in range(900)]
    assert Shop(mugs).found("mug", sort="price_asc")[0] == "m899"


def test_a_sort_has_room_for_what_the_query_names_before_what_is_cheaper() -> None:
    pegs = [Item(item_id=f"p{at}", title="Tent peg", price=1.0) for at in range(1_500)]
    tents = [Item(item_id=f"t{at}", title="Bell tent", price=301.0 + at) for at in range(700)]
    shop = Shop(pegs + tents)
    slate = shop.slate("tent", sort="price_asc", n=200)
    assert (facts(slate).total, [place.item_id for place in slate.items]) == (2_200, [f"t{at}" for at in range(200)])
    assert shop.found("tent", sort="newest")[0] == "t699"


def test_what_is_near_by_its_vector_is_found() -> None:
    shop = Shop(tent_1=[1, 0], tent_2=[1, 1], lamp_2=[0, 1], shoe_1=[0.1, 1])
    assert facts(shop.slate("bivouac", vector=toward(1, 0))).total == 2
    assert facts(shop.slate("desk", vector=toward(1, 0))).total == 3


def test_where_no_product_has_any_of_the_words_what_is_hardly_near_is_no_answer_but_the_own_list() -> None:
    shop = Shop(tent_1=[1, 0, 0], lamp_2=[0, 1, 0])
    slate = shop.slate("zelt", vector=toward(0.51, 0.3, 0.8))
    assert (facts(slate).fallback, facts(slate).total, slate.strategy) == ("nothing_matches", 0, "search-fallback")
    assert slate.items
    assert facts(shop.slate("zelt", vector=toward(0.6, 0.3, 0.74))).fallback is None
    assert facts(shop.slate("desk zelt", vector=toward(0.45, 0.3, 0.84))).fallback is None


def test_each_facet_is_counted_without_its_own_filter() -> None:
    shop = Shop()
    one = facts(shop.slate("tent", category="Camping"))
    assert (one.total, one.categories, one.brands) == (3, {"Camping": 3, "Lighting": 1}, {"Oak": 2, "Birch": 1})
    other = facts(shop.slate("tent", price_max=30, brand="Oak"))
    assert (other.total, other.prices, other.brands) == (1, (9.0, 200.0), {"Oak": 1, "Glim": 1})


# ---------------------------------------------------------------- sold out
def sold_out(*item_ids: str) -> Shop:
    shop = Shop(tent_1=[1, 0, 0], lamp_2=[0, 1, 0], shoe_1=[0, 0.4, 0.9])
    shop.change(
        *(msgspec.structs.replace(item, in_stock=False) for item in things() if item.item_id in item_ids),
    )
    return shop


def test_what_has_the_words_and_is_sold_out_is_not_nothing() -> None:
    shop = sold_out("lamp-2")
    slate = shop.slate("desk", n=5)
    assert (facts(slate).fallback, facts(slate).total, len(slate.items)) == ("out_of_stock", 0, 5)
    assert facts(slate).stock == {"in_stock": 0, "out_of_stock": 1}
    assert facts(shop.slate("zzzzqq")).fallback == "nothing_matches"
    everything = shop.slate("desk", in_stock=False)
    assert ([place.item_id for place in everything.items], facts(everything).fallback) == (["lamp-2"], None)


def test_what_is_near_instead_of_what_is_sold_out_is_counted_with_its_facets() -> None:
    slate = sold_out("lamp-2").slate("desk", vector=toward(0, 1, 0))
    assert [place.item_id for place in slate.items] == ["shoe-1"]
    said = facts(slate)
    assert (said.fallback, said.total, said.categories) == ("out_of_stock", 1, {"Shoes": 1})


def test_stock_is_a_facet_that_is_counted_without_its_own_filter() -> None:
    shop = sold_out("tent-2", "lamp-1")
    for in_stock, total in ((True, 2), (False, 4)):
        said = facts(shop.slate("tent", in_stock=in_stock))
        assert (said.total, said.stock, said.fallback) == (total, {"in_stock": 2, "out_of_stock": 2}, None)
    assert facts(shop.slate("tent", category="Camping")).stock == {"in_stock": 2, "out_of_stock": 1}
    shop.change(Item(item_id="tent-2", title="Trekking tent", category="Camping", flagged=True))
    assert facts(shop.slate("tent")).stock == {"in_stock": 2, "out_of_stock": 1}
    assert facts(shop.slate("zzzzqq")).stock == {}


# ---------------------------------------------------------------- the first places
def test_what_the_query_names_is_before_what_is_made_for_it() -> None:
    tents = [Item(item_id=f"t{at}", title="Bell tent", category="Camping") for at in range(5)]
    lanterns = [Item(item_id=f"l{at}", title="Tent lantern", category="Camping") for at in range(5)]
    shop = Shop(tents + lanterns)
    assert {item_id[0] for item_id in shop.found("tent")[:5]} == {"t"}
    assert shop.found("tent lantern")[0][0] == "l"
    assert {item_id[0] for item_id in shop.found("tent", sort="newest")[:5]} == {"t"}
    assert shop.found("lantern for a tent")[0][0] == "l"


def test_the_likely_category_of_the_words_comes_first() -> None:
    lamps = [Item(item_id=f"l{at}", title=f"Steel desk lamp, {at} W", category="Lighting") for at in range(9)]
    kinds = ("Shorts", "Mug", "Hat", "Scarf")
    shorts = [Item(item_id=f"s{at}", title=f"Blue {kinds[at % 4]}", category=kinds[at % 4]) for at in range(20)]
    odd = Item(item_id="odd", title="Blue lamp oil book", category="Books")
    shop = Shop([*shorts, *lamps, odd])
    assert {item_id[0] for item_id in shop.found("blue lamp")[:10]} == {"l", "o"}


def test_of_two_kinds_either_is_found() -> None:
    pots = [Item(item_id=f"p{at}", title=f"Steamer pot, {at} liters", category="Kitchen") for at in range(4)]
    shop = Shop([*pots, Item(item_id="book", title="Soup pot and frying pan: a book", category="Books")])
    assert facts(shop.slate("pots and pans")).total == 5


# ---------------------------------------------------------------- asides
@pytest.mark.parametrize("q", ["tent under 150", "tent under $150", "tents below 150.00", "under €150 tent"])
def test_a_price_in_the_query_is_a_filter_and_it_says_so(q: str) -> None:
    slate = Shop().slate(q)
    assert {place.item_id for place in slate.items} == {"tent-2", "tent-3", "lamp-1"}
    assert str(facts(slate).understood).endswith(", at most 150")


def test_a_price_in_the_query_gives_way_before_the_one_that_was_chosen_and_is_not_said_then() -> None:
    slate = Shop().slate("tent under 5", price_max=160)
    assert {place.item_id for place in slate.items} == {"tent-2", "tent-3", "lamp-1"}
    said = facts(slate)
    assert (said.fallback, said.ignored, said.understood) == ("filters_exclude_all", ("q",), None)
    both = Shop().slate("tent under 100", price_max=20)
    assert ([place.item_id for place in both.items], facts(both).ignored) == (["tent-3"], ())
    assert facts(Shop().slate("tent under 100", price_min=100)).ignored == ("q",)


def test_what_is_read_beside_the_words_is_no_correction() -> None:
    assert facts(Shop().slate("tnet")).corrected
    assert facts(Shop().slate("tnet under 50")).corrected
    assert not facts(Shop().slate("tent under 50")).corrected


def test_thousands_may_have_a_comma() -> None:
    for q in ("couch under $1,000", "couch under 1,000", "couch under 1,000.00"):
        assert facts(Shop().slate(q)).understood == "couch, at most 1000", q


def test_a_number_that_is_no_price_is_a_word() -> None:
    assert facts(Shop().slate("tent under 30 in")).understood is None


def test_cheap_is_an_order_beside_other_words_and_a_parameter_goes_before_it() -> None:
    slate = Shop().slate("cheapest tent")
    assert facts(slate).understood == "tent, cheapest first"
    assert [place.item_id for place in slate.items] == Shop().found("tent", sort="price_asc")
    assert Shop().found("cheap tent", sort="newest") == Shop().found("tent", sort="newest")
    shop = Shop([Item(item_id="cd", title="Cheap Trick"), *things()])
    assert facts(shop.slate("cheap trick")).understood is None
    assert shop.found("cheap") == ["cd"]


def test_a_minus_leaves_out() -> None:
    slate = Shop().slate("tent -lantern -oak")
    assert [place.item_id for place in slate.items] == ["tent-2"]
    assert facts(slate).understood == "tent, without lantern, without oak"
    assert set(Shop().found("-tent")) == set(Shop().found("tent"))


def test_what_only_mentions_the_query_is_behind_in_every_sort() -> None:
    light = Item(item_id="light", title="String lights", description="For the tent", price=1.0)
    shop = Shop([*things(), light])
    assert shop.found("tent", sort="price_asc")[-1] == "light"
