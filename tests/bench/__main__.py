"""`python -m tests.bench`: every figure in one run, on the embedded broker; a table, and JSON where --out says."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psutil

from rec.demo.world import demo_catalog
from rec.embedded.broker import embedded_broker
from tests.bench.figures import table
from tests.bench.folding import folding
from tests.bench.hub import measure
from tests.bench.latency import FLOOR_RATE, RATES, bare_agent, full_stack
from tests.stack import Stack, stack

PARTS = ("latency", "folding", "sockets")
IDLE, FANOUT, SLATE_BYTES = 3_000, 1_000, 4_096


def say(text: str) -> None:
    click.echo(text, err=True)


async def bench(parts: tuple[str, ...], rates: tuple[float, ...], seconds: float) -> dict[str, Any]:
    """All asked-for parts, one after the other, on one broker."""
    figures: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    items = demo_catalog(seed=7)
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
    if "sockets" in parts:
        say(f"{IDLE:,} idle websockets, then 4 kB slates to {FANOUT:,}")
        figures["sockets"] = await measure(FANOUT, IDLE, SLATE_BYTES, seconds)
    return figures


async def _start(world: Stack) -> None:
    say("starting worker, archiver, web; encoding the catalog")
    await world.worker()
    await world.start("archiver", "agents", "archiver")
    await world.web()
    await world.ready()
    await _encoded(world)


async def _encoded(world: Stack, quiet_s: float = 3.0) -> None:
    """Until the worker has stopped writing about texts to encode: the bench is of the loop, not of the first start."""
    log, since, size = world.folder / "worker.log", time.monotonic(), -1
    while time.monotonic() - since < quiet_s:
        if (now := log.stat().st_size) != size:
            size, since = now, time.monotonic()
        await asyncio.sleep(0.2)


def stores() -> dict[str, psutil.Process]:
    """Broker and Redis: this process's own children, by their command line."""
    children = {" ".join(child.cmdline()[:2]): child for child in psutil.Process().children()}
    names = {"broker": " broker", "redis": "redis-server"}
    return {name: child for name, part in names.items() for line, child in children.items() if part in line}


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The table's lines."""
    found: list[tuple[str, str, str]] = []

    def row(what: str, measured: str, wanted: str = "") -> None:
        found.append((what, measured, wanted))

    def times(row: dict[str, Any]) -> str:
        return " / ".join(f"{row.get(f'p{p}_ms', float('nan')):.1f}" for p in (50, 95, 99)) + " ms"

    if "latency" in figures:
        floor = figures["floor"]
        row(f"floor at {floor['rate']}/s, p50/p95/p99", times(floor))
        for one in figures["latency"]:
            wanted = f"p50 under {5 * floor['p50_ms']:.1f} (5x the floor), p99 under 150" if one["rate"] == 200 else ""
            row(f"event → push at {one['rate']:g}/s, p50/p95/p99", times(one), wanted)
            lost = f"{one['late']} not within 5 s, {one['refused']} refused"
            row("", f"{one['events']} events, {lost}, {one['connections']} websockets")
            row("", "cores: " + ", ".join(f"{name} {share:.2f}" for name, share in one["cores"].items()))
            if one["rate"] == floor["rate"]:
                row("  p50 against the floor", f"{one['p50_ms'] / floor['p50_ms']:.1f}x", "at most 5x")
    if (folded := figures.get("folding")) is not None:
        row("events folded by one worker", f"{folded['worker_per_s']:.0f}/s")
        row("bare agent, one table write", f"{folded['bare_per_s']:.0f}/s")
        row("  ratio", f"{folded['ratio']:.2f}", "at least 0.80")
    if (held := figures.get("sockets")) is not None:
        idle, busy = held["idle"], held["saturated"]
        row(
            f"memory per idle connection, {idle['connections']}",
            f"{idle['rss_kib_per_connection']} KiB",
            "under 25 KiB",
        )
        row("web CPU per 4 kB slate delivered", f"{busy['cpu_us_per_delivery']} µs", "under 120 µs")
        row(
            "",
            f"{busy['delivered_per_s']}/s to {busy['connections']} sockets, {100 * busy['cpu_cores']:.0f} % of a core",
        )
    return found


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here, as JSON.")
@click.option("--seconds", default=15.0, show_default=True, help="For each rate, and for the pushes.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only this; can be given again.")
@click.option("--rate", "rates", multiple=True, type=float, default=RATES, show_default=True, help="Events a second.")
def main(out: Path | None, seconds: float, parts: tuple[str, ...], rates: tuple[float, ...]) -> None:
    """Latency, throughput, memory and CPU of the loop, each beside its floor."""
    figures = asyncio.run(bench(parts or PARTS, rates, seconds))
    if out is not None:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    click.echo(table(rows(figures)))
    if out is not None:
        say(f"figures: {out}")


if __name__ == "__main__":
    main()
