"""refresh → **served** → topic `served`. Which lists went out, on their way to the feedback without holding a list up.

A list is on the screen while its record is still being made: only values that never change wait here. What lies here
when the process is killed (a tenth of a second of lists) is not remembered: clicks on it count as unjoined.
"""

from __future__ import annotations

from prometheus_client import Counter

from agents.outbox import Outbox
from rec.feedback import encode_told
from rec.ports import Log
from rec.served import CategoryOf, Making, served_of
from rec.slates import Slate
from rec.state import UserState


class ServedLists(Outbox[Making]):
    """A bounded queue in front of the topic. `consent_default`: whether lists of who never chose are remembered."""

    what = "lists that went out"
    most, batch, every_s = 5_000, 50, 0.1  # a batch is encoded in one go: records of some kB, about 5 ms

    def __init__(
        self, *, to: Log, topic: str, category_of: CategoryOf, consent_default: bool, lost: Counter, wanted: bool = True
    ) -> None:
        super().__init__(to=to, topic=topic, lost=lost)
        self._category_of, self._consent_default, self._wanted = category_of, consent_default, wanted

    def put(self, slate: Slate, state: UserState | None) -> None:
        """This list went out; it was made from `state`. Sync. Without consent nothing of it is kept."""
        consent = None if state is None else state.consent
        if self._wanted and slate.items and (self._consent_default if consent is None else consent):
            self.add(Making(slate, state))

    def record_of(self, value: Making) -> tuple[str, bytes]:
        return value.slate.user_id, encode_told(served_of(value, self._category_of))
