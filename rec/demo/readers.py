"""seed → **events** of reading. What people have read in the demo shop's feed, so that it begins with what is liked.

Pure: time is an argument, every choice comes from a seeded generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from rec.catalog import Item
from rec.demo.shoppers import HISTORY_DAYS
from rec.dwell import length_of
from rec.events import Event, EventItem
from rec.ids import uuid7

READERS = 120
_MAIN = 0.6  # of what they read is about their department


def demo_reading(content: Sequence[Item], *, readers: int = READERS, seed: int, until: datetime) -> list[Event]:
    """Of each reader a few pieces: looked at, then how long. Complete events before `until`, the oldest first."""
    events = []
    departments = sorted({item.category for item in content})
    for number in range(readers):
        rng = Random(f"{seed}/reader/{number}")
        main = rng.choice(departments)
        at = until - timedelta(days=HISTORY_DAYS * rng.random(), hours=1)
        for _ in range(rng.randrange(1, 5)):
            about = main if rng.random() < _MAIN else rng.choice(departments)
            item = min(
                (item for item in content if item.category == about),
                key=lambda item: rng.random() + 0.02 * int(item.item_id[-1]),
            )
            spent = round(length_of(item) * min(1.0, rng.betavariate(1.6, 1.0)), 1)
            events += [
                _event(f"past-reader-{number:03d}", "view_item", item, at, None, rng),
                _event(f"past-reader-{number:03d}", "dwell", item, at + timedelta(seconds=spent), spent, rng),
            ]
            at += timedelta(seconds=spent + rng.expovariate(1 / 30))
    return sorted(events, key=lambda event: (event.received_ts or until, event.event_id))


def _event(who: str, name: str, item: Item, at: datetime, value: float | None, rng: Random) -> Event:
    return Event(
        event=name,
        event_id=uuid7(at.timestamp(), rng.getrandbits),
        user_id=who,
        session_id=f"{who}-1",
        client_ts=at,
        received_ts=at,
        event_ts=at,
        items=(EventItem(item.item_id),),
        value=value,
    )
