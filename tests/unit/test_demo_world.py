"""The demo shop: what is in it, that it reads like a shop, and that it is the same everywhere."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from xml.etree import ElementTree

import msgspec
import pytest

from rec.catalog import Item
from rec.demo.data import CATEGORIES, FAMILIES
from rec.demo.data.brands import BRANDS
from rec.demo.drawings import DRAWINGS, VARIANTS
from rec.demo.pictures import MAX_BYTES, picture
from rec.demo.world import demo_catalog, family_of
from rec.errors import BadInput

ITEMS = demo_catalog()
FORBIDDEN = re.compile(r"<script|\bon[a-z]+=|style=|<style|href|url\(|<image|<foreignObject|javascript:", re.IGNORECASE)


def test_the_shop_has_2400_products_in_16_departments_no_two_with_the_same_title() -> None:
    assert len(ITEMS) == 2_400
    assert len({item.title for item in ITEMS}) == 2_400
    assert len({item.item_id for item in ITEMS}) == 2_400
    departments = Counter(item.category for item in ITEMS)
    assert len(departments) == 16
    assert min(departments.values()) >= 100


def test_the_same_seed_gives_the_same_shop_and_another_seed_another() -> None:
    assert msgspec.json.encode(demo_catalog()) == msgspec.json.encode(ITEMS)
    assert [item.title for item in demo_catalog(seed=8)] != [item.title for item in ITEMS]


def test_a_product_is_the_same_on_every_machine_and_in_a_shop_of_any_size() -> None:
    first, middle = ITEMS[0], next(item for item in ITEMS if item.item_id == "toy-0035")
    assert (first.item_id, first.category, family_of(first)) == ("camp-0001", "Camping", "tent")
    assert (first.title, first.price) == ("Brackenrow Core 3-person trekking tent", 92.49)
    assert (middle.title, middle.price) == ("Glimmerwick Confetti toy tractor in cobalt", 22.49)
    assert demo_catalog(size=600)[0] == first


@pytest.mark.parametrize("size", [0, len(FAMILIES) - 1, 1_000_000])
def test_a_size_that_cannot_be_made_is_refused_with_the_possible_ones(size: int) -> None:
    with pytest.raises(BadInput, match=rf"size must be {len(FAMILIES)}"):
        demo_catalog(size=size)


def test_the_largest_and_the_smallest_shop_can_be_made() -> None:
    assert len({item.title for item in demo_catalog(size=8_000)}) == 8_000
    assert {family_of(item) for item in demo_catalog(size=96)} == set(FAMILIES)


def test_prices_are_those_of_a_shop() -> None:
    prices = [item.price for item in ITEMS if item.price is not None]
    assert len(prices) == len(ITEMS)
    assert all(1.0 <= price <= 5_000.0 for price in prices)
    assert all(round(price, 2) == price for price in prices)
    assert 20 < statistics.median(prices) < 80 < statistics.mean(prices) < 200
    median = {name: statistics.median(p.price or 0 for p in ITEMS if family_of(p) == name) for name in FAMILIES}
    assert median["seeds"] < median["mug"] < median["tent"] < median["bicycle"]


def test_a_dear_maker_is_dearer_than_a_plain_one() -> None:
    level = {brand.name: brand.level for brand in BRANDS}
    tents = [item for item in ITEMS if family_of(item) in ("tent", "rucksack", "sleeping-bag")]
    plain = statistics.median(item.price or 0 for item in tents if level[item.brand] < 0.8)
    dear = statistics.median(item.price or 0 for item in tents if level[item.brand] > 1.5)
    assert dear > 1.5 * plain


def test_some_products_are_out_of_stock_but_most_are_there() -> None:
    gone = sum(not item.in_stock for item in ITEMS)
    assert 0.02 * len(ITEMS) < gone < 0.07 * len(ITEMS)


def test_every_product_obeys_the_wire_form() -> None:
    for item in ITEMS:
        assert msgspec.json.decode(msgspec.json.encode(item), type=Item) == item
        assert item.image_url == f"/pictures/{item.item_id}.svg"
        assert item.url == f"/product/{item.item_id}"
        assert re.fullmatch(r"[a-z]+-\d{4}", item.item_id)


def test_titles_and_descriptions_read_like_written_by_a_person() -> None:
    for item in ITEMS:
        for text in (item.title, item.description):
            assert "{" not in text, text
            assert "  " not in text, text
            assert " ," not in text, text
            assert text == text.strip(), text
        assert 12 <= len(item.title) <= 90, item.title
        assert item.description.endswith("."), item.description
        assert item.description[0].isupper(), item.description
        assert not re.search(r"\ba (?=[aeio])(?!one|euca)|\ban (?=[bcdfgjklmnpqrstvwxyz])", item.description.lower())
        assert item.description.count(". ") <= 1, item.description


def test_every_family_and_every_maker_is_in_the_shop() -> None:
    assert {family_of(item) for item in ITEMS} == set(FAMILIES)
    assert {item.brand for item in ITEMS} == {brand.name for brand in BRANDS}
    names = {category.name for category in CATEGORIES}
    assert all(1 <= len(brand.categories) <= 3 and set(brand.categories) <= names for brand in BRANDS)
    assert all(set(category.companions) <= names for category in CATEGORIES)


# ------------------------------------------------------------------ pictures
def test_every_family_has_a_drawing_and_every_drawing_is_used() -> None:
    variants = {name for pairs in VARIANTS.values() for _, name in pairs}
    assert set(FAMILIES) <= set(DRAWINGS)
    assert set(DRAWINGS) == set(FAMILIES) | variants


def test_every_picture_is_small_well_formed_and_harmless() -> None:
    for item in ITEMS:
        svg = picture(item)
        assert len(svg.encode()) < MAX_BYTES, item.item_id
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert not FORBIDDEN.search(svg.replace('xmlns="http://www.w3.org/2000/svg"', "")), item.item_id
        assert "{" not in svg


def test_the_same_product_is_always_drawn_the_same_and_colors_differ() -> None:
    tents = [item for item in ITEMS if family_of(item) == "tent"]
    assert [picture(item) for item in tents] == [picture(item) for item in tents]
    assert len({re.sub(r"<title>.*?</title>", "", picture(item)) for item in tents}) > len(tents) // 2


def test_a_product_from_elsewhere_is_drawn_too_and_its_texts_stay_text() -> None:
    title = '<script>alert(1)</script> & "more" ]]>' + "x" * 2_000
    item = Item(item_id='"><script>', title=title, category="<b>", attributes={"family": "no-such", "color": "<x>"})
    svg = picture(item)
    root = ElementTree.fromstring(svg)
    assert root.findtext("{http://www.w3.org/2000/svg}title") == title[:200]
    assert "<script" not in svg
    assert len(svg.encode()) < MAX_BYTES


def test_a_product_without_a_letter_in_its_title_still_has_a_picture() -> None:
    ElementTree.fromstring(picture(Item(item_id="x", title="!!!")))
