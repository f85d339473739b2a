"""`rec strategies`: the ways to make lists that are stored, which of them the bandit may choose, and every change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from rec.cli.audit import actor, why_option
from rec.cli.here import settings_here
from rec.cli.hints import tell_workers
from rec.cli.output import emit, emit_json, json_option, pretty, say, table
from rec.errors import BadInput, NotFound
from rec.policy.bandit import BanditRules
from rec.policy.chosen import Offer, Stored
from rec.policy.store import Who
from rec.policy.strategy import strategy_of
from rec.ports import Database, Hint
from rec.store.sql import open_database

DEAF = (
    "the bandit learns nothing: REC_FEEDBACK is off, so each of its strategies gets an equal part of the lists. Set "
    "REC_FEEDBACK=true where the workers run and start them again; docs/feedback.md says what that costs"
)
HINT = Hint("strategies", "")
F = TypeVar("F", bound=Callable[..., Any])


def json_of(given: str) -> Any:
    """JSON from the command line: itself, or the name of a file that holds it. Raises BadInput."""
    text = given
    if not given.lstrip().startswith("{"):
        path = Path(given)
        if not path.is_file():
            raise BadInput(f"{given}: this is no JSON object, and there is no such file.", field="JSON")
        text = path.read_text(encoding="utf-8")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadInput(f"{given[:60]}: this is not valid JSON: {error}.", field="JSON") from None


async def changed(change: Callable[[Database, Who], Awaitable[object]], why: str) -> bool:
    """Make a change as whoever runs the command; whether workers could be told of it."""
    if not why.strip():
        raise BadInput("--why is empty. Say why, for whoever reads the audit trail.", field="--why")
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        await change(database, Who(actor(), why.strip()))
    return await tell_workers(settings, HINT)


async def stored_here() -> Stored:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        return await database.stored()


@click.group()
def strategies() -> None:
    """Ways to make lists: a strategy is chosen by an experiment, else by the bandit, else it is REC_STRATEGY's.

    \b
    rec strategies put '{"name":"bold","temperature":0.3}' --bandit --why "to see what else they like"
    rec strategies list
    rec strategies drop bold --why "it earned less"
    """


@strategies.command("list")
@json_option
def list_(as_json: bool) -> None:
    """All that are stored, and which of them the bandit may choose."""
    stored = asyncio.run(stored_here())
    if as_json:
        for offer in stored.offers:
            emit_json(offer)
        return
    if not stored.offers:
        say("no strategy is stored: every list is made by that of REC_STRATEGY")
        return
    shown = table("name", "bandit", "what it sets")
    for offer in stored.offers:
        values = {name: value for name, value in msgspec.to_builtins(offer.strategy).items() if name != "name"}
        shown.add_row(offer.strategy.name, "yes" if offer.bandit else "-", msgspec.json.encode(values).decode())
    emit(shown)


@strategies.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """One strategy."""
    found = next((each for each in asyncio.run(stored_here()).offers if each.strategy.name == name), None)
    if found is None:
        raise NotFound(f"There is no strategy {name!r}. Those there are: rec strategies list.", field="name")
    if as_json:
        emit_json(found)
    else:
        click.echo(pretty(found))


@strategies.command()
@click.argument("json", metavar="JSON|FILE")
@click.option("--bandit/--no-bandit", default=False, show_default=True, help="Whether the bandit may choose it.")
@why_option
@json_option
def put(json: str, bandit: bool, why: str, as_json: bool) -> None:
    """Store a strategy, or replace the one of its name. Fields: docs/policy.md. Workers have it within two seconds."""
    values = json_of(json)
    if not isinstance(values, dict) or "name" not in values:
        raise BadInput('A strategy is an object with a name, like {"name":"bold","temperature":0.3}.', field="JSON")
    offer = Offer(strategy_of(values), bandit)
    told, learns = asyncio.run(_put(offer, why))
    if bandit and not learns:
        say(DEAF)
    if as_json:
        emit_json({"strategy": offer.strategy.name, "bandit": bandit, "workers_told": told})
    else:
        say(f"{offer.strategy.name} is stored")


@strategies.command()
@click.argument("name")
@why_option
@json_option
def drop(name: str, why: str, as_json: bool) -> None:
    """Take a strategy away. One that an experiment names stays."""
    told = asyncio.run(changed(lambda database, who: database.drop_strategy(name, who), why))
    if as_json:
        emit_json({"dropped": name, "workers_told": told})
    else:
        say(f"{name} is gone")


async def _put(offer: Offer, why: str) -> tuple[bool, bool]:
    """Whether workers could be told, and whether they join lists with what became of them."""
    settings, _ = await asyncio.to_thread(settings_here)
    rules = BanditRules.from_settings(settings)
    return await changed(lambda database, who: database.put_strategy(offer, who, rules), why), settings.feedback
