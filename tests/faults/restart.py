"""`rec up` stopped, or killed outright with all its children, and started again on its data folder.

    python -m tests.faults.restart [--events 600] [--times 3]

Says how many accepted events the restarted system does not know (after SIGKILL at most what was not yet archived),
how long ago the oldest of them was accepted when the kill came, and whether the shoppers' lists are the same. Exit 1 if
more is missing than that, or less than 0.8 of the first ten items are there again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from rec.client import RecClient
from tests.faults.ending import run_trial

USERS = 20
READY_WITHIN_S = 120
OVERLAP = 0.8  # of the first ten items, at least: scores decay and the model learns between the two looks
BOUND_S = 2.0  # nothing accepted longer than this before a SIGKILL may be missing


class Running(NamedTuple):
    """A `rec up` that is ready."""

    process: subprocess.Popen[str]
    url: str
    api_key: str
    seconds: float


class Outcome(NamedTuple):
    """What one stop and one start did."""

    how: str
    accepted: int
    missing: int
    oldest_missing_s: float  # before the kill; 0 if nothing is missing
    same_lists: int  # of USERS, the first ten items in the same order
    overlap: float  # mean share of the first ten items that are there again
    ready_s: float  # of the second start


@contextlib.asynccontextmanager
async def rec_up(folder: Path, *more: str) -> AsyncIterator[Running]:
    """Start `rec up`, wait until it is ready, and end it with SIGTERM if it still runs."""
    began = time.monotonic()
    command = [sys.executable, "-m", "rec.cli", "up", "--port", "0", "--json", "--data-dir", str(folder), *more]
    with (folder.parent / f"{folder.name}.err").open("a") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), READY_WITHIN_S)
        ready = json.loads(line)
        yield Running(process, ready["url"], ready["api_key"], time.monotonic() - began)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)
        if process.stdout is not None:
            process.stdout.close()


async def trial(folder: Path, how: str, events: int, rate: float = 200.0) -> Outcome:
    """Traffic, then the end (`stop` or `kill`) in the middle of it, then a start and a look at what is there."""
    accepted: dict[str, float] = {}
    async with rec_up(folder) as first:
        await until_encoded(folder)  # lists of before and after are to differ by the restart alone
        async with RecClient(first.url, api_key=first.api_key) as client:
            items = [place.item_id for place in (await client.recommend("nobody", n=100)).items]
            for n in range(events):
                user, item = f"u{n % USERS}", items[(n * 7 + n % USERS) % len(items)]
                event_id = f"{how}-{n}"
                await client.track("view_item", user_id=user, items=[item], event_id=event_id)
                accepted[event_id] = time.monotonic()
                await asyncio.sleep(max(0.0, 1 / rate - 0.002))
            await until_folded(client, events // USERS)
            before = [await _list(client, f"u{n}") for n in range(USERS)] if how == "stop" else []
            if how == "kill":  # the lists first, then one more burst, so that the kill comes into traffic
                before = [await _list(client, f"u{n}") for n in range(USERS)]
                for n in range(50):
                    event_id = f"{how}-burst-{n}"
                    await client.track("view_item", user_id=f"burst{n}", items=[items[n]], event_id=event_id)
                    accepted[event_id] = time.monotonic()
                first.process.kill()
        ended = time.monotonic()
    async with rec_up(folder) as second:
        known = _archived(folder)
        async with RecClient(second.url, api_key=second.api_key) as client:
            after = [await _list(client, f"u{n}") for n in range(USERS)]
    missing = sorted(accepted[event_id] for event_id in accepted.keys() - known)
    overlap = [len(set(a) & set(b)) / max(1, len(a)) for a, b in zip(before, after, strict=True)]
    return Outcome(
        how,
        len(accepted),
        len(missing),
        ended - missing[0] if missing else 0.0,
        sum(a == b for a, b in zip(before, after, strict=True)),
        sum(overlap) / len(overlap),
        second.seconds,
    )


async def _list(client: RecClient, user_id: str) -> list[str]:
    return [place.item_id for place in (await client.recommend(user_id, n=10)).items]


async def until_folded(client: RecClient, events: int, within_s: float = 60.0) -> None:
    """Until every user's list knows of so many events: on a busy machine the worker may be seconds behind."""
    async with asyncio.timeout(within_s):
        for n in range(USERS):
            while (await client.recommend(f"u{n}", n=10)).version < events:
                await asyncio.sleep(0.1)


async def until_encoded(folder: Path, within_s: float = 300.0) -> None:
    """Until every product's text has its vector."""
    async with asyncio.timeout(within_s):
        while _count(folder, "item_vectors") < _count(folder, "items"):
            await asyncio.sleep(0.5)


def _count(folder: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(folder / "rec.db")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  our own two names


def _archived(folder: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(folder / "rec.db")) as database:
        return {event_id for (event_id,) in database.execute("SELECT event_id FROM events")}


async def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=600)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args(argv)
    failed = 0
    for how in ("stop", "kill"):
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as folder:
                outcome = await trial(Path(folder) / "data", how, options.events)
            failed += outcome.overlap < OVERLAP
            failed += outcome.missing > 0 and (how == "stop" or outcome.oldest_missing_s > BOUND_S)
            sys.stdout.write(json.dumps(outcome._asdict()) + "\n")
            sys.stdout.flush()
    return int(bool(failed))


if __name__ == "__main__":
    os.environ.pop("REC_DATA_DIR", None)
    sys.exit(run_trial(main(sys.argv[1:])))
