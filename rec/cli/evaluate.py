"""`rec evaluate`: how good the lists would have been on a recorded stream, tested event by event, then learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rec.cli.output import emit, emit_json, json_option, say, table
from rec.cli.progress import ProgressLine
from rec.config import load_settings
from rec.errors import BadInput
from rec.evaluation.adapters import DATASETS, beauty
from rec.evaluation.leave_one_out import leave_one_out, sequences_of
from rec.evaluation.prequential import Network, Prequential, Rules, Target
from rec.evaluation.report import report
from rec.evaluation.stream import Columns, Stream, read_stream
from rec.model.device import Hardware, hardware_of
from rec.value import Worth

if TYPE_CHECKING:
    from rec.catalog import Floats

METRICS = ("hr@10", "ndcg@10", "mrr@10")


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
        if any(lag < 0 for lag in lags):
            self.fail("A lag is at least 0 seconds.", param, ctx)
        return lags


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE…")
@click.option("--dataset", type=click.Choice([*DATASETS, "beauty"]), help="A public set; FILE is its folder.")
@click.option("--user", default="user_id", show_default=True, help="Column of the shopper.")
@click.option("--item", default="item_id", show_default=True, help="Column of the product.")
@click.option("--time", default="timestamp", show_default=True, help="Column of the time.")
@click.option("--event", help="Column of the event's name.  [all are view_item]")
@click.option("--title", help="Column of the product's title; it is read by the text encoder.")
@click.option("--price", help="Column of the product's price.")
@click.option("--basket", help="Column of the order: its rows are one event, tested before any of them is known.")
@click.option("--seen", type=click.Choice(["keep", "exclude"]), help="May items be listed again?  [keep]")
@click.option("--warmup", default=0.2, show_default=True, type=click.FloatRange(0, 0.99), help="Share not scored.")
@click.option("--every", default=None, type=click.IntRange(1), help="Score every so many-th event.  [1]")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many events.")
@click.option("--leave-one-out", "loo", is_flag=True, help="The other protocol: a network, everybody's last item.")
@click.option("--lag", "lags", type=Lags(), default=(), help="Also learn so many seconds late: 60,3600,86400.")
@click.option("--frozen/--no-frozen", default=True, show_default=True, help="Also stop learning at the warm-up's end.")
@click.option("--network/--no-network", default=True, show_default=True, help="The sequence model beside the counters.")
@click.option("--text/--no-text", default=False, show_default=True, help="Read titles with the text encoder.")
@click.option("--value/--no-value", default=False, show_default=True, help="Order by chance times REC_VALUE_*.")
@click.option("--device", help="auto, cpu, cuda or cuda:N.  [REC_DEVICE, else auto]")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Of the products.  [REC_PRECISION, else fp32]")
@click.option("--seed", default=0, show_default=True)
@json_option
def evaluate(
    files: tuple[Path, ...],
    dataset: str | None,
    user: str,
    item: str,
    time: str,
    event: str | None,
    title: str | None,
    price: str | None,
    basket: str | None,
    seen: str | None,
    warmup: float,
    every: int | None,
    limit: int | None,
    lags: tuple[float, ...],
    frozen: bool,
    network: bool,
    text: bool,
    value: bool,
    loo: bool,
    device: str | None,
    precision: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """How often the list held what the shopper turned to next: tested on every event before it is learned from.

    The list is made by the code that serves. Candidates are all items seen so far; HR, NDCG and MRR are at ten.
    Baselines are the counting lines that the model is made of, each alone.

    \b
    rec evaluate clicks.csv --user session --item sku --time at
    rec evaluate orders.csv --basket order --title name --text --lag 60,3600
    rec evaluate --dataset yoochoose path/to/yoochoose_100k
    """
    asked = {"device": device, "precision": precision}
    settings = load_settings(**{name: each for name, each in asked.items() if each is not None})
    hardware = hardware_of(settings)
    if loo:
        _leave_one_out(files, dataset, Columns(user, item, time, event, title, price, basket), seed, hardware, as_json)
        return
    stream, rules = _stream(files, dataset, Columns(user, item, time, event, title, price, basket))
    rules = rules._replace(warmup=warmup, every=every or rules.every)
    if value:
        rules = rules._replace(worth=Worth.from_settings(settings))
    if seen is not None:
        rules = rules._replace(seen_excluded=seen == "exclude")
    for name, flaw in stream.flaws[:10]:
        say(f"{name}:{flaw.line}: {flaw.field or 'row'}: {flaw.reason}")
    if stream.flaws:
        say(f"{len(stream.flaws):,} rows were left out")
    events = stream.events[:limit]
    vectors = _vectors(stream) if text else {}

    def run(what: str, rules: Rules, *, lines: bool) -> list[Target]:
        made = _network(seed, len(next(iter(vectors.values()))) if vectors else 0, hardware) if network else None
        test = Prequential(stream.items, rules, network=made, vectors=vectors, lines=lines)
        with ProgressLine(what, "events") as line:
            return list(test.run(events, lambda done: line.update(done, done / len(events))))

    body = report(run("testing", rules, lines=True), seed)
    if frozen:
        body["frozen"] = report(run("frozen", rules._replace(frozen=True), lines=False), seed)["model"]
    if lags:
        late = {f"{lag:g}": run(f"{lag:g} s late", rules._replace(lag_s=lag), lines=False) for lag in lags}
        body["lags"] = {lag: report(tested, seed)["model"] for lag, tested in late.items()}
    if as_json:
        emit_json(body)
    else:
        _show(body)


def _leave_one_out(
    files: Sequence[Path], dataset: str | None, columns: Columns, seed: int, hardware: Hardware, as_json: bool
) -> None:
    sequences = beauty(files[0]) if dataset == "beauty" else sequences_of(_stream(files, dataset, columns)[0])

    def progress(epoch: int, loss: float, ndcg: float) -> None:
        say(f"epoch {epoch + 1}: loss {loss:.3f}, validation NDCG@10 {ndcg:.4f}")

    body = leave_one_out(sequences, seed, progress, hardware)
    if as_json:
        emit_json(body)
    else:
        _show(body)


def _stream(files: Sequence[Path], dataset: str | None, columns: Columns) -> tuple[Stream, Rules]:
    if dataset is None:
        with ProgressLine("reading", "files") as line:
            return read_stream(files, columns, lambda share: line.update(0, share)), Rules()
    if dataset == "beauty":
        raise BadInput("beauty has no times. Give --leave-one-out.", field="--dataset")
    if len(files) != 1:
        raise BadInput("--dataset reads one folder. Name that alone.", field="FILE")
    known = DATASETS[dataset]
    rules = Rules(seen_excluded=known.seen_excluded, half_life_s=known.half_life_s)
    rules = rules._replace(every=known.every, history=known.history)
    return known.read(files[0]), rules


def _network(seed: int, text_dim: int, hardware: Hardware) -> Network:
    from rec.model.learner import Learner
    from rec.model.teaching import Shape, Training

    return Learner(Training(shape=Shape(text_dim=text_dim), seed=seed), hardware)


def _vectors(stream: Stream) -> dict[str, Floats]:
    """The titles' vectors, by item."""
    from rec.model.encoder import TextEncoder

    ids = list(stream.items)
    say(f"encoding {len(ids):,} titles")
    encoded = TextEncoder().encode([stream.items[item_id].text() for item_id in ids])
    return dict(zip(ids, encoded, strict=True))


def _show(body: dict[str, Any]) -> None:
    """Two tables: the model beside the lines, and the slices."""
    say(f"{body['scored']:,} targets tested")
    found = table("", *METRICS, right=METRICS)
    rows = {"model": body["model"], **body["baselines"]}
    if "frozen" in body:
        rows["model, frozen"] = body["frozen"]
    rows |= {f"model, {lag} s late": measured for lag, measured in body.get("lags", {}).items()}
    for name, measured in rows.items():
        found.add_row(name, *(f"{measured[metric]:.4f}" if measured else "" for metric in METRICS))
    for metric in METRICS if body["intervals"] else ():
        low, high = body["intervals"][metric]
        say(f"95 % interval of {metric}: {low:.4f} to {high:.4f}")
    emit(found)
    if "slices" not in body:
        return
    parts = table("slice", "targets", "hr@10", "best line", "", right=("targets", "hr@10", ""))
    for name, part in body["slices"].items():
        if part["scored"]:
            best = (
                (part["best_baseline"], f"{part['best_baseline_hr@10']:.4f}") if "best_baseline" in part else ("", "")
            )
            parts.add_row(name, f"{part['scored']:,}", f"{part['hr@10']:.4f}", *best)
    emit(parts)
