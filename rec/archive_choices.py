"""log `behavior` → **archive choices** → archive rules. Who denied which use of their data, by keyed hash. Pure.

The archive does not rely on what the edge knew: it follows the choices in the log by the rule of `rec.consent`, as the
table and the counters do, and keeps the standing of each subject and use beside its rows.

Analytics is the archive's alone. Nobody passes that choice on, so it is learned for everybody the event names; what
counts is the subject's own, and the visitor's if the user never chose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from rec.archive_rules import bare
from rec.consent import Standing, chosen, heard, usable
from rec.events import CONSENT, Event, instant
from rec.ports import ChoiceKey, Chosen

PERSONALIZATION, ANALYTICS = "personalization", "analytics"


class Choices:
    """The choices of the subjects of some events: as stored, and then as the events say. `changed` is to be stored.

    `default`: whether those may be used for personalization who never chose.
    """

    def __init__(
        self, known: Mapping[ChoiceKey, Chosen], hash_of: Callable[[str], str], *, default: bool = True
    ) -> None:
        self._known, self._hash_of, self._default = dict(known), hash_of, default
        self.changed: dict[ChoiceKey, Chosen] = {}

    def kept(self, event: Event) -> Event:
        """Learn what the event says, then: what may be archived of it."""
        digests = [self._hash_of(name) for name in event.names]
        standing = self._keep((digests[0], PERSONALIZATION), lambda before: heard(before, event))
        analytics = [self._keep((digest, ANALYTICS), lambda before: _analytics(before, event)) for digest in digests]
        if event.event == CONSENT:
            return event
        if not usable(standing, event, self._default):
            return msgspec.structs.replace(bare(event), withheld=True)
        if event.withheld:
            event = msgspec.structs.replace(event, withheld=False)
        theirs = next((each for each in analytics if each is not None), None)
        return bare(event) if theirs is not None and (theirs.denied or event.at < theirs.since) else event

    def forget(self, subject: str) -> None:
        """An erased subject starts anew."""
        digest = self._hash_of(subject)
        for use in (PERSONALIZATION, ANALYTICS):
            self._known.pop((digest, use), None)
            self.changed.pop((digest, use), None)

    def _keep(self, key: ChoiceKey, step: Callable[[Standing | None], Standing | None]) -> Standing | None:
        """Where this subject stands about this use after a step, which is to be stored if it moves them."""
        known = self._known.get(key)
        before = None if known is None else _standing(known)
        now = step(before)
        if now is not None and now is not before:
            since = instant(now.since) if now.since else None
            self._known[key] = self.changed[key] = Chosen(now.denied, instant(now.at), since, now.follows)
        return now


def _analytics(before: Standing | None, event: Event) -> Standing | None:
    says = None if event.consent is None else event.consent.analytics_storage
    return before if says is None else chosen(before, says == "denied", event.at)


def _standing(known: Chosen) -> Standing:
    since = known.since.timestamp() if known.since else 0.0
    return Standing(known.denied, known.at.timestamp(), since, known.follows)
