"""The table of feedback windows, and what is looked up in it beside the key: a user's lists, and which are due.

The table is Faust's, backed by its changelog, and can be written inside a stream's iteration alone. The index beside it
is memory: made anew from the table whenever the table was recovered. Of nobody more than `MAX_LISTS` are kept; unseen
ones beyond `MAX_UNSEEN` go first, the oldest before the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, MutableMapping

from rec.feedback import Window
from rec.window_keys import split_key, window_key

MAX_UNSEEN = 40
MAX_LISTS = 400

Table = MutableMapping[bytes, Window]


class Windows:
    """user_id → slate_id → window."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._lists: dict[str, dict[str, bool]] | None = None  # user → list → whether nobody has seen it; oldest first
        self._due: list[tuple[float, str, str]] = []  # a heap; entries that the table contradicts are void

    def __len__(self) -> int:
        return len(self._table)

    def recovered(self) -> None:
        """The table is another one now."""
        self._lists = None

    def get(self, user_id: str, slate_id: str) -> Window | None:
        return self._table.get(window_key(user_id, slate_id))

    def of(self, user_id: str) -> dict[str, Window]:
        """A user's lists, oldest first."""
        lists = self._index().get(user_id, {})
        found = ((slate_id, self.get(user_id, slate_id)) for slate_id in lists)
        return {slate_id: window for slate_id, window in found if window is not None}

    def put(self, user_id: str, slate_id: str, window: Window | None) -> int:
        """Keep a window, or let it go; how many others had to make room."""
        index, key = self._index(), window_key(user_id, slate_id)
        if window is None:
            if key in self._table:
                del self._table[key]
            self._forget(user_id, slate_id)
            return 0
        self._table[key] = window
        lists = index.setdefault(user_id, {})
        is_new = slate_id not in lists
        lists[slate_id] = _unseen(window)
        heapq.heappush(self._due, (window.due, user_id, slate_id))
        crowd = list(_too_many(lists)) if is_new else []
        for other in crowd:
            self.put(user_id, other, None)
        return len(crowd)

    def due(self, now: float) -> set[str]:
        """Whose windows are due, each window once; `again` for who was not served."""
        self._index()
        found = set()
        while self._due and self._due[0][0] <= now:
            due, user_id, slate_id = heapq.heappop(self._due)
            window = self.get(user_id, slate_id)
            if window is not None and window.due == due:
                found.add(user_id)
        return found

    def again(self, user_ids: set[str]) -> None:
        """Their windows are due still."""
        for user_id in user_ids:
            for slate_id, window in self.of(user_id).items():
                heapq.heappush(self._due, (window.due, user_id, slate_id))

    def _index(self) -> dict[str, dict[str, bool]]:
        if self._lists is None:
            found = sorted(self._table.items(), key=lambda pair: pair[1].touched)
            self._lists, self._due = {}, []
            for key, window in found:
                user_id, slate_id = split_key(key)
                self._lists.setdefault(user_id, {})[slate_id] = _unseen(window)
                self._due.append((window.due, user_id, slate_id))
            heapq.heapify(self._due)
        return self._lists

    def _forget(self, user_id: str, slate_id: str) -> None:
        index = self._index()
        if (lists := index.get(user_id)) is not None:
            lists.pop(slate_id, None)
            if not lists:
                del index[user_id]


def _unseen(window: Window) -> bool:
    return not window.signs


def _too_many(lists: dict[str, bool]) -> Iterator[str]:
    unseen = [slate_id for slate_id, is_unseen in lists.items() if is_unseen]
    gone = unseen[: max(0, len(unseen) - MAX_UNSEEN)]
    rest = [slate_id for slate_id in lists if slate_id not in gone]
    yield from gone
    yield from rest[: max(0, len(rest) - MAX_LISTS)]
