"""`rec evaluate`: how good the lists would have been on a recorded stream, tested event by event, then learned."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rec.cli.evaluation_input import Between, Source, encoded, read_source, reads_texts, stream_options
from rec.cli.evaluation_tables import show
from rec.cli.given import refuse
from rec.cli.off_policy import NAMES as OF_A_POLICY
from rec.cli.off_policy import evaluate_policy, policy_options
from rec.cli.output import emit_json, json_option, say
from rec.cli.progress import ProgressLine
from rec.config import load_settings
from rec.errors import BadInput
from rec.evaluation.adapters import beauty
from rec.evaluation.leave_one_out import leave_one_out, sequences_of
from rec.evaluation.metrics import means
from rec.evaluation.prequential import Rules, Target, to_be_scored
from rec.evaluation.report import Runs, ablation, by_seed, curve, report, spread
from rec.evaluation.runs import Subject
from rec.evaluation.settings import read_settings
from rec.evaluation.stream import Stream
from rec.evaluation.windows import WINDOWS
from rec.events import Event
from rec.model.device import Hardware, hardware_of
from rec.value import Worth

# --leave-one-out has no stream to score, and one network that reads nothing but which items there were.
_OF_THE_STREAM = frozenset({"every", "warmup", "lags", "frozen", "windows", "plots", "value"})
_NOT_LEFT_OUT = _OF_THE_STREAM | {"network", "text", "title", "price", "parts", "settings", "seeds"}
# Without it every seed gives the same, and nothing is computed on a device or says what a click is worth.
_OF_THE_NETWORK = frozenset({"price", "seeds", "parts", "value", "device", "precision"})


class Lags(click.ParamType):
    """Seconds, separated by commas."""

    name = "seconds,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            lags = tuple(float(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r}: give seconds, like 0,60,3600.", param, ctx)
        if not lags:
            self.fail(f"{value!r} names no lag: give seconds, like 0,60,3600.", param, ctx)
        if not all(0 <= lag < math.inf for lag in lags):  # of nan nothing is true
            self.fail("A lag is at least 0 seconds, and finite; learning never is what --frozen measures.", param, ctx)
        return lags


class Seeds(click.ParamType):
    """Whole numbers, separated by commas."""

    name = "seed,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            seeds = tuple(int(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r}: give whole numbers, like 0,1,2.", param, ctx)
        if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
            self.fail(f"{value!r}: give different numbers from 0 up, like 0,1,2.", param, ctx)
        return seeds


@click.command()
@stream_options
@policy_options
@click.option("--every", default=None, type=click.IntRange(1), help="Score every so many-th event.  [1]")
@click.option("--leave-one-out", "loo", is_flag=True, help="The other protocol: a network, everybody's last item.")
@click.option("--contrast", type=Between(0, 100), help="With --leave-one-out: weight of two views of a history.  [0]")
@click.option("--pretrain", type=click.IntRange(1), help="With --leave-one-out: epochs of such views alone first.  [0]")
@click.option("--lag", "lags", type=Lags(), default=(), help="Also learn so many seconds late: 60,3600,86400.")
@click.option("--frozen/--no-frozen", default=True, show_default=True, help="Also stop learning at the warm-up's end.")
@click.option("--network/--no-network", default=True, show_default=True, help="The sequence model beside the counters.")
@click.option("--text/--no-text", default=False, show_default=True, help="Read titles with the text encoder.")
@click.option("--parts", is_flag=True, help="What each part adds: the gate alone, with the network, with the titles.")
@click.option(
    "--settings", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Hyper-parameters: of rec tune."
)
@click.option("--seed", type=click.IntRange(0), help="Of network and intervals.  [0]")
@click.option("--seeds", type=Seeds(), help="Once for each, with mean and spread: 0,1,2.")
@click.option("--windows", type=click.IntRange(1, 1_000), help="Show so many parts of the stream.  [JSON: 10]")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Also draw PNGs into this folder.")
@click.option("--value/--no-value", default=False, show_default=True, help="Order by chance times REC_VALUE_*.")
@click.option("--device", help="auto, cpu, cuda or cuda:N.  [REC_DEVICE, else auto]")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Of the products.  [REC_PRECISION, else fp32]")
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    /,
    every: int | None,
    loo: bool,
    contrast: float | None,
    pretrain: int | None,
    lags: tuple[float, ...],
    frozen: bool,
    network: bool,
    parts: bool,
    settings: Path | None,
    seed: int | None,
    seeds: tuple[int, ...] | None,
    windows: int | None,
    plots: Path | None,
    value: bool,
    device: str | None,
    precision: str | None,
    as_json: bool,
    policy: bool,
    **_more: Any,
) -> None:
    """How often the list held what the shopper turned to next: tested on every event before it is learned from.

    The list is made by the code that serves. Candidates are all items seen so far; HR, NDCG and MRR are at ten.
    Baselines are the counting lines that the model is made of, each alone. Intervals are a bootstrap over shoppers.

    \b
    rec evaluate clicks.csv --user session --item sku --time at
    rec evaluate orders.csv --basket order --title name --lag 60,3600,86400 --plots pictures
    rec evaluate --dataset yoochoose path/to/yoochoose_100k --seeds 0,1,2 --parts
    rec evaluate --policy feedback.jsonl --target uniform
    rec evaluate --policy lists.jsonl --strategy greedy
    """
    if policy:
        evaluate_policy(ctx)
        return
    refuse(ctx, "a stream of events, which FILE is without --policy", OF_A_POLICY)
    source = Source.of(ctx)
    if seed is not None and seeds:
        raise BadInput("Give --seed or --seeds, not both.", field="--seeds")
    asked = {"device": device, "precision": precision}
    environment = load_settings(**{name: each for name, each in asked.items() if each is not None})
    hardware = hardware_of(environment)
    if loo:
        refuse(ctx, "--leave-one-out", _NOT_LEFT_OUT)
        _leave_one_out(source, seed or 0, hardware, as_json, contrast or 0.0, pretrain or 0)
        return
    for name, given in (("--contrast", contrast), ("--pretrain", pretrain)):
        if given is not None:
            raise BadInput(f"{name} has no use without --leave-one-out. Add that, or leave it out.", field=name)
    if not network:
        refuse(ctx, "--no-network", _OF_THE_NETWORK)
    text = reads_texts(ctx)
    if plots is not None:
        _make(plots)
    chosen = read_settings(settings) if settings is not None else {}
    stream, rules = read_source(source)
    rules = rules._replace(every=every or rules.every)
    if value:
        rules = rules._replace(worth=Worth.from_settings(environment))
    _refuse_nothing(stream.events, rules)
    vectors = encoded(stream.items, hardware.device) if text or (parts and _has_titles(stream)) else {}
    subject = Subject(stream.events, stream.items, rules, chosen, network, vectors if text else None, hardware)
    tests = _Tests(seeds or (seed or 0,))
    first = tests.seeds[0]  # the bootstrap's, too

    live = tests.run("testing", subject, lines=True)
    body = report(live, first, windows or WINDOWS)
    frozen_runs = tests.run("frozen", subject._replace(rules=rules._replace(frozen=True))) if frozen else None
    late = {
        lag: tests.run(f"{lag:g} s late", subject._replace(rules=rules._replace(lag_s=lag))) if lag else live
        for lag in lags
    }
    points = curve(live, late, frozen_runs, first)
    if frozen_runs is not None:
        body["frozen"] = tests.mean(frozen_runs)
    if late:
        body["lags"] = {f"{lag:g}": tests.mean(runs) for lag, runs in late.items()}
    if len(points) > 1:
        body["lag_curve"] = points
    alone: dict[str, Runs] = {}
    if parts:
        alone["gate alone"] = tests.run("gate alone", subject._replace(network=False, vectors=None), lines=True)
        alone["+ network"] = tests.run("+ network", subject._replace(vectors=None)) if text else live
        if vectors:
            alone["+ text"] = live if text else tests.run("+ text", subject._replace(vectors=vectors))
        else:
            say("No titles: give their column with --title to see what text adds.")
        body["parts"] = ablation(alone, first)
    if seeds:
        body["by_seed"] = by_seed(live)
        body["spread"] = {
            "model": spread(live),
            **({"frozen": spread(frozen_runs)} if frozen_runs is not None else {}),
            **({"lags": {f"{lag:g}": spread(runs) for lag, runs in late.items()}} if late else {}),
            **({"parts": {name: spread(runs) for name, runs in alone.items()}} if alone else {}),
        }
    if chosen:
        body["settings"] = chosen
    if plots is not None:
        from rec.evaluation.plots import draw

        for path in draw(body, plots):
            say(f"drawn: {path}")
    if as_json:
        emit_json(body)
    else:
        show(body, with_windows=windows is not None)


class _Tests:
    """One pass a seed, each with its progress."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        self.seeds = seeds

    def run(self, what: str, subject: Subject, *, lines: bool = False) -> Runs:
        """By seed; a gate alone has no randomness, so it is tested once."""
        made: dict[int, list[Target]] = {}
        total = max(1, len(subject.events))
        for seed in self.seeds if subject.network else self.seeds[:1]:
            said = f"{what}, seed {seed}" if len(self.seeds) > 1 else what
            with ProgressLine(said, "events") as line:
                progress = _progress(line, total)
                made[seed] = subject.run(seed, progress, lines=lines and not made)
        return made

    @staticmethod
    def mean(runs: Runs) -> dict[str, float]:
        return means([[one.rank for one in run] for run in runs.values()])


