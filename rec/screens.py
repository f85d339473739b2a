"""The name of a **screen**: a placement, or a placement beside one product. Lists are kept, wanted and pushed by it.

A list about one product is another list than the one about the next, though both have the same placement. Pure.
"""

from __future__ import annotations


def screen_key(placement: str, item_id: str | None = None) -> str:
    """The key. A placement has no slash, so the first one ends it, whatever the item's id is.

    >>> screen_key("home"), screen_key("pdp", "a/b")
    ('home', 'pdp/a/b')
    """
    return placement if item_id is None else f"{placement}/{item_id}"


def split_screen(key: str) -> tuple[str, str | None]:
    """The placement and the context item of a key.

    >>> split_screen("home"), split_screen("pdp/a/b")
    (('home', None), ('pdp', 'a/b'))
    """
    placement, slash, item_id = key.partition("/")
    return placement, item_id if slash else None
