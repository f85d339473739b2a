"""Rows in, a stream of events out; and the public sets in the form they are published in."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from rec.errors import BadInput
from rec.evaluation.adapters import beauty, ml100k, msstore, online_retail, online_retail_events, yoochoose
from rec.evaluation.leave_one_out import sequences_of
from rec.evaluation.stream import Action, Columns, read_stream, stream_of


def test_rows_become_events_in_time_order_and_equal_times_keep_theirs() -> None:
    stream = stream_of(
        [Action(3.0, "u", "c", "view_item"), Action(1.0, "u", "a", "view_item"), Action(1.0, "u", "b", "view_item")]
    )
    assert [event.items[0].item_id for event in stream.events] == ["a", "b", "c"]


def test_rows_of_one_basket_are_one_event_at_the_time_of_the_first() -> None:
    rows = [
        Action(5.0, "u", "a", "purchase", basket="1"),
        Action(6.0, "v", "x", "purchase", basket="1"),  # the same number, somebody else
        Action(7.0, "u", "b", "purchase", basket="1"),
    ]
    first, second = stream_of(rows).events
    assert [item.item_id for item in first.items] == ["a", "b"]
    assert first.at == 5.0
    assert second.subject == "v"


def test_a_title_is_the_first_that_is_told(tmp_path: Path) -> None:
    rows = "u,a,1700000000,Old\nu,a,1700000100,New\nu,b,1700000200,\n"
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp,t\n" + rows)
    stream = read_stream([tmp_path / "a.csv"], Columns(title="t"))
    assert stream.items["a"].title == "Old"
    assert stream.items["b"].title == "b"


def test_a_file_without_a_usable_row_is_an_error_that_names_the_first_flaw(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,item_id,timestamp\n,a,1700000000\n")
    with pytest.raises(BadInput, match="line 2: is empty"):
        read_stream([tmp_path / "a.csv"], Columns())


class TestPublicSets:
    def test_yoochoose(self, tmp_path: Path) -> None:
        head = "SessionId\tItemId\tTime\n"
        (tmp_path / "yoochoose-clicks-100k_train_full.txt").write_text(head + "1\ta\t10.5\n1\tb\t11\n")
        (tmp_path / "yoochoose-clicks-100k_test.txt").write_text(head + "1\tc\t12\n")
        events = yoochoose(tmp_path).events
        assert [(e.items[0].item_id, e.subject) for e in events] == [
            ("a", "train_full-1"),
            ("b", "train_full-1"),
            ("c", "test-1"),  # the two files number their sessions on their own
        ]

    def test_ml100k(self, tmp_path: Path) -> None:
        (tmp_path / "ml-100k.item").write_text("item_id:token\tmovie_title:token_seq\ty\tc\n1\tToy Story\t1995\tx\n")
        (tmp_path / "ml-100k.inter").write_text("u\ti\tr\tt\n9\t1\t5\t100\n8\t1\t3\t50\n")
        stream = ml100k(tmp_path)
        assert [event.subject for event in stream.events] == ["8", "9"]
        assert stream.items["1"].title == "Toy Story"

    def test_msstore(self, tmp_path: Path) -> None:
        (tmp_path / "demoCatalog.csv").write_text("A,Sleeve,Accessories\n")
        (tmp_path / "demoUsage.csv").write_text("u,A,2015/06/09T19:39:37\nu,B,2015/06/09T19:39:37\n")
        (order,) = msstore(tmp_path).events
        assert [item.item_id for item in order.items] == ["A", "B"]

    def test_online_retail(self, tmp_path: Path) -> None:
        head = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        rows = (
            "1,A,Bag,2,2011-07-21 08:44:00,1.5,7.0,UK\n1,B,Cup,1,2011-07-21 08:44:00,2,7.0,UK\n"
            "C2,A,Bag,-2,2011-07-21 09:00:00,1.5,7.0,UK\n3,A,Bag,1,2011-07-21 09:00:00,1.5,,UK\n"
        )
        with tarfile.open(tmp_path / "by-day.tar.xz", "w:xz") as archive:
            entry = tarfile.TarInfo("by-day/2011-07-21.csv")
            entry.size = len(head + rows)
            archive.addfile(entry, io.BytesIO((head + rows).encode()))
        assert [len(event.items) for event in online_retail(tmp_path).events] == [2]
        assert [len(event.items) for event in online_retail_events(tmp_path).events] == [1, 1]

    def test_beauty(self, tmp_path: Path) -> None:
        (tmp_path / "s3rec_Beauty.txt").write_text("1 5 6 7\n2 6\n")
        assert beauty(tmp_path) == {"1": ["5", "6", "7"], "2": ["6"]}

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="there is no ml-100k.item"):
            ml100k(tmp_path)


def test_sequences_follow_time() -> None:
    rows = [Action(2.0, "u", "b", "view_item"), Action(1.0, "u", "a", "view_item"), Action(3.0, "u", "z", "share")]
    assert sequences_of(stream_of(rows[:2])) == {"u": ["a", "b"]}
