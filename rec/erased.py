"""archive → **erased** → restore. Who of the archive was erased since: what an erasure could not finish, finished.

SQL holds keyed hashes of erased ids, so the ids are found the other way round: every id in the archive is hashed.
Whose visitor each was is learned as the worker learned it: the archive is folded and merged by `rec.rebuild`, and an
erasure ends in it what it ended there. A line that a receipt has is never written again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from rec.archived import fold_archive
from rec.events import Event
from rec.merging import may_merge
from rec.ports import Database, Erasure
from rec.privacy import VISITOR_ROW, user_hash, visitor_row
from rec.rebuild import Rebuild
from rec.state import FoldRules

SUPPRESSED = "a keyed hash of the visitor's id stays, so that late events are refused"
LOST = "the log was lost with the broker's memory; made anew from the archive, without this user"
EMPTY = "Redis had lost its memory, too"
_LINES = {"archive": "", "state table and changelog": LOST, "counters": LOST, "feedback": LOST, "redis": EMPTY}
_OF_VISITORS = {"suppression list": SUPPRESSED, **_LINES}
_VISITOR = re.compile(r", visitor (\d+)\Z")


class Erased:
    """Pure: told every archived event in order, then `end`; knows which subjects were erased, when, and with whom."""

    def __init__(
        self, moments: Mapping[str, datetime], secret: str, rules: FoldRules = FoldRules(), *, now: float
    ) -> None:
        self._moments, self._secret = moments, secret
        self._hashes: dict[str, str] = {}
        self._rebuild = Rebuild(lambda _: None, rules, now=now)
        self._over: set[str] = set()
        self.visitors: dict[str, dict[int, str]] = {}  # erased user → their visitors, by their number on the receipt

    def learn(self, event: Event) -> None:
        """The next event. One that cannot be folded raises what the fold raises, and is its subject's all the same."""
        self.hash(event.subject)
        for name in event.names:
            state = self._rebuild.users.get(name)
            for who in (None if state is None else state.merged_into, name):
                if who is not None and (at := self.moment(who)) is not None and at.timestamp() < event.at:
                    self._end(who)
        if event.subject not in self._over or event.at > self._erased_at(event.subject):
            self._rebuild.apply(event)

    def end(self) -> None:
        """No more events: whoever was erased and did not come back is erased now."""
        users = self._rebuild.users
        erased = [subject for subject in self._hashes if self.moment(subject) is not None]
        for subject in sorted(erased, key=lambda each: each in users and users[each].merged_into is not None):
            self._end(subject)  # users first: they take their visitors along

    def _end(self, subject: str) -> None:
        """What `agents.forget` does with the state at an erasure."""
        if subject in self._over:
            return
        self._over.add(subject)
        users = self._rebuild.users
        if (state := users.pop(subject, None)) is None:
            return
        theirs = [visitor_id for visitor_id, mark in state.visitors.items() if mark != "refused"]
        for number, visitor_id in enumerate(theirs, 1):
            if (visitor := users.get(visitor_id)) is not None and may_merge(visitor, subject):
                del users[visitor_id]
                self.visitors.setdefault(subject, {})[number] = visitor_id

    def hash(self, subject: str) -> str:
        if (digest := self._hashes.get(subject)) is None:
            digest = self._hashes[subject] = user_hash(self._secret, subject)
        return digest

    def moment(self, subject: str) -> datetime | None:
        return self._moments.get(self.hash(subject))

    def _erased_at(self, subject: str) -> float:
        moment = self.moment(subject)
        return 0.0 if moment is None else moment.timestamp()

    def subjects(self) -> dict[str, datetime]:
        """Who of those in the archive was erased, and when."""
        return {subject: at for subject in self._hashes if (at := self.moment(subject)) is not None}


class _Gone:
    """How many events went, by whose receipt they belong on."""

    def __init__(self) -> None:
        self.total = 0
        self.users: dict[str, int] = {}  # hash → events
        self.visitors: dict[tuple[str, datetime], dict[int, int]] = {}  # hash of the user, moment → number → events
        self.others: dict[datetime, list[int]] = {}  # moment → events of visitors whose user is not known any more


async def finish_erasures(database: Database, secret: str, rules: FoldRules = FoldRules()) -> int:
    """Remove from the archive what was erased, and give every open receipt its lines; how many events went.

    For the time before anything is restored, when states, counters and Redis are empty. Safe to repeat.
    """
    moments = await database.suppressed()
    if not moments:
        return 0
    erased = Erased(moments, secret, rules, now=time.time())
    await fold_archive(database, erased.learn, lambda: None)
    erased.end()
    receipts = await database.erasures()
    gone = await _remove(database, erased, secret, {receipt.erasure_id for receipt in receipts})
    for receipt in reversed(receipts):
        if not receipt.erasure_id.startswith(VISITOR_ROW):
            await _complete(database, receipt, gone)
    return gone.total


async def _remove(database: Database, erased: Erased, secret: str, known: set[str]) -> _Gone:
    gone = _Gone()
    subjects = erased.subjects()
    for user, visitors in erased.visitors.items():
        at = subjects[user]
        for number, visitor in visitors.items():
            await database.open_erasure(visitor_row(secret, visitor, at), erased.hash(visitor), at)
            count = await database.delete_events_of(None, [visitor], until=at)
            await _forget_choices(database, erased.hash(visitor), at)
            gone.visitors.setdefault((erased.hash(user), at), {})[number] = count
            gone.total += count
    for subject, at in subjects.items():
        count = await database.delete_events_of(subject, until=at)
        await _forget_choices(database, erased.hash(subject), at)
        gone.total += count
        if visitor_row(secret, subject, at) not in known:
            gone.users[erased.hash(subject)] = count
        elif count:
            gone.others.setdefault(at, []).append(count)
    return gone


async def _forget_choices(database: Database, digest: str, until: datetime) -> None:
    """The choices of before the erasure. Who came back since and chose again has chosen."""
    choices = await database.choices_of([digest])
    if choices and all(chosen.at <= until for chosen in choices.values()):
        await database.forget_choices(digest)


async def _complete(database: Database, receipt: Erasure, gone: _Gone) -> None:
    """The missing lines, of the user and of each of their visitors. Of several receipts the last says how much went."""
    now = datetime.now(UTC)
    there = {step["store"] for step in receipt.steps}

    async def write(store: str, removed: int, note: str) -> None:
        if store not in there:
            await database.add_step(receipt.erasure_id, store, removed, now, note)

    for store, note in _LINES.items():
        counts = store == "archive" and store not in there
        await write(store, gone.users.pop(receipt.user_hash, 0) if counts else 0, note)
    found = gone.visitors.pop((receipt.user_hash, receipt.requested_at), {})
    others = gone.others.get(receipt.requested_at, [])
    for number in sorted(found.keys() | {int(m[1]) for store in there if (m := _VISITOR.search(store))}):
        for store, note in _OF_VISITORS.items():
            line, removed = f"{store}, visitor {number}", 0
            if store == "archive" and line not in there:
                removed = found[number] if number in found else others.pop() if others else 0
            await write(line, removed, note)
