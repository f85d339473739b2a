"""What nobody could see is refused by name, wherever items and events come in."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from rec.catalog import Item
from rec.errors import BadInput
from rec.ingest import admit
from rec.rows import item_of
from rec.visible import check_item

NOW = datetime(2026, 11, 24, tzinfo=UTC)
EVENT = {"event": "view_item", "event_id": "e1", "user_id": "u1", "items": [{"item_id": "a"}]}


@pytest.mark.parametrize("text", ["   ", "\u200b\u200f", "\u00a0"])
@pytest.mark.parametrize("field", ["item_id", "title"])
def test_an_item_needs_an_id_and_a_title_that_can_be_seen(field: str, text: str) -> None:
    row = {"item_id": "a", "title": "Tent", field: text}
    with pytest.raises(BadInput, match=f"{field}: has no character that can be seen"):
        check_item(msgspec.convert(row, Item))
    with pytest.raises(BadInput, match=field):
        item_of(row)


def test_titles_may_turn_direction_and_ids_may_not() -> None:
    check_item(Item(item_id="\u05d0-7", title="\u200f\u05d0\u05d4\u05dc\u200f"))
    with pytest.raises(BadInput, match="item_id: has characters that turn"):
        check_item(Item(item_id="a\u202eb", title="Tent"))


@pytest.mark.parametrize("text", ["   ", "a\u202eb", "\u2066a\u2069"])
@pytest.mark.parametrize("field", ["event_id", "user_id", "visitor_id", "session_id", "items[0].item_id"])
def test_an_event_with_an_id_that_cannot_be_seen_is_refused_by_the_name_of_the_field(field: str, text: str) -> None:
    more = {"items": [{"item_id": text}]} if field.startswith("items") else {field: text}
    with pytest.raises(BadInput) as caught:
        admit(msgspec.json.encode({**EVENT, **more}), received=NOW)
    assert (caught.value.code, caught.value.field) == ("invalid_field", field)
