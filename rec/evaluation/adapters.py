"""Public data sets → **a stream**, by the names of their files: `rec evaluate --dataset ml100k FOLDER`.

Each takes the folder that holds the files as they are published, and says which of them is missing. The sets are not
part of this software; who publishes them: docs/evaluation.md.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rec.errors import BadInput
from rec.evaluation.stream import Action, Stream, stream_of

Adapter = Callable[[Path], Stream]


class Dataset(NamedTuple):
    """How a set is read, and how it is usually tested."""

    read: Adapter
    about: str
    seen_excluded: bool = False
    half_life_s: float = 2 * 86_400
    every: int = 1
    history: int = 200


def yoochoose(folder: Path) -> Stream:
    """RecSys 2015 clicks as session-rec prepares them: sessions are users, both files in time order."""
    actions = []
    for name in ("train_full", "test"):
        path = _file(folder, f"yoochoose-clicks-100k_{name}.txt")
        for session, item_id, at in _rows(path, "\t"):
            actions.append(Action(float(at), f"{name}-{session}", item_id, "select_item"))
    return stream_of(actions)


def ml100k(folder: Path, least_rating: float = 0.0) -> Stream:
    """MovieLens 100K in RecBole's form: every rating is an action."""
    titles = {item_id: title for item_id, title, *_ in _rows(_file(folder, "ml-100k.item"), "\t")}
    actions = [
        Action(float(at), user, item_id, "view_item", title=titles.get(item_id, ""))
        for user, item_id, rating, at in _rows(_file(folder, "ml-100k.inter"), "\t")
        if float(rating) >= least_rating
    ]
    return stream_of(actions)


def msstore(folder: Path) -> Stream:
    """Microsoft Store demo purchases: what a user bought in the same second is one order."""
    titles = {row[0]: row[1] for row in _rows(_file(folder, "demoCatalog.csv"), ",", header=False)}
    actions = []
    for user, item_id, when in _rows(_file(folder, "demoUsage.csv"), ",", header=False):
        at = datetime.strptime(when, "%Y/%m/%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
        actions.append(Action(at, user, item_id, "purchase", basket=when, title=titles.get(item_id, "")))
    return stream_of(actions)


def online_retail(folder: Path) -> Stream:
    """UCI Online Retail, an invoice as one event: customers that are known, no cancellations, nothing returned."""
    return stream_of(_retail(folder, invoices=True))


def online_retail_events(folder: Path) -> Stream:
    """UCI Online Retail, each line of an invoice as an event of its own."""
    return stream_of(_retail(folder, invoices=False))


def _retail(folder: Path, *, invoices: bool) -> Iterator[Action]:
    with tarfile.open(_file(folder, "by-day.tar.xz")) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            file = archive.extractfile(member) if member.name.endswith(".csv") else None
            for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")) if file is not None else ():
                if row["CustomerID"] and not row["InvoiceNo"].startswith("C") and float(row["Quantity"]) > 0:
                    at = datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=UTC).timestamp()
                    basket = row["InvoiceNo"] if invoices else None
                    title, price = row["Description"].strip(), max(0.0, float(row["UnitPrice"]))
                    yield Action(at, row["CustomerID"], row["StockCode"], "purchase", basket, title, price)


def beauty(folder: Path) -> dict[str, list[str]]:
    """Amazon Beauty 5-core as S3-Rec has it: user → items in order. For leave-one-out alone: there are no times."""
    lines = _file(folder, "s3rec_Beauty.txt").read_text().splitlines()
    return {user: items for user, *items in (line.split() for line in lines)}


DATASETS: Mapping[str, Dataset] = {
    "yoochoose": Dataset(yoochoose, "clicks of a shop, sessions as users"),
    "ml100k": Dataset(
        ml100k, "film ratings, rated ones excluded", seen_excluded=True, half_life_s=30 * 86_400, history=1_000
    ),
    "msstore": Dataset(msstore, "orders of a shop for software and devices", half_life_s=86_400),
    "online_retail": Dataset(online_retail, "invoices of a gift shop", half_life_s=14 * 86_400),
    "online_retail_events": Dataset(
        online_retail_events, "lines of those invoices, each as an event", half_life_s=14 * 86_400, every=8
    ),
}


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise BadInput(f"{folder}: there is no {name}. Name the folder that holds the published files.", field="FILE")
    return path


def _rows(path: Path, delimiter: str, *, header: bool = True) -> Iterable[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file, delimiter=delimiter)
        if header:
            next(rows, None)
        yield from (row for row in rows if row)
