"""id, title → **visible?** → BadInput. What nobody could see on a screen or in a log is refused where it comes in.

Checked there and not by the types: what was taken before stays readable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rec.errors import BadInput

if TYPE_CHECKING:
    from rec.catalog import Item
    from rec.events import Event

# Spaces, and what takes no place: zero-width, directional and other format characters.
_NOTHING = re.compile(r"[\s\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*\Z")
# Unicode's directional formatting characters (UAX #9, section 2): an id with them reads as another one.
_TURNING = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def check_id(field: str, value: str | None) -> None:
    """Raises BadInput for an id that cannot be told from none, or from another, by looking.

    >>> check_id("user_id", "\u05d0 7"), check_id("user_id", None)
    (None, None)
    >>> check_id("user_id", "a\u202eb")
    Traceback (most recent call last):
    rec.errors.BadInput: user_id: has characters that turn the direction of text. Leave them out.
    """
    if value is None:
        return
    if _NOTHING.match(value):
        message = f"{field}: has no character that can be seen. Send another id."
        raise BadInput(message, code="invalid_field", field=field)
    if _TURNING.search(value):
        message = f"{field}: has characters that turn the direction of text. Leave them out."
        raise BadInput(message, code="invalid_field", field=field)


def check_event(event: Event) -> None:
    """All ids of an event. Raises BadInput."""
    for field in ("event_id", "user_id", "visitor_id", "session_id"):
        check_id(field, getattr(event, field))
    for at, item in enumerate(event.items):
        check_id(f"items[{at}].item_id", item.item_id)


def check_item(item: Item) -> None:
    """The id and the title of an item; a title may turn direction, as Hebrew and Arabic do. Raises BadInput."""
    check_id("item_id", item.item_id)
    if _NOTHING.match(item.title):
        raise BadInput("title: has no character that can be seen. Send a title.", code="invalid_field", field="title")
