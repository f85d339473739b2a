"""What the demo shop has to read and to watch: of every department, each with a picture and a length of its own."""

from __future__ import annotations

import json
from collections import Counter
from xml.etree import ElementTree

import msgspec

from rec.demo.content import EACH, WORDS_A_MINUTE, demo_content
from rec.demo.data import CATEGORIES
from rec.demo.pictures import MAX_BYTES, picture
from rec.demo.world import demo_catalog
from rec.dwell import length_of
from rec.visible import check_item

CONTENT = demo_content()


def test_every_department_has_as_much_to_read_and_to_watch() -> None:
    assert Counter(item.category for item in CONTENT) == {category.name: EACH for category in CATEGORIES}
    assert Counter(item.kind for item in CONTENT) == {"article": 4 * len(CATEGORIES), "video": 2 * len(CATEGORIES)}


def test_titles_and_ids_are_nobody_elses_and_the_same_every_time() -> None:
    products = demo_catalog()
    for field in ("item_id", "title"):
        assert len({getattr(item, field) for item in [*products, *CONTENT]}) == len(products) + len(CONTENT)
    assert msgspec.json.encode(demo_content()) == msgspec.json.encode(CONTENT)
    assert not any("{" in item.title + item.description for item in CONTENT)


def test_each_has_something_to_read_or_to_see_and_says_how_long_that_takes() -> None:
    products = {item.image_url for item in demo_catalog()}
    for item in CONTENT:
        check_item(item)
        if item.kind == "article":
            words = " ".join(section["text"] for section in item.attributes["sections"]).split()
            assert len(words) > 120
            assert length_of(item) == round(60 * len(words) / WORDS_A_MINUTE)
            assert item.attributes["sections"][1]["heading"]
        else:
            scenes = item.attributes["scenes"]
            assert length_of(item) == sum(scene["seconds"] for scene in scenes) >= 30
            assert {scene["image_url"] for scene in scenes} <= products
    texts = json.dumps([item.attributes for item in CONTENT])
    assert '"text": ""' not in texts
    assert "{a_kind}" not in texts


def test_each_has_a_drawing_that_says_what_it_is() -> None:
    for item in CONTENT:
        drawn = picture(item)
        ElementTree.fromstring(drawn)
        assert len(drawn.encode()) < MAX_BYTES
        assert drawn != picture(msgspec.structs.replace(item, kind="product"))
