"""Events as a rough network delivers them: repeated, shuffled, late. Pure and seeded."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rec.events import Attribution, Event, EventItem, encode_event, instant

NAMES = ("view_item", "select_item", "add_to_cart", "purchase", "view_item_list", "not_interested", "search", "dwell")
WEIGHTS = (40, 20, 12, 4, 14, 2, 4, 4)
SHUFFLED, LATE, TOO_LATE, REPEATED = 0.10, 0.05, 0.01, 0.05  # shares of the events


def rough_traffic(count: int, users: int, items: Sequence[str], now: float, rng: Random, first: int = 0) -> list[Event]:
    """`count` records to publish, in this order, repeated ones among them; `received_ts` is `now` for all.

    Ids count from `first`; leave at least `count` between two calls for the same world.
    """
    events: list[Event] = []
    again: list[tuple[int, Event]] = []  # (not before this many are out, what)
    made = first
    while len(events) < count:
        if again and again[0][0] <= len(events):
            events.append(again.pop(0)[1])
            continue
        event = _event(made, users, items, now, rng)
        made += 1
        events.append(event)
        if rng.random() < REPEATED:
            again.append((len(events) + rng.randrange(1, 400), event))
            again.sort(key=lambda pair: pair[0])
    return events


def _event(number: int, users: int, items: Sequence[str], now: float, rng: Random) -> Event:
    lot = rng.random()
    age = max(0.0, 600 - number * 0.01)  # a slow march towards now
    if lot < TOO_LATE:
        age = rng.uniform(2, 5) * 86_400
    elif lot < TOO_LATE + LATE:
        age = rng.uniform(3_600, 80_000)
    elif lot < TOO_LATE + LATE + SHUFFLED:
        age = rng.uniform(0, 900)
    name = rng.choices(NAMES, WEIGHTS)[0]
    listed = 6 if name == "view_item_list" else 0 if name == "search" else 1
    return Event(
        event=name,
        event_id=f"event-{number}",
        user_id=f"user-{rng.randrange(users)}",
        items=tuple(EventItem(item_id, index=at) for at, item_id in enumerate(rng.sample(list(items), listed))),
        search_term=f"word {number % 50}" if name == "search" else None,
        attribution=Attribution("slate", number) if rng.random() < 0.3 else None,
        received_ts=instant(now),
        event_ts=instant(now - max(0.0, age)),
    )


def keyed(events: Sequence[Event]) -> list[tuple[str, bytes | None]]:
    """(key, value) as web would publish them."""
    return [(event.subject, encode_event(event)) for event in events]
