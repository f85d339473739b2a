"""Variety: no category takes more than its share of any beginning of a list. Pure; inside a category order stays."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

UNGROUPED = 0


def spread(groups: Sequence[int], n: int, share: float) -> list[int]:
    """Choose n positions of a ranked list, given the group of each: the best one whose group is not yet full.

    Among the first k places a group holds at most ceil(share * k), as long as there is anything else. Group 0 stands
    for "no group" and is never full. Takes O(n log g) for g groups.

    >>> spread([1, 1, 1, 1, 2, 3], 5, 0.5)
    [0, 4, 1, 5, 2]
    >>> spread([1, 1, 1], 3, 0.5)
    [0, 1, 2]
    """
    places: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        places.setdefault(group, []).append(position)
    taken = dict.fromkeys(places, 0)
    heads = [(positions[0], group) for group, positions in places.items()]
    heapq.heapify(heads)
    chosen: list[int] = []
    while heads and len(chosen) < n:
        limit = math.ceil(share * (len(chosen) + 1))
        full: list[tuple[int, int]] = []
        while heads and heads[0][1] != UNGROUPED and taken[heads[0][1]] >= limit:
            full.append(heapq.heappop(heads))
        if not heads:  # nothing but full groups is left: better more of the same than a short list
            heads, full = full, []
            heapq.heapify(heads)
        position, group = heapq.heappop(heads)
        chosen.append(position)
        taken[group] += 1
        if taken[group] < len(places[group]):
            heapq.heappush(heads, (places[group][taken[group]], group))
        for head in full:
            heapq.heappush(heads, head)
    return chosen
