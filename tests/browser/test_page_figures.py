"""What a visit to the shop takes stays small, and nothing moves under a finger while it arrives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.page import DESKTOP, opened
from tests.browser.chromium import chromium
from tests.browser.conftest import threads_ready
from tests.browser.shop import open_shop

pytestmark = [pytest.mark.needs_chromium, pytest.mark.timeout(120)]


async def test_a_visit_is_light_and_nothing_moves_as_it_arrives(tmp_path: Path) -> None:
    await threads_ready()
    async with open_shop(tmp_path, events=200) as shop, chromium() as browser:
        found = await opened(browser, shop.url, DESKTOP)
    assert found["layout_shift"] < 0.05, found["shifted"]  # 0.1 is what counts as good
    assert found["kB"] < 90
    assert found["requests"] < 45
    assert found["first_list_ms"] > 0
