"""archive → **erased** → restore. Who of the archive was erased since: what an erasure could not finish, finished.

SQL holds keyed hashes of erased ids, so the ids are found the other way round: every id in the archive is hashed.
A visitor who had become an erased user is erased with them, by the rule of `rec.merging.may_merge`: the first user who
was recognised on a device has the visitor, and whoever ever was a user is no visitor.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rec.events import Event, decode_event
from rec.ports import Database
from rec.privacy import VISITOR_ROW, user_hash, visitor_row

SUPPRESSED = "a keyed hash of the visitor's id stays, so that late events are refused"
LOST = "the log was lost with the broker's memory; made anew from the archive, without this user"
EMPTY = "Redis had lost its memory, too"
_LINES = {"archive": "", "state table and changelog": LOST, "counters": LOST, "redis": EMPTY}


class Erased:
    """Pure: told every archived event in order, knows which subjects were erased, and when."""

    def __init__(self, moments: Mapping[str, datetime], secret: str) -> None:
        self._moments, self._secret = moments, secret
        self._hashes: dict[str, str] = {}
        self._users: set[str] = set()
        self._owners: dict[str, str] = {}  # visitor → the user they became
        self.visitors: dict[str, dict[str, datetime]] = {}  # erased user → their visitors, and since when they are

    def learn(self, event: Event) -> None:
        user, visitor = event.user_id, event.visitor_id
        self.hash(event.subject)
        if user is None:
            return
        self._users.add(user)
        if visitor is None or visitor in self._users:
            return
        if (owner := self._owners.get(visitor)) is None or self._ended(owner, event):
            owner = self._owners[visitor] = user
        if owner == user and (moment := self.moment(user)) is not None and event.at <= moment.timestamp():
            self.visitors.setdefault(user, {})[visitor] = moment

    def _ended(self, owner: str, event: Event) -> bool:
        """Whether an owner was erased before this event, which sets their visitors free."""
        moment = self.moment(owner)
        return moment is not None and moment.timestamp() < event.at

    def hash(self, subject: str) -> str:
        if (digest := self._hashes.get(subject)) is None:
            digest = self._hashes[subject] = user_hash(self._secret, subject)
        return digest

    def moment(self, subject: str) -> datetime | None:
        return self._moments.get(self.hash(subject))

    def subjects(self) -> dict[str, datetime]:
        """Who has events of their own in the archive and was erased, and when."""
        return {subject: at for subject in self._hashes if (at := self.moment(subject)) is not None}


async def finish_erasures(database: Database, secret: str) -> int:
    """Remove from the archive what was erased, and give every open receipt its lines; how many events went.

    For the time before anything is restored, when states, counters and Redis are empty. Safe to repeat.
    """
    moments = await database.suppressed()
    if not moments:
        return 0
    erased = Erased(moments, secret)
    async for rows in database.read():
        for _, raw in rows:
            erased.learn(decode_event(raw))
    removed: dict[str, int] = {}  # hash → events that went
    for subject, at in erased.subjects().items():
        removed[erased.hash(subject)] = await database.delete_events_of(subject, until=at)
        await database.forget_choices(erased.hash(subject))
    of_visitors: dict[str, list[int]] = {}
    for user, visitors in erased.visitors.items():
        for visitor, at in visitors.items():
            await database.open_erasure(visitor_row(secret, visitor, at), erased.hash(visitor), at)
            gone = await database.delete_events_of(None, [visitor], until=at)
            await database.forget_choices(erased.hash(visitor))
            of_visitors.setdefault(erased.hash(user), []).append(gone)
    total = sum(removed.values()) + sum(map(sum, of_visitors.values()))
    await _write_receipts(database, removed, of_visitors)
    return total


async def _write_receipts(database: Database, removed: dict[str, int], of_visitors: dict[str, list[int]]) -> None:
    """The missing lines. Of several erasures of one id the last says how much went."""
    now = datetime.now(UTC)
    for store, note in _LINES.items():
        for erasure in reversed(await database.erasures_without(store)):
            if erasure.erasure_id.startswith(VISITOR_ROW):
                continue
            of_archive = store == "archive"
            gone = removed.pop(erasure.user_hash, 0) if of_archive else 0
            await database.add_step(erasure.erasure_id, store, gone, now, note)
            for number, count in enumerate(of_visitors.pop(erasure.user_hash, ()) if of_archive else (), 1):
                await database.add_step(erasure.erasure_id, f"archive, visitor {number}", count, now)
                await database.add_step(erasure.erasure_id, f"suppression list, visitor {number}", 0, now, SUPPRESSED)
