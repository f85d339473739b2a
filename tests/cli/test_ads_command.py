"""`rec ads`: a table for people, one JSON value for scripts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.runner import rec
from tests.client.fake_server import FakeServer

ROW: dict[str, Any] = {
    "campaign": "spring", "ads": 3, "budget": 50.0, "spent": 12.5, "billed": 12.5, "due": 13.0, "pace": 0.4,
    "impressions": 1_000.0, "clicks": 25.0, "ctr": 0.025, "ecpm": 12.5, "foreseen": 24.0, "calibration": 25 / 24,
}  # fmt: skip
GONE = {**ROW, "campaign": "winter", "ads": 0} | dict.fromkeys(("budget", "due", "pace", "ctr", "ecpm", "calibration"))
FOUND: dict[str, Any] = {
    "day": "2026-11-28", "selling": True, "clicks": 25.0, "foreseen": 24.0, "campaigns": [ROW, GONE],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _campaigns(server: FakeServer) -> None:
    server.http["GET /v1/ads"] = lambda request, body: FOUND


async def test_the_table_has_a_campaign_a_line(server: FakeServer) -> None:
    done = await rec("ads")
    assert done.code == 0
    _, spring, winter = done.out.splitlines()
    assert spring.split() == [
        "spring",
        "3",
        "50.00",
        "12.50",
        "13.00",
        "40.0%",
        "1,000",
        "25",
        "2.50%",
        "12.50",
        "1.04",
    ]
    assert winter.split()[:3] == ["winter", "0", "–"]
    assert "25.0 clicks, 24.0 foreseen" in done.err


async def test_json_is_the_answer(server: FakeServer) -> None:
    assert (await rec("ads", "--campaign", "spring", "--n", "1", "--json")).lines == [FOUND]


@pytest.mark.parametrize(("selling", "says"), [(True, "kind ad"), (False, "REC_PLACEMENTS")])
async def test_nothing_to_show_is_said_with_what_brings_it(server: FakeServer, selling: bool, says: str) -> None:
    server.http["GET /v1/ads"] = lambda request, body: {**FOUND, "campaigns": [], "selling": selling}
    done = await rec("ads")
    assert (done.code, done.out) == (0, "")
    assert says in done.err
