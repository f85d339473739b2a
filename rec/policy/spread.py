"""Variety: no category takes more than its share of any beginning of a list. Pure; inside a category order stays."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable

UNGROUPED = 0


def spread(groups: Iterable[int], n: int, share: float) -> list[int]:
    """Choose n positions of a ranked list, given the group of each: always the best one whose group is not full.

    Among the first k places a group holds at most ceil(share * k), as long as there is anything else. Group 0 stands
    for "no group" and is never full. Reads no further than it has to.

    >>> spread([1, 1, 1, 1, 2, 3], 5, 0.5)
    [0, 4, 1, 5, 2]
    >>> spread([1, 1, 1], 3, 0.5)
    [0, 1, 2]
    """
    ranked = enumerate(groups)
    waiting: dict[int, deque[int]] = {}  # passed over because their group was full
    taken: Counter[int] = Counter()
    chosen: list[int] = []
    while len(chosen) < n:
        limit = math.ceil(share * (len(chosen) + 1))
        ready = [(queue[0], group) for group, queue in waiting.items() if queue and taken[group] < limit]
        if ready:
            position, group = min(ready)
        else:
            for position, group in ranked:
                if group == UNGROUPED or taken[group] < limit:
                    break
                waiting.setdefault(group, deque()).append(position)
            else:  # nothing but full groups is left: better more of the same than a short list
                left = [(queue[0], group) for group, queue in waiting.items() if queue]
                if not left:
                    break
                position, group = min(left)
        if (queue := waiting.get(group)) and queue[0] == position:
            queue.popleft()
        chosen.append(position)
        taken[group] += 1
    return chosen
