"""A shop in Chinese: 200 products with words that nothing separates."""

from __future__ import annotations

import itertools

import pytest

from rec.catalog import Item
from rec.errors import ConfigError
from rec.search.words import Words
from tests.search.shop import NOW, Shop

COLORS = ("红色", "蓝色", "黑色", "绿色", "白色")
THINGS = {
    "户外": ("登山背包", "双人帐篷", "睡袋", "登山杖"),
    "厨房": ("不锈钢炒锅", "电热水壶", "陶瓷碗", "菜刀"),
    "服装": ("运动鞋", "羽绒服", "牛仔裤", "连衣裙"),
    "数码": ("无线蓝牙耳机", "智能手机", "移动电源", "机械键盘"),
}
SORTS = ("儿童", "男士", "轻便")


@pytest.fixture(scope="module")
def shop() -> Shop:
    kinds = [(category, thing) for category, several in THINGS.items() for thing in several]
    every = itertools.product(kinds, COLORS, SORTS)
    items = [
        Item(item_id=f"cn-{n}", title=f"{sort}{color}{thing}", category=category, price=10.0 + n)
        for n, ((category, thing), color, sort) in enumerate(every)
    ]
    assert len(items[:200]) == 200
    return Shop(items[:200], language="zh")


def titles(shop: Shop, q: str, n: int = 5) -> list[str]:
    return [place.item["title"] for place in shop.slate(q, n=n).items]


@pytest.mark.parametrize("q", ["帐篷", "双人帐篷", "背包", "登山背包", "睡袋", "炒锅", "运动鞋", "羽绒服"])
def test_a_word_finds_the_products_that_hold_it_inside_longer_ones(shop: Shop, q: str) -> None:
    assert all(q in title for title in titles(shop, q, n=10))


def test_a_query_of_two_words_without_a_space_finds_what_has_both(shop: Shop) -> None:
    assert all("红色" in title and "帐篷" in title for title in titles(shop, "红色帐篷", n=3))
    assert all("红色" in title and "帐篷" in title for title in titles(shop, "帐篷 红色", n=3))


def test_full_width_letters_and_digits_are_the_same(shop: Shop) -> None:
    shop.change(Item(item_id="cn-usb", title="USB3 数据线"))
    assert shop.found("ＵＳＢ３")[0] == "cn-usb"


def test_suggestions_complete_han(shop: Shop) -> None:
    assert "登山" in [s.text for s in shop.engine.suggest("登", 5, shop.world, NOW)]
    assert ("户外", "category") in [s[:2] for s in shop.engine.suggest("户", 5, shop.world, NOW)]


def test_other_languages_have_stems_of_their_own_and_an_unknown_one_is_refused() -> None:
    assert Words("de")("Zelte für Hunde") == ["zelt", "fur", "hund"]
    assert Words("none")("Tents") == ["tents"]
    with pytest.raises(ConfigError) as refused:
        Words("klingon")
    assert "REC_SEARCH_LANGUAGE" in refused.value.message
