"""A worker that joins lists with their feedback is killed; what is out at the end is what a plain offline join says."""

from __future__ import annotations

from pathlib import Path

import pytest

from rec.embedded.broker import embedded_broker
from tests.faults.join import join

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def test_a_kill_while_lists_are_joined_changes_no_example(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path / "broker") as bootstrap:
        verdict = await join(
            tmp_path / "world", bootstrap, lists=600, users=60, kills=1, seconds=4, window_s=3, seed=1, embedded=True
        )
    assert verdict.wrong == []
    assert verdict.dead == 0
    assert verdict.late > 0
    assert verdict.repeated > 0
    assert verdict.revised > 0
