"""Who wants what: one user on several nodes is one audience. Pure.

Invariant: merging is the same in whatever order the nodes come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rec.ports import Wanted
from rec.protocol import MAX_USER_SCREENS
from rec.screens import split_screen

PRESENCE_S = 30.0  # announcements live this long untended
WORKER_S = 15.0  # a worker's word on its state holds this long
SLATE_S = 86_400  # the latest slate is kept this long without a successor
ITEM_SLATE_S = 600  # one about a product: shoppers pass many, and the owner makes it again for whoever looks longer
KEPT_SLATES = 2 * MAX_USER_SCREENS  # of a user; then those go that would expire first. More than may be on screens

Screens = Mapping[str, int]


def slate_ttl_s(screen: str) -> int:
    """
    >>> slate_ttl_s("home"), slate_ttl_s("pdp/tent")
    (86400, 600)
    """
    return SLATE_S if split_screen(screen)[1] is None else ITEM_SLATE_S


def merged(user_id: str, nodes: Iterable[Screens]) -> Wanted:
    """What the user wants over all nodes: per screen the larger n.

    >>> merged("u", [{"home": 5}, {"home": 9, "pdp/tent": 3}]).screens
    {'home': 9, 'pdp/tent': 3}
    """
    largest: dict[str, int] = {}
    for screens in nodes:
        for screen, n in screens.items():
            largest[screen] = max(n, largest.get(screen, 0))
    return Wanted(user_id, largest)


def crowded(before: Iterable[Screens], after: Iterable[Screens]) -> bool:
    """Whether a user may not go from what the nodes have announced of them to this. Whoever shows no more always may.

    >>> crowded([{"home": 5}], [{f"pdp/{n}": 5 for n in range(MAX_USER_SCREENS)}, {"pdp/1": 9}])
    False
    >>> crowded([{"home": 5}], [{f"pdp/{n}": 5 for n in range(MAX_USER_SCREENS)}, {"home": 9}])
    True
    """
    count = len(merged("", after).screens)
    return count > MAX_USER_SCREENS and count > len(merged("", before).screens)


def everyone(nodes: Iterable[Mapping[str, Screens]]) -> list[Wanted]:
    """All users of all nodes, each once. `nodes`: per node, user → screens."""
    audience: dict[str, list[Screens]] = {}
    for users in nodes:
        for user_id, screens in users.items():
            audience.setdefault(user_id, []).append(screens)
    return [merged(user_id, wanted) for user_id, wanted in audience.items()]
