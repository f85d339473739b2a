"""What is suggested while a query is typed, in which order, and how soon it follows the catalog."""

from __future__ import annotations

import random
from collections import Counter

import msgspec

from rec.catalog import Item
from rec.search.spelling import Speller
from rec.search.suggest import RENEW_S
from tests.search.shop import NOW, Shop, many, things


def said(shop: Shop, typed: str, n: int = 10, later: float = 0.0) -> list[str]:
    return [each.text for each in shop.engine.suggest(typed, n, shop.world, NOW + later)]


def products_said(shop: Shop, typed: str, n: int = 10) -> list[str | None]:
    return [each.item_id for each in shop.engine.suggest(typed, n, shop.world, NOW) if each.kind == "product"]


def test_suggestions_are_one_of_each_stem_and_no_stop_words() -> None:
    shop = Shop(
        [*things(), Item(item_id="b", title="The tents then"), Item(item_id="c", title="Women's running tights")]
    )
    assert "the" not in said(shop, "t")
    assert {"tent", "tents"} & set(said(shop, "ten")) == {"tent"}


def test_a_word_is_completed_by_what_stands_next_to_it_in_a_title() -> None:
    shop = Shop(
        [
            *things(),
            Item(item_id="b", title="Tent with a little light"),
            Item(item_id="c", title="Women's running tights"),
        ]
    )
    assert [text for text in said(shop, "tent l") if text.startswith("tent ")] == ["tent lantern"]
    assert said(shop, "women's ru")[0] == "women's running"
    assert said(shop, "Women's ru")[0] == "women's running"


def test_a_beginning_with_a_typo_is_completed() -> None:
    shop = Shop([*things(), Item(item_id="h", title="Studio headphones")])
    assert said(shop, "hedph") == ["headphones", "Studio headphones"]
    assert said(shop, "hed") == []


def test_the_word_of_most_titles_is_suggested_however_many_others_begin_like_it() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    rare = [Item(item_id=f"r{at}", title=f"sa{letters[at // 26]}{letters[at % 26]}q") for at in range(520)]
    shop = Shop(rare + many("Running shoes", 50))
    assert said(shop, "s")[0] == "shoes"


def test_the_best_seller_is_suggested_however_many_newer_ones_there_are() -> None:
    shop = Shop([Item(item_id="best", title="Tent, the best"), *many("Tent", 400)])
    shop.does("purchase", "best", user="u2")
    assert products_said(shop, "tent")[0] == "best"


def test_a_product_is_suggested_however_many_newer_ones_are_gone() -> None:
    newer = many("Blue tent", 400)
    shop = Shop([Item(item_id="there", title="A tent"), *newer])
    shop.change(deleted=tuple(item.item_id for item in newer))
    assert products_said(shop, "tent") == ["there"]
    shop = Shop([Item(item_id="there", title="A tent"), *newer])
    shop.change(*(msgspec.structs.replace(item, in_stock=False) for item in newer))
    assert products_said(shop, "tent") == ["there"]


def test_lists_are_renewed_every_few_seconds_and_what_is_gone_is_suggested_no_more_at_once() -> None:
    shop = Shop()
    assert said(shop, "behr") == ["Behr"]
    assert said(shop, "tre")[0] == "trekking"
    shop.change(Item(item_id="h", title="Hammock", brand="Sling"), deleted=("deck-1", "tent-2"))
    assert said(shop, "behr") == []
    assert said(shop, "tre") == []
    assert "sling" not in {text.casefold() for text in said(shop, "slin", later=RENEW_S / 2)}
    assert said(shop, "slin", later=RENEW_S) == ["Sling"]
    shop.change(Item(item_id="t", title="Tant"))
    assert "tant" in said(shop, "tan", later=2 * RENEW_S)
    shop.change(deleted=("t",))
    assert "tant" not in said(shop, "tan", later=2 * RENEW_S)  # though it would be read as tent


def test_queries_of_last_year_are_behind_those_of_today() -> None:
    shop, day = Shop([*things(), Item(item_id="c", title="Christmas chair")]), 86_400.0
    for user in range(30):
        shop.does("search", user=f"s{user}", search_term="christmas tree")
    for user in range(3):
        shop.does("search", user=f"s{user}", search_term="chair", at=NOW + 200 * day)
    assert said(shop, "ch")[0] == "christmas tree"
    assert said(shop, "ch", later=200 * day)[0] == "chair"


def test_guesses_after_words_came_and_went_are_those_of_who_reads_all_of_them_anew() -> None:
    rng, counts = random.Random(5), Counter[str]()
    follower = Speller(counts)
    for generation in range(30):
        for _ in range(40):
            word = "".join(rng.choices("abcd", k=rng.randint(2, 6)))
            if rng.random() < 0.5:
                counts[word] += 1
            else:
                del counts[word]
        anew = Speller(counts)
        for speller in (follower, anew):
            speller.renew(generation)
        for typed in ("abcd", "ddcba", "caba", "bcdabc"):
            assert follower.guesses(typed) == anew.guesses(typed)
            assert follower.beginnings(typed, 5) == anew.beginnings(typed, 5)


def test_products_are_suggested_by_any_word_of_their_titles_the_popular_first() -> None:
    shop = Shop()
    for user in ("a", "b"):
        shop.does("purchase", "tent-1", user=user)
    products = [each.item_id for each in shop.engine.suggest("tent", 10, shop.world, NOW) if each.kind == "product"]
    assert products[0] == "tent-1"
    assert set(products) == {"tent-1", "tent-2", "tent-3", "lamp-1"}
    assert said(shop, "for fo")[-1] == "Family tent for four"
