"""slate → **served** → topic `served` → feedback. What a list was made of and looked like, as its feedback needs it.

A list that went to a screen or to an asker is packed once, and stays so until it is joined; many of one partition share
a record (`Lists`). What is learned from it later is what was known when it was made (no train/serve skew), so the state
goes along in the compact form of `rec.examples`. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from rec.ads.terms import Terms
from rec.catalog import Item
from rec.dwell import length_of
from rec.examples import compact
from rec.impressions import left_by
from rec.policy.chosen import Assignment
from rec.slates import Slate
from rec.state import UserState
from rec.topics import partition_of

MOST_BYTES = 512 * 1024  # of packed lists in a record

ItemOf = Callable[[str], Item | None]  # item_id → as the catalog has it


class ServedItem(msgspec.Struct, frozen=True, array_like=True):
    """One place of a served list, in the list's order. `propensity` is None where the policy gave none."""

    item_id: str
    score: float
    source: str
    propensity: float | None = None
    category: str = ""
    length_s: float = 0.0  # to read or to watch it; 0: it does not say


class Served(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list that went out. `at`: when it was made, seconds since 1970; `state`: what it was made from.

    `experiment`, `arm`: which experiment decided its strategy, and as whose arm; empty: none did.
    """

    slate_id: str
    user_id: str
    placement: str
    at: float
    strategy: str
    model_version: str
    items: tuple[ServedItem, ...]
    state: UserState | None = None
    experiment: str = ""
    arm: str = ""


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """A list that went out, as it travels and is kept: who got it, when (seconds since 1970), and `Served`, packed.

    `ads`: its sponsored items, and what was agreed of them.
    """

    user_id: str
    slate_id: str
    at: float
    served: bytes
    ads: dict[str, Terms] = {}


class Lists(msgspec.Struct, frozen=True, tag="lists", tag_field="kind"):
    """Lists that went out to users of one partition, oldest first."""

    lists: tuple[Packed, ...]


class Making(NamedTuple):
    """A list as the worker made it, before its record is: values that never change, so they can wait."""

    slate: Slate
    state: UserState | None
    chosen: Assignment | None = None  # None: the installation's own strategy made it
    ads: Mapping[str, Terms] = {}


def served_of(made: Making, item_of: ItemOf) -> Served:
    """The record of a list. Of the state it has what `example_of` would keep at the moment at which it was made."""
    slate, at = made.slate, made.slate.created_at.timestamp()
    items = []
    for place in slate.items:
        item = item_of(place.item_id)
        known = ("", 0.0) if item is None else (item.category, length_of(item))
        items.append(ServedItem(place.item_id, place.score, place.source, place.propensity, *known))
    chosen = made.chosen
    state = None if made.state is None else compact(made.state, left_by(made.state, at))
    return Served(
        slate_id=slate.slate_id,
        user_id=slate.user_id,
        placement=slate.placement,
        at=at,
        strategy=slate.strategy,
        model_version=slate.model_version,
        items=tuple(items),
        state=state,
        experiment=(chosen and chosen.experiment) or "",
        arm=(chosen and chosen.arm) or "",
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Served).decode


def pack(served: Served, ads: Mapping[str, Terms] = {}) -> Packed:  # noqa: B006  read alone
    """Its form in topic `served` and in the table of windows: msgpack, compressed (ids and actions repeat)."""
    return Packed(served.user_id, served.slate_id, served.at, zlib.compress(_encode(served), 1), dict(ads))


def unpack(raw: bytes) -> Served:
    """What `pack` packed. Raises msgspec.MsgspecError or zlib.error for what is none."""
    return _decode(zlib.decompress(raw))


def records(packed: Iterable[Packed], partitions: int, most_bytes: int = MOST_BYTES) -> list[tuple[str, Lists]]:
    """(key, lists of its partition): as few records as there are partitions in it, if they are not too large."""
    parts: dict[int, list[list[Packed]]] = {}
    sizes: dict[int, int] = {}
    for one in packed:
        part = partition_of(one.user_id.encode(), partitions)
        size = len(one.served)
        if part not in parts or sizes[part] + size > most_bytes:
            parts.setdefault(part, []).append([])
            sizes[part] = 0
        parts[part][-1].append(one)
        sizes[part] += size
    return [(some[0].user_id, Lists(tuple(some))) for lists in parts.values() for some in lists]
