"""`rec up` sells places of the demo's own shop, and of no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from rec.catalog import Item
from rec.config import load_settings
from rec.demo.ads import AN_AD, demo_ads
from rec.demo.world import demo_catalog
from rec.embedded.up import is_the_demos
from rec.store.sql import migrate, open_database


def test_the_ad_by_which_the_demo_is_known_is_one_of_its_ads() -> None:
    assert AN_AD in {ad.item_id for ad in demo_ads(demo_catalog(seed=7))}


@pytest.mark.parametrize(("items", "demos"), [([], True), (["camp-0001", AN_AD], True), (["camp-0001"], False)])
async def test_a_catalog_of_somebodys_own_is_not_the_demos(tmp_path: Path, items: list[str], demos: bool) -> None:
    path = tmp_path / "rec.db"
    assert is_the_demos(path)
    settings = load_settings(database_url=f"sqlite+aiosqlite:///{path}", data_dir=tmp_path)
    await migrate(settings.database_url)
    async with open_database(settings) as database:
        await database.put_items([Item(item_id=item_id, title=item_id) for item_id in items])
    assert is_the_demos(path) is demos
