"""… → recommend → **slate** → Redis → web → client. A list, and where it came from (design.md section 2).

Invariant: for one user and placement `version` only grows inside an `epoch`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

MAX_VERSION = 2**53 - 1  # JavaScript knows no larger whole number

CauseKind = Literal["event", "request", "model", "catalog", "rule"]


class Position(msgspec.Struct, frozen=True):
    """Where a list stands: comparable by `version` only within the same `epoch`."""

    epoch: str
    version: Annotated[int, msgspec.Meta(ge=0, le=MAX_VERSION)]

    def newer_than(self, other: Position | None) -> bool:
        """Whether a holder of `other` must take this one. Another epoch is always news.

        >>> Position("a", 2).newer_than(Position("a", 1)), Position("b", 1).newer_than(Position("a", 9))
        (True, True)
        >>> Position("a", 1).newer_than(Position("a", 1))
        False
        """
        return other is None or self.epoch != other.epoch or self.version > other.version


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the list was made anew."""

    kind: CauseKind
    event_id: str | None = None


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an item is on the list, for a person to read: `kind` and what it refers to.

    Kinds: because_you_viewed | because_you_carted | because_you_bought (item_id), goes_with (item_id),
    interest_category | interest_brand (value), popular, popular_in_category (value), seen_before (item_id), similar
    (item_id), next_step (what a network expects after the last actions, none of them alone), new, pinned (the shop put
    it there), sponsored (an ad; item_id: the product that it leads to), for_you (it follows from something sensitive,
    of which nothing more is said); exact_match, matches, means
    (the query: value), chosen_for (others who searched for value), because_you_searched (value).
    `policy`: what moved the item to where it stands beside that, as rec.policy.chain names its steps; rules by id.
    """

    kind: str
    item_id: str | None = None
    value: str | None = None
    policy: tuple[str, ...] = ()


class SlateItem(msgspec.Struct, frozen=True):
    """One place on the list. `score` in [0, 1]; `propensity` is the probability of the item to be on this list,
    wherever, over the draws of its strategy (rec.policy.explore); 1 where nothing is drawn."""

    item_id: str
    score: float
    source: str
    reason: Reason
    propensity: float = 1.0
    item: dict[str, Any] = {}


class SearchFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What else a search has to say. Counts are of everything found, `next` asks for the page after this one.

    `understood`: the query as it was read, where that is not as it was typed; `corrected`: whether words were taken for
    others that the shop has, not just a price or an order read out of it. `fallback`: why the items are not what was
    asked for: nothing_matches (they are the shopper's own list), out_of_stock (what was found is sold out; they are
    near the query, or the shopper's own list), or filters_exclude_all (they ignore the filters that `ignored` names,
    because these let nothing through; `q` is the price that the query says).
    """

    query: str
    total: int
    understood: str | None = None
    corrected: bool = False
    categories: dict[str, int] = {}
    brands: dict[str, int] = {}
    prices: tuple[float, float] | None = None
    stock: dict[str, int] = {}
    next: str | None = None
    fallback: Literal["nothing_matches", "out_of_stock", "filters_exclude_all"] | None = None
    ignored: tuple[str, ...] = ()


class Slate(msgspec.Struct, frozen=True, kw_only=True):
    """A list for one user and placement, newest position first of all its kind."""

    slate_id: str
    user_id: str
    placement: str
    epoch: str
    version: int
    cause: Cause
    model_version: str
    strategy: str
    events_through: datetime | None
    learned_through: datetime | None
    created_at: datetime
    items: tuple[SlateItem, ...]
    search: SearchFacts | msgspec.UnsetType = msgspec.UNSET  # of placement search alone

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.version)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Slate)


def encode_slate(slate: Slate) -> bytes:
    return _encoder.encode(slate)


def decode_slate(raw: bytes) -> Slate:
    return _decoder.decode(raw)
