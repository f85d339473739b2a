"""Quantiles in milliseconds, the targets, and the table that `make bench` prints. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

RATE_OF_TARGETS = 200  # events a second
TIMES_THE_FLOOR, P99_MS = 5.0, 150.0
FOLDING_RATIO = 0.8
IDLE_KIB, DELIVERY_US = 25.0, 120.0
_NAN = float("nan")


class Row(NamedTuple):
    """One line of the table; `held` is False where a target was missed."""

    what: str
    measured: str
    wanted: str = ""
    held: bool = True


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 in ms by nearest rank; empty if there is nothing.

    >>> quantiles([0.001 * n for n in range(1, 101)])
    {'p50_ms': 50.0, 'p95_ms': 95.0, 'p99_ms': 99.0}
    """
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {f"p{p}_ms": round(ordered[max(0, -(-len(ordered) * p // 100) - 1)] * 1e3, 2) for p in (50, 95, 99)}


def report(figures: dict[str, Any]) -> list[Row]:
    """What was measured, beside the targets. A figure that is missing or not a number misses its target."""
    return [*_latency(figures), *_folding(figures), *_sockets(figures), *_lessons(figures)]


def _latency(figures: dict[str, Any]) -> list[Row]:
    if "latency" not in figures:
        return []
    floor = figures["floor"]
    rows = [Row(f"floor at {floor['rate']}/s, p50/p95/p99", _times(floor))]
    for one in figures["latency"]:
        judged = one["rate"] == RATE_OF_TARGETS
        rows.append(
            Row(
                f"event → push at {one['rate']:g}/s, p50/p95/p99",
                _times(one),
                f"p99 under {P99_MS:g}" if judged else "",
                not judged or one.get("p99_ms", _NAN) < P99_MS,
            )
        )
        lost = f"{one['late']} not within 5 s, {one['refused']} refused"
        rows.append(Row("", f"{one['events']} events, {lost}, {one['connections']} websockets"))
        rows.append(Row("", "cores: " + ", ".join(f"{name} {share:.2f}" for name, share in one["cores"].items())))
        if judged:
            times = one.get("p50_ms", _NAN) / floor.get("p50_ms", _NAN)
            wanted = f"at most {TIMES_THE_FLOOR:g}x"
            rows.append(Row("  p50 against the floor", f"{times:.1f}x", wanted, times <= TIMES_THE_FLOOR))
    return rows


def _folding(figures: dict[str, Any]) -> list[Row]:
    if (folded := figures.get("folding")) is None:
        return []
    ratio = folded["ratio"]
    return [
        Row("events folded by one worker", f"{folded['worker_per_s']:.0f}/s"),
        Row("bare agent, one table write", f"{folded['bare_per_s']:.0f}/s"),
        Row(
            "  folded against the bare agent",
            f"{ratio:.2f} (median of {len(folded['ratios'])})",
            f"at least {FOLDING_RATIO:.2f}",
            ratio >= FOLDING_RATIO,
        ),
    ]


def _sockets(figures: dict[str, Any]) -> list[Row]:
    if (held := figures.get("sockets")) is None:
        return []
    idle, busy = held["idle"], held["saturated"]
    kib, us = idle["rss_kib_per_connection"], busy["cpu_us_per_delivery"]
    share = f"{100 * busy['cpu_cores']:.0f} % of a core"
    return [
        Row(
            f"memory per idle connection, {idle['connections']}",
            f"{kib} KiB",
            f"under {IDLE_KIB:g} KiB",
            kib < IDLE_KIB,
        ),
        Row("web CPU per 4 kB slate delivered", f"{us} µs", f"under {DELIVERY_US:g} µs", us < DELIVERY_US),
        Row("", f"{busy['delivered_per_s']}/s to {busy['connections']} sockets, {share}"),
    ]


def _lessons(figures: dict[str, Any]) -> list[Row]:
    if (taught := figures.get("lessons")) is None:
        return []
    return [
        Row("examples learned by the trainer's child", f"{taught['child_per_s']:.0f}/s"),
        Row("bare step of the same shapes", f"{taught['bare_per_s']:.0f}/s"),
        Row("  learned against the bare step", f"{taught['ratio']:.2f} (median of {len(taught['rounds'])})"),
    ]


def _times(row: dict[str, Any]) -> str:
    return " / ".join(f"{row.get(f'p{p}_ms', _NAN):.1f}" for p in (50, 95, 99)) + " ms"


def table(rows: Sequence[Row]) -> str:
    """Columns: what, measured, wanted, and a word where it was missed."""
    cells = [("", "measured", "wanted", ""), *(_cells(row) for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.what, row.measured, row.wanted, "" if row.held else "MISSED"
