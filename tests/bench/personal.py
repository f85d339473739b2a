"""What it is worth to search that it knows who asks: online_retail, with queries that nobody has typed.

    python -m tests.bench.personal DIR [--every 5] [--warmup 0.2] [--seed 0] [--json]

The queries are synthetic: one or two words of the name of a product that the invoice then holds, drawn by the seed. The
history is the shopper's earlier invoices, and everybody's are what the counters know. Each query is asked twice of the
engine that serves, once with the shopper's state and once as a stranger, before anything of the invoice is learned. No
vectors, and the gate as an installation begins with it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from rec.catalog import Catalog
from rec.counters import Counters
from rec.evaluation.adapters import DATASETS
from rec.evaluation.prequential import warm_events
from rec.events import Event
from rec.protocol import MAX_N, Search
from rec.recommend import Brain, World
from rec.search.engine import Engine
from rec.search.words import Words
from rec.state import FoldRules, UserState, fold


class Asked(NamedTuple):
    """1 / place of the product that was bought then, 0 behind the last place asked for; and the shopper."""

    known: float
    stranger: float
    subject: str
    history: int  # different products bought before
    bought: bool  # ... this one among them


def asked(folder: Path, every: int, warmup: float, seed: int) -> Iterator[Asked]:
    """One query for every so many-th invoice after the warm-up."""
    dataset, rng = DATASETS["online_retail"], random.Random(seed)
    stream = dataset.read(folder)
    catalog, counters = Catalog(), Counters(dataset.half_life_s)
    catalog.upsert(stream.items.values())
    world = World(catalog, counters, FoldRules(max_late_s=float("inf"), history=200), brain=Brain.untaught())
    words, engine = Words("en"), Engine(Words("en"))
    engine.change(stream.items.values())
    states: dict[str, UserState] = {}
    first = warm_events(stream.events, warmup)

    def place(q: str, item_id: str, state: UserState | None, event: Event) -> float:
        slate = engine.search(event.subject, Search(q, n=MAX_N), state, world, now=event.at, rng=rng)
        ids = [each.item_id for each in slate.items] if slate.strategy != "search-fallback" else []
        return 1 / (1 + ids.index(item_id)) if item_id in ids else 0.0

    for number, event in enumerate(stream.events):
        state = states.get(event.subject)
        if number >= first and number % every == 0:
            item_id = rng.choice(event.items).item_id
            names = [word for word in words.raw(stream.items[item_id].title) if word.isalpha() and len(word) > 2]
            if names:
                q = " ".join(rng.sample(names, min(len(names), rng.randint(1, 2))))
                had = {touch.item_id for touch in state.history} if state else set()
                yield Asked(
                    place(q, item_id, state, event), place(q, item_id, None, event), event.subject,
                    len(had), item_id in had,
                )  # fmt: skip
        counters.learn(event)
        if (after := fold(state, event, catalog.facets, epoch="e", rules=world.rules)[0]) is not None:
            states[event.subject] = after


def compared(found: list[Asked], seed: int) -> dict[str, Any]:
    """MRR with and without the shopper, and the difference with its 95 % interval (bootstrap over shoppers)."""
    if not found:
        return {"queries": 0}
    gains: dict[str, list[float]] = {}
    for one in found:
        gains.setdefault(one.subject, []).append(one.known - one.stranger)
    sums = np.array([sum(each) for each in gains.values()])
    counts = np.array([len(each) for each in gains.values()])
    drawn = np.random.default_rng(seed).integers(0, len(sums), (1_000, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return {
        "queries": len(found),
        "with the shopper": round(float(np.mean([one.known for one in found])), 4),
        "as a stranger": round(float(np.mean([one.stranger for one in found])), 4),
        "gain": [round(float(each), 4) for each in (sums.sum() / counts.sum(), low, high)],
    }


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--every", default=5, show_default=True, help="Ask for every so many-th invoice.")
@click.option("--warmup", default=0.2, show_default=True, help="Share of the stream that is learned from alone.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(folder: Path, every: int, warmup: float, seed: int, as_json: bool) -> None:
    """MRR of synthetic queries with and without the shopper."""
    found = list(asked(folder, every, warmup, seed))
    body = {
        "all": compared(found, seed),
        "with a history": compared([one for one in found if one.history], seed),
        "... who had not bought it before": compared([one for one in found if one.history and not one.bought], seed),
        "without a history": compared([one for one in found if not one.history], seed),
    }
    click.echo(json.dumps(body, indent=None if as_json else 2))


if __name__ == "__main__":
    main()
