"""`rec evaluate-search`: how good search is on judged queries, every product ranked."""

from __future__ import annotations

import csv
import lzma
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from rec.catalog import Floats, Item
from rec.cli.output import emit, emit_json, json_option, say, table
from rec.cli.progress import ProgressLine
from rec.config import load_settings
from rec.errors import BadInput
from rec.evaluation.search import Judged, evaluate_search, halves
from rec.model.device import hardware_of
from rec.pairs import as_read
from rec.search.words import LANGUAGES

if TYPE_CHECKING:
    from rec.model.encoder import TextEncoder


@click.command("evaluate-search")
@click.argument("products", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("judgments", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--item", default="product_uid", show_default=True, help="Column of the product, in both files.")
@click.option("--title", default="product_title", show_default=True, help="Column of the product's title.")
@click.option("--query", default="search_term", show_default=True, help="Column of the query.")
@click.option("--relevance", default="relevance", show_default=True, help="Column of the judgment, a number.")
@click.option("--relevant", default=2.67, show_default=True, help="From which judgment on a product is relevant.")
@click.option("--language", default="en", show_default=True, type=click.Choice(LANGUAGES), help="Of the texts.")
@click.option("--text/--no-text", default=True, show_default=True, help="Read titles and queries with the encoder.")
@click.option(
    "--tune",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Tune the encoder on one half of the queries in so many visits, and measure the other half.",
)
@click.option("--steps", type=click.IntRange(1), default=60, show_default=True, help="Steps of a visit of --tune.")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), help="Keep vectors in this folder.")
@click.option("--limit", type=click.IntRange(2), help="Only the first so many queries.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the two halves.")
@json_option
def command(
    products: Path,
    judgments: Path,
    item: str,
    title: str,
    query: str,
    relevance: str,
    relevant: float,
    language: str,
    text: bool,
    tune: int,
    steps: int,
    cache: Path | None,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """How good search is: BM25, vectors, both, and both as clicks would have taught it. CSV files, .xz too.

    Recall at 10 and 100 and MRR at 10, over all queries that have a relevant product; every product is ranked.

    \b
    rec evaluate-search products.csv.xz judgments.csv.xz --cache .rec/vectors
    """
    items = {row[item]: Item(item_id=row[item], title=row[title][:1024]) for row in rows_of(products, item, title)}
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows_of(judgments, item, query, relevance):
        if _number(row[relevance], judgments) >= relevant and row[item] in items:
            found[row[query]].add(row[item])
    if tune and not text:
        raise BadInput("--tune is of the encoder, and --no-text leaves it out. Use one of them.", field="--tune")
    if not found:
        raise BadInput(
            f"{judgments}: no judgment from {relevant} on is of a product in {products}.", field="--relevant"
        )
    queries = sorted(found)[:limit]
    wanted = {each: frozenset(found[each]) for each in queries}
    from rec.model.weights import whole_words

    vectors: Mapping[str, Floats] = {}
    read: Mapping[str, Floats] = {}
    device = hardware_of(load_settings()).device if text else "cpu"
    if text:
        made = encoded({one.digest(): one.text() for one in items.values()}, cache, "titles", device)
        vectors = {item_id: made[one.digest()] for item_id, one in items.items()}
        read = encoded({each: each for each in queries}, cache, "queries", device)
    known = whole_words()
    tuned = None
    if tune:
        encoder = tuned_encoder(wanted, items, seed, tune, steps, device)
        made = encoded({one.digest(): one.text() for one in items.values()}, cache, "titles", device, encoder)
        tuned = Judged(
            list(items.values()),
            {item_id: made[one.digest()] for item_id, one in items.items()},
            encoded({each: as_read(each) for each in queries}, cache, "queries", device, encoder),
            wanted,
            known,
        )
    with ProgressLine("searching", "queries") as line:
        body = evaluate_search(
            Judged(list(items.values()), vectors, read, wanted, known), language, seed,
            lambda _, done, total: line.update(done, done / total), tuned,
        )  # fmt: skip
    emit_json(body) if as_json else _show(body)


def rows_of(path: Path, *columns: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV; BadInput for a column that it does not have."""
    open_file = lzma.open if path.suffix == ".xz" else open
    with open_file(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        for column in columns:
            if column not in (reader.fieldnames or ()):
                raise BadInput(f"{path} has no column {column}. It has: {', '.join(reader.fieldnames or ())}.")
        try:
            yield from reader
        except (csv.Error, lzma.LZMAError, EOFError) as error:
            raise BadInput(f"{path} cannot be read: {error}") from error


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{path}: {text!r} is no judgment; give the column of a number with --relevance.") from None


def tuned_encoder(
    relevant: Mapping[str, frozenset[str]], items: Mapping[str, Item], seed: int, visits: int, steps: int, device: str
) -> TextEncoder:
    """What the half of the queries that is not measured makes of the encoder, as the trainer would."""
    from rec.evaluation.tuned import tuned_by

    def tell(visit: int, metrics: Mapping[str, float], kept: bool) -> None:
        loss, last = metrics["query_loss"], metrics["query_last_loss"]
        say(f"visit {visit}: held-out loss {loss:.4f} after {last:.4f}, {'kept' if kept else 'dropped'}")

    taught = {query: sorted(relevant[query]) for query in halves(relevant, seed).taught}
    texts = {item_id: item.text() for item_id, item in items.items()}
    return tuned_by(taught, texts, visits, steps, seed, tell, device=device)


def encoded(
    texts: Mapping[str, str], cache: Path | None, what: str, device: str, encoder: TextEncoder | None = None
) -> dict[str, Floats]:
    """key → vector. With a cache, only texts that are not in it are read; the file is of one encoder."""
    from rec.model.encoder import TextEncoder
    from rec.model.weights import encoder_id

    name = encoder_id() if encoder is None else encoder.encoder_id
    path = None if cache is None else cache / f"{what}-{name}.npz"
    known: dict[str, Floats] = {}
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as kept:
            known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))
    missing = [key for key in texts if key not in known]
    if missing:
        say(f"encoding {len(missing):,} {what}")
        reader = encoder or TextEncoder(device=device)
        known |= dict(zip(missing, reader.encode([texts[key] for key in missing]), strict=True))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, keys=np.array(list(known)), vectors=np.stack(list(known.values())))
    return {key: known[key] for key in texts}


def _show(body: dict[str, Any]) -> None:
    for part, queries in (("all", body["queries"]), ("half", body["half"]["queries"])):
        said = f"{queries:,} queries, {body['products']:,} products"
        if part == "half":
            said += "; what is learned or tuned is so from the others"
        say(said)
        shown = table("search", "recall@10", "recall@100", "mrr@10", right=("recall@10", "recall@100", "mrr@10"))
        for name, values in body[part].items():
            if isinstance(values, dict):
                shown.add_row(name, *(f"{values[each]:.3f}" for each in ("recall@10", "recall@100", "mrr@10")))
        emit(shown)
