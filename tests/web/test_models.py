"""/v1/models: what `rec models` does, with the reason in the audit trail and a hint for the workers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rec.model import checkpoint
from rec.ports import Hint, ModelVersion
from tests.web.world import Shop


async def recorded(shop: Shop, folder: Path, *numbers: int) -> None:
    """Versions with their weights on disk; the last one serves."""
    url = str(folder / "versions")
    for n in numbers:
        weights = {"model": {"w": np.full(8, n, np.float32)}, "optimizer": {"m": np.zeros(8, np.float32)}}
        digest = await asyncio.to_thread(checkpoint.save, url, f"v{n}", weights, {"offset": n})
        made = datetime(2026, 11, 27, 10, n, tzinfo=UTC)
        await shop.database.record_version(
            ModelVersion(f"v{n}", None, "held", digest, n, made, made, {}, {"nll": 3.0}, url, f"the {n}")
        )
        await shop.database.go_live(f"v{n}")


def spoil(folder: Path) -> None:
    next(folder.rglob("*.safetensors")).write_bytes(b"rubbish")


async def choose(shop: Shop, **body: Any) -> Any:
    return await shop.call("POST", "/v1/models", json={"why": "it is better", **body})


async def test_versions_are_listed_newest_first_without_where_their_weights_lie(shop: Shop, tmp_path: Path) -> None:
    assert (await shop.call("GET", "/v1/models")).body == {"pinned": None, "versions": []}
    await recorded(shop, tmp_path, 1, 2)
    found = (await shop.call("GET", "/v1/models?n=1")).body
    assert [(each["version"], each["state"], each["has_weights"]) for each in found["versions"]] == [
        ("v2", "live", True)
    ]
    assert str(tmp_path) not in str(found)
    assert (await shop.call("GET", "/v1/console")).body["model"]["version"] == "v2"


async def test_a_version_is_promoted_and_pinned_let_go_and_rolled_back(shop: Shop, tmp_path: Path) -> None:
    await recorded(shop, tmp_path, 1, 2, 3)
    hints = shop.exchange.hints()
    assert await anext(hints) is None
    done = await choose(shop, decision="promote", version="v1", by="ann")
    assert done.body == {"version": "v1", "replaced": "v3", "pinned": "v1", "released": None}
    assert await anext(hints) == Hint("model", "v1")
    [entry] = await shop.database.recent(1)
    assert (entry["actor"], entry["target"], entry["detail"]) == (
        "api key: ann", "v1", {"note": "it is better", "replaced": "v3"},
    )  # fmt: skip
    assert (await choose(shop, decision="automatic")).body == {
        "version": None, "replaced": None, "pinned": None, "released": "v1",
    }  # fmt: skip
    await choose(shop, decision="promote", version="v3")
    assert (await choose(shop, decision="roll_back")).body["version"] == "v2"
    assert await shop.database.pinned() == "v2"


async def test_what_cannot_serve_is_refused_and_nothing_changes(shop: Shop, tmp_path: Path) -> None:
    assert (await choose(shop, decision="roll_back")).status == 404
    await recorded(shop, tmp_path, 1, 2)
    await asyncio.to_thread(spoil, tmp_path / "versions/v1")
    broken = await choose(shop, decision="promote", version="v1")
    assert (broken.status, broken.error["code"]) == (400, "model_refused")
    assert "broken" in broken.error["message"]
    assert (await choose(shop, decision="roll_back")).error["code"] == "model_refused"
    assert (await choose(shop, decision="promote", version="v9")).status == 404
    assert (await choose(shop, decision="promote")).error["field"] == "version"
    assert (await choose(shop, decision="roll_back", version="v1")).error["field"] == "version"
    assert (await choose(shop, decision="automatic", why=" ")).error["field"] == "why"
    assert (await choose(shop, decision="automatic", who="me")).error["field"] == "who"
    live = await shop.database.live_version()
    assert live is not None
    assert (live.version, await shop.database.pinned(), await shop.database.recent(5)) == ("v2", None, [])
