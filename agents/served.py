"""refresh, search → **served** → topic `served`. Which lists went out, on their way to the feedback, holding none up.

A list is on the screen while its record is still being made: only values that never change wait here. Lists of one
partition gather for half a second and share a record: to send, to read and to acknowledge one costs the worker as much
as the list itself. What lies here when the process is killed is not remembered: clicks on it count as unjoined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import Counter

from agents.outbox import Outbox
from rec.ads.terms import Terms
from rec.feedback import encode_told
from rec.policy.chosen import Assignment
from rec.policy.note import Note
from rec.ports import Log
from rec.recent import Recent
from rec.served import GroupsOf, ItemOf, Making, pack, records, served_of, ungrouped
from rec.slates import Slate
from rec.state import UserState


class ServedLists(Outbox[Making]):
    """A bounded queue in front of the topic. `consent_default`: whether lists of who never chose are
    remembered; `wanted`: those of which placements; `passed` is told of the others: what is done on them waits for
    nothing."""

    what = "lists that went out"
    most, batch, every_s = 5_000, 100, 0.5

    def __init__(
        self,
        *,
        to: Log,
        topic: str,
        partitions: int,
        item_of: ItemOf,
        consent_default: bool,
        lost: Counter,
        wanted: Callable[[str], bool] = lambda _: True,
        ads_of: Callable[[str], Mapping[str, Terms]] = lambda _: {},
        groups_of: GroupsOf = ungrouped,
        passed: Recent[str, bool] | None = None,
    ) -> None:
        super().__init__(to=to, topic=topic, lost=lost)
        self._partitions, self._item_of, self._ads_of = partitions, item_of, ads_of  # ads_of: slate_id → terms
        self._groups_of = groups_of
        self._consent_default, self._wanted = consent_default, wanted
        self._passed = passed

    def put(
        self, slate: Slate, state: UserState | None, chosen: Assignment | None = None, note: Note | None = None
    ) -> None:
        """This list went out; it was made from `state`, by what was `chosen`. Sync. Without consent nothing is kept."""
        if self._passed is not None and not self._wanted(slate.placement):
            self._passed.put(slate.slate_id, True)
        consent = None if state is None else state.consent
        if slate.items and self._wanted(slate.placement) and (self._consent_default if consent is None else consent):
            self.add(Making(slate, state, chosen, self._ads_of(slate.slate_id), note))

    async def records_of(self, batch: Sequence[Making]) -> list[tuple[str, bytes]]:
        packed = []
        for value in batch:  # some 0.2 ms each: others have their turn in between
            packed.append(pack(served_of(value, self._item_of, self._groups_of), value.ads))
            await asyncio.sleep(0)
        return [(key, encode_told(lists)) for key, lists in records(packed, self._partitions)]
