"""state → **visitors** → merges. The visitor_ids that one user was seen with, and what became of each.

Pure: visitor_id → "asked" | "merged" | "refused", in the order in which they came. Invariant: at most MAX_VISITORS,
and a merged one is not forgotten for one that is not.
"""

from __future__ import annotations

MAX_VISITORS = 64  # of one user; further ones are not asked for, and stay visitors


def asked(visitors: dict[str, str], visitor_id: str) -> dict[str, str]:
    """One more to ask for, in a free place or in that of a refused one; else the very same dict.

    Merged ones never make room: an erasure must find all of them.
    """
    if visitor_id in visitors or (len(visitors) >= MAX_VISITORS and "refused" not in visitors.values()):
        return visitors
    return within_bounds({**visitors, visitor_id: "asked"})


def within_bounds(visitors: dict[str, str]) -> dict[str, str]:
    """At most MAX_VISITORS: refused ones go first, then the oldest."""
    if len(visitors) <= MAX_VISITORS:
        return visitors
    gone = next((visitor_id for visitor_id, mark in visitors.items() if mark == "refused"), next(iter(visitors)))
    return {visitor_id: mark for visitor_id, mark in visitors.items() if visitor_id != gone}
