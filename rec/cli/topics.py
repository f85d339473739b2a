"""`rec topics`: what is in the log, who is behind, and what could not be processed. Reads only, joins no group."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import msgspec

from rec.cli.given import refuse_before_subcommand
from rec.cli.here import settings_here
from rec.cli.output import ago, emit, emit_json, json_option, quiet_drivers, say, table
from rec.dead_letters import DeadLetter, newest_letters
from rec.errors import Unavailable

if TYPE_CHECKING:
    from rec.config import Settings
    from rec.store.kafka.survey import Survey, TopicFacts

T = TypeVar("T")

TALLY = 500  # newest dead letters whose reasons are counted


class Overview(NamedTuple):
    """Everything that `rec topics` shows. `reasons` are those of the newest dead letters."""

    survey: Survey
    missing: list[str]
    dead: int
    reasons: Counter[str]


@click.group(invoke_without_command=True)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 600), default=10.0, show_default=True)
@json_option
@click.pass_context
def topics(context: click.Context, timeout_s: float, as_json: bool) -> None:
    """Topics, partitions, records, lag of the consumer groups, dead letters.

    \b
    rec topics
    rec topics dead-letters --last 20

    Settings as for the worker: REC_BROKER_URL, REC_APP_ID, REC_TOPIC_PREFIX; or those of the `rec up` of this folder.
    """
    if context.invoked_subcommand is not None:
        refuse_before_subcommand(context)
        return
    quiet_drivers()
    settings, told = settings_here()
    overview = _run(_overview(settings, timeout_s))
    if as_json:
        emit_json(_as_json(overview))
        return
    say(f"{settings.broker_url} ({told})")
    _show(overview)


@topics.command("dead-letters")
@click.option("--last", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many, newest last.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1, 600), default=10.0, show_default=True)
@click.option("--payload", is_flag=True, help="Show the records too; they may hold personal data.")
@json_option
def dead_letters(last: int, timeout_s: float, payload: bool, as_json: bool) -> None:
    """The newest records that could not be processed, with the reason of each.

    \b
    rec topics dead-letters --last 5
    rec topics dead-letters --json --payload | jq -r .payload
    """
    quiet_drivers()
    settings, _ = settings_here()
    letters = _run(_letters(settings, last, timeout_s))
    for letter in letters if as_json else ():
        emit_json(_letter_json(letter, payload))
    if not as_json:
        _show_letters(letters, payload)


# ---------------------------------------------------------------- reading
def _run(reading: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(reading)
    except Unavailable as error:
        raise Unavailable(f"{error.message}. See what is wrong: rec doctor") from error


async def _overview(settings: Settings, timeout_s: float) -> Overview:
    from rec.store.kafka.survey import survey
    from rec.topics import DEAD_LETTERS
    from rec.topics import topics as wanted_topics

    names = [topic.name for topic in wanted_topics(settings)]
    found = await survey(settings, names, timeout_s)
    missing = [name for name in names if name not in {topic.name for topic in found.topics}]
    dead = next((topic for topic in found.topics if topic.name == settings.topic(DEAD_LETTERS)), None)
    letters = await _newest(settings, dead, TALLY, timeout_s)
    return Overview(found, missing, dead.records if dead else 0, Counter(letter.reason for letter in letters))


async def _letters(settings: Settings, last: int, timeout_s: float) -> list[DeadLetter]:
    from rec.store.kafka.survey import survey
    from rec.topics import DEAD_LETTERS

    name = settings.topic(DEAD_LETTERS)
    found = await survey(settings, [name], timeout_s)
    return await _newest(settings, found.topics[0] if found.topics else None, last, timeout_s)


async def _newest(settings: Settings, topic: TopicFacts | None, last: int, timeout_s: float) -> list[DeadLetter]:
    from rec.store import open_log

    if topic is None or not topic.records:
        return []
    async with open_log(settings) as log:
        return [kept.letter for kept in await newest_letters(log, topic.name, last, timeout_s)]


# ---------------------------------------------------------------- showing
def _show(overview: Overview) -> None:
    shown = table("topic", "partitions", "records", "kept", right=("partitions", "records"))
    for topic in overview.survey.topics:
        shown.add_row(topic.name, str(topic.partitions), f"{topic.records:,}", _kept(topic.config))
    for name in overview.missing:
        shown.add_row(name, "-", "-", "missing: the worker creates it when it starts")
    emit(shown)
    lags = table("group", "topic", "lag", right=("lag",))
    for group in overview.survey.groups:
        lags.add_row(group.group, group.topic, f"{group.lag:,}")
    if overview.survey.groups:
        emit("")
        emit(lags)
    reasons = ", ".join(f"{reason} {count}" for reason, count in overview.reasons.most_common())
    emit("")
    emit(f"dead letters: {overview.dead:,}" + (f" (newest {min(overview.dead, TALLY)}: {reasons})" if reasons else ""))
    if overview.dead:
        say("look at them: rec topics dead-letters")


def _kept(config: dict[str, str] | None) -> str:
    """How long the records of a topic stay.

    >>> _kept({"cleanup.policy": "compact"}), _kept({"retention.ms": "604800000"}), _kept({"retention.ms": "3600000"})
    ('newest of each key', '7 d', '1 h')
    >>> _kept({}), _kept(None)
    ('as the broker is set', 'the broker does not say')
    """
    if config is None:
        return "the broker does not say"
    if "compact" in config.get("cleanup.policy", ""):
        return "newest of each key"
    retention = config.get("retention.ms", "")
    if not retention.isdigit():
        return "for ever" if retention == "-1" else "as the broker is set"
    hours = int(retention) / 3_600_000
    return f"{hours / 24:.3g} d" if hours >= 24 else f"{hours:.3g} h"


def _show_letters(letters: list[DeadLetter], payload: bool) -> None:
    if not letters:
        say("there are no dead letters")
        return
    shown = table("when", "record", "reason", "error", right=())
    for letter in letters:
        when = datetime.fromtimestamp(letter.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        place = f"{letter.topic}[{letter.partition}]@{letter.offset}"
        shown.add_row(f"{when} ({ago(time.time() - letter.at)})", place, letter.reason, _one_line(letter.error, 90))
        if payload:
            shown.add_row("", "", "", _one_line(letter.payload, 90))
    emit(shown)


def _as_json(overview: Overview) -> dict[str, Any]:
    return {
        "topics": [topic._asdict() for topic in overview.survey.topics],
        "missing": overview.missing,
        "groups": [group._asdict() for group in overview.survey.groups],
        "dead_letters": {"total": overview.dead, "reasons": dict(overview.reasons)},
    }


def _letter_json(letter: DeadLetter, payload: bool) -> dict[str, Any]:
    shown = msgspec.to_builtins(letter)
    del shown["payload_base64"]
    if not payload:
        del shown["key"]
        return dict(shown)
    return {**shown, "payload": letter.payload}


def _one_line(text: str, width: int) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean if len(clean) <= width else clean[: width - 1] + "…"
