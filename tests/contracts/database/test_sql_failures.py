"""A database that is away, wrong or behind: each a clear error, and back in use as soon as it can be."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from rec.catalog import Item
from rec.errors import ConfigError, Unavailable
from rec.policy.chosen import Offer
from rec.policy.desk import Desk
from rec.policy.rules import Rule
from rec.policy.store import Who
from rec.policy.strategy import Strategy
from rec.store.sql import SqlDatabase, migrate
from rec.store.sql.schema import SCHEMA_HEAD
from tests.backends import Postgres


async def test_a_server_that_does_not_answer_is_unavailable_and_worth_another_try(unused_tcp_port: int) -> None:
    database = SqlDatabase(f"postgresql://rec@127.0.0.1:{unused_tcp_port}/rec")
    with pytest.raises(Unavailable, match="ConnectionRefused") as caught:
        await database.__aenter__()
    assert caught.value.temporary


@pytest.mark.needs_postgres
async def test_a_server_that_stops_is_unavailable_until_it_is_back(
    postgres: Postgres, make_url: Callable[[str], str]
) -> None:
    async with SqlDatabase(make_url("postgres")) as database:
        await database.put_items([Item(item_id="1", title="Tent")])
        await asyncio.to_thread(postgres.stop)
        try:
            with pytest.raises(Unavailable):
                await database.count_items()
            with pytest.raises(Unavailable):
                await database.put_items([Item(item_id="2", title="Tent")])
        finally:
            await asyncio.to_thread(postgres.start)
        assert await database.count_items() == 1  # a new connection, without being told


@pytest.mark.needs_postgres
async def test_a_database_that_is_not_there_is_a_setting_to_mend(postgres: Postgres) -> None:
    with pytest.raises(ConfigError, match='REC_DATABASE_URL.*"nowhere" does not exist'):
        await SqlDatabase(postgres.url("nowhere")).__aenter__()


async def test_a_file_that_is_not_there_is_a_setting_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"REC_DATABASE_URL.*rec migrate"):
        await SqlDatabase(f"sqlite:///{tmp_path}/no/such/rec.db").__aenter__()


async def test_a_file_that_is_no_database_is_a_setting_to_mend(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    with pytest.raises(ConfigError, match="file is not a database"):
        await SqlDatabase(f"sqlite:///{tmp_path}/notes.txt").__aenter__()


@pytest.mark.parametrize("url", ["mysql://db/rec", "a word", "sqlite://", "sqlite:///:memory:"])
async def test_a_url_that_names_no_usable_database_is_a_setting_to_mend(url: str) -> None:
    with pytest.raises(ConfigError, match="REC_DATABASE_URL"):
        SqlDatabase(url)


async def test_a_database_without_tables_names_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rec migrate"):
        await SqlDatabase(f"sqlite:///{tmp_path}/rec.db").__aenter__()


async def test_tables_that_go_missing_later_name_the_command_too(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "rec.db"
    path.write_bytes(sqlite_template.read_bytes())
    async with SqlDatabase(f"sqlite:///{path}") as database:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE items")
        connection.close()
        with pytest.raises(ConfigError, match="rec migrate"):
            await database.count_items()


async def test_a_schema_of_a_later_version_is_accepted(sqlite_template: Path, tmp_path: Path) -> None:
    path = tmp_path / "rec.db"
    path.write_bytes(sqlite_template.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    async with SqlDatabase(f"sqlite:///{path}") as database:
        assert await database.schema_revision() == "9999"
        assert await database.count_items() == 0


async def test_a_schema_of_a_later_version_is_not_migrated_and_both_versions_are_named(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rec.db"
    path.write_bytes(sqlite_template.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(
        ConfigError, match=rf"later version: revision 9999, where this one knows {SCHEMA_HEAD}\. Install"
    ):
        await migrate(f"sqlite:///{path}")


async def test_a_file_that_was_cut_off_is_called_damaged_by_whoever_opens_or_migrates_it(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rec.db"
    path.write_bytes(sqlite_template.read_bytes()[:8192])
    with pytest.raises(ConfigError, match=r"damaged \(.*malformed.*backup"):
        await SqlDatabase(f"sqlite:///{path}").__aenter__()
    with pytest.raises(ConfigError, match=r"damaged \(.*malformed.*backup"):
        await migrate(f"sqlite:///{path}")


async def test_a_value_that_the_tables_refuse_is_not_called_an_outage_and_is_not_quoted(url: str) -> None:
    async with SqlDatabase(url) as database:
        assert await database.schema_revision() == SCHEMA_HEAD
        if url.startswith("postgresql"):  # SQLite does not mind the length
            with pytest.raises(DBAPIError) as caught:
                await database.record("secret-actor" * 100, "a", "t", {})
            assert "secret-actor" not in str(caught.value)


async def test_a_database_that_is_not_open_says_so(url: str) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await SqlDatabase(url).count_items()


async def test_a_change_of_a_rule_without_its_line_in_the_trail_is_not_made(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rec.db"
    path.write_bytes(sqlite_template.read_bytes())
    rule = Rule(rule_id="hero", effect="pin", condition="in_stock")
    async with SqlDatabase(f"sqlite:///{path}") as database:
        await Desk(database, "ann", review=True).put(rule, "front page")
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE audit")
        before = await database.rules(), await database.rules_revision()
        for change in (
            Desk(database, "ann", review=False).put(rule, "front page"),
            Desk(database, "ann", review=False).remove("hero", "over"),
            Desk(database, "ann", review=False).decide_rule("hero", True, "fine"),
        ):
            with pytest.raises(ConfigError):
                await change
        assert (await database.rules(), await database.rules_revision()) == before


async def test_a_stored_strategy_that_this_version_refuses_is_left_aside_and_put_anew(
    sqlite_template: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rec.db"
    path.write_bytes(sqlite_template.read_bytes())
    who, good = Who("anna", "to try it"), Offer(Strategy(name="good"))
    async with SqlDatabase(f"sqlite:///{path}") as database:
        for name in ("good", "hot"):
            await database.put_strategy(Offer(Strategy(name=name)), who)
        with sqlite3.connect(path) as connection:
            body = '{"strategy":{"name":"hot","temperature":5e-324}}'
            connection.execute("UPDATE strategies SET body = ? WHERE name = 'hot'", (body,))
        assert (await database.stored()).offers == (good,)
        assert "temperature" in caplog.text
        await database.put_strategy(Offer(Strategy(name="hot", temperature=0.5)), who)
        assert (await database.stored()).strategy("hot") == Strategy(name="hot", temperature=0.5)
