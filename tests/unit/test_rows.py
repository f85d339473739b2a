"""Rows of files as items and events: what files write as text, and what is missing, is understood or named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from rec.catalog import Item
from rec.errors import BadInput
from rec.events import Attribution, Consent, Event, EventItem
from rec.rows import EVENT_COLUMNS, ITEM_COLUMNS, check_columns, event_of, item_of, moment

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
AT = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)


def row(**values: Any) -> dict[str, Any]:
    return {"event": "view_item", "user_id": "u", "item_id": "sku", "event_ts": AT, **values}


def made(**values: Any) -> Event:
    return event_of(row(**values), now=NOW)


# ---------------------------------------------------------------- items
def test_text_cells_become_the_types_of_an_item() -> None:
    cells = {"item_id": "1", "title": "Tent", "price": "19.90", "in_stock": "false", "brand": "", "url": " "}
    assert item_of(cells) == Item(item_id="1", title="Tent", price=19.9, in_stock=False)
    stock = [item_of({**cells, "in_stock": many}).in_stock for many in ("0", "1", "12", "0.0", 3, True)]
    assert stock == [False, True, True, False, True, True]  # a shop's file says how many there are


def test_numbers_serve_as_ids_and_missing_cells_as_nothing() -> None:
    cells = {"item_id": 77, "title": 1984, "brand": None, "price": float("nan"), "category": 3.0}
    assert item_of(cells) == Item(item_id="77", title="1984", category="3")
    assert item_of({"item_id": "1", "title": "Tent", "price": Decimal("9.50")}).price == 9.5


def test_an_image_vector_stands_in_a_cell_as_json_or_base64_and_in_a_parquet_as_a_list() -> None:
    row = {"item_id": "1", "title": "Tent"}
    for cell in ("[1.0, 2.0]", "AACAPwAAAEA=", [1.0, 2.0]):
        assert item_of({**row, "image_vector": cell}).image_vector == "AACAPwAAAEA="
    with pytest.raises(BadInput, match=r"^image_vector: .*finite.*Send a list of finite numbers") as caught:
        item_of({**row, "image_vector": [float("nan")]})
    assert caught.value.field == "image_vector"


def test_columns_of_ones_own_become_attributes() -> None:
    cells = {"item_id": "1", "title": "Tent", "colour": "green", "since": date(2026, 1, 2), "empty": ""}
    assert item_of(cells).attributes == {"colour": "green", "since": "2026-01-02"}
    cells["attributes"] = '{"colour":"red","sizes":[1]}'
    assert item_of(cells).attributes == {"colour": "red", "sizes": [1], "since": "2026-01-02"}


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"title": "Tent"}, "item_id"),
        ({"item_id": "1"}, "title"),
        ({"item_id": "1\x00", "title": "Tent"}, "item_id"),
        ({"item_id": "1", "title": "Tent", "price": "19,90"}, "price"),
        ({"item_id": "1", "title": "Tent", "price": -1}, "price"),
        ({"item_id": "1", "title": "Tent", "in_stock": "perhaps"}, "in_stock"),
        ({"item_id": "1", "title": "Tent", "url": "javascript:alert(1)"}, "url"),
        ({"item_id": "1", "title": "Tent", "attributes": "{"}, "attributes"),
        ({"item_id": "1", "title": "Tent", "attributes": [1]}, "attributes"),
        ({"item_id": True, "title": "Tent"}, "item_id"),
    ],
)
def test_a_row_that_is_no_item_names_its_field(cells: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        item_of(cells)
    assert caught.value.field == field


# ---------------------------------------------------------------- events
def test_an_event_is_received_when_it_happened() -> None:
    event = made(index="3", price="9.50", quantity="2")
    assert (event.event_ts, event.received_ts) == (AT, AT)
    assert event.items == (EventItem("sku", index=3, price=9.5, quantity=2),)


def test_the_time_of_receipt_is_kept_where_it_is_known() -> None:
    assert made(received_ts=AT + timedelta(hours=2)).received_ts == AT + timedelta(hours=2)
    assert made(received_ts=AT + timedelta(hours=2)).event_ts == AT
    early = made(received_ts=AT - timedelta(hours=2))
    assert early.event_ts == early.received_ts == AT - timedelta(hours=2)


@pytest.mark.parametrize(
    ("name", "known"),
    [("Product Added", "add_to_cart"), ("detail-page-view", "view_item"), ("viewedObjectIDs", "view_item")],
)
def test_names_of_other_vendors_are_understood(name: str, known: str) -> None:
    assert made(event=name).event == known


def test_one_name_may_stand_for_all_rows_without_one() -> None:
    assert event_of(row(event=""), now=NOW, event="purchase").event == "purchase"
    assert event_of(row(), now=NOW, event="purchase").event == "view_item"


def test_the_same_row_has_the_same_id_and_another_row_another() -> None:
    assert made().event_id == made().event_id
    assert made().event_id == made(event_ts=AT.timestamp(), user_id="u", unknown_column=7).event_id
    assert len({made(**changed).event_id for changed in ({}, {"user_id": "v"}, {"item_id": "x"}, {"price": 2})}) == 4
    assert made(event_id="mine").event_id == "mine"


def test_everything_that_an_event_can_hold_can_stand_in_columns() -> None:
    event = made(
        visitor_id=12,
        session_id="s",
        search_term="tent",
        value="19.9",
        currency="EUR",
        transaction_id="t",
        slate_id="sl",
        slate_version="42",
        personalization_storage="granted",
        ad_personalization="denied",
        context='{"page":"/"}',
    )
    assert event.visitor_id == "12"
    assert event.value == 19.9
    assert event.attribution == Attribution("sl", 42)
    assert event.consent == Consent(personalization_storage="granted", ad_personalization="denied")
    assert event.context == {"page": "/"}


@pytest.mark.parametrize(
    "items",
    ['[{"item_id":"a","index":1},{"item_id":"b"}]', [{"item_id": "a", "index": 1.0, "price": None}, {"item_id": "b"}]],
)
def test_several_products_stand_in_a_list(items: Any) -> None:
    assert made(items=items).items == (EventItem("a", index=1), EventItem("b"))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"event": "lick_item"}, "event"),
        ({"event": None}, "event"),
        ({"user_id": None}, "user_id"),
        ({"item_id": ""}, "items"),
        ({"event_ts": None}, "event_ts"),
        ({"event_ts": "yesterday"}, "event_ts"),
        ({"event_ts": float("inf")}, "event_ts"),
        ({"event_ts": NOW + timedelta(seconds=1)}, "event_ts"),
        ({"received_ts": "soon"}, "received_ts"),
        ({"price": "free"}, "price"),
        ({"quantity": "inf"}, "quantity"),
        ({"items": "[{"}, "items"),
        ({"items": [{"item_id": "a", "index": -1}]}, "items[0].index"),
        ({"consent": '"yes"'}, "consent"),
        ({"personalization_storage": "maybe"}, "consent.personalization_storage"),
        ({"context": "[]"}, "context"),
    ],
)
def test_a_row_that_is_no_event_names_its_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        made(**changed)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-01T12:30:00Z",
        "2026-11-01 12:30:00",
        " 2026-11-01T18:00:00+05:30 ",
        datetime(2026, 11, 1, 12, 30),
        AT.astimezone(timezone(timedelta(hours=-3))),
        AT.timestamp(),
        int(AT.timestamp() * 1e3),
        int(AT.timestamp() * 1e6),
        int(AT.timestamp() * 1e9),
        f"{AT.timestamp():.3f}",
    ],
)
def test_a_time_is_understood_as_files_write_it(value: Any) -> None:
    assert moment(value, "t") == AT
    assert moment(value, "t").utcoffset() == timedelta(0)


def test_a_date_is_its_first_moment_in_utc() -> None:
    assert moment("2026-11-01", "t") == moment(date(2026, 11, 1), "t") == datetime(2026, 11, 1, tzinfo=UTC)


# ---------------------------------------------------------------- columns
def test_names_that_do_not_exist_are_told_before_the_first_row() -> None:
    with pytest.raises(BadInput, match="did you mean item_id"):
        check_columns(["a"], {"itm_id": "a"}, ITEM_COLUMNS, [])
    with pytest.raises(BadInput, match="did you mean movie"):
        check_columns(["movie", "name"], {"item_id": "movei"}, ITEM_COLUMNS, [])
    with pytest.raises(BadInput, match="--map title=COLUMN, of item_id, name"):
        check_columns(["item_id", "name"], {}, ITEM_COLUMNS, ["item_id", "title"])
    everything = (
        "There are no columns event, user_id. .*: --map event=COLUMN --map user_id=COLUMN, of t. .*--event NAME"
    )
    with pytest.raises(BadInput, match=everything):
        check_columns(["t"], {"event_ts": "t"}, EVENT_COLUMNS, ["event", "event_ts", "user_id|visitor_id"])
    check_columns(["visitor_id"], {}, EVENT_COLUMNS, ["user_id|visitor_id"])
    check_columns(["item_id", "name"], {"title": "name"}, ITEM_COLUMNS, ["item_id", "title"])
    check_columns(None, {"title": "anything"}, ITEM_COLUMNS, ["item_id", "title"])
    check_columns(["ts"], {"event_ts": "ts"}, EVENT_COLUMNS, ["event_ts"])
