"""The offline join: slow and obvious, and written apart from rec.feedback. What feedback has to come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rec.events import Event
from rec.feedback import FeedbackExample
from rec.served import Served

Joined = dict[str, dict[str, Any]]  # slate_id → what is known of it

WANTED = ("select_item", "view_item", "add_to_cart", "add_to_wishlist", "purchase", "dwell", "share")
WORTH = {"add_to_cart": 2.0, "purchase": 4.0, "not_interested": -4.0}


def offline_join(served: Iterable[Served], events: Sequence[Event], window_s: float) -> Joined:
    """For every list: all events of its user that name it, in order of time; each thing once, within the window."""
    naming: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        if event.attribution is not None:
            naming.setdefault((event.subject, event.attribution.slate_id), []).append(event)
    joined: Joined = {}
    for each in {one.slate_id: one for one in served}.values():
        listed = [item.item_id for item in each.items]
        signs = [
            (event.at, event.event, item.item_id)
            for event in naming.get((each.user_id, each.slate_id), [])
            for item in event.items
            if item.item_id in listed and event.event != "search"
        ]
        if not signs:
            continue
        signs.sort()
        first = signs[0][0]
        within = [sign for sign in signs if sign[0] <= first + window_s]
        places = []
        for item in each.items:
            mine = [(at, name) for at, name, item_id in within if item_id == item.item_id]
            actions: dict[str, float] = {}
            for at, name in mine:
                if name != "view_item_list" and name not in actions:
                    actions[name] = at
            reward = 1.0 if any(name in WANTED for name in actions) else 0.0
            reward += sum(WORTH.get(name, 0.0) for name in actions)
            places.append((item.item_id, item.score, item.source, item.propensity, bool(mine), reward, actions))
        joined[each.slate_id] = {
            "user_id": each.user_id,
            "placement": each.placement,
            "strategy": each.strategy,
            "model_version": each.model_version,
            "served_at": each.at,
            "at": first,
            "places": places,
            "state": each.state,
        }
    return joined


def newest(examples: Iterable[FeedbackExample]) -> Joined:
    """Examples in the offline join's form: of each list the newest revision."""
    best: dict[str, FeedbackExample] = {}
    for example in examples:
        known = best.get(example.slate_id)
        if known is None or example.revision >= known.revision:
            best[example.slate_id] = example
    return {
        slate_id: {
            "user_id": each.user_id,
            "placement": each.placement,
            "strategy": each.strategy,
            "model_version": each.model_version,
            "served_at": each.served_at,
            "at": each.at,
            "places": [
                (p.item_id, p.score, p.source, p.propensity, p.seen, p.reward, dict(p.actions)) for p in each.places
            ],
            "state": each.state,
        }
        for slate_id, each in best.items()
    }


def differences(expected: Joined, actual: Joined) -> list[str]:
    """What is not alike, a line each."""
    found = [f"{slate_id}: no example" for slate_id in sorted(expected.keys() - actual.keys())]
    found += [f"{slate_id}: nobody looked at it" for slate_id in sorted(actual.keys() - expected.keys())]
    for slate_id in sorted(expected.keys() & actual.keys()):
        want, have = expected[slate_id], actual[slate_id]
        found += [f"{slate_id}.{name}: {have[name]}, not {want[name]}" for name in want if want[name] != have[name]]
    return found
