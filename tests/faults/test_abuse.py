"""What the trial of bad input measures, and what it calls a failure."""

from __future__ import annotations

import pytest

from tests.faults.abuse import (
    FRAMES,
    GROWTH_MIB,
    BadFrame,
    Sizes,
    expired_token,
    fault_of,
    grown,
    late_frame,
    only,
)
from tests.web.world import SECRET, open_shop


def test_the_worker_is_told_from_the_other_agents() -> None:
    commands = {
        name: ["/venv/bin/python", "-m", *words]
        for name, words in {
            "archiver": ["agents", "archiver"], "worker": ["agents", "worker"], "trainer": ["agents", "trainer"],
            "edge": ["web"], "a child of the trainer": ["multiprocessing"],
        }.items()
    }  # fmt: skip
    assert (only(commands, "agents", "worker"), only(commands, "web")) == ("worker", "edge")
    with pytest.raises(ValueError, match="unpack"):
        only({"archiver": commands["archiver"]}, "agents", "worker")


@pytest.mark.parametrize("name", Sizes._fields)
def test_whoever_keeps_growing_is_named(name: str) -> None:
    small = Sizes(100.0, 300.0, 3.0)
    large = small._replace(**{name: getattr(small, name) + GROWTH_MIB + 1})
    assert grown([small, small, large]) == {name: GROWTH_MIB + 1}
    assert grown([small, large, large]) == {}
    assert grown([large]) == {}


async def test_each_bad_frame_has_its_error_frame_and_its_close_code() -> None:
    async with open_shop() as shop:
        expired = expired_token(SECRET)
        for bad in [*FRAMES, late_frame(expired)]:
            async with shop.http.ws_connect(f"{shop.url}/v1/ws", protocols=["shunxi.v1"]) as ws:
                assert await fault_of(ws, bad) is None, bad.frame[:40]
        async with shop.http.ws_connect(f"{shop.url}/v1/ws", protocols=["shunxi.v1"]) as ws:
            assert await fault_of(ws, BadFrame(b"{", (1006,))) == "closed with 4501"
