"""Who wants what: one user on several nodes is one audience. Pure.

Invariant: merging is the same in whatever order the nodes come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rec.ports import Wanted

PRESENCE_S = 30.0  # announcements live this long untended
WORKER_S = 15.0  # a worker's word on its state holds this long
SLATE_S = 86_400  # the latest slate is kept this long without a successor

Placements = Mapping[str, tuple[int, str | None]]


def merged(user_id: str, nodes: Iterable[Placements]) -> Wanted:
    """What the user wants over all nodes: per placement the larger n, and the context item that came with it.

    >>> merged("u", [{"home": (5, None)}, {"home": (9, "tent")}]).placements
    {'home': (9, 'tent')}
    """
    largest: dict[str, tuple[int, str | None]] = {}
    for placements in nodes:
        for placement, (n, item_id) in placements.items():
            kept = largest.get(placement)
            if kept is None or (n, item_id or "") > (kept[0], kept[1] or ""):
                largest[placement] = (n, item_id)
    return Wanted(user_id, largest)


def everyone(nodes: Iterable[Mapping[str, Placements]]) -> list[Wanted]:
    """All users of all nodes, each once. `nodes`: per node, user → placements."""
    audience: dict[str, list[Placements]] = {}
    for users in nodes:
        for user_id, placements in users.items():
            audience.setdefault(user_id, []).append(placements)
    return [merged(user_id, wanted) for user_id, wanted in audience.items()]
