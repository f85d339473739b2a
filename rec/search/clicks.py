"""events → **what was clicked for which query** → fusion, suggestions. Counts over all shoppers, by query.

Learned from every event that names its `search_term`: a `search` says that it is asked for, an action on a product says
that the product answers it. A subject has one vote for a query and a product, however often and dearly they repeat it:
no single one can buy a place. Sums decay, and everything is bounded. A query may be anything, a name or a telephone
number too: under its digest it is counted from the first time on, in clear it is kept, and suggested to others, only
once `PUBLIC` different subjects have asked for it. (A digest without a key hides nothing from one who guesses; it keeps
what nobody guesses out of every file.) Pure; time comes with the events.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec
import numpy as np

from rec.events import ACTIONS, POSITIVE, Event
from rec.ids import mark64
from rec.recent import Recent

HALF_LIFE_S = 14 * 86_400.0
MAX_QUERIES = 50_000
MAX_ITEMS = 50  # of a query
PUBLIC = 3
LONGEST = 80  # characters of a query that may become public: longer ones are no suggestions
DAMPING = 5.0  # clicks' worth: what was clicked once or twice has little to say
VOTE = 1.0  # clicks' worth of one subject for one product, at most, whatever they do
MAX_VOTES = 200_000  # remembered; of who voted before, another vote counts
_HALF = 32  # bits of a vote's mark that say whose it is; the others say for what

_WORD = re.compile(r"\w+")


class Asked(msgspec.Struct, array_like=True):
    """One query. Sums are as of `at`. `subjects`: digests of the first who asked, until there are PUBLIC of them."""

    at: float = 0.0
    times: float = 0.0
    items: dict[str, float] = {}
    subjects: list[int] = []
    text: str | None = None


def key_of(query: str) -> str:
    """Queries that differ in case, accents' form, punctuation and spaces alone are one.

    >>> key_of(" Tent,  for TWO!")
    'tent for two'
    """
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", query[:1024]).casefold()))


class QueryClicks:
    """The counts. One thread learns, any may read."""

    def __init__(
        self, max_queries: int = MAX_QUERIES, half_life_s: float = HALF_LIFE_S, max_votes: int = MAX_VOTES
    ) -> None:
        self._votes: Recent[int, float] = Recent(max_votes)
        self._queries: Recent[int, Asked] = Recent(max_queries)
        self._half_life_s = half_life_s
        self.generation = 0  # grows with the public queries

    def __len__(self) -> int:
        return len(self._queries)

    def learn(self, event: Event) -> bool:
        """Count one event that was not counted before; whether it said anything of a query."""
        action = event.event
        if not event.search_term or not (action == "search" or (action in POSITIVE and event.items)):
            return False
        key = key_of(event.search_term)
        if not key:
            return False
        digest = mark64(key)
        asked = self._queries.get(digest)
        if asked is None:
            self._queries.put(digest, asked := Asked(at=event.at))
        fade, worth = self._decayed(asked, event.at)
        asked.times *= fade
        asked.items = {item_id: gain * fade for item_id, gain in asked.items.items()}
        if action == "search":
            asked.times += worth
            self._known(asked, key, event.subject)
        else:
            gain = min(VOTE, ACTIONS[action].gain)
            for item_id in dict.fromkeys(item.item_id for item in event.items):  # in one order in every process
                if (more := self._voted(event.subject, key, item_id, gain)) > 0:
                    asked.items[item_id] = asked.items.get(item_id, 0.0) + more * worth
            if len(asked.items) > MAX_ITEMS:
                asked.items = dict(sorted(asked.items.items(), key=lambda pair: -pair[1])[: MAX_ITEMS // 2])
        return True

    def of(self, query: str, now: float) -> dict[str, float]:
        """item_id → what speaks for it in [0, 1): its share of the query's clicks, damped; these as they have decayed
        until `now`, whether anybody asked since or not."""
        asked = self._queries.peek(mark64(key_of(query)))
        if asked is None:
            return {}
        fade = self._fade(now - asked.at)
        items = {item_id: gain * fade for item_id, gain in list(asked.items.items())}
        most = max(items.values(), default=0.0)
        return {item_id: gain / most * gain / (gain + DAMPING) for item_id, gain in items.items()} if most > 0 else {}

    def forget(self, subject: str) -> None:
        """Drop the digest of an erased subject wherever it waits for others, and the marks of their votes. Sums stay:
        they name nobody."""
        mark = mark64(subject)
        for _, asked in self._queries.items():
            if mark in asked.subjects:
                asked.subjects.remove(mark)
        for vote in [vote for vote, _ in self._votes.items() if vote >> _HALF == mark >> _HALF]:
            self._votes.pop(vote)

    def popular(self, now: float) -> dict[str, float]:
        """The public queries, and how often each is asked for, as of `now`: December's are few in July."""
        known = [*list(self._queries.old.values()), *list(self._queries.young.values())]
        public = [asked for asked in known if asked.text is not None]
        ages = now - np.fromiter((asked.at for asked in public), np.float64, len(public))
        times = np.fromiter((asked.times for asked in public), np.float64, len(public))
        faded = times * 0.5 ** (np.maximum(ages, 0.0) / self._half_life_s)
        return dict(zip([asked.text or "" for asked in public], faded.tolist(), strict=True))

    def _fade(self, age: float) -> float:
        """What is left of a sum; of one that is as of later than now, all."""
        left: float = 0.5 ** (max(0.0, age) / self._half_life_s)
        return left

    def _decayed(self, asked: Asked, at: float) -> tuple[float, float]:
        """What the sums fade by, and what a gain at `at` is worth in them: a late one is decayed itself."""
        age = at - asked.at
        asked.at = max(at, asked.at)
        return self._fade(age), self._fade(-age)

    def _voted(self, subject: str, key: str, item_id: str, gain: float) -> float:
        """What this adds to the vote of a subject."""
        mark = mark64(subject) >> _HALF << _HALF | mark64(f"{key}\0{item_id}") >> _HALF
        before = self._votes.get(mark) or 0.0
        self._votes.put(mark, max(before, gain))
        return gain - before

    def _known(self, asked: Asked, key: str, subject: str) -> None:
        if asked.text is not None or len(key) > LONGEST:
            return
        mark = mark64(subject)
        if mark not in asked.subjects:
            asked.subjects.append(mark)
        if len(asked.subjects) >= PUBLIC:
            asked.text, asked.subjects = key, []
            self.generation += 1

    # ------------------------------------------------------------------ snapshots
    def to_parts(self) -> list[dict[int, Asked]]:
        """The older generation first, for the snapshot of the counters."""
        return self._queries.generations

    def votes(self) -> list[dict[int, float]]:
        """The same of the marks of who voted."""
        return self._votes.generations

    def restore(self, parts: list[dict[int, Asked]], votes: list[dict[int, float]]) -> None:
        self._votes.restore(votes)
        self._queries.restore(parts)
        self.generation += 1
