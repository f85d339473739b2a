"""ranking → **reasons** → slate. Why an item is on the list, in words a client can show. Pure.

A reason never names an item or an interest that did not speak for the item it is given for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rec.candidates import Anchor, Found, Shelf
from rec.catalog import Item, View
from rec.cooccurrence import STEPS
from rec.slates import Reason
from rec.state import UserState

_BECAUSE = {"purchase": "because_you_bought", "add_to_cart": "because_you_carted"}


def reason_for(
    row: int,
    source: str,
    found: Found | None,
    anchors: Sequence[Anchor],
    shelf: Shelf,
    state: UserState | None,
    personal: bool,
) -> Reason:
    """Why this row, given the source that spoke most for it and what that source found.

    `personal`: the anchors are what the shopper did, not the item or the cart on the page.
    """
    view = shelf.view
    item = view.items[row]
    if source == "history":
        return Reason("seen_before", item_id=item.item_id)
    if source == "query" and state is not None and state.searches:
        return Reason("because_you_searched", value=state.searches[-1][1])
    if source == "sequence" and personal:
        return Reason("next_step")
    if source == "content" and (nearest := _nearest(row, anchors, shelf)) is not None:
        return _because(nearest) if personal else Reason("similar", item_id=nearest.item_id)
    if source in ("rules", "knn") and found is not None:
        spoke = np.flatnonzero(found.rows == row)
        if len(spoke):
            anchor = anchors[int(found.anchors[spoke[np.argmax(found.scores[spoke])]])]
            return _because(anchor) if personal else Reason("goes_with", item_id=anchor.item_id)
    if source == "interest" and state is not None:
        by_category, by_brand = state.categories.get(item.category), state.brands.get(item.brand)
        if by_category is not None and by_category.long > 0:
            return Reason("interest_category", value=item.category)
        if by_brand is not None and by_brand.long > 0:
            return Reason("interest_brand", value=item.brand)
    if shelf.popularity[row] <= 0:
        return Reason("new")
    if state is not None and item.category and item.category in state.categories:
        return Reason("popular_in_category", value=item.category)
    return Reason("popular")


def discreet(reason: Reason, item: Item, view: View, sensitive: frozenset[str]) -> Reason:
    """The reason, but where it or the item has to do with a sensitive category: then no more than that it is there."""
    named = view.row(reason.item_id) if reason.item_id is not None else None
    names = {item.category, reason.value, view.items[named].category if named is not None else None}
    return Reason("for_you") if reason.kind != "pinned" and not sensitive.isdisjoint(names) else reason


def _because(anchor: Anchor) -> Reason:
    return Reason(_BECAUSE.get(anchor.action, "because_you_viewed"), item_id=anchor.item_id)


def _nearest(row: int, anchors: Sequence[Anchor], shelf: Shelf) -> Anchor | None:
    view = shelf.view
    near = [(a, r) for a in anchors[:STEPS] if (r := view.row(a.item_id)) is not None and view.has_vector[r]]
    if not near:
        return None
    likeness = view.vectors[[r for _, r in near]] @ view.vectors[row]
    return near[int(likeness.argmax())][0]
