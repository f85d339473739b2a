"""`python -m tests.bench.costs`: CPU and bytes of single steps, without stores and sockets. For docs/capacity.md.

CPU time of this process, one thread, so that a busy machine changes it less than it would a rate.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from rec.catalog import Catalog
from rec.config import load_settings
from rec.counters import Counters
from rec.demo.shoppers import demo_history
from rec.demo.world import demo_catalog
from rec.events import Event, decode_event, encode_event
from rec.gate import Gate
from rec.recommend import Ask, Brain, World, recommend
from rec.slates import Cause
from rec.state import Facets, FoldRules, UserState, encode_state, fold

EVENTS, LISTS, N = 6_000, 200, 20


def cpu_us(work: Callable[[], Any], times: int) -> float:
    """Microseconds of CPU for each of `times`."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / times * 1e6


def costs() -> dict[str, float]:
    """By name; µs and bytes."""
    items, rules = demo_catalog(seed=7), FoldRules.from_settings(load_settings())
    now = datetime.now(UTC)
    raw = [encode_event(event) for event in demo_history(items, events=EVENTS, seed=7, until=now)]
    events: list[Event] = []
    found = {"an event, bytes": sum(map(len, raw)) / EVENTS}
    found |= {"decode an event, µs": cpu_us(lambda: events.extend(map(decode_event, raw)), EVENTS)}
    facets = {item.item_id: Facets(item.category, item.brand) for item in items}
    states: dict[str, UserState | None] = {}

    def fold_all() -> None:
        for event in events:
            states[event.subject] = fold(
                states.get(event.subject), event, facets.get, epoch="a", rules=rules
            )[0]  # fmt: skip

    found["fold an event, µs"] = cpu_us(fold_all, EVENTS)
    counters = Counters()
    found["count an event, µs"] = cpu_us(lambda: [counters.learn(event) for event in events], EVENTS)
    values = [encode_state(state) for state in states.values() if state is not None]
    found["encode a state, µs"] = cpu_us(
        lambda: [encode_state(s) for s in states.values() if s is not None], len(values)
    )
    found["a state, bytes, mean"] = sum(map(len, values)) / len(values)
    found["a state, bytes, largest"] = max(map(len, values))
    found["events a state, mean"] = EVENTS / len(values)
    for size in (2_400, 8_000):
        catalog = Catalog()
        catalog.upsert(demo_catalog(seed=7, size=size))
        world = World(catalog, counters, rules, brain=Brain(Gate.prior()), shelf_s=1.0)
        asks = [Ask(user, "home", N, None, Cause("request"), state) for user, state in list(states.items())[:LISTS]]
        rng = random.Random(1)

        def lists(asks: list[Ask] = asks, world: World = world, rng: random.Random = rng) -> None:
            for ask in asks:
                recommend(ask, world, now=now.timestamp(), rng=rng)

        lists()  # the shelf is made, and what is imported late
        found[f"a list of {N} from {size:,} items, gate without network and vectors, µs"] = cpu_us(lists, len(asks))
    return found


if __name__ == "__main__":
    for name, value in costs().items():
        click.echo(f"{name:<75}{value:10,.1f}")
