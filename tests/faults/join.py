"""Kill the only worker while it joins: `python -m tests.faults.join --lists 100000 --kills 2`.

Every list has an impression; a share has clicks, carts and purchases; signs come late (some after their window is
over), twice, and shuffled. Exit 0 if the newest examples in the topic are those of a plain offline join.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import click

from rec.embedded.up import SESSION_TIMEOUT_S
from rec.events import Attribution, Event, EventItem, encode_event, instant
from rec.feedback import FeedbackExample, decode_example, encode_told
from rec.ports import Log
from rec.served import Lists, Served, ServedItem, pack
from rec.state import Touch, UserState
from rec.topics import BEHAVIOR, DEAD_LETTERS, FEEDBACK, SERVED
from tests.faults.crash import broker
from tests.faults.ending import run_trial
from tests.joining import differences, newest, offline_join
from tests.stack import Stack, shelf, stack, until

PARTITIONS = 4
PLACES, SEEN = 10, 6
LATE, SHUFFLED, REPEATED = 0.05, 0.20, 0.10  # shares of the signs
TICK_S = 0.05
DRAIN_S = 120.0


class Telling(NamedTuple):
    """One record to publish, `at` seconds after the start."""

    at: float
    topic: str
    what: Served | Event


class Rough(NamedTuple):
    """What is told, in the order in which it comes, and the same as a plain join needs it."""

    told: list[Telling]
    served: list[Served]
    signs: list[Event]


class JoinVerdict(NamedTuple):
    """What is left to complain about, empty if nothing."""

    lists: int
    records: int
    late: int  # signs that came after the window of their list was over
    repeated: int
    revised: int  # lists whose example was given anew
    examples: int  # records of the topic, all revisions
    gaps: list[float]  # seconds from a kill until an example or a window moved again
    wrong: list[str]
    dead: int
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.wrong and not self.dead


def rough_feedback(lists: int, users: int, seconds: float, window_s: float, began: float, rng: Random) -> Rough:
    """`lists` lists over `seconds`, each seen a moment later by its user, and what they did then. Times are real."""
    ids = [item.item_id for item in shelf()]
    told, served, signs = [], [], []
    for number in range(lists):
        at = seconds * number / lists
        user = f"user-{number % users}"
        shown = rng.sample(ids, PLACES)
        history = (Touch(began + at - 1, shown[0], "view_item"),)
        one = Served(
            f"slate-{number}", user, "home", began + at, "default", "gate-0",
            tuple(ServedItem(item_id, 1 - k / 20, "rules", 0.1, "tent") for k, item_id in enumerate(shown)),
            UserState(epoch="e", version=number, history=history),
        )  # fmt: skip
        served.append(one)
        told.append(Telling(at + (rng.uniform(0, 4) if rng.random() < SHUFFLED else 0.1), SERVED, one))
        for name, items, after in _signs(shown, rng):
            sign = Event(
                event=name, event_id=f"{number}-{name}-{items[0]}", user_id=user,
                items=tuple(EventItem(item_id, index=shown.index(item_id)) for item_id in items),
                attribution=Attribution(one.slate_id),
                received_ts=instant(began + at + after), event_ts=instant(began + at + after),
            )  # fmt: skip
            signs.append(sign)
            lot = rng.random()
            delay = rng.uniform(window_s, 1.5 * window_s) if lot < LATE else 0.0
            if LATE <= lot < LATE + SHUFFLED:
                delay = rng.uniform(0, window_s / 2)
            told.append(Telling(at + after + delay, BEHAVIOR, sign))
            if rng.random() < REPEATED:
                told.append(Telling(at + after + delay + rng.uniform(0, window_s), BEHAVIOR, sign))
    return Rough(sorted(told, key=lambda telling: telling.at), served, signs)


def _signs(shown: Sequence[str], rng: Random) -> list[tuple[str, tuple[str, ...], float]]:
    """(event, items, seconds after the list was made)."""
    found: list[tuple[str, tuple[str, ...], float]] = [("view_item_list", tuple(shown[:SEEN]), rng.uniform(1, 3))]
    if rng.random() < 0.25:
        item = rng.choice(shown[:SEEN])
        found.append(("select_item", (item,), rng.uniform(2, 5)))
        if rng.random() < 0.4:
            found.append(("add_to_cart", (item,), rng.uniform(3, 12)))
            if rng.random() < 0.5:
                found.append(("purchase", (item,), rng.uniform(5, 15)))
    elif rng.random() < 0.05:
        found.append(("not_interested", (rng.choice(shown[:SEEN]),), rng.uniform(2, 5)))
    return found


class Followed:
    """The topic `feedback` as it grows."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log, self._topic = log, topic
        self.newest: dict[str, FeedbackExample] = {}
        self.records = 0
        self.moved_at = 0.0

    async def follow(self) -> None:
        async for records in self._log.tail(self._topic):
            for record in records:
                if record.value is None:
                    continue
                example = decode_example(record.value)
                self.records += 1
                self.moved_at = record.timestamp
                known = self.newest.get(example.slate_id)
                if known is None or example.revision >= known.revision:
                    self.newest[example.slate_id] = example


