"""slate → **`search.next`** → the next page. A token names a search, a place in it, and what was asked for. Pure.

The digest of the query, the filters and the sort is in the token, so that it is known of every token, after a restart
too, whether it belongs to what it is sent with.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import msgspec

from rec.errors import BadInput
from rec.protocol import Search
from rec.search.reading import cleaned


class Place(NamedTuple):
    """`slate_id` of the first page, and how many places there are before the page wanted."""

    slate_id: str
    offset: int


def asked_for(wanted: Search) -> str:
    """A short digest of everything but the page and its length. Raises BadInput for a query that is none.

    >>> asked_for(Search("tent ", n=5)) == asked_for(Search("tent")) != asked_for(Search("tent", brand="Oak"))
    True
    """
    same = msgspec.structs.replace(wanted, q=cleaned(wanted.q), n=1, page=None)
    return blake2b(msgspec.json.encode(same), digest_size=4).hexdigest()


def token(slate_id: str, offset: int, asked: str) -> str:
    return f"{slate_id}.{offset}.{asked}"


def place_of(wanted: Search) -> Place | None:
    """Where the page begins; None for the first one. Raises BadInput for a token of another search."""
    if wanted.page is None:
        return None
    slate_id, offset, asked = wanted.page.split(".")
    if asked != asked_for(wanted):
        raise BadInput(
            "page: this token is of a search with another q, sort or filter. Send the same q, sort and filters as with "
            "the page before, or leave page out.",
            field="page",
        )
    return Place(slate_id, int(offset))
