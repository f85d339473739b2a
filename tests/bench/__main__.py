"""`python -m tests.bench`: every figure in one run, on the embedded broker; a table, and JSON where --out says."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psutil

from rec.catalog import Item
from rec.demo.world import demo_catalog
from rec.embedded.broker import embedded_broker
from tests.bench.figures import report, table
from tests.bench.folding import folding
from tests.bench.hub import measure
from tests.bench.latency import FLOOR_RATE, RATES, bare_agent, full_stack
from tests.bench.lessons import lessons
from tests.faults.restart import until_encoded
from tests.stack import Stack, stack

PARTS = ("latency", "folding", "sockets", "lessons")
OF_THE_STACK = {"latency", "folding"}
IDLE, FANOUT, SLATE_BYTES = 3_000, 1_000, 4_096


def say(text: str) -> None:
    click.echo(text, err=True)


async def bench(parts: tuple[str, ...], rates: tuple[float, ...], seconds: float) -> dict[str, Any]:
    """All asked-for parts, one after the other, on one broker."""
    figures: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    items = demo_catalog(seed=7)
    if OF_THE_STACK & set(parts):
        figures |= await _of_the_stack(parts, rates, seconds, items)
    if "sockets" in parts:
        say(f"{IDLE:,} idle websockets, then 4 kB slates to {FANOUT:,}")
        figures["sockets"] = await measure(FANOUT, IDLE, SLATE_BYTES, seconds)
    if "lessons" in parts:
        say("examples through the trainer's child, and a bare step of the same shapes")
        figures["lessons"] = await lessons(items)
    return figures


async def _of_the_stack(
    parts: tuple[str, ...], rates: tuple[float, ...], seconds: float, items: list[Item]
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    ids = [item.item_id for item in items]
    with tempfile.TemporaryDirectory(prefix="rec-bench-") as name:
        folder = Path(name)
        more = {"session_timeout_s": 10, "frames_per_minute": 1_000_000}
        async with embedded_broker(folder) as bootstrap, stack(folder, bootstrap, items, more, embedded=True) as world:
            await _start(world)
            if "latency" in parts:
                say(f"floor: bare agent → Redis → subscriber at {FLOOR_RATE}/s, {seconds:g} s")
                figures["floor"] = await bare_agent(world, seconds)
                say(f"full stack: 1,000 websockets, {seconds:g} s at each rate")
                figures["latency"] = await full_stack(world, ids, rates, seconds, stores())
            for child in ("web", "archiver", "worker"):
                await world.stop(child)
            if "folding" in parts:
                say("folding a topic of 20,000 events, and a bare agent with one table write")
                figures["folding"] = await folding(world, ids)
    return figures


async def _start(world: Stack) -> None:
    say("starting worker, archiver, web; encoding the catalog")
    await world.worker()
    await world.start("archiver", "agents", "archiver")
    await world.web()
    await world.ready()
    await until_encoded(world.folder)  # takes a core: the bench is not of the first start


def stores() -> dict[str, psutil.Process]:
    """Broker and Redis: this process's own children, by their command line."""
    children = {" ".join(child.cmdline()[:2]): child for child in psutil.Process().children()}
    names = {"broker": " broker", "redis": "redis-server"}
    return {name: child for name, part in names.items() for line, child in children.items() if part in line}


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here, as JSON.")
@click.option("--seconds", default=15.0, show_default=True, help="For each rate, and for the pushes.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this; can be given again.")
@click.option("--rate", "rates", multiple=True, type=float, default=RATES, show_default=True, help="Events a second.")
def main(out: Path | None, seconds: float, parts: tuple[str, ...], rates: tuple[float, ...]) -> None:
    """Latency, throughput, memory and CPU of the loop, each beside its floor. Exit code 1 if a target was missed."""
    sys.exit(conclude(asyncio.run(bench(parts or PARTS, rates, seconds)), out))


def conclude(figures: dict[str, Any], out: Path | None) -> int:
    """Save, print, and judge: 1 if a target was missed. The table goes to stdout, the rest to stderr."""
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n")
        say(f"figures: {out}")
    rows = report(figures)
    click.echo(table(rows))
    missed = [row for row in rows if not row.held]
    for row in missed:
        say(f"missed: {row.what.strip()}: {row.measured}, wanted {row.wanted}")
    return 1 if missed else 0


if __name__ == "__main__":
    main()