async def join(
    folder: Path,
    bootstrap: str,
    *,
    lists: int,
    users: int,
    kills: int,
    seconds: float,
    window_s: float,
    seed: int,
    drain_s: float = DRAIN_S,
    embedded: bool = False,
) -> JoinVerdict:
    """Publish at the pace of `seconds` whatever the worker does, kill it in between, and compare at the end."""
    started, name = time.monotonic(), f"join-{seed}-{Random().randrange(10**6)}"
    names: dict[str, object] = {
        "app_id": name, "topic_prefix": f"{name}-", "partitions": PARTITIONS, "feedback_window_s": window_s,
        "feedback_late_s": 3_600, "feedback": True,
    }  # fmt: skip
    if embedded:
        names["session_timeout_s"] = SESSION_TIMEOUT_S
    folder.mkdir(parents=True, exist_ok=True)
    async with stack(folder, bootstrap, shelf(), names, embedded=embedded) as world:
        followed = Followed(world.log, world.settings.topic(FEEDBACK))
        await world.worker()
        await world.workers_ready(1)
        tasks = [asyncio.create_task(followed.follow()), asyncio.create_task(world.supervise())]
        try:
            rough = rough_feedback(lists, users, seconds, window_s, time.time(), Random(seed))
            gaps, publishing = [], asyncio.create_task(_publish(world, rough.told))
            tasks.append(publishing)
            for _ in range(kills):
                await asyncio.sleep(seconds / (kills + 1))
                gaps.append(await _kill_and_restart(world, followed))
            await publishing
            expected = offline_join(rough.served, rough.signs, window_s)
            wrong: list[str] = ["not compared"]
            until_s = time.monotonic() + drain_s

            def same() -> bool:
                nonlocal wrong
                click.echo(f"{len(followed.newest)} of {len(expected)} lists have an example", err=True)
                if len(followed.newest) < len(expected) and time.monotonic() < until_s:
                    return False
                wrong = differences(expected, newest(followed.newest.values()))
                return not wrong

            await until(same, drain_s + 60, every_s=min(5.0, window_s / 6))
            dead = sum((await world.log.ends(world.settings.topic(DEAD_LETTERS))).values())
            if wrong:
                click.echo(world.logs(), err=True)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    records = len(rough.told)
    ends = {one.slate_id: one.at for one in rough.served}
    late = sum(
        1 for telling in rough.told
        if isinstance(telling.what, Event) and telling.what.attribution is not None
        and telling.at - (ends[telling.what.attribution.slate_id] - rough.served[0].at) > window_s + 3
    )  # fmt: skip
    return JoinVerdict(
        lists=lists,
        records=records,
        late=late,
        repeated=records - len(rough.served) - len(rough.signs),
        revised=sum(example.revision > 0 for example in followed.newest.values()),
        examples=followed.records,
        gaps=gaps,
        wrong=wrong,
        dead=dead,
        seconds=time.monotonic() - started,
    )


async def _publish(world: Stack, told: Sequence[Telling]) -> None:
    """Each record at its time, or as soon afterwards as the broker takes it."""
    began, done = time.monotonic(), 0
    topics = {name: world.settings.topic(name) for name in (SERVED, BEHAVIOR)}
    while done < len(told):
        now, upto = time.monotonic() - began, done
        while upto < len(told) and told[upto].at <= now and upto - done < 2_000:
            upto += 1
        for name, topic in topics.items():
            pairs = [_pair(telling.what) for telling in told[done:upto] if telling.topic == name]
            if pairs:
                await world.log.publish_many(topic, pairs)
        done = upto
        if done < len(told) and told[done].at > now:
            await asyncio.sleep(TICK_S)


def _pair(what: Served | Event) -> tuple[str, bytes | None]:
    if isinstance(what, Served):
        return what.user_id, encode_told(Lists((pack(what),)))
    return what.subject, encode_event(what)


async def _kill_and_restart(world: Stack, followed: Followed) -> float:
    """Seconds until an example comes again, by the broker's clock."""
    world.kill("worker")
    killed = time.time()
    await world.worker()
    with contextlib.suppress(TimeoutError):
        await until(lambda: followed.moved_at > killed + 0.2, 90.0)
    return max(followed.moved_at, killed) - killed


def tell(verdict: JoinVerdict) -> None:
    click.echo(
        f"{verdict.lists} lists seen, {verdict.records} records ({verdict.late} signs after their window, "
        f"{verdict.repeated} repeated), {verdict.examples} examples out, {verdict.revised} lists revised; "
        f"{len(verdict.wrong)} differences from the offline join, {verdict.dead} dead letters; "
        f"{verdict.seconds:.0f} s; examples again after " + ", ".join(f"{gap:.1f} s" for gap in verdict.gaps)
    )
    for line in verdict.wrong[:10]:
        click.echo(f"  {line}")


@click.command()
@click.option("--lists", default=100_000, show_default=True)
@click.option("--users", default=5_000, show_default=True)
@click.option("--kills", default=2, show_default=True)
@click.option("--seconds", default=240.0, show_default=True, help="Over which the lists are made.")
@click.option("--window", "window_s", default=60.0, show_default=True)
@click.option("--drain", "drain_s", default=1_200.0, show_default=True, help="Seconds that the worker may lag behind.")
@click.option("--seed", default=1, show_default=True)
@click.option("--embedded", is_flag=True, help="On the embedded broker, used as `rec up` does.")
def main(
    lists: int, users: int, kills: int, seconds: float, window_s: float, drain_s: float, seed: int, embedded: bool
) -> None:
    """Kill the only worker while it joins, and compare what it made with a plain join."""

    async def trials() -> bool:
        with tempfile.TemporaryDirectory() as name:
            async with broker(Path(name), embedded) as bootstrap:
                verdict = await join(
                    Path(name) / "world", bootstrap, lists=lists, users=users, kills=kills, seconds=seconds,
                    window_s=window_s, seed=seed, drain_s=drain_s, embedded=embedded,
                )  # fmt: skip
        tell(verdict)
        return verdict.ok

    sys.exit(0 if run_trial(trials()) else 1)


if __name__ == "__main__":
    main()
