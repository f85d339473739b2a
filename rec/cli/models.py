"""`rec models`: which versions of the model there are, whether their weights are whole, and which one serves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from rec.cli.audit import recorded
from rec.cli.here import settings_here
from rec.cli.hints import tell_workers
from rec.cli.output import ago, emit, emit_json, json_option, pretty, say, table
from rec.config import Settings
from rec.errors import RecError
from rec.model import choosing
from rec.ports import Hint, ModelVersion
from rec.store.sql import open_database
from rec.versions import LIVE, unknown

SCORES = ("hr@10", "nll")  # shown in the list: of a version, and of the one that was live when it was measured
LET_GO = "To let the trainer choose again: rec models promote --automatic"


@click.group()
def models() -> None:
    """Versions of the model: look at them, choose one, go back.

    \b
    rec models list
    rec models promote 2026-11-25T10-40-00
    rec models rollback
    """


# ---------------------------------------------------------------- looking
@models.command("list")
@click.option("--last", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many, newest first.")
@json_option
def list_(last: int, as_json: bool) -> None:
    """The newest versions: state, age, what they learned, how good they were found beside the live one."""
    versions, pinned = asyncio.run(_newest(last))
    if as_json:
        for version in versions:
            emit_json(_as_json(version, pinned))
        return
    if not versions:
        say("there is no version yet")
        return
    shown = table("state", "version", "age", "learned through (UTC)", *SCORES, "parent")
    now = datetime.now(UTC)
    for each in versions:
        learned = f"{each.learned_through:%Y-%m-%d %H:%M:%S}" if each.learned_through else "-"
        scores = [_score(each.metrics, name) for name in SCORES]
        age = ago((now - each.created_at).total_seconds())
        shown.add_row(_state(each, pinned), each.version, age, learned, *scores, each.parent or "-")
    emit(shown)
    if pinned is not None:
        say(f"{pinned} is pinned: nothing else goes live by itself. {LET_GO}")


@models.command()
@click.argument("version")
@json_option
def show(version: str, as_json: bool) -> int:
    """Everything about one version, and whether the checksums of its files hold; exit code 1 if one does not."""
    found, pinned = asyncio.run(_one(version))
    shown = _as_json(found, pinned)
    away: RecError | None = None
    wrong: dict[str, str | None] = {}
    if found.url is not None:
        try:
            wrong = choosing.wrong_files(found)
            shown["files"] = [{"file": file, "holds": why is None, "wrong": why} for file, why in wrong.items()]
        except RecError as error:  # the store is away; what SQL knows can be shown
            away = error
    if as_json:
        emit_json(shown)
    else:
        click.echo(pretty(shown))
    if away is not None:
        raise away
    broken = {file: why for file, why in wrong.items() if why is not None}
    for file, why in broken.items():
        say(f"{file}: {why}")
    return int(bool(broken))


async def _newest(last: int) -> tuple[list[ModelVersion], str | None]:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        return await database.versions(last), await database.pinned()


async def _one(name: str) -> tuple[ModelVersion, str | None]:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        if (found := await database.version_of(name)) is None:
            raise unknown(name)
        return found, await database.pinned()


def _as_json(version: ModelVersion, pinned: str | None) -> dict[str, Any]:
    return {**version._asdict(), "pinned": version.version == pinned}


def _state(version: ModelVersion, pinned: str | None) -> str:
    marks = [version.state]
    if version.withdrawn and version.state == LIVE:
        marks.append("withdrawn")
    if version.version == pinned:
        marks.append("pinned")
    return ", ".join(marks)


def _score(metrics: dict[str, float], name: str) -> str:
    """
    >>> _score({"nll": 3.21456, "live_nll": 3.3}, "nll"), _score({"nll": 3.2}, "nll"), _score({}, "nll")
    ('3.2146 (live 3.3000)', '3.2000', '-')
    """
    if name not in metrics:
        return "-"
    live = metrics.get(f"live_{name}")
    return f"{metrics[name]:.4f}" + (f" (live {live:.4f})" if live is not None else "")


# ---------------------------------------------------------------- choosing
@models.command()
@click.argument("version", required=False)
@click.option("--automatic", is_flag=True, help="Pin none: the trainer promotes again by itself.")
@click.option("--note", default="promoted by hand", show_default=True, help="Kept with the version.")
@json_option
def promote(version: str | None, automatic: bool, note: str, as_json: bool) -> None:
    """Let a version serve and pin it, so that nothing else goes live by itself; or let go with --automatic.

    Its weights are read first: one whose checksums do not hold is refused, and nothing changes.
    """
    if automatic == (version is not None):
        raise click.UsageError("Name a version, or pass --automatic.")
    done = asyncio.run(_promote(version, note) if version is not None else _let_go())
    if as_json:
        emit_json(done)
    elif version is not None:
        _told(done)
    else:
        say(f"{done['released'] or 'nothing'} was pinned; the trainer chooses by itself now")


@models.command()
@click.option("--note", default="rolled back by hand", show_default=True, help="Kept with the version that serves now.")
@json_option
def rollback(note: str, as_json: bool) -> None:
    """Go back to the newest earlier version that has served, and pin it.

    Versions that are withdrawn, have no whole weights, or were rolled back themselves are passed over. If none has
    served, the newest earlier one that is held is taken.
    """
    done = asyncio.run(_roll_back(note))
    if as_json:
        emit_json(done)
    else:
        _told(done)


def _told(done: dict[str, Any]) -> None:
    instead = f" instead of {done['replaced']}" if done["replaced"] else ""
    say(f"{done['version']} is live{instead}, and pinned: nothing else goes live by itself. {LET_GO}")


async def _promote(name: str, note: str) -> dict[str, Any]:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        done = await choosing.promote(database, name, note, partial(recorded, database))
    return await _after(settings, done)


async def _roll_back(note: str) -> dict[str, Any]:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        done = await choosing.roll_back(database, note, partial(recorded, database), say)
    return await _after(settings, done)


async def _let_go() -> dict[str, Any]:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        released = await choosing.let_go(database, partial(recorded, database))
    return {"pinned": None, "released": released}


async def _after(settings: Settings, done: choosing.Chosen) -> dict[str, Any]:
    told = await tell_workers(settings, Hint("model", done.version))
    return {"version": done.version, "replaced": done.replaced, "pinned": done.version, "workers_told": told}
