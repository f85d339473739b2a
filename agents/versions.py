"""contest → **versions** → registry → workers. Publishes what was learned, promotes it, holds it, or rolls back.

The registry in SQL is the truth and people change it too (`rec models promote`), so the live version is read from it
before every decision. While a version is pinned nothing is promoted; the lineage learns on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from agents.gpu import Gpu
from rec.contest import CANDIDATE, UNTAUGHT, Contest, Ladder, Round, Verdict
from rec.errors import ModelError, NotFound, Unavailable
from rec.model.checkpoint import delete, names
from rec.ports import Database, Exchange, Hint
from rec.versions import BASE, HELD, LIVE, PAST, ModelVersion, untaught

log = logging.getLogger(__name__)

KEPT = 40  # versions whose weights are kept, beside the anchors
MOST = 1_000  # rows of the registry that are looked through: far more than KEPT leaves


class Stand(NamedTuple):
    """How far the lineage is: what it is called, and what it has learned."""

    line: str  # a lineage has a name of its own: after an erasure the same count means other weights
    learned: int
    learned_through: float
    config: dict[str, object]


class Versions:
    """The trainer's side of the registry."""

    def __init__(
        self,
        *,
        gpu: Gpu,
        database: Database,
        exchange: Exchange,
        location: str,
        on_verdict: Callable[[Verdict], None] = lambda _: None,
    ) -> None:
        self._gpu, self._database, self._exchange, self._location = gpu, database, exchange, location
        self._on_verdict = on_verdict
        self._contest, self._ladder = Contest(), Ladder()
        self._live, self._published = UNTAUGHT, -1
        self._unreadable = False  # the live version's weights: gone, broken, or of other software than this
        self._holding = ""  # the row that tells of the present streak of holds

    @property
    def live(self) -> str:
        """The version that serves, as far as is known here."""
        return self._live

    async def begin(self, line: str) -> None:
        """After a (re)start of the child: let it score what serves, and the lineage's anchors that are still there."""
        self._contest, self._ladder = Contest(), Ladder()
        for version in reversed(await self._database.versions(limit=MOST)):
            served = version.state in (LIVE, PAST) and version.url is not None and not version.withdrawn
            if served and version.version.startswith(f"{line}-"):
                self._ladder.add(version.version, int(version.metrics["learned"]))
        await self._read_live()
        await self._contend()

    async def _contend(self) -> None:
        """Let the child score what serves, and the anchors. What it cannot load is no anchor any more."""
        missing = await self._gpu.contend(self._location, self._contenders())
        self._unreadable = self._live in missing
        if missing:
            log.warning("versions that cannot be loaded are not scored any more: %s", ", ".join(missing))
            self._ladder = Ladder([rung for rung in self._ladder.rungs if rung[0] not in missing])

    def add(self, rounds: list[Round]) -> None:
        """What the last batches said."""
        for one in rounds:
            self._contest.add(one)

    async def judge(self, stand: Stand) -> Verdict | None:
        """One decision, carried out. None if there is nothing to decide: nothing new, or a person has chosen.

        A live version that nobody can load, as after an update that changed the features, has no score to be beaten,
        and a worker that starts has nothing but the gate that nobody trained: that stands in for it.
        """
        await self._read_live()
        if self._unreadable:  # its files may be there by now
            await self._contend()
        if stand.learned <= self._published or await self._database.pinned() is not None:
            return None
        verdict = self._contest.decide(UNTAUGHT if self._unreadable else self._live, [UNTAUGHT, *self._ladder.names])
        if self._unreadable:
            verdict = verdict._replace(why=f"{self._live} cannot be loaded; {verdict.why}")
        if verdict.kind == "promote":
            await self.promote(stand, verdict.why)
        elif verdict.kind == "roll_back":
            await self._roll_back(verdict)
        else:
            await self._hold(stand, verdict)
        self._on_verdict(verdict)
        return verdict

    async def promote(self, stand: Stand, why: str) -> str | None:
        """The candidate as it is now, as a version that serves; None if it could not be written, or may not serve."""
        name = await self._record(stand, why)
        return name if name is not None and await self._serve(name, stand.learned, why) else None

    async def replace_all(self, stand: Stand, why: str, note: str) -> tuple[str, int] | None:
        """The candidate serves, and nothing older ever will again; its name, and how many those were.

        Withdrawal comes first, as it takes away a pin that would hold the successor back (one on `gate-0` stays: then
        that serves on); the weights of the others go last, as one of them serves until then. None if it could not be
        done: the next one may be.
        """
        name = await self._record(stand, why, whole=True)
        if name is None:
            return None
        withdrawn = await self._database.withdraw(name, note)
        self._ladder = Ladder()
        if await self._database.pinned() == UNTAUGHT:  # it has learned from nobody: a person's choice of it stands
            if not await self._goes_live(UNTAUGHT, why):
                return None
            self._live, self._published = UNTAUGHT, stand.learned
            await self._tell(UNTAUGHT)
        elif not await self._serve(name, stand.learned, why):
            return None
        await self._sweep()
        return name, len(withdrawn)

    async def _record(self, stand: Stand, why: str, *, whole: bool = False) -> str | None:
        """The candidate's weights and its row, held; its name, None if it could not be written.

        `whole`: it can be read when every other version is gone.
        """
        name = f"{stand.line}-{stand.learned:09d}"
        try:
            more = {"version": name, "parent": self._live}
            written = await self._gpu.publish(self._location, name, more, whole=whole)
        except ModelError as error:  # a replay came out otherwise: a catalog that has changed meanwhile
            log.warning("%s was not published, the next one may be: %s", name, error.message)
            return None
        self._contest.crown(name)
        version = ModelVersion(
            version=name,
            parent=self._live,
            state=HELD,
            digest=written.digest,
            offset=written.offset,
            learned_through=_instant(written.learned_through),
            created_at=datetime.now(UTC),
            config={**stand.config, **({BASE: written.base} if written.base is not None else {})},
            metrics={**self._metrics(), "learned": float(written.learned)},
            url=self._location,
            note=why,
        )
        await self._database.record_version(version)
        return name

    async def _serve(self, name: str, learned: int, why: str) -> bool:
        """Let a recorded version go live; False, and it stays held, if a person chose otherwise meanwhile."""
        if not await self._goes_live(name, why):
            return False
        self._ladder.add(name, learned)
        self._live, self._published, self._holding = name, learned, ""
        await self._contend()
        await self._tell(name)
        await self._prune()
        return True

    async def _goes_live(self, name: str, why: str, *, rolled_back: bool = False) -> bool:
        """Between reading the registry and this a person may have pinned or removed one: theirs is the choice."""
        try:
            await self._database.go_live(name, why, rolled_back=rolled_back)
        except (ModelError, NotFound) as error:
            log.warning("%s does not go live: %s", name, error.message)
            return False
        return True

    async def _roll_back(self, verdict: Verdict) -> None:
        log.warning("rolling back: %s", verdict.why)
        if verdict.to == UNTAUGHT:
            await self._database.record_version(untaught(datetime.now(UTC)))
        served = await self._goes_live(verdict.to, verdict.why, rolled_back=True)
        unfit = self._live
        if served:
            self._live, self._holding = verdict.to, ""
        elif await self._database.pinned() is None:  # it is gone: do not choose it again
            unfit = verdict.to
        else:
            return
        self._ladder = Ladder([rung for rung in self._ladder.rungs if rung[0] != unfit])
        await self._contend()
        if served:
            await self._tell(verdict.to)

    async def _hold(self, stand: Stand, verdict: Verdict) -> None:
        """One row for a streak of holds, with the newest reason: the registry is for people to read."""
        self._holding = self._holding or f"{stand.line}-{stand.learned:09d}"
        log.info("held: %s", verdict.why)
        held = ModelVersion(
            version=f"{self._holding}-held",
            parent=self._live,
            state=HELD,
            digest="",
            offset=0,
            learned_through=_instant(stand.learned_through),
            created_at=datetime.now(UTC),
            config={},
            metrics=self._metrics(),
            url=None,
            note=verdict.why,
        )
        await self._database.record_version(held)

    async def _read_live(self) -> None:
        found = await self._database.live_version()
        name = found.version if found is not None else UNTAUGHT
        if name != self._live:
            self._live = name
            await self._contend()

    async def _tell(self, name: str) -> None:
        """A hint, so that workers swap at once; without it they find out within seconds."""
        with contextlib.suppress(Unavailable):
            await self._exchange.hint(Hint("model", name))

    async def _prune(self) -> None:
        for gone in reversed(await self._database.prune_versions(KEPT, self._ladder.names)):
            if gone.url is not None:  # deltas go before what they rest on
                await asyncio.to_thread(delete, self._location, gone.version)

    async def _sweep(self) -> None:
        """After an erasure: away with the weights of all that is withdrawn, and of what the registry does not know.

        Also what somebody was interrupted at: those who withdrew, and those who wrote weights but no row for them.
        """
        for version in await self._database.versions(limit=MOST):
            if version.withdrawn and version.url is not None and version.version != self._live:
                await asyncio.to_thread(delete, version.url, version.version)
                await self._database.record_version(version._replace(url=None))
        for name in await asyncio.to_thread(names, self._location):
            found = await self._database.version_of(name)
            if found is None or (found.withdrawn and found.state != LIVE):
                log.info("%s serves nobody any more: its weights are removed", name)
                await asyncio.to_thread(delete, self._location, name)

    def _contenders(self) -> list[str]:
        return sorted({self._live, *self._ladder.names} - {UNTAUGHT})

    def _metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for prefix, name in (("", CANDIDATE), ("live_", self._live)):
            if (scores := self._contest.scores(name)) is not None:
                found |= {f"{prefix}nll": scores.loss, f"{prefix}hr@10": scores.hits, f"{prefix}mrr@10": scores.mrr}
        return found


def _instant(at: float) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at > 0 else None
