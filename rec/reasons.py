"""ranking → **reasons** → slate. Why an item is on the list, in words a client can show. Pure.

A reason never names an item or an interest that did not speak for the item it is given for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from rec.candidates import Anchor, Found
from rec.catalog import Item, Mask, View
from rec.cooccurrence import STEPS
from rec.shelf import Shelf
from rec.slates import Reason
from rec.state import UserState

_BECAUSE = {"purchase": "because_you_bought", "add_to_cart": "because_you_carted"}


class Why:
    """Why `rows`, those of one list, are on it: `found` is what each source found, from `anchors`.

    `personal`: the anchors are what the shopper did, not the item or the cart on the page.
    """

    def __init__(
        self,
        found: Mapping[str, Found],
        anchors: Sequence[Anchor],
        shelf: Shelf,
        state: UserState | None,
        personal: bool,
        rows: Sequence[int],
    ) -> None:
        self._found, self._anchors, self._shelf = found, anchors, shelf
        self._state, self._personal, self._rows = state, personal, list(rows)
        self._spoken: dict[str, dict[int, int]] = {}

    def reason(self, row: int, source: str) -> Reason:
        """Why this row, given the source that spoke most for it."""
        shelf, state, personal = self._shelf, self._state, self._personal
        item = shelf.view.items[row]
        if source == "history":
            return Reason("seen_before", item_id=item.item_id)
        if source == "query" and state is not None and state.searches:
            return Reason("because_you_searched", value=state.searches[-1][1])
        if source == "sequence" and personal:
            return Reason("next_step")
        if source == "content" and (nearest := self._nearest.get(row)) is not None:
            return _because(nearest) if personal else Reason("similar", item_id=nearest.item_id)
        if source in ("rules", "knn") and (anchor := self._spoke(row, source)) is not None:
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

    def _spoke(self, row: int, source: str) -> Anchor | None:
        """The anchor from which the source came to the row; one that is no neighbour of the last ten items may be one
        of all of them."""
        for name in (source, "taste") if source == "knn" else (source,):
            if name not in self._spoken:
                self._spoken[name] = self._loudest(name)
            if (anchor := self._spoken[name].get(row)) is not None:
                return self._anchors[anchor]
        return None

    def _loudest(self, source: str) -> dict[int, int]:
        """The rows of the list that a source found, and the anchor that speaks most for each."""
        if (found := self._found.get(source)) is None or not len(found.rows):
            return {}
        here = np.flatnonzero(self._listed[found.rows])
        here = here[np.argsort(-found.scores[here], kind="stable")[::-1]]  # the last one stands; of equals the first
        return dict(zip(found.rows[here].tolist(), found.anchors[here].tolist(), strict=True))

    @cached_property
    def _listed(self) -> Mask:
        listed = np.zeros(self._shelf.view.size, np.bool_)
        listed[self._rows] = True
        return listed

    @cached_property
    def _nearest(self) -> dict[int, Anchor]:
        """The anchor whose text is most like each row's."""
        view = self._shelf.view
        near = [(a, r) for a in self._anchors[:STEPS] if (r := view.row(a.item_id)) is not None and view.has_vector[r]]
        if not near:
            return {}
        likeness = view.vectors[self._rows] @ view.vectors[[row for _, row in near]].T
        return {row: near[at][0] for row, at in zip(self._rows, likeness.argmax(axis=1).tolist(), strict=True)}


def discreet(reason: Reason, item: Item, view: View, sensitive: frozenset[str]) -> Reason:
    """The reason, but where it or the item has to do with a sensitive category: then no more than that it is there."""
    named = view.row(reason.item_id) if reason.item_id is not None else None
    names = {item.category, reason.value, view.items[named].category if named is not None else None}
    return Reason("for_you") if reason.kind != "pinned" and not sensitive.isdisjoint(names) else reason


def _because(anchor: Anchor) -> Reason:
    return Reason(_BECAUSE.get(anchor.action, "because_you_viewed"), item_id=anchor.item_id)
