"""a person → **choosing** → registry. Which version serves: promoted, rolled back, or left to the trainer again.

What `rec models` and the console do. Whoever chooses pins: nothing else goes live by itself until they let go. The
weights are read first; one whose checksums do not hold is refused, and nothing changes. The choice is in the audit
trail with whoever made it. The caller tells the workers. Reading weights blocks, so it happens in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from rec.contest import UNTAUGHT
from rec.errors import ModelError, NotFound
from rec.model.checkpoint import load_meta
from rec.model.deltas import check
from rec.ports import Models, ModelVersion
from rec.versions import may_go_live, untaught, ways_back

PAGE = 200


class Recording(Protocol):
    """Puts what its block does into the audit trail: `recorded` of rec.audit, with the trail and the actor known."""

    def __call__(
        self, action: str, target: str, begun: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[dict[str, Any]]: ...


class Chosen(NamedTuple):
    """What serves now, and what served before; None if that was none, or the same."""

    version: str
    replaced: str | None


async def promote(database: Models, name: str, note: str, recording: Recording) -> Chosen:
    """Let a version serve, and pin it. Raises NotFound, ModelError."""
    if name == UNTAUGHT and await database.version_of(name) is None:
        await database.record_version(untaught(datetime.now(UTC)))
    version = may_go_live(name, await database.version_of(name), None)
    if why := await asyncio.to_thread(broken, version):
        raise ModelError(f"{why}. Choose one whose weights are whole: rec models list")
    async with recording("rec models promote", name, {"note": note}) as detail:
        live = await database.live_version()
        await database.go_live(name, note, pin=True)
        detail["replaced"] = replaced = live.version if live and live.version != name else None
    return Chosen(name, replaced)


async def roll_back(
    database: Models, note: str, recording: Recording, say: Callable[[str], object] = lambda _: None
) -> Chosen:
    """Back to the newest earlier version that has served, and pin it; `say` hears of those passed over.

    Raises NotFound, ModelError.
    """
    live = await database.live_version()
    if live is None:
        raise NotFound("No version is live, so there is none to go back from. See which there are: rec models list")
    chosen = await asyncio.to_thread(_first_whole, ways_back(await _earlier(database, live)), say)
    if chosen is None:
        raise ModelError(
            f"there is no way back from {live.version}: no earlier version may serve and has whole weights. "
            "Choose one by its name: rec models list, rec models promote VERSION; or what every installation begins "
            f"with: rec models promote {UNTAUGHT}"
        )
    async with recording("rec models rollback", chosen.version, {"note": note}) as detail:
        if (now := await database.live_version()) is None or now.version != live.version:
            raise ModelError(f"another version went live meanwhile, instead of {live.version}. Look again, then retry")
        await database.go_live(chosen.version, note, rolled_back=True, pin=True)
        detail["replaced"] = live.version
    return Chosen(chosen.version, live.version)


async def let_go(database: Models, recording: Recording, note: str | None = None) -> str | None:
    """Pin none: the trainer promotes again by itself. The version that was pinned."""
    released = await database.pinned()
    begun = {"released": released, **({} if note is None else {"note": note})}
    async with recording("rec models promote", "automatic", begun):
        await database.pin(None)
    return released


def wrong_files(version: ModelVersion) -> dict[str, str | None]:
    """File → what is wrong with it, of a version with weights; all of them are read. `gate-0` has none: it is code."""
    if version.version == UNTAUGHT:
        return {}
    assert version.url is not None
    try:
        files = check(version.url, version.version)
        of_another = load_meta(version.url, version.version)["digest"] != version.digest
    except ModelError as error:
        return {"meta.json": error.message}
    return {"meta.json": "its digest is not the version's: these are other weights" if of_another else None, **files}


def broken(version: ModelVersion) -> str:
    """What is wrong with the weights of a version, in one line; empty if nothing is."""
    wrong = [f"{file}: {why}" for file, why in wrong_files(version).items() if why is not None]
    return f"the weights of {version.version} are broken ({'; '.join(wrong)})" if wrong else ""


async def _earlier(database: Models, live: ModelVersion) -> list[ModelVersion]:
    earlier: list[ModelVersion] = []
    before = live.version
    while page := await database.versions(PAGE, before):
        earlier += page
        before = page[-1].version
    return earlier


def _first_whole(candidates: list[ModelVersion], say: Callable[[str], object]) -> ModelVersion | None:
    for each in candidates:
        if not (why := broken(each)):
            return each
        say(f"passed over: {why}")
    return None
