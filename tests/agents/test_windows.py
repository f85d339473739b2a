"""The table of windows: what is looked up beside the key, what is due, what makes room, and whose keys stay."""

from __future__ import annotations

import time
from types import SimpleNamespace

from agents.faust_fixes import _drop_foreign_keys
from agents.windows import MAX_LISTS, MAX_UNSEEN, Windows
from rec.feedback import Window
from rec.topics import marks_for, partition_of
from rec.window_keys import window_key

NOW = time.time()


def window(due: float = NOW, *, seen: bool = False, touched: float = NOW) -> Window:
    return Window(touched=touched, due=due, served=b"list", seen={"a": NOW} if seen else {})


def test_a_users_lists_are_found_oldest_first_also_after_a_recovery() -> None:
    windows = Windows({})
    for n in range(3):
        windows.put("u1", f"s{n}", window(touched=NOW + n))
    windows.put("u2", "s9", window())
    windows.recovered()
    assert list(windows.of("u1")) == ["s0", "s1", "s2"]
    windows.put("u1", "s1", None)
    assert list(windows.of("u1")) == ["s0", "s2"]
    assert list(windows.of("nobody")) == []


def test_what_is_due_is_named_once_and_what_was_moved_is_not() -> None:
    windows = Windows({})
    windows.put("u1", "s1", window(NOW + 1))
    windows.put("u2", "s1", window(NOW + 1))
    windows.put("u2", "s1", window(NOW + 9))
    windows.put("u3", "s1", window(NOW + 1))
    windows.put("u3", "s1", None)
    assert windows.due(NOW) == set()
    assert windows.due(NOW + 1) == {"u1"}
    assert windows.due(NOW + 1) == set()
    windows.again({"u1"})
    assert windows.due(NOW + 10) == {"u1", "u2"}


def test_unseen_lists_make_room_first_and_the_oldest_of_all_when_there_are_too_many() -> None:
    windows = Windows({})
    windows.put("u1", "seen", window(seen=True))
    gone = [windows.put("u1", f"s{n}", window()) for n in range(MAX_UNSEEN + 2)]
    assert sum(gone) == 2
    assert list(windows.of("u1"))[:2] == ["seen", "s2"]
    gone = [windows.put("u1", f"t{n}", window(seen=True)) for n in range(MAX_LISTS)]
    assert sum(gone) == MAX_UNSEEN + 1
    assert len(windows) == MAX_LISTS
    assert list(windows.of("u1"))[0] == "t0"


def test_windows_of_users_who_moved_away_are_dropped_by_the_users_part_of_the_key() -> None:
    keys = [window_key(f"u{n}", f"s{n}") for n in range(40)] + [f"u{n}".encode() for n in range(40)]
    table = SimpleNamespace(data=SimpleNamespace(data=dict.fromkeys(keys, 1)), partitions=4)
    _drop_foreign_keys(table, {1, 3})
    left = {key for key in keys if partition_of(key.partition(b"\0")[0], 4) in (1, 3)}
    assert table.data.data.keys() == left
    assert 0 < len(left) < len(keys)


def test_there_is_a_mark_for_each_partition() -> None:
    assert {partition_of(mark.encode(), 16) for mark in marks_for(16, "token")} == set(range(16))
