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
