"""log `behavior` → **archive choices** → archive rules. Who denied which use of their data, by keyed hash. Pure.

The archive does not rely on what the edge knew: it follows the choices in the log and keeps the newest of each subject
and use beside its rows. Invariants: the newest choice counts, in whatever order they come; a choice holds for everybody
the event names; one of them who denied is enough, and nothing but the fact is kept of the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from rec.archive_rules import bare
from rec.events import Event, instant
from rec.ports import ChoiceKey, Chosen

PERSONALIZATION, ANALYTICS = "personalization", "analytics"


class Choices:
    """The choices of the subjects of some events: as stored, and then as the events say. `changed` is to be stored."""

    def __init__(self, known: Mapping[ChoiceKey, Chosen], hash_of: Callable[[str], str]) -> None:
        self._known, self._hash_of = dict(known), hash_of
        self.changed: dict[ChoiceKey, Chosen] = {}

    def kept(self, event: Event) -> Event:
        """Learn what the event says, then: what may be archived of it."""
        digests = [self._hash_of(name) for name in event.names]
        for use, says in _said(event):
            for digest in digests:
                self._learn((digest, use), Chosen(says == "denied", event.event_ts or instant(event.at)))
        if self._denied(digests, PERSONALIZATION):
            return msgspec.structs.replace(bare(event), withheld=event.personalization is None or event.withheld)
        return bare(event) if self._denied(digests, ANALYTICS) else event

    def forget(self, subject: str) -> None:
        """An erased subject starts anew."""
        digest = self._hash_of(subject)
        for use in (PERSONALIZATION, ANALYTICS):
            self._known.pop((digest, use), None)
            self.changed.pop((digest, use), None)

    def _learn(self, key: ChoiceKey, chosen: Chosen) -> None:
        known = self._known.get(key)
        if known is None or chosen.at >= known.at:
            self._known[key] = self.changed[key] = chosen

    def _denied(self, digests: Iterable[str], use: str) -> bool:
        return any((chosen := self._known.get((digest, use))) is not None and chosen.denied for digest in digests)


class _Said(NamedTuple):
    use: str
    says: str


def _said(event: Event) -> list[_Said]:
    consent = event.consent
    if consent is None:
        return []
    both = ((PERSONALIZATION, consent.personalization_storage), (ANALYTICS, consent.analytics_storage))
    return [_Said(use, says) for use, says in both if says is not None]
