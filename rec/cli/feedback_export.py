"""`rec feedback export`, `exposure`: topic `feedback` → a line a list, for `rec experiments result` and for notebooks.

Two readings of the topic, so that memory holds a number a list and not the lists: which record of each is the newest,
then those. Who was erased or withdrew has no record any more, and so no line.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from rec.as_of_now import as_of_now
from rec.cli.here import settings_here
from rec.cli.output import quiet_drivers
from rec.cli.progress import ProgressLine
from rec.errors import ConfigError, Unavailable
from rec.feedback import FeedbackExample, decode_example
from rec.policy.exposure import Kind, Standings
from rec.policy.note import Draw
from rec.policy.refresh import FEATURES, Decision
from rec.ports import Log
from rec.rates import Rates
from rec.store import open_log
from rec.topics import FEEDBACK

PATIENCE_S = 10.0  # of a broker that is silent


def export(out: Path) -> int:
    """Write the topic's lists to `out`; how many there were. Raises Unavailable, ConfigError."""
    quiet_drivers()
    try:
        return asyncio.run(_export(out))
    except Unavailable as error:
        raise Unavailable(f"{error.message}. See what is wrong: rec doctor") from error
    except OSError as error:
        raise ConfigError(f"OUT {out}: {error.strerror or error}.", field="OUT") from error


async def _export(out: Path) -> int:
    settings, _ = await asyncio.to_thread(settings_here)
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    count = 0
    async with open_log(settings) as log:
        topic = settings.topic(FEEDBACK)
        file = await asyncio.to_thread(part.open, "wb")
        try:
            with file, ProgressLine("exporting", "lists") as line:
                async for examples in newest(log, topic, settings.partitions):
                    rows = b"".join(msgspec.json.encode(row_of(example)) + b"\n" for example in examples)
                    await asyncio.to_thread(file.write, rows)
                    count += len(examples)
                    line.update(count, None)
            await asyncio.to_thread(part.replace, out)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
    return count


def exposures(by: Kind) -> Standings:
    """Who was seen how much, in all lists of the topic, as of the newest. Raises Unavailable, ConfigError."""
    quiet_drivers()
    try:
        return asyncio.run(_exposures(by))
    except Unavailable as error:
        raise Unavailable(f"{error.message}. See what is wrong: rec doctor") from error


async def _exposures(by: Kind) -> Standings:
    settings, _ = await asyncio.to_thread(settings_here)
    rates = Rates(settings.feedback_half_life_s)
    async with open_log(settings) as log:
        with ProgressLine("reading", "lists") as line:
            async for examples in newest(log, settings.topic(FEEDBACK), settings.partitions):
                for example in examples:
                    rates.learn(example)
                line.update(rates.lists, None)
    return rates.exposures.standings(by, rates.through)


async def newest(log: Log, topic: str, partitions: int) -> AsyncIterator[list[FeedbackExample]]:
    """The newest example of each list that has one now, in the topic's order. Raises Unavailable after a long silence.

    A list's records are of one partition, so the newest is the last; one without a value takes the list back.
    """
    last: dict[bytes, int] = {}
    async for records in as_of_now(log, topic, partitions, PATIENCE_S):
        last.update((record.key, record.offset) for record in records)
    async for records in as_of_now(log, topic, partitions, PATIENCE_S):
        found = [record.value for record in records if record.value and last.get(record.key) == record.offset]
        if found:
            lists = [example for example in map(decode_example, found) if example.user_id]
            yield lists  # the others are ads without their lists (rec.ads.receipt)


def row_of(example: FeedbackExample) -> dict[str, Any]:
    """What a line says."""
    return {
        "subject": example.user_id,
        "at": example.at,
        "reward": example.reward,
        "placement": example.placement,
        "strategy": example.strategy,
        "experiment": example.experiment,
        "arm": example.arm,
        "chance": example.chance,
        "slate_id": example.slate_id,
        "model_version": example.model_version,
        "served_at": example.served_at,
        "refresh": decision_row(example.decision),
        "draw": draw_row(example.draw),
        "merit": example.merit,
        "places": [
            {
                "item_id": place.item_id,
                "seen": place.seen,
                "reward": place.reward,
                "propensity": place.propensity,
                "score": place.score,
                "source": place.source,
                "category": place.category,
                "brand": place.brand,
                "seller": place.seller,
                "actions": place.actions,
            }
            for place in example.places
        ],
    }


def draw_row(draw: Draw | None) -> dict[str, Any] | None:
    """What the drawn places were drawn from."""
    if draw is None:
        return None
    candidates = zip(draw.item_ids, draw.values().tolist(), strict=True)
    return {
        "temperature": draw.temperature,
        "places": draw.places,
        "candidates": [{"item_id": item_id, "logit": logit} for item_id, logit in candidates],
    }


def decision_row(decision: Decision | None) -> dict[str, Any] | None:
    """How the list took the place of the one before it."""
    if decision is None:
        return None
    context = dict(zip(FEATURES, decision.context, strict=False))
    return {"action": decision.action, "propensity": decision.propensity, "root": decision.root, "context": context}
