"""archive → states and counters, when the log itself is gone: the embedded broker keeps its topics in memory.

The archive is folded in its own order, the same way the worker folds the log; the states are written to the
changelog topic, from which the worker recovers as after any restart, and the counters to their snapshot file.
Epochs are new: versions may be lower than what a client holds, and another epoch is always news. Erasures that the
end of the log interrupted are finished first, so nothing of an erased user is folded.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from rec.config import Settings
from rec.counters import Counters
from rec.erased import finish_erasures
from rec.events import CONSENT, Event, decode_event
from rec.merging import handed_over, may_merge, merged, refused
from rec.ports import Database, Log
from rec.privacy import erasure_secret
from rec.state import Facets, FacetsOf, FoldRules, UserState, encode_state, fold

Progress = Callable[[str, int, int], None]  # what, done, total


class Restored(NamedTuple):
    """What came back, and how long it took in seconds."""

    events: int
    users: int
    seconds: float


class Rebuild:
    """Pure: folds archived events into states and counters, visitors and all."""

    def __init__(self, facets: FacetsOf, rules: FoldRules, counters: Counters) -> None:
        self._facets, self._rules = facets, rules
        self.counters = counters
        self.users: dict[str, UserState] = {}
        self.events = 0

    def apply(self, event: Event) -> None:
        state = self.users.get(event.subject)
        if state is not None and state.merged_into is not None and event.user_id is None and event.event != CONSENT:
            event = msgspec.structs.replace(event, user_id=state.merged_into)
            state = self.users.get(event.subject)
        after, _ = fold(state, event, self._facets, epoch=secrets.token_hex(4), rules=self._rules)
        if after is not None:
            if event.visitor_id is not None and after.visitors.get(event.visitor_id) == "asked":
                after = self._merge(after, event.visitor_id, event.subject)
            self.users[event.subject] = after
        self.counters.learn(event)
        self.events += 1

    def _merge(self, user: UserState, visitor_id: str, user_id: str) -> UserState:
        visitor = self.users.get(visitor_id) or UserState(epoch=secrets.token_hex(4))
        if not may_merge(visitor, user_id):
            return refused(user, visitor_id)
        self.users[visitor_id] = handed_over(visitor, user_id)
        return merged(user, visitor_id, visitor, self._rules)


async def catalog_facets(database: Database) -> dict[str, Facets]:
    """item_id → category and brand, of the whole catalog."""
    facets: dict[str, Facets] = {}
    revision = 0
    while (page := await database.changes(revision)).revision > revision:
        revision = page.revision
        facets.update((item.item_id, Facets(item.category, item.brand)) for item in page.items)
        for item_id in page.deleted:
            facets.pop(item_id, None)
    return facets


async def restore(
    database: Database, log: Log, settings: Settings, rules: FoldRules, progress: Progress
) -> tuple[Restored, Counters]:
    """Fold the whole archive and seed the changelog. The counters are returned for the caller to save."""
    began = time.monotonic()
    await finish_erasures(database, erasure_secret(settings))
    facets = await catalog_facets(database)
    total = await database.count_events()
    counters = Counters(settings.popularity_half_life_s, consent_default=rules.consent_default)
    rebuild = Rebuild(facets.get, rules, counters)
    async for rows in database.read():
        for _, raw in rows:
            rebuild.apply(decode_event(raw))
        progress("events folded", rebuild.events, total)
    states = list(rebuild.users.items())
    for start in range(0, len(states), 500):
        chunk = states[start : start + 500]
        await log.publish_many(settings.users_changelog, [(user_id, encode_state(state)) for user_id, state in chunk])
        progress("states restored", start + len(chunk), len(states))
    return Restored(rebuild.events, len(states), time.monotonic() - began), counters
