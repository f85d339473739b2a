"""`rec.ports.Strategies` in SQL: strategies and experiments, each change with its line in the audit trail.

Invariant: whoever changes them holds the lock of the counter `strategies`, so each change is checked against what is
there, and its number is the revision that workers wait for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Table, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from rec.errors import NotFound
from rec.policy.bandit import DEFAULTS, BanditRules
from rec.policy.chosen import Offer, Stored, checked_drop, checked_experiment, checked_offer
from rec.policy.experiments import Experiment, begun
from rec.policy.store import Who
from rec.store.sql.audit import enter
from rec.store.sql.connection import Connected, lock_counter
from rec.store.sql.models import EXPERIMENT_ROWS, STRATEGIES, STRATEGY_ROWS, CounterRow

log = logging.getLogger(__name__)
T = TypeVar("T")


class SqlStrategies(Connected):
    """By name, in the order in which each was first put."""

    async def stored(self) -> Stored:
        async with self._unit() as session:
            revision = await _revision(session)
            return await _stored(session, revision)

    async def strategies_revision(self) -> int:
        async with self._unit() as session:
            return await _revision(session)

    async def put_strategy(self, offer: Offer, who: Who, rules: BanditRules = DEFAULTS) -> None:
        async with self._unit() as session:
            seq = await lock_counter(session, STRATEGIES, add=1)
            checked_offer((await _stored(session, seq)).offers, offer, rules)
            await self._put(session, STRATEGY_ROWS, offer.strategy.name, seq, offer)
            await _audit(session, who, "put strategy", offer.strategy.name, offer)

    async def drop_strategy(self, name: str, who: Who) -> None:
        async with self._unit() as session:
            seq = await lock_counter(session, STRATEGIES, add=1)
            checked_drop(name, await _stored(session, seq))
            await session.execute(delete(STRATEGY_ROWS).where(STRATEGY_ROWS.c.name == name))
            await _audit(session, who, "drop strategy", name, None)

    async def put_experiment(self, experiment: Experiment, who: Who) -> Experiment:
        async with self._unit() as session:
            seq = await lock_counter(session, STRATEGIES, add=1)
            stored = await _stored(session, seq)
            checked_experiment(experiment, stored.offers)
            before = next((each for each in stored.experiments if each.name == experiment.name), None)
            experiment = begun(before, experiment, datetime.now(UTC))
            await self._put(session, EXPERIMENT_ROWS, experiment.name, seq, experiment)
            await _audit(session, who, "put experiment", experiment.name, experiment)
        return experiment

    async def drop_experiment(self, name: str, who: Who) -> None:
        async with self._unit() as session:
            await lock_counter(session, STRATEGIES, add=1)
            gone = delete(EXPERIMENT_ROWS).where(EXPERIMENT_ROWS.c.name == name).returning(EXPERIMENT_ROWS.c.name)
            if (await session.execute(gone)).first() is None:
                raise NotFound(f"There is no experiment {name!r}. Those there are: rec experiments list.", field="name")
            await _audit(session, who, "drop experiment", name, None)

    async def _put(self, session: AsyncSession, table: Table, name: str, seq: int, body: Offer | Experiment) -> None:
        as_json = msgspec.to_builtins(body)
        put = self._insert(table).values(name=name, seq=seq, body=as_json)
        await session.execute(put.on_conflict_do_update(index_elements=[table.c.name], set_={"body": as_json}))


async def _revision(session: AsyncSession) -> int:
    return int(await session.scalar(select(CounterRow.value).where(CounterRow.name == STRATEGIES)) or 0)


async def _stored(session: AsyncSession, revision: int) -> Stored:
    offers = _understood(await _bodies(session, STRATEGY_ROWS), Offer, "strategy")
    experiments = _understood(await _bodies(session, EXPERIMENT_ROWS), Experiment, "experiment")
    return Stored(revision, tuple(offers), tuple(experiments))


def _understood(bodies: list[Mapping[str, Any]], kind: type[T], what: str) -> list[T]:
    """Those that this version takes; one that it does not is left aside, and the others go on."""
    found = []
    for body in bodies:
        try:
            found.append(msgspec.convert(body, kind))
        except msgspec.ValidationError as error:
            log.error("a stored %s does not hold here (%s); put it anew: %s", what, error, body)  # noqa: TRY400
    return found


async def _bodies(session: AsyncSession, table: Table) -> list[Mapping[str, Any]]:
    return list(await session.scalars(select(table.c.body).order_by(table.c.seq)))


async def _audit(session: AsyncSession, who: Who, action: str, name: str, body: Offer | Experiment | None) -> None:
    detail = {"why": who.why, **({"body": msgspec.to_builtins(body)} if body is not None else {})}
    await enter(session, who.actor, action, name, detail)
