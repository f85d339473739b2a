"""Options of a recorded stream, for `rec evaluate` and `rec tune`: the same files, read and cut in the same way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from rec.cli.given import given, refuse
from rec.cli.output import say
from rec.cli.progress import ProgressLine
from rec.errors import BadInput
from rec.evaluation.adapters import DATASETS
from rec.evaluation.prequential import Rules
from rec.evaluation.stream import Columns, Stream, read_stream

if TYPE_CHECKING:
    from rec.catalog import Floats, Item

F = TypeVar("F", bound=Callable[..., Any])


class Between(click.FloatRange):
    """A number in a range. `nan` is none: it is neither below nor above anything, so click alone lets it through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number. Give one in the range {self._describe_range()}.", param, ctx)
        return number


class Source(NamedTuple):
    """What the options say of the stream."""

    files: Sequence[Path]
    dataset: str | None
    columns: Columns
    seen: str | None
    warmup: float
    limit: int | None

    @classmethod
    def of(cls, ctx: click.Context) -> Source:
        """From the parameters of a command with `stream_options`. Raises BadInput for what a set does not use."""
        given = ctx.params
        if given["dataset"] is not None:
            refuse(ctx, f"--dataset {given['dataset']}", Columns._fields)
            if len(given["files"]) != 1:
                raise BadInput("--dataset reads one folder. Name that alone.", field="FILE")
        if given["dataset"] == "obd":
            raise BadInput("obd is a log of feedback, not a stream. It is for --policy alone.", field="--dataset")
        if given["dataset"] == "beauty":
            refuse(ctx, "--dataset beauty, which has no times", ["limit"])
        columns = Columns(**{name: given[name] for name in Columns._fields})
        return cls(given["files"], given["dataset"], columns, given["seen"], given["warmup"], given["limit"])


_OPTIONS = (
    click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE…"),
    click.option(
        "--dataset", type=click.Choice([*DATASETS, "beauty", "obd"]), help="A public set; FILE is its folder."
    ),
    click.option("--user", default="user_id", show_default=True, help="Column of the shopper."),
    click.option("--item", default="item_id", show_default=True, help="Column of the product."),
    click.option("--time", default="timestamp", show_default=True, help="Column of the time."),
    click.option("--event", help="Column of the event's name.  [all are view_item]"),
    click.option("--title", help="Column of the product's title, for the text encoder: --title says --text, too."),
    click.option("--price", help="Column of the product's price."),
    click.option("--basket", help="Column of the order: its rows are one event, tested before any of them is known."),
    click.option("--seen", type=click.Choice(["keep", "exclude"]), help="May items be listed again?  [keep]"),
    click.option("--warmup", default=0.2, show_default=True, type=Between(0, 0.99), help="Share not scored."),
    click.option("--limit", type=click.IntRange(1), help="Only the first so many events."),
)


def stream_options(command: F) -> F:
    """The argument FILE… and the options that say how it is read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def reads_texts(ctx: click.Context) -> bool:
    """Whether titles go to the encoder: asked for, or a column of them was named and --no-text was not said."""
    return bool(ctx.params["text"]) or (given(ctx, "title") and not given(ctx, "text"))


def read_source(source: Source) -> tuple[Stream, Rules]:
    """The stream, cut at its limit, and the rules that the options ask for; what cannot be read is told."""
    stream, rules = _read(source)
    rules = rules._replace(warmup=source.warmup)
    if source.seen is not None:
        rules = rules._replace(seen_excluded=source.seen == "exclude")
    for name, flaw in stream.flaws[:10]:
        say(f"{name}:{flaw.line}: {flaw.field or 'row'}: {flaw.reason}")
    if stream.flaws:
        say(f"{len(stream.flaws):,} rows were left out")
    return stream._replace(events=stream.events[: source.limit]), rules


def _read(source: Source) -> tuple[Stream, Rules]:
    if source.dataset is None:
        with ProgressLine("reading", "files") as line:
            return read_stream(source.files, source.columns, lambda share: line.update(0, share)), Rules()
    if source.dataset == "beauty":
        raise BadInput("beauty has no times. It is for rec evaluate --leave-one-out alone.", field="--dataset")
    known = DATASETS[source.dataset]
    rules = Rules(seen_excluded=known.seen_excluded, half_life_s=known.half_life_s)
    return known.read(source.files[0]), rules._replace(every=known.every, history=known.history)


def encoded(items: Mapping[str, Item], device: str) -> dict[str, Floats]:
    """The titles' vectors, by item, computed on `device`."""
    from rec.model.encoder import TextEncoder

    ids = list(items)
    say(f"encoding {len(ids):,} titles")
    vectors = TextEncoder(device=device).encode([items[item_id].text() for item_id in ids])
    return dict(zip(ids, vectors, strict=True))
