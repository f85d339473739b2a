"""`rec tune`: a search for hyper-parameters, on the warm-up of a recorded stream and nothing after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rec.cli.evaluation_input import Source, encoded, read_source, reads_texts, stream_options
from rec.cli.given import refuse
from rec.cli.output import emit, emit_json, json_option, say, table
from rec.cli.progress import ProgressLine
from rec.config import load_settings
from rec.errors import BadInput
from rec.evaluation import tune as search
from rec.evaluation.metrics import METRICS
from rec.evaluation.settings import write_settings
from rec.model.device import hardware_of


@click.command()
@stream_options
@click.option("--trials", default=30, show_default=True, type=click.IntRange(1), help="How many; the first: defaults.")
@click.option("--metric", default="ndcg@10", show_default=True, type=click.Choice(METRICS), help="What is maximized.")
@click.option("--network/--no-network", default=True, show_default=True, help="The sequence model beside the counters.")
@click.option("--text/--no-text", default=False, show_default=True, help="Read titles with the text encoder.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the search and of the network.")
@click.option(
    "--out",
    default="settings.json",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The best so far is written here after every trial.",
)
@json_option
@click.pass_context
def tune(
    ctx: click.Context,
    /,
    trials: int,
    metric: str,
    network: bool,
    seed: int,
    out: Path,
    as_json: bool,
    **_more: Any,
) -> None:
    """Search for hyper-parameters on the warm-up of a stream: the part that rec evaluate does not score.

    Every trial tests, then learns, through the code that serves; the last part of the warm-up is its test. Nothing
    after the warm-up is read, so rec evaluate --settings, with the same --warmup, is an honest test of the result.

    \b
    rec tune clicks.csv --user session --item sku --time at --trials 30 --out settings.json
    rec evaluate clicks.csv --user session --item sku --time at --settings settings.json
    """
    source, hardware, text = Source.of(ctx), hardware_of(load_settings()), reads_texts(ctx)
    if not network:
        refuse(ctx, "--no-network", ["price"])
    if not out.absolute().parent.is_dir():
        raise BadInput(f"{out}: there is no folder {out.absolute().parent}. Make it first.", field="--out")
    stream, rules = read_source(source)
    warm = search.warm_up(stream, rules.warmup)
    vectors = encoded(warm.items, hardware.device) if text else None
    say(f"{len(warm.events):,} events are the warm-up; each trial is tested on the last {search.TEST_SHARE:.0%} of it")

    def tried(study: search.Study) -> None:
        last, best = study.trials[-1].measured[metric], study.best
        say(f"trial {len(study.trials)} of {trials}: {metric} {last:.4f}, best {best.measured[metric]:.4f}")
        found = {
            "metric": metric,
            "value": best.measured[metric],
            "default": study.default.measured[metric],
            "trial": best.number,
            "trials": len(study.trials),
            "seed": seed,
            "events": study.events,
            "scored": study.scored,
        }
        write_settings(out, best.settings, found)

    with ProgressLine("tuning", "events") as line:
        size = len(warm.events)

        def progress(trial: int, done: int) -> None:
            line.update(trial * size + done, (trial * size + done) / (trials * size))

        study = search.tune(
            warm,
            rules,
            trials=trials,
            seed=seed,
            metric=metric,
            network=network,
            vectors=vectors,
            hardware=hardware,
            progress=progress,
            tried=tried,
        )
    say(f"the best is in {out}")
    if as_json:
        emit_json(_body(study))
    else:
        _show(study)


def _body(study: search.Study) -> dict[str, Any]:
    def told(tried: search.Tried) -> dict[str, Any]:
        return {"trial": tried.number, **tried.measured, "settings": tried.settings}

    return {
        "metric": study.metric,
        "events": study.events,
        "scored": study.scored,
        "best": told(study.best),
        "default": told(study.default),
        "trials": [told(tried) for tried in study.trials],
    }


def _show(study: search.Study) -> None:
    """The best values beside the defaults, and how good each is."""
    found = table("", "default", "best", right=("default", "best"))
    best, default = study.best, study.default
    for metric in METRICS:
        found.add_row(metric, f"{default.measured[metric]:.4f}", f"{best.measured[metric]:.4f}")
    for name, value in best.settings.items():
        found.add_row(name, f"{default.settings[name]:g}", f"{value:g}")
    emit(found)
