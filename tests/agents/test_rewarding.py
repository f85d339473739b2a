"""What lists earned reaches the bandit: each list once, revised where it is, and kept over a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import msgspec

from agents.metrics import Metrics
from agents.rewarding import Rewarding, load_rewards
from agents.strategies import Strategies
from rec.config import load_settings
from rec.feedback import FeedbackExample, Place, encode_example
from rec.policy.bandit import BanditRules, means
from rec.policy.rewards import Rewards
from rec.restore import rewind_rewards
from rec.state import Touch, UserState
from rec.store.memory import MemoryExchange
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import Topic

RULES = BanditRules()
NEW = ("new", "home")


def example(
    slate: str, strategy: str, reward: float, revision: int = 0, known: int = 0, at: float = 100.0
) -> FeedbackExample:
    place = Place("i", 0.5, "knn", 1.0, "c", True, reward, {})
    state = UserState(epoch="e", history=tuple(Touch(float(n), f"i{n}", "view_item") for n in range(known)))
    return FeedbackExample(slate, "u", revision, "home", strategy, "m", at, at, (place,), state)


def earned(rewards: Rewards, group: tuple[str, str] = NEW) -> dict[str, tuple[float, float]]:
    return dict(means(rewards.bandit, group, now=100.0, rules=RULES))


def test_a_list_counts_once_and_its_newest_revision_is_what_it_earned() -> None:
    rewards = Rewards(RULES)
    assert rewards.learn(example("s1", "bold", 1.0))
    assert not rewards.learn(example("s1", "bold", 1.0))
    assert rewards.learn(example("s1", "bold", 5.0, revision=1))
    assert not rewards.learn(example("s1", "bold", 1.0))
    assert earned(rewards) == {"bold": (5.0, 1.0)}


def test_a_search_is_no_arm() -> None:
    rewards = Rewards(RULES)
    assert not rewards.learn(msgspec.structs.replace(example("s1", "search-hybrid", 1.0), placement="search"))
    assert rewards.by_strategy(100.0) == {}


def test_a_list_teaches_the_group_it_was_made_in() -> None:
    rewards = Rewards(RULES)
    rewards.learn(example("s1", "bold", 1.0, known=5))
    assert earned(rewards) == {}
    assert earned(rewards, ("known", "home")) == {"bold": (1.0, 1.0)}


def test_what_each_strategy_earned_over_all_groups_is_in_the_metrics(tmp_path: Path) -> None:
    rewards, metrics = Rewards(BanditRules(half_life_s=100.0)), Metrics()
    for at, (strategy, reward, known) in enumerate([("bold", 4.0, 0), ("bold", 0.0, 5), ("calm", 1.0, 0)]):
        rewards.learn(example(f"s{at}", strategy, reward, known=known))
    strategies = Strategies(database=MemoryDatabase(), exchange=MemoryExchange(), rules=RULES, rng=Random(1))
    rewarding = Rewarding(
        rewards,
        strategies=strategies,
        path=tmp_path / "r",
        source=MemoryLog(),
        topic="t",
        snapshot_s=1,
        metrics=metrics,
    )
    rewarding.show(200.0)

    def shown(series: str, strategy: str) -> float | None:
        return metrics.registry.get_sample_value(f"shunxi_strategy_{series}", {"strategy": strategy})

    assert [shown("reward", name) for name in ("bold", "calm")] == [2.0, 1.0]
    assert [shown("lists", name) for name in ("bold", "calm")] == [1.0, 0.5]  # half is left after 100 s


def test_a_snapshot_goes_on_where_it_ended() -> None:
    rewards = Rewards(RULES)
    for at in range(50):
        rewards.learn(example(f"s{at}", "bold", float(at % 3)))
    rewards.offsets[2] = 7
    again = Rewards.from_bytes(rewards.to_bytes(), RULES)
    assert again.bandit == rewards.bandit
    assert again.offsets == {2: 7}
    assert not again.learn(example("s3", "bold", 0.0))
    assert Rewards.from_bytes(rewards.to_bytes(), RULES, rewound=True).offsets == {}


async def test_the_topic_moves_the_bandit_of_the_worker_and_the_snapshot_is_read_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "rewards.msgpack"

    async def worker(log: MemoryLog) -> tuple[Rewarding, Strategies]:
        strategies = Strategies(database=MemoryDatabase(), exchange=MemoryExchange(), rules=RULES, rng=Random(1))
        rewards = await asyncio.to_thread(load_rewards, path, RULES)
        made = Rewarding(rewards, strategies=strategies, path=path, source=log, topic="feedback", snapshot_s=1e9,
                         metrics=Metrics())  # fmt: skip
        return made, strategies

    async with MemoryLog() as log:
        await log.create([Topic("feedback", 2, {})])
        rewarding, strategies = await worker(log)
        following = asyncio.create_task(rewarding.run())
        records = [(f"u{n}", encode_example(example(f"s{n}", "bold", 1.0))) for n in range(20)]
        await log.publish_many("feedback", [*records, ("u0", b"none")])
        async with asyncio.timeout(30):
            while means(strategies.bandit, NEW, now=100.0, rules=RULES).get("bold", (0.0, 0.0))[1] < 20:
                await asyncio.sleep(0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await rewarding.save()
        _, next_one = await worker(log)
        assert next_one.bandit == strategies.bandit


def test_a_snapshot_that_cannot_be_read_is_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "rewards.msgpack"
    path.write_bytes(b"\xc1")
    assert load_rewards(path, RULES).offsets == {}


def test_what_was_earned_is_kept_where_the_log_begins_anew(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    assert not rewind_rewards(settings)
    rewards = Rewards(RULES)
    rewards.learn(example("s1", "bold", 1.0))
    rewards.offsets[0] = 9
    settings.rewards_path.write_bytes(rewards.to_bytes())
    assert rewind_rewards(settings)
    again = load_rewards(settings.rewards_path, RULES)
    assert (again.bandit, again.offsets) == (rewards.bandit, {})
