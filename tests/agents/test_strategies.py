"""A worker chooses strategies as SQL says, notices a change, and goes on while SQL is away."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from agents.strategies import Strategies
from rec.errors import Unavailable
from rec.policy.bandit import BanditRules
from rec.policy.chosen import Offer, Stored
from rec.policy.experiments import Arm, Experiment
from rec.policy.store import Who
from rec.policy.strategy import Strategy
from rec.ports import Hint
from rec.store.memory import MemoryExchange
from rec.store.memory_db import MemoryDatabase

WHO = Who("anna", "to try it")
EVERYBODY = Experiment(
    name="x", arms=(Arm(name="a", strategy="bold", share=0.999), Arm(name="b", strategy="bold", share=0.001))
)


class Database(MemoryDatabase):
    """Says when it was read, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.away = 0, False

    async def strategies_revision(self) -> int:
        if self.away:
            raise Unavailable("the database is away")
        return await super().strategies_revision()

    async def stored(self) -> Stored:
        self.reads += 1
        return await super().stored()


def strategies(
    database: Database, exchange: MemoryExchange | None = None, rules: BanditRules | None = None
) -> Strategies:
    exchange, rules = exchange or MemoryExchange(), rules or BanditRules()
    return Strategies(database=database, exchange=exchange, rules=rules, rng=Random(1))


async def experimenting() -> Database:
    database = Database()
    await database.put_strategy(Offer(Strategy(name="bold", category_share=0.4)), WHO)
    await database.put_experiment(EVERYBODY, WHO)
    return database


async def test_lists_are_made_by_the_strategy_that_sql_assigns() -> None:
    chooser = strategies(await experimenting())
    assert chooser.choose("u1", "home", None, 0.0) is None  # not read yet
    await chooser.look()
    found = chooser.choose("u1", "home", None, 0.0)
    assert found is not None
    assert found.strategy == Strategy(name="bold", category_share=0.4)
    assert (found.experiment, found.arm) in {("x", arm.name) for arm in EVERYBODY.arms}


async def test_only_a_new_revision_is_read() -> None:
    database = await experimenting()
    chooser = strategies(database)
    await chooser.look()
    await chooser.look()
    assert database.reads == 1
    await database.put_strategy(Offer(Strategy(name="bold", category_share=0.9)), WHO)
    await chooser.look()
    found = chooser.choose("u1", "home", None, 0.0)
    assert found is not None
    assert found.strategy == Strategy(name="bold", category_share=0.9)


async def test_a_floor_that_does_not_fit_what_is_stored_is_said_once_and_lists_are_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Stored under another floor: by a shell without the variable, or before it was raised."""
    database = Database()
    for name in "abc":
        await database.put_strategy(Offer(Strategy(name=name), bandit=True), WHO)
    chooser = strategies(database, rules=BanditRules(floor=0.4))
    await chooser.look()
    made = [chooser.choose(f"u{at}", "home", None, 0.0) for at in range(100)]
    assert {one.strategy.name for one in made if one is not None} == set("abc")
    await database.put_strategy(Offer(Strategy(name="a", theta=0.5), bandit=True), WHO)
    await chooser.look()
    assert sum("REC_BANDIT_FLOOR=0.4" in line for line in caplog.messages) == 1


async def test_while_sql_is_away_what_was_read_goes_on() -> None:
    database = await experimenting()
    chooser = strategies(database)
    await chooser.look()
    database.away = True
    with pytest.raises(Unavailable):
        await chooser.look()
    assert chooser.choose("u1", "home", None, 0.0) is not None


async def test_a_hint_is_followed_at_once() -> None:
    database = await experimenting()
    async with MemoryExchange() as exchange:
        chooser = strategies(database, exchange)
        following = asyncio.create_task(chooser.run())
        try:
            async with asyncio.timeout(30):
                while chooser.choose("u1", "home", None, 0.0) is None:
                    await asyncio.sleep(0)
            await database.drop_experiment("x", WHO)
            async with asyncio.timeout(0.9):  # sooner than the next look by itself
                while chooser.choose("u1", "home", None, 0.0) is not None:
                    await exchange.hint(Hint("strategies", ""))
                    await asyncio.sleep(0.01)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
