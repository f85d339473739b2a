"""Reading files of rows: whatever is wrong with one row, all the others come through."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rec.errors import BadInput
from rec.tables import MAX_LINE_BYTES, MAX_RECORD_LINES, Flaw, Row, _csv, open_table


def read(path: Path) -> list[Row | Flaw]:
    with open_table(path) as table:
        return list(table.rows)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def ids(rows: list[Row | Flaw]) -> list[tuple[int, Any]]:
    return [(row.line, row.values["id"]) for row in rows if isinstance(row, Row)]


def flaws(rows: list[Row | Flaw]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, Flaw)]


def test_a_csv_gives_its_rows_with_their_lines(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "a.csv", "\ufeffid, title\n1,Tent\n\n2,Stöve\r\n3,"))
    assert rows == [
        Row(2, {"id": "1", "title": "Tent"}),
        Row(4, {"id": "2", "title": "Stöve"}),
        Row(5, {"id": "3", "title": ""}),
    ]


def test_quoted_fields_may_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    content = 'id,title\n1,"a, ""b""\nand\n\nc"\n2,5" pan\n'
    assert read(written(tmp_path, "a.csv", content)) == [
        Row(2, {"id": "1", "title": 'a, "b"\nand\n\nc'}),
        Row(6, {"id": "2", "title": '5" pan'}),
    ]


@pytest.mark.parametrize(("name", "delimiter"), [("a.tsv", "\t"), ("a.csv", ";"), ("a.csv", "|"), ("A.CSV", ",")])
def test_the_delimiter_is_what_the_header_uses(tmp_path: Path, name: str, delimiter: str) -> None:
    content = f"id{delimiter}title\n1{delimiter}Tent\n"
    assert read(written(tmp_path, name, content)) == [Row(2, {"id": "1", "title": "Tent"})]


def test_a_quote_that_nobody_closed_costs_its_own_row_only(tmp_path: Path) -> None:
    good = [f"{n},Tent {n}" for n in range(3, 3 + 2 * MAX_RECORD_LINES)]
    rows = read(written(tmp_path, "a.csv", "\n".join(["id,title", '2,"Tent', *good])))
    assert ids(rows) == [(n, str(n)) for n in range(3, 3 + 2 * MAX_RECORD_LINES)]
    assert [line for line, _ in flaws(rows)] == [2]
    assert "a quote opens here" in flaws(rows)[0][1]


def test_a_quote_that_a_later_row_seems_to_close_costs_its_own_row_only(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "a.csv", 'id,title\n2,"Tent\n3,"Good, and quoted"\n4,plain\n'))
    assert ids(rows) == [(3, "3"), (4, "4")]
    assert [line for line, _ in flaws(rows)] == [2]


def test_rows_of_another_width_or_encoding_or_length_are_told_by_line(tmp_path: Path) -> None:
    long = b"5," + b"x" * (2 * MAX_LINE_BYTES + 10)
    content = b"\n".join(
        [b"id,title", b"2,a,b", b"3", b"4,\xff\xfe", long, b'6,"a"b', b"7,good", b"8," + b"y" * 200_000]
    )
    rows = read(written(tmp_path, "a.csv", content))
    assert ids(rows) == [(7, "7")]
    assert [line for line, _ in flaws(rows)] == [2, 3, 4, 5, 6, 8]
    reasons = [reason for _, reason in flaws(rows)]
    assert reasons[0] == "3 columns, but the header has 2"
    assert "not UTF-8" in reasons[2]
    assert "longer than" in reasons[3]


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.text('a",\n é')), max_size=8
    )
)
def test_what_a_csv_writer_wrote_is_what_is_read(pairs: list[tuple[str, str]]) -> None:
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("id", "title"), *pairs])
    lines = iter(list(enumerate(file.getvalue().encode().splitlines(keepends=True), start=1)))
    _, rows = _csv(Path("a.csv"), lines)
    assert [tuple(row.values.values()) for row in rows if isinstance(row, Row)] == pairs


def test_jsonl_gives_objects_and_tells_what_is_none(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf{"id":1,"deep":{"a":[1]}}\n\n[1]\n{"id":2\n{"id":3}\n{"id":"\xff"}\n"text"\n{"id":4}'
    rows = read(written(tmp_path, "a.jsonl", content))
    assert ids(rows) == [(1, 1), (5, 3), (8, 4)]
    assert [line for line, _ in flaws(rows)] == [3, 4, 6, 7]


def test_a_list_in_a_json_file_names_the_remedy(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "a.json", '[\n{"id":1},\n]\n'))
    assert "jq -c '.[]'" in flaws(rows)[0][1]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_packed_files_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    content = "id\n1\n2\n" if "csv" in name else '{"id":"1"}\n{"id":"2"}\n'
    rows = read(written(tmp_path, name, gzip.compress(content.encode())))
    assert [row.values["id"] for row in rows if isinstance(row, Row)] == ["1", "2"]


def test_a_packed_file_that_is_cut_off_gives_all_that_is_there(tmp_path: Path) -> None:
    packed = gzip.compress("".join(["id\n", *(f"{n * 7919 % 10007}\n" for n in range(50_000))]).encode())
    rows = read(written(tmp_path, "a.csv.gz", packed[: len(packed) // 2]))
    assert len(ids(rows)) > 1_000
    assert "damaged" in flaws(rows)[-1][1]


def test_parquet_gives_typed_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "price": Decimal("9.50"), "items": [{"item_id": "a"}]},
        {"id": 2, "price": None, "items": []},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with open_table(tmp_path / "a.parquet") as table:
        assert table.columns == ("id", "price", "items")
        assert table.share() == 0
        assert list(table.rows) == [Row(1, rows[0]), Row(2, rows[1])]
        assert table.share() == 1


def test_a_damaged_parquet_file_gives_the_rows_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"id": [str(n * 7919 % 10007) for n in range(20_000)]})
    parquet.write_table(table, path, row_group_size=5_000, compression="zstd", use_dictionary=False)
    start = parquet.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 2_000] = bytes(2_000)
    path.write_bytes(content)
    rows = read(path)
    assert len(ids(rows)) >= 5_000
    assert "damaged" in flaws(rows)[-1][1]


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "id\n" + "1234567\n" * 50_000)
    with open_table(path) as table:
        shares = [table.share() for _ in table.rows]
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < shares[-1] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", "x", "what kind of file"),
        ("a.parquet.gz", "x", "what kind of file"),
        ("a.csv", "", "no header"),
        ("a.csv", "\n  \n", "no header"),
        ("a.csv", "\ufeff", "no header"),
        ("a.csv", " , ,\n1,2,3\n", "names no columns"),
        ("a.csv", b"\xff\xfei\x00d\x00\n\x00", "not UTF-8"),
        ("a.csv", "id,title,id\n", "id twice"),
        ("a.csv", 'id,"title\n', "header cannot be read"),
        ("a.parquet", "PAR1 or not", "no Parquet file"),
        ("a.csv.gz", "not packed", "Not a gzipped file"),
        ("missing/a.csv", None, "No such file"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_name(
    tmp_path: Path, name: str, content: str | bytes | None, message: str
) -> None:
    path = tmp_path / name if content is None else written(tmp_path, name, content)
    with pytest.raises(BadInput, match=message) as caught, open_table(path):
        pass
    assert str(path) in caught.value.message


def test_an_error_of_the_reader_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), open_table(written(tmp_path, "a.csv", "id\n1\n")):
        raise ConnectionError
