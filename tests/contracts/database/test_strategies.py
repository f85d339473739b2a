"""Strategies and experiments in every database: put, replaced, dropped, each with who and why in the audit trail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from rec.errors import BadInput, NotFound
from rec.policy import chosen
from rec.policy.bandit import BanditRules
from rec.policy.chosen import Offer
from rec.policy.experiments import Arm, Experiment
from rec.policy.store import Who
from rec.policy.strategy import Strategy
from rec.ports import Database
from tests.contracts.database.conftest import Opener

ANNA = Who("anna", "less of the same")


def offer(name: str, bandit: bool = False, share: float = 0.5) -> Offer:
    return Offer(Strategy(name=name, category_share=share), bandit)


def ab(name: str = "ab", strategies: tuple[str, str] = ("a", "b"), running: bool = True) -> Experiment:
    arms = tuple(Arm(name=f"arm-{at}", strategy=each, share=0.5) for at, each in enumerate(strategies))
    return Experiment(name=name, arms=arms, running=running)


async def test_what_is_put_is_there_in_the_order_it_first_came(database: Database) -> None:
    for one in (offer("b"), offer("a", bandit=True), offer("b", share=0.9)):
        await database.put_strategy(one, ANNA)
    await database.put_experiment(ab("two"), ANNA)
    await database.put_experiment(ab("one"), ANNA)
    stored = await database.stored()
    assert stored.offers == (offer("b", share=0.9), offer("a", bandit=True))
    assert [experiment.name for experiment in stored.experiments] == ["two", "one"]
    assert stored.strategy("a") == Strategy(name="a", category_share=0.5)
    assert stored.strategy("c") is None


async def test_every_change_raises_the_revision_and_says_who_and_why(database: Database) -> None:
    assert await database.strategies_revision() == (await database.stored()).revision == 0
    await database.put_strategy(offer("a"), ANNA)
    await database.put_strategy(offer("b"), ANNA)
    await database.put_experiment(ab(), Who("ben", "is b better?"))
    await database.drop_experiment("ab", Who("ben", "it is not"))
    await database.drop_strategy("b", Who("ben", "tidy"))
    assert await database.strategies_revision() == (await database.stored()).revision == 5
    trail = [
        (entry["actor"], entry["action"], entry["target"], entry["detail"]["why"]) for entry in await database.recent()
    ]
    assert trail == [
        ("ben", "drop strategy", "b", "tidy"),
        ("ben", "drop experiment", "ab", "it is not"),
        ("ben", "put experiment", "ab", "is b better?"),
        ("anna", "put strategy", "b", "less of the same"),
        ("anna", "put strategy", "a", "less of the same"),
    ]
    assert (await database.recent())[-1]["detail"]["body"]["strategy"]["category_share"] == 0.5


async def test_an_experiment_keeps_its_strategies_alive(database: Database) -> None:
    await database.put_strategy(offer("a"), ANNA)
    with pytest.raises(BadInput, match="'b', which is not stored"):
        await database.put_experiment(ab(), ANNA)
    await database.put_strategy(offer("b"), ANNA)
    await database.put_experiment(ab(running=False), ANNA)
    with pytest.raises(BadInput, match="experiment 'ab' needs 'b'"):
        await database.drop_strategy("b", ANNA)
    assert len((await database.stored()).offers) == 2


async def test_an_experiment_keeps_when_its_arms_became_what_they_are(database: Database) -> None:
    for name in "abc":
        await database.put_strategy(offer(name), ANNA)
    first = await database.put_experiment(ab(), ANNA)
    assert first.since is not None
    assert abs((datetime.now(UTC) - first.since).total_seconds()) < 60
    given = msgspec.structs.replace(ab(running=False), since=datetime(2020, 1, 1, tzinfo=UTC))
    assert (await database.put_experiment(given, ANNA)).since == first.since
    other = await database.put_experiment(ab(strategies=("a", "c")), ANNA)
    assert other.since is not None
    assert other.since > first.since
    assert (await database.stored()).experiments == (other,)


async def test_what_is_not_there_cannot_be_dropped(database: Database) -> None:
    with pytest.raises(NotFound, match="no strategy 'a'"):
        await database.drop_strategy("a", ANNA)
    with pytest.raises(NotFound, match="no experiment 'ab'"):
        await database.drop_experiment("ab", ANNA)
    assert await database.recent() == []


async def test_the_bandit_gets_no_more_strategies_than_have_a_floor_of_traffic(database: Database) -> None:
    rules = BanditRules(floor=0.4)
    await database.put_strategy(offer("a", bandit=True), ANNA, rules)
    await database.put_strategy(offer("b", bandit=True), ANNA, rules)
    with pytest.raises(BadInput, match="more than all of it"):
        await database.put_strategy(offer("c", bandit=True), ANNA, rules)
    await database.put_strategy(offer("c"), ANNA, rules)
    assert [one.bandit for one in (await database.stored()).offers] == [True, True, False]


async def test_where_the_floor_was_raised_over_what_is_stored_a_step_back_is_taken(database: Database) -> None:
    for name in "abcd":
        await database.put_strategy(offer(name, bandit=True), ANNA, BanditRules(floor=0.1))
    raised = BanditRules(floor=0.4)
    await database.put_strategy(offer("a", bandit=True, share=0.9), ANNA, raised)  # as many as before
    await database.put_strategy(offer("b"), ANNA, raised)
    with pytest.raises(BadInput, match="more than all of it"):
        await database.put_strategy(offer("b", bandit=True), ANNA, raised)
    assert [one.bandit for one in (await database.stored()).offers] == [True, False, True, True]


async def test_there_is_a_most_that_is_stored(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "MAX_NAMED", 5)
    for at in range(5):
        await database.put_strategy(offer(f"s{at}"), ANNA)
    await database.put_strategy(offer("s0", share=0.2), ANNA)
    with pytest.raises(BadInput, match="Drop one first"):
        await database.put_strategy(offer("more"), ANNA)


async def test_changes_at_once_come_one_after_the_other(opener: Opener) -> None:
    async with opener() as one, opener() as two:
        names = [f"s{at}" for at in range(12)]
        await asyncio.gather(
            *(client.put_strategy(offer(n), ANNA) for n, client in zip(names, [one, two] * 6, strict=True))
        )
        stored = await two.stored()
        assert {each.strategy.name for each in stored.offers} == set(names)
        assert stored.revision == 12
