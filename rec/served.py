"""slate → **served** → topic `served` → feedback. What a list was made of and looked like, as its feedback needs it.

A list that went to a screen or to an asker is packed once, and stays so until it is joined; many of one partition share
a record (`Lists`). What is learned from it later is what was known when it was made (no train/serve skew), so the state
goes along in the compact form of `rec.examples`. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from rec.examples import compact
from rec.impressions import left_by
from rec.policy.chosen import Assignment
from rec.policy.note import Draw, Note
from rec.policy.refresh import Decision
from rec.slates import Slate
from rec.state import UserState
from rec.topics import partition_of

MOST_BYTES = 512 * 1024  # of packed lists in a record

CategoryOf = Callable[[str], str]  # item_id → category, "" where there is none
GroupsOf = Callable[[str], tuple[str, str]]  # item_id → brand and seller, "" where there is none


def ungrouped(_: str) -> tuple[str, str]:
    """Of items whose brand and seller nobody asks for."""
    return "", ""


class ServedItem(msgspec.Struct, frozen=True, array_like=True):
    """One place of a served list, in the list's order. `propensity` is None where the policy gave none."""

    item_id: str
    score: float
    source: str
    propensity: float | None = None
    category: str = ""
    brand: str = ""
    seller: str = ""


class Served(msgspec.Struct, frozen=True, omit_defaults=True):
    """A list that went out. `at`: when it was made, seconds since 1970; `state`: what it was made from.

    `experiment`, `arm`: which experiment decided its strategy, and as whose arm; empty: none did. `chance`: how
    probable it was that this strategy makes it, None where nobody chose. `draw`: what it was drawn from; `decision`:
    how it took the place of the one before it; `merit`: brand or seller → group → its share of the candidates' merit.
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
    chance: float | None = None
    draw: Draw | None = None
    decision: Decision | None = None
    merit: dict[str, dict[str, float]] = {}


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """A list that went out, as it travels and is kept: who got it, when (seconds since 1970), and `Served`, packed."""

    user_id: str
    slate_id: str
    at: float
    served: bytes


class Lists(msgspec.Struct, frozen=True, tag="lists", tag_field="kind"):
    """Lists that went out to users of one partition, oldest first."""

    lists: tuple[Packed, ...]


class Making(NamedTuple):
    """A list as the worker made it, before its record is: values that never change, so they can wait."""

    slate: Slate
    state: UserState | None
    chosen: Assignment | None = None  # None: the installation's own strategy made it
    note: Note | None = None  # what was noted as it was made


def served_of(made: Making, category_of: CategoryOf, groups_of: GroupsOf = ungrouped) -> Served:
    """The record of a list. Of the state it has what `example_of` would keep at the moment at which it was made."""
    slate, at = made.slate, made.slate.created_at.timestamp()
    items = tuple(
        ServedItem(
            place.item_id,
            place.score,
            place.source,
            place.propensity,
            category_of(place.item_id),
            *groups_of(place.item_id),
        )
        for place in slate.items
    )
    chosen, note = made.chosen, made.note
    state = None if made.state is None else compact(made.state, left_by(made.state, at))
    return Served(
        slate_id=slate.slate_id,
        user_id=slate.user_id,
        placement=slate.placement,
        at=at,
        strategy=slate.strategy,
        model_version=slate.model_version,
        items=items,
        state=state,
        experiment=(chosen and chosen.experiment) or "",
        arm=(chosen and chosen.arm) or "",
        chance=chosen and chosen.chance,
        draw=note.draw({place.item_id for place in slate.items}) if note is not None else None,
        decision=note.decision if note is not None else None,
        merit=note.merit() if note is not None else {},
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Served).decode


def pack(served: Served) -> Packed:
    """Its form in topic `served` and in the table of windows: msgpack, compressed (ids and actions repeat)."""
    return Packed(served.user_id, served.slate_id, served.at, zlib.compress(_encode(served), 1))


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
