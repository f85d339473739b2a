"""The journal of shares: what was decided is found again, and a broken entry stops nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.paces import Paces
from rec.examples import Pace


async def test_a_broken_entry_is_passed_over_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paces = Paces(str(tmp_path))
    await paces.begin("here")
    for offset, share in ((10, 0.5), (20, 0.2), (30, 1.0)):
        await paces.decide(offset, share)
    (tmp_path / "here-000000000020" / "meta.json").write_bytes(b"{")
    again = Paces(str(tmp_path))
    await again.begin("here")
    assert again.between(0, 100) == [(10, Pace(0.5)), (30, Pace(1.0))]
    assert f"{tmp_path}/here-000000000020 cannot be read" in caplog.text


async def test_nothing_is_decided_about_what_was_read_before_whoever_died_meanwhile(tmp_path: Path) -> None:
    paces = Paces(str(tmp_path))
    await paces.begin("here")
    paces.between(0, 3_000)
    assert await paces.decide(3_000, 0.67)
    paces.between(3_000, 5_000)
    await paces.begin("here")  # the child died; it goes on from 2,000
    for begin, share in ((2_000, 0.45), (3_000, 0.67), (4_000, 0.3)):
        paces.between(begin, begin + 100)
        assert not await paces.decide(begin + 100, share)
        assert not await paces.decide(begin, share)
    paces.between(4_900, 5_100)
    assert await paces.decide(5_100, 0.45)
    assert paces.between(2_000, 6_000) == [(3_000, Pace(0.67)), (5_100, Pace(0.45))]
    again = Paces(str(tmp_path))  # the whole process died
    await again.begin("here")
    assert not await again.decide(4_000, 0.3)
    assert not await again.decide(5_100, 0.3)
    assert again.between(0, 6_000) == [(3_000, Pace(0.67)), (5_100, Pace(0.45))]
    await again.begin("there")  # another log
    assert await again.decide(10, 0.3)


async def test_where_a_broken_entry_is_nothing_else_is_decided(tmp_path: Path) -> None:
    paces = Paces(str(tmp_path))
    await paces.begin("here")
    await paces.decide(20, 0.2)
    (tmp_path / "here-000000000020" / "meta.json").write_bytes(b"{")
    again = Paces(str(tmp_path))
    await again.begin("here")
    assert not await again.decide(20, 0.5)
    assert await again.decide(21, 0.5)
