"""A poisoned stream: for ten minutes what people turned to is somebody else's. Does the model that serves fall with it?

    python -m tests.faults.poison [--rate 10] [--minutes 10] [--seed 0] [--json]

Simulated shoppers, in stream time: ten clean minutes, ten in which the targets of all examples are shuffled among them,
ten clean ones. The lineage learns all of it; every three seconds of the stream the contest decides, as in the trainer.
Reported is the live version beside a copy of what was live when the poison began (`frozen`), over windows of 512
examples.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import NamedTuple

import click
import msgspec
import numpy as np

from rec.catalog import Item
from rec.contest import UNTAUGHT, WINDOW, Contest, Ladder, Round
from rec.demo.shoppers import simulate
from rec.demo.world import demo_catalog
from rec.events import instant
from rec.examples import Example, encode_lesson, example_of, teaches
from rec.state import Facets, UserState, fold

BEGIN = 1_700_000_000.0
JUDGE_S = 3.0
WORST = 0.95  # of what the frozen copy gets


class Passage(NamedTuple):
    """The worst window of one part of the stream: live and frozen, hit rate and reciprocal rank at ten."""

    part: str
    examples: int
    live_hr: float
    frozen_hr: float
    live_mrr: float
    frozen_mrr: float
    worst: float  # the smallest ratio of reciprocal ranks, live to frozen, in any window
    verdicts: dict[str, int]


def examples(catalog: list[Item], rate: float, seconds: float, seed: int) -> list[Example]:
    """What the crowd does, at `rate` events a second of the stream."""
    facets = {item.item_id: Facets(item.category, item.brand) for item in catalog}
    crowd = simulate(catalog, 200, seed=seed, now=BEGIN, think_s=20.0, away_s=60.0)
    states: dict[str, UserState | None] = {}
    found = []
    for number, event in enumerate(islice(crowd, int(rate * seconds))):
        moment = instant(BEGIN + number / rate)
        event = msgspec.structs.replace(event, event_ts=moment, received_ts=moment, client_ts=moment)
        before = states.get(event.subject)
        states[event.subject], outcome = fold(before, event, facets.get, epoch="e")
        if teaches(event, outcome):
            found.append(example_of(event, before))
    return found


def poisoned(clean: list[Example], begin: float, end: float, rng: Random) -> list[Example]:
    """The items of all examples between two moments, dealt out anew among them."""
    inside = [at for at, example in enumerate(clean) if begin <= example.event.at < end]
    items = [clean[at].event.items for at in inside]
    rng.shuffle(items)
    dealt = list(clean)
    for at, theirs in zip(inside, items, strict=True):
        event = msgspec.structs.replace(clean[at].event, items=theirs)
        dealt[at] = msgspec.structs.replace(clean[at], event=event)
    return dealt


def trial(rate: float, minutes: float, seed: int) -> Iterator[Passage]:
    from rec.model.lineage import Lineage
    from rec.model.teaching import Shape, Teaching, Training

    catalog = demo_catalog(seed=seed)
    rng = np.random.default_rng(seed)
    part_s = minutes * 60
    stream = examples(catalog, rate, 3 * part_s, seed)
    stream = poisoned(stream, BEGIN + part_s, BEGIN + 2 * part_s, Random(seed))
    centers: dict[str, np.ndarray] = {}
    vectors = {}
    for item in catalog:  # texts of one category are alike; an encoder would say so, too
        center = centers.setdefault(item.category, rng.normal(size=32))
        vectors[item.item_id] = (center + rng.normal(size=32)).astype(np.float32)
    lineage = Lineage(Teaching(Training(shape=Shape(text_dim=32), batch=64, new=32, seed=seed)))
    lineage.know(catalog, vectors)
    contest, ladder, live, frozen, due = Contest(), Ladder(), UNTAUGHT, UNTAUGHT, BEGIN
    rounds, said = deque[Round](), ""
    for number, part in enumerate(("clean", "poisoned", "clean again")):
        verdicts: Counter[str] = Counter()
        frozen = live if number == 1 else frozen
        worst, sums = float("inf"), Round(0, {}, {}, {})
        until = BEGIN + (number + 1) * part_s
        while stream and stream[0].event.at < until:
            batch, stream = stream[:32], stream[32:]
            for one in lineage.take([encode_lesson(example) for example in batch], 0).rounds:
                contest.add(one)
                named = Round(one.examples, *({"live": s[live], "frozen": s[frozen]} for s in one[1:]))
                rounds.append(named)
                while sum(each.examples for each in rounds) - rounds[0].examples >= WINDOW:
                    rounds.popleft()
                sums = _added(sums, named)
                if number and sum(each.examples for each in rounds) >= WINDOW:
                    worst = min(worst, sum(r.mrr["live"] for r in rounds) / sum(r.mrr["frozen"] for r in rounds))
            if batch[-1].event.at < due:
                continue
            due = batch[-1].event.at + JUDGE_S
            verdict = contest.decide(live, [UNTAUGHT, *ladder.names])
            verdicts[verdict.kind] += 1
            if verdict.kind == "hold" and said != "hold":  # one line for a streak, as in the registry
                click.echo(f"  {part}: v{lineage.learned} held: {verdict.why}", err=True)
            said = verdict.kind
            if verdict.kind == "promote":
                live = f"v{lineage.learned}"
                arrays, meta = lineage.version()
                lineage.contend(live, arrays, meta)
                contest.crown(live)
                ladder.add(live, lineage.learned)
            elif verdict.kind == "roll_back":
                ladder = Ladder([rung for rung in ladder.rungs if rung[0] != live])
                live = verdict.to
                click.echo(f"  {part}: rolled back to {live}: {verdict.why}", err=True)
            lineage.only({live, frozen, *ladder.names})
        n = max(1, sums.examples)
        got = (sums.hits["live"] / n, sums.hits["frozen"] / n, sums.mrr["live"] / n, sums.mrr["frozen"] / n)
        yield Passage(part, sums.examples, *got, worst, dict(verdicts))


def _added(a: Round, b: Round) -> Round:
    return Round(
        a.examples + b.examples, *({k: x.get(k, 0.0) + y[k] for k in y} for x, y in zip(a[1:], b[1:], strict=True))
    )


@click.command()
@click.option("--rate", default=10.0, show_default=True, help="Events a second of the stream.")
@click.option("--minutes", default=10.0, show_default=True, help="Length of each of the three parts.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rate: float, minutes: float, seed: int, as_json: bool) -> None:
    """Poison a stream and see whether the model that serves falls with it."""
    passages = []
    for one in trial(rate, minutes, seed):
        passages.append(one)
        click.echo(
            f"{one.part:12} {one.examples:6,} examples   live HR {one.live_hr:.4f} MRR {one.live_mrr:.4f}   frozen HR "
            f"{one.frozen_hr:.4f} MRR {one.frozen_mrr:.4f}   worst window {one.worst:.3f}   {one.verdicts}",
            err=True,
        )
    if as_json:
        click.echo(json.dumps([one._asdict() for one in passages]))
    fallen = [one.part for one in passages[1:] if one.worst < WORST]
    click.echo(f"fell more than 5 % below the frozen copy: {', '.join(fallen) or 'never'}", err=True)
    sys.exit(bool(fallen))


if __name__ == "__main__":
    main()