def _progress(line: ProgressLine, total: int) -> Any:
    return lambda done: line.update(done, done / total)


def _make(folder: Path) -> None:
    """The folder of the pictures, made before anything is tested: not after a long run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"{folder}: this folder cannot be made ({error.strerror}). Name another with --plots.", field="--plots"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{folder}: nothing can be written there. Name another folder with --plots.", field="--plots")


def _refuse_nothing(events: Sequence[Event], rules: Rules) -> None:
    """A run that would score nothing has nothing to say."""
    if to_be_scored(events, rules):
        return
    if to_be_scored(events, rules._replace(every=1)):
        raise BadInput(
            f"--every {rules.every}: nothing would be scored, for after the warm-up none of the {len(events):,} events "
            "is such an event. Give a smaller --every, or more events.",
            field="--every",
        )
    raise BadInput(
        f"Nothing would be scored: after the warm-up none of the {len(events):,} events is one that a list is tested "
        "on. Give more events, or a smaller --warmup.",
        field="--warmup",
    )


def _has_titles(stream: Stream) -> bool:
    return any(item.title != item_id for item_id, item in stream.items.items())


def _leave_one_out(
    source: Source, seed: int, hardware: Hardware, as_json: bool, contrast: float, pretrain: int
) -> None:
    if source.dataset == "beauty":  # nobody reviews a product twice, and what is published leaves theirs out
        sequences, seen_excluded = beauty(source.files[0]), source.seen != "keep"
    else:
        stream, rules = read_source(source)
        sequences, seen_excluded = sequences_of(stream), rules.seen_excluded

    def progress(epoch: int, loss: float, ndcg: float) -> None:
        say(f"epoch {epoch + 1}: loss {loss:.3f}, validation NDCG@10 {ndcg:.4f}")

    def pretrained(epoch: int, loss: float) -> None:
        say(f"epoch {epoch + 1} of views alone: loss {loss:.3f}")

    body = leave_one_out(
        sequences, seed, progress, hardware, contrast, pretrain, pretrained, seen_excluded=seen_excluded
    )
    if as_json:
        emit_json(body)
    else:
        show(body)
