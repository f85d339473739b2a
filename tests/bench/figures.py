"""Quantiles in milliseconds, and the table that `make bench` prints. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 in ms by nearest rank; empty if there is nothing.

    >>> quantiles([0.001 * n for n in range(1, 101)])
    {'p50_ms': 50.0, 'p95_ms': 95.0, 'p99_ms': 99.0}
    """
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {f"p{p}_ms": round(ordered[max(0, -(-len(ordered) * p // 100) - 1)] * 1e3, 2) for p in (50, 95, 99)}


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Columns: what, measured, wanted."""
    rows = [("", "measured", "wanted"), *rows]
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
