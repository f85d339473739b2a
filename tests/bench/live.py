"""Learning while serving: `rec up` with simulated shoppers, and what its clients and metrics say meanwhile.

    python -m tests.bench.live [--shoppers 50] [--rate 100] [--seconds 60] [--settle 60] [--json]

Twenty probes of its own watch a list each and do something now and then: event → push. Of every slate that comes: how
old the newest event is that its model has learned from. Of worker and web: how long their loops stood still.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import aiohttp
import click

from rec.client import RecClient
from tests.bench.figures import quantiles

PROBES = 20


class Seen:
    """What the probes have seen since the last `clear`."""

    def __init__(self) -> None:
        self.behind: list[float] = []
        self.took: list[float] = []
        self.versions: set[str] = set()
        self.sent: dict[str, float] = {}

    def clear(self) -> None:
        self.behind.clear()
        self.took.clear()
        self.versions.clear()


@contextmanager
def running(folder: Path, shoppers: int, rate: float) -> Iterator[dict[str, str]]:
    """`rec up`, ready."""
    command = [sys.executable, "-m", "rec.cli", "up", "--port", "0", "--json", "--data-dir", str(folder)]
    command += ["--shoppers", str(shoppers), "--rate", str(rate)]
    with Popen(command, stdout=PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


async def watch(client: RecClient, user_id: str, seen: Seen) -> None:
    async for slate in client.subscribe(user_id, placement="home"):
        now = time.time()
        if slate.learned_through is not None:
            seen.behind.append(now - slate.learned_through.timestamp())
        seen.versions.add(slate.model_version)
        if (sent := seen.sent.pop(slate.cause.event_id or "", None)) is not None:
            seen.took.append(time.perf_counter() - sent)


async def act(client: RecClient, items: list[str], seen: Seen) -> None:
    rng = random.Random(1)
    for number in range(10**9):
        user, event_id = f"probe-{rng.randrange(PROBES)}", f"live-{number}-{time.time_ns()}"
        seen.sent[event_id] = time.perf_counter()
        await client.track("view_item", user_id=user, items=[rng.choice(items)], event_id=event_id)
        await asyncio.sleep(rng.expovariate(5.0))


async def gaps(http: aiohttp.ClientSession, url: str) -> dict[float, float]:
    """Cumulated counts of the histogram of loop gaps, by upper bound in seconds."""
    async with http.get(url) as answer:
        lines = (await answer.text()).splitlines()
    found = {}
    for line in lines:
        if line.startswith("shunxi_loop_gap_seconds_bucket"):
            bound, count = line.split('le="')[1].split('"} ')
            found[float(bound)] = float(count.split()[0])
    return found


def longest(before: dict[float, float], after: dict[float, float]) -> tuple[float, float]:
    """(the bound under which all gaps between two looks lie, the share of them that are under 0.05 s)."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = counts[float("inf")]
    return min(bound for bound, count in counts.items() if count == total), counts[0.05] / max(1.0, total)


async def measure(info: dict[str, str], folder: Path, settle: float, seconds: float) -> dict[str, Any]:
    told = json.loads((folder / "running.json").read_text())
    pages = {name: f"http://127.0.0.1:{port}/metrics" for name, port in told["metrics"].items()}
    pages["web"] = f"{info['url']}/metrics"
    seen = Seen()
    async with RecClient(info["url"], api_key=info["api_key"]) as client, aiohttp.ClientSession() as http:
        items = [item.item_id for item in (await client.recommend("probe-0", placement="home", n=100)).items]
        tasks = [asyncio.create_task(watch(client, f"probe-{number}", seen)) for number in range(PROBES)]
        tasks.append(asyncio.create_task(act(client, items, seen)))
        try:
            await asyncio.sleep(settle)
            before = {name: await gaps(http, page) for name, page in pages.items() if name in ("worker", "web")}
            learned = await counter(http, pages["trainer"], "shunxi_examples_learned_total")
            seen.clear()
            await asyncio.sleep(seconds)
            stood = {name: longest(before[name], await gaps(http, pages[name])) for name in before}
            learned = await counter(http, pages["trainer"], "shunxi_examples_learned_total") - learned
            share = await counter(http, pages["trainer"], "shunxi_train_share")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "slates": len(seen.behind),
        "versions": len(seen.versions),
        "examples a second": round(learned / seconds, 1),
        "share learned": share,
        "learned behind": quantiles(seen.behind),
        "event to push": quantiles(seen.took),
        "loop gaps under": {
            name: {"all": worst, "share under 0.05 s": round(part, 5)} for name, (worst, part) in stood.items()
        },
    }


async def counter(http: aiohttp.ClientSession, page: str, name: str) -> float:
    async with http.get(page) as answer:
        for line in (await answer.text()).splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    return 0.0


@click.command()
@click.option("--shoppers", default=50, show_default=True)
@click.option("--rate", default=100.0, show_default=True, help="Their events a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long is measured.")
@click.option("--settle", default=60.0, show_default=True, help="How long is waited before.")
@click.option("--json", "as_json", is_flag=True)
def main(shoppers: int, rate: float, seconds: float, settle: float, as_json: bool) -> None:
    """Learning while serving, measured from outside."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data", shoppers, rate) as info:
        found = asyncio.run(measure(info, Path(folder) / "data", settle, seconds))
    click.echo(json.dumps(found, indent=None if as_json else 2))


if __name__ == "__main__":
    main()
