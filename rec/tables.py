"""A file of rows → **tables** → `rec.rows` → catalog or archive. CSV, TSV, JSONL (each also .gz) and Parquet, streamed.

Invariant: one row in memory at a time (Parquet: one batch), and a row that cannot be read costs no other row: it is
yielded as a `Flaw` with its line, in its place.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from rec.errors import BadInput

MAX_LINE_BYTES = 1 << 20
MAX_RECORD_LINES = 100  # of one CSV record: a quote that is open longer than this was never meant to be
_BATCH = 1_000  # rows of a Parquet file held at a time
_DELIMITERS = ",\t;|"
_TEXT_KINDS = frozenset({"csv", "tsv", "jsonl", "ndjson", "json"})
_PARQUET_KINDS = frozenset({"parquet", "pq"})


class Row(NamedTuple):
    """A row as it is in the file. `line` counts from 1 (Parquet: the row's number); CSV values are all text."""

    line: int
    values: dict[str, Any]


class Flaw(NamedTuple):
    """A row that is of no use, and why. `field` where one is to blame."""

    line: int
    field: str | None
    reason: str


class Table(NamedTuple):
    """An open file. `columns`: None where each row has its own (JSONL). `share`: how much has been read, 0 to 1."""

    columns: tuple[str, ...] | None
    rows: Iterator[Row | Flaw]
    share: Callable[[], float]


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """Open a file by its name. Raises BadInput if it is not there, or not such a table at all."""
    with ExitStack() as stack:
        try:
            table = _opened(path, stack)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(f"{path}: {getattr(error, 'strerror', None) or error}.") from error
        yield table


def _opened(path: Path, stack: ExitStack) -> Table:
    name = path.name.lower()
    kind = name.removesuffix(".gz").rpartition(".")[2]
    if kind not in _TEXT_KINDS and name.rpartition(".")[2] not in _PARQUET_KINDS:
        raise BadInput(f"{path}: what kind of file is this? Name it .csv, .tsv, .jsonl, any of these .gz, or .parquet.")
    raw = stack.enter_context(path.open("rb"))
    if kind not in _TEXT_KINDS:
        return _parquet(path, raw)
    size = max(path.stat().st_size, 1)
    lines = _lines(stack.enter_context(gzip.GzipFile(fileobj=raw)) if name.endswith(".gz") else raw)
    columns, rows = _csv(path, lines) if kind in ("csv", "tsv") else (None, _jsonl(lines))
    return Table(columns, _to_the_end(rows), lambda: min(raw.tell() / size, 1.0))


def renamed(values: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """The row under our names. `mapping` is ours → theirs; a column that is not in it keeps its name.

    >>> renamed({"sku": "1", "title": "Tent", "item_id": "old"}, {"item_id": "sku"})
    {'item_id': '1', 'title': 'Tent'}
    """
    taken = set(mapping.values())
    kept = {name: value for name, value in values.items() if name not in taken and name not in mapping}
    return {ours: values[theirs] for ours, theirs in mapping.items() if theirs in values} | kept


def _to_the_end(rows: Iterator[Row | Flaw]) -> Iterator[Row | Flaw]:
    """The rows, and a flaw in place of what a damaged file no longer gives."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except (EOFError, OSError, zlib.error) as error:
        yield Flaw(line + 1, None, f"the file is damaged from here on: {error}")


def _lines(stream: BinaryIO | gzip.GzipFile) -> Iterator[tuple[int, bytes | None]]:
    """(number, line); None in place of a line that is too long to be one."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        whole: bytes | None = line
        while len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            whole, line = None, stream.readline(MAX_LINE_BYTES)
        yield number, whole


_TOO_LONG = f"the line is longer than {MAX_LINE_BYTES:,} bytes"


# ---------------------------------------------------------------- JSONL
def _jsonl(lines: Iterator[tuple[int, bytes | None]]) -> Iterator[Row | Flaw]:
    decode = msgspec.json.Decoder().decode
    for number, line in lines:
        if line is None:
            yield Flaw(number, None, _TOO_LONG)
            continue
        if not line.strip():
            continue
        try:
            values = decode(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            hint = "; one object a line, please: jq -c '.[]' makes that of a list" if line.strip() == b"[" else ""
            yield Flaw(number, None, f"not valid JSON: {error}{hint}")
            continue
        if isinstance(values, dict):
            yield Row(number, values)
        else:
            yield Flaw(number, None, "not a JSON object; one object a line, please")


# ---------------------------------------------------------------- CSV
_OPEN = "unexpected end of data"  # what csv says of a quote that is still open


def _csv(path: Path, lines: Iterator[tuple[int, bytes | None]]) -> tuple[tuple[str, ...], Iterator[Row | Flaw]]:
    header = _header(path, lines)
    delimiter = max(_DELIMITERS, key=header.count)
    fields = _fields(header, delimiter)
    if isinstance(fields, str):
        raise BadInput(f"{path}: the header cannot be read: {fields}.")
    columns = tuple(name.strip() for name in fields)
    if not any(columns):
        raise BadInput(f"{path}: the header line names no columns.")
    if doubled := sorted({name for name in columns if columns.count(name) > 1}):
        raise BadInput(f"{path}: the header names {', '.join(doubled)} twice.")
    return columns, _csv_rows(lines, columns, delimiter)


def _header(path: Path, lines: Iterator[tuple[int, bytes | None]]) -> str:
    """The first line that says anything."""
    for number, line in lines:
        if line is None:
            raise BadInput(f"{path}: the header cannot be read: {_TOO_LONG}.")
        try:
            header = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise BadInput(f"{path}: the header is not UTF-8. Save the file as UTF-8.") from None
        if header.strip():
            return header
    raise BadInput(f"{path}: there is no header line, the file is blank. Its first line must name the columns.")


def _csv_rows(
    lines: Iterator[tuple[int, bytes | None]], columns: tuple[str, ...], delimiter: str
) -> Iterator[Row | Flaw]:
    """Records, of several lines where a quoted field has line breaks.

    A quote that nobody closed must not swallow the rest of the file: when the lines behind it do not make a record
    of the right width, the first line alone is the flaw, and reading goes on with the second.
    """
    ahead: deque[tuple[int, bytes | None]] = deque()  # read already, to be read again
    while (found := ahead.popleft() if ahead else next(lines, None)) is not None:
        number, line = found
        if line is None:
            yield Flaw(number, None, _TOO_LONG)
            continue
        if not line.strip():
            continue
        fields = _decoded_fields(line, delimiter)
        if fields == _OPEN:
            more: list[tuple[int, bytes | None]] = []
            fields = _joined_fields(line, ahead, lines, delimiter, more)
            if isinstance(fields, str) or len(fields) != len(columns):
                ahead.extendleft(reversed(more))
                fields = f"a quote opens here that no later line closes ({len(columns)} columns expected)"
        if isinstance(fields, str):
            yield Flaw(number, None, fields)
        elif len(fields) != len(columns):
            yield Flaw(number, None, f"{len(fields)} columns, but the header has {len(columns)}")
        else:
            yield Row(number, dict(zip(columns, fields, strict=True)))


def _joined_fields(
    line: bytes,
    ahead: deque[tuple[int, bytes | None]],
    lines: Iterator[tuple[int, bytes | None]],
    delimiter: str,
    more: list[tuple[int, bytes | None]],
) -> list[str] | str:
    """The fields of the record that begins with `line`; `more` collects the lines taken for it."""
    record = line
    while len(more) < MAX_RECORD_LINES:
        found = ahead.popleft() if ahead else next(lines, None)
        if found is None:
            return _OPEN
        more.append(found)
        if found[1] is None:
            return _TOO_LONG
        record += found[1]
        if b'"' in found[1] and (fields := _decoded_fields(record, delimiter)) != _OPEN:
            return fields
    return _OPEN


def _decoded_fields(record: bytes, delimiter: str) -> list[str] | str:
    try:
        return _fields(record.decode(), delimiter)
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start + 1} of the line)"


def _fields(record: str, delimiter: str) -> list[str] | str:
    """The fields of one record, or what is wrong with it."""
    try:
        return next(csv.reader((record,), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return str(error)


# ---------------------------------------------------------------- Parquet
def _parquet(path: Path, raw: BinaryIO) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(raw)
    except pa.ArrowException as error:
        raise BadInput(f"{path}: this is no Parquet file: {error}.") from None
    total, done = max(file.metadata.num_rows, 1), 0

    def rows() -> Iterator[Row | Flaw]:
        nonlocal done
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in batch.to_pylist():
                    done += 1
                    yield Row(done, values)
        except pa.ArrowException as error:
            yield Flaw(done + 1, None, f"the file is damaged from here on: {error}")

    return Table(tuple(file.schema_arrow.names), _to_the_end(rows()), lambda: done / total)
