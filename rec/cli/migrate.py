"""`rec migrate`: the database's schema, brought up to the one that this version needs."""

from __future__ import annotations

import asyncio

import click

from rec.cli.here import settings_here
from rec.cli.output import emit_json, json_option, say
from rec.store.sql import migrate as bring_up
from rec.store.sql import open_database


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Bring the schema of REC_DATABASE_URL up to this version's; `alembic upgrade head`, from any folder.

    Once at each release, before the processes start. Does nothing where there is nothing to do. An SQLite file is made
    where there is none.
    """
    revision = asyncio.run(_migrated())
    if as_json:
        emit_json({"revision": revision})
    else:
        say(f"the schema is at revision {revision}")


async def _migrated() -> str | None:
    settings, _ = await asyncio.to_thread(settings_here)
    await bring_up(settings.database_url)
    async with open_database(settings) as database:
        return await database.schema_revision()
