"""Files → rows → batches → a store, and what could not be read by file and line. What both import commands share.

Invariant: a bad row is counted and reported, and costs no good one; reading and parsing happen in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

import click
import msgspec

from rec.cli.output import say
from rec.cli.progress import ProgressLine
from rec.errors import BadInput, ConfigError
from rec.rows import check_columns
from rec.tables import Flaw, open_table, renamed

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

BATCH = 500
SHOWN = 20  # bad rows told one by one
Columns = Mapping[str, str]  # ours → theirs


class BadRow(NamedTuple):
    """A row that was left out, and why."""

    file: str
    line: int
    field: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class Refused(NamedTuple):
    """A row that the store did not take: its place in the batch, and why."""

    at: int
    field: str | None
    reason: str


class Counts(NamedTuple):
    """How it went."""

    files: int
    rows: int
    bad: int
    seconds: float

    @property
    def good(self) -> int:
        return self.rows - self.bad


class _Batch(NamedTuple, Generic[T]):
    rows: list[tuple[Path, int, T]]
    bad: list[BadRow]
    share: float


class BadRows:
    """Collects bad rows: the first few to be told, all of them as JSON lines into `file` if one is given."""

    def __init__(self, path: Path | None) -> None:
        self.count = 0
        self._first: list[BadRow] = []
        self._path, self._file = path, self._opened(path)

    @staticmethod
    def _opened(path: Path | None) -> BinaryIO | None:
        try:
            return path.open("wb") if path is not None else None
        except OSError as error:
            raise ConfigError(f"--errors {path}: {error.strerror or error}.", field="errors") from error

    def add(self, rows: Iterable[BadRow]) -> None:
        for row in rows:
            self.count += 1
            if self.count <= SHOWN:
                self._first.append(row)
            if self._file is not None:
                self._file.write(msgspec.json.encode(row._asdict()) + b"\n")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def tell(self) -> None:
        """The first few, and how many more there are."""
        for row in self._first:
            say(str(row))
        if (more := self.count - len(self._first)) > 0:
            where = f"all are in {self._path}" if self._path else "--errors FILE writes all of them"
            say(f"… and {more:,} more bad rows; {where}")


def import_options(command: F) -> F:
    """`FILE…`, `--map`, `--errors`."""
    for option in (
        click.option("--errors", type=click.Path(path_type=Path, dir_okay=False), help="Write bad rows here (JSONL)."),
        click.option("--map", "mapping", multiple=True, metavar="OURS=THEIRS", callback=_mapping,
                     help="Our field is in the column of that name; once for each."),
        click.argument("files", nargs=-1, required=True, metavar="FILE...",
                       type=click.Path(path_type=Path, exists=True, dir_okay=False)),
    ):  # fmt: skip
        command = option(command)
    return command


def _mapping(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    for words in given:
        ours, equals, theirs = words.partition("=")
        if not (ours and equals and theirs):
            raise click.BadParameter(f"{words!r}: write OURS=THEIRS, like item_id=sku")
        mapping[ours] = theirs
    return mapping


def check_files(
    files: Sequence[Path], mapping: Columns, known: Iterable[str], required: Iterable[str]
) -> list[tuple[str, ...]]:
    """Look at every file before anything is stored; the columns of those that have a header. Raises BadInput."""
    headers = []
    for path in files:
        with open_table(path) as table:
            try:
                check_columns(table.columns, mapping, known, required)
            except BadInput as error:
                raise BadInput(f"{path}: {error.message}", field=error.field) from None
            headers.append(table.columns or ())
    return headers


async def import_files(
    files: Sequence[Path],
    mapping: Columns,
    read: Callable[[Mapping[str, Any]], T],
    store: Callable[[list[T]], Awaitable[Sequence[Refused]]],
    errors: Path | None,
    what: str,
) -> Counts:
    """Read every row with `read` (which raises BadInput) and hand them to `store` in batches; tell the bad ones."""
    began, rows = time.monotonic(), 0
    bad = await asyncio.to_thread(BadRows, errors)
    try:
        with ProgressLine(what, "rows") as line, closing(_batches(files, mapping, read)) as batches:
            while (batch := await asyncio.to_thread(_next, batches, bad)) is not None:
                rows += len(batch.rows) + len(batch.bad)
                if batch.rows:
                    refused = await store([value for _, _, value in batch.rows])
                    bad.add(_located(batch, refused))
                line.update(rows, batch.share)
    finally:
        await asyncio.to_thread(bad.close)
        bad.tell()
    return Counts(len(files), rows, bad.count, time.monotonic() - began)


def _next(batches: Iterator[_Batch[T]], bad: BadRows) -> _Batch[T] | None:
    batch = next(batches, None)
    if batch is not None:
        bad.add(batch.bad)
    return batch


def _located(batch: _Batch[T], refused: Sequence[Refused]) -> Iterator[BadRow]:
    for one in refused:
        path, line, _ = batch.rows[one.at]
        yield BadRow(str(path), line, one.field, one.reason)


def _batches(
    files: Sequence[Path], mapping: Columns, read: Callable[[Mapping[str, Any]], T]
) -> Generator[_Batch[T], None, None]:
    sizes = [max(path.stat().st_size, 1) for path in files]
    done, whole = 0.0, sum(sizes)
    rows: list[tuple[Path, int, T]] = []
    bad: list[BadRow] = []
    for path, size in zip(files, sizes, strict=True):
        with open_table(path) as table:
            for row in table.rows:
                if isinstance(row, Flaw):
                    bad.append(BadRow(str(path), row.line, row.field, row.reason))
                else:
                    try:
                        rows.append((path, row.line, read(renamed(row.values, mapping))))
                    except BadInput as error:
                        bad.append(BadRow(str(path), row.line, error.field, error.message))
                if len(rows) + len(bad) >= BATCH:
                    yield _Batch(rows, bad, (done + size * table.share()) / whole)
                    rows, bad = [], []
        done += size
    if rows or bad:
        yield _Batch(rows, bad, 1.0)


def told(counts: Counts, done: str) -> None:
    """The closing line for a person."""
    rate = counts.rows / max(counts.seconds, 1e-9)
    rejected = f"; {counts.bad:,} bad" if counts.bad else ""
    say(f"{done} from {counts.rows:,} rows in {counts.seconds:.1f} s ({rate:,.0f} rows/s){rejected}")
