"""The catalog that workers score with: what readers see while it changes."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.catalog import Catalog, Item
from rec.errors import ModelError
from rec.state import Facets
from tests.unit.shop import DIM, item, items, vector


def filled(each: int = 3) -> Catalog:
    catalog = Catalog()
    catalog.upsert(items(each))
    return catalog


def test_an_item_is_found_by_its_id_with_its_facets_and_its_card() -> None:
    catalog = Catalog()
    catalog.upsert([item("camping-1", price=19.9, currency="EUR", image_url="/a.svg", url="/p/1", brand="Oak")])
    assert catalog.facets("camping-1") == Facets("camping", "Oak", "product")
    assert catalog.card("camping-1") == {
        "title": "The camping thing 1",
        "price": 19.9,
        "currency": "EUR",
        "image_url": "/a.svg",
        "url": "/p/1",
        "brand": "Oak",
        "category": "camping",
    }


def test_an_unknown_item_has_neither_facets_nor_card_nor_row() -> None:
    catalog = filled()
    assert (catalog.facets("x"), catalog.card("x"), catalog.get("x"), catalog.view().row("x")) == (None, {}, None, None)


def test_an_item_out_of_stock_is_known_but_not_listed() -> None:
    catalog = filled()
    catalog.upsert([item("camping-1", in_stock=False)])
    view = catalog.view()
    row = view.row("camping-1")
    assert row is not None
    assert bool(view.known[row])
    assert not bool(view.listed[row])


def test_a_deleted_item_is_gone_and_can_come_back() -> None:
    catalog = filled()
    assert catalog.delete(["camping-1", "never-there"]) == 1
    assert "camping-1" not in catalog
    assert catalog.view().listed.sum() == len(catalog) == 11
    catalog.upsert([item("camping-1", title="Back again")])
    assert catalog.card("camping-1")["title"] == "Back again"


def test_vectors_are_scaled_to_unit_length_and_flagged() -> None:
    catalog = filled()
    assert catalog.set_vectors({"camping-1": 5 * vector("camping-1"), "never-there": vector("camping-1")}) == 1
    view = catalog.view()
    row = view.row("camping-1")
    assert np.linalg.norm(view.vectors[row]) == pytest.approx(1, abs=1e-6)
    assert view.has_vector.sum() == 1
    assert not view.vectors[~view.has_vector].any()


def test_a_zero_vector_says_nothing() -> None:
    catalog = filled()
    catalog.set_vectors({i.item_id: np.zeros(DIM) for i in items(3)})
    assert not catalog.view().has_vector.any()


@pytest.mark.parametrize("bad", [np.full(DIM, np.nan), np.full(DIM, np.inf), np.ones(DIM + 1), np.ones((2, DIM))])
def test_a_broken_vector_is_refused_and_nothing_of_its_batch_is_taken(bad: Any) -> None:
    catalog = filled()
    catalog.set_vectors({"camping-0": vector("camping-0")})
    with pytest.raises(ModelError):
        catalog.set_vectors({"camping-1": vector("camping-1"), "camping-2": bad})
    assert catalog.view().has_vector.sum() == 1


def test_an_item_whose_text_changed_is_served_with_its_old_vector_until_the_new_one_is_there() -> None:
    catalog = filled(1)
    catalog.set_vectors({"kitchen-0": vector("kitchen-0")})
    catalog.upsert([item("kitchen-0", title="Another text"), item("music-7")])
    view = catalog.view()
    assert view.has_vector[view.row("kitchen-0")]
    assert not view.has_vector[view.row("music-7")]


@pytest.mark.parametrize("url", ["", "/", "/p/1", "/#item/x", "/a//b", "https://a.example/b?c#d", "http://[::1]:80/x"])
def test_an_address_is_http_with_a_host_or_a_path_of_this_server(url: str) -> None:
    assert msgspec.convert({"item_id": "1", "title": "T", "url": url, "image_url": url}, Item).url == url


@pytest.mark.parametrize(
    "url",
    [
        "//evil.example/x", "/\\evil.example", "\\\\evil.example", "http:///x", "https://", "https://?x", "https://#x",
        "http://@/", "http://:80/", "https://a\\b", "/\0x", "/\x7f", "/\x85x", "/a b", "p/1", "javascript:alert(1)",
        "ftp://a/b", "/x\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["url", "image_url"])
def test_an_address_that_a_browser_would_read_as_another_server_s_is_refused(field: str, url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        msgspec.convert({"item_id": "1", "title": "T", field: url}, Item)


def test_a_view_shows_the_same_rows_whatever_happens_later() -> None:
    catalog = filled()
    catalog.set_vectors({i.item_id: vector(i.item_id) for i in items(3)})
    view = catalog.view()
    before = (view.size, view.listed.copy(), view.category.copy(), view.has_vector.copy(), view.vectors.copy())
    catalog.upsert([item("camping-1", in_stock=False, category="elsewhere"), item("new-1")])
    catalog.set_vectors({"camping-1": -vector("camping-1"), "new-1": np.ones(DIM)})
    catalog.delete(["kitchen-1"])
    catalog.upsert([item(f"many-{n}") for n in range(5_000)])
    assert view.size == before[0]
    for now, then in zip((view.listed, view.category, view.has_vector, view.vectors), before[1:], strict=True):
        np.testing.assert_array_equal(now, then)
    assert view.row("new-1") is None
    fresh = catalog.view()
    np.testing.assert_allclose(
        fresh.vectors[fresh.row("camping-1")], -vector("camping-1") / np.linalg.norm(vector("camping-1")), atol=1e-6
    )


def test_an_item_keeps_its_age_when_its_vector_changes() -> None:
    catalog = filled(1)
    for sign in (1, -1):
        catalog.set_vectors({i.item_id: sign * vector(i.item_id) for i in items(1)})
    view = catalog.view()
    known = [view.ids[row] for row in np.argsort(view.born, kind="stable") if view.known[row]]
    assert known == [i.item_id for i in items(1)]


def test_rows_of_the_dead_are_given_back() -> None:
    catalog = Catalog()
    for _ in range(6):
        catalog.upsert([item(f"camping-{n}") for n in range(1_000)])
        catalog.set_vectors({f"camping-{n}": np.eye(DIM)[n % DIM] for n in range(1_000)})
        catalog.delete([f"camping-{n}" for n in range(999)])
    assert catalog.view().size < 3_000
    assert len(catalog) == catalog.view().known.sum() == 1
    assert catalog.card("camping-999")["category"] == "camping"


Change = st.tuples(st.sampled_from(["put", "delete", "vector"]), st.integers(0, 12), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(Change, max_size=60))
def test_the_catalog_is_what_a_dict_would_be(changes: list[tuple[str, int, bool]]) -> None:
    catalog, expected, vectors = Catalog(), dict[str, Item](), dict[str, int]()
    for step, (what, number, flag) in enumerate(changes):
        item_id = f"camping-{number}"
        if what == "put":
            expected[item_id] = item(item_id, in_stock=flag, title=f"t{step}")
            catalog.upsert([expected[item_id]])
        elif what == "delete":
            assert catalog.delete([item_id]) == (expected.pop(item_id, None) is not None)
            vectors.pop(item_id, None)
        elif catalog.set_vectors({item_id: np.eye(DIM)[step % DIM]}):
            vectors[item_id] = step % DIM
    view = catalog.view()
    assert {view.ids[r]: bool(view.listed[r]) for r in range(view.size) if view.known[r]} == {
        i: each.in_stock for i, each in expected.items()
    }
    for item_id, each in expected.items():
        row = view.row(item_id)
        assert row is not None
        assert view.items[row] == each
        assert bool(view.has_vector[row]) == (item_id in vectors)
        if item_id in vectors:
            assert view.vectors[row].argmax() == vectors[item_id]


def test_a_thread_that_reads_while_the_catalog_changes_never_sees_half_a_change() -> None:
    """Each item's vector always names the category the item has; a reader that mixes two moments would notice."""
    catalog = Catalog()
    catalog.upsert([item(f"camping-{n}", category="0") for n in range(50)])
    catalog.set_vectors({f"camping-{n}": np.eye(DIM)[0] for n in range(50)})
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            view = catalog.view()
            live = view.listed & view.has_vector
            if not np.allclose(np.linalg.norm(view.vectors[live], axis=1), 1.0, atol=1e-5):
                wrong.append("a vector was torn")
            if len(view.ids) < view.size or view.listed.sum() > 80:
                wrong.append("rows without items")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for step in range(150):
        catalog.set_vectors({f"camping-{n}": np.eye(DIM)[(step + n) % DIM] for n in range(50)})
        catalog.upsert([item(f"extra-{step % 30}")])
        catalog.delete([f"extra-{(step + 15) % 30}"])
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
