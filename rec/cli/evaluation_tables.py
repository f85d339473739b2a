"""A report as tables for a person: the model beside its lines, slices, windows, lags, parts, seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rec.cli.output import emit, say, table
from rec.evaluation.metrics import METRICS
from rec.evaluation.report import lag_name


def show(body: Mapping[str, Any], *, with_windows: bool = False) -> None:
    """Everything that is in the report; windows only where they were asked for."""
    say(f"{body['scored']:,} targets tested")
    for metric in METRICS if body["intervals"] else ():
        say(f"95 % interval of {metric}: {between(body['intervals'][metric])}")
    _rows(body)
    if "lag_curve" in body and body.get("lags"):
        _compared("learned after", [(lag_name(p["lag_s"]), p) for p in body["lag_curve"]], "beside at once")
    if "parts" in body:
        _compared("part", [(part["part"], part) for part in body["parts"]], "beside the row above")
    if "by_seed" in body:
        seeds = table("seed", *METRICS, right=METRICS)
        for seed, measured in body["by_seed"].items():
            seeds.add_row(seed, *numbers(measured))
        emit(seeds)
    if "slices" in body:
        _parts("slice", list(body["slices"].items()))
    if with_windows:
        _parts("window", [(_span(window), window) for window in body["windows"]])


def _rows(body: Mapping[str, Any]) -> None:
    found = table("", *METRICS, right=METRICS)
    spread = body.get("spread", {})
    found.add_row("model", *numbers(body["model"], spread.get("model")))
    for name, measured in body["baselines"].items():
        found.add_row(name, *numbers(measured))
    if "frozen" in body:
        found.add_row("model, frozen", *numbers(body["frozen"], spread.get("frozen")))
    for lag, measured in body.get("lags", {}).items():
        found.add_row(f"model, {lag} s late", *numbers(measured, spread.get("lags", {}).get(lag)))
    emit(found)


def _parts(what: str, parts: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Slices or windows: the model with its interval beside the line with the best hit rate."""
    found = table(
        what, "targets", *METRICS, "hr@10, 95 %", "best line", "its hr@10", right=("targets", *METRICS, "its hr@10")
    )
    for name, part in parts:
        if part["scored"]:
            best = (part["best_baseline"], f"{part['best_baseline_hr@10']:.4f}") if "best_baseline" in part else ()
            found.add_row(
                name, f"{part['scored']:,}", *numbers(part), between(part["intervals"]["hr@10"]), *(best or ("", ""))
            )
    emit(found)


def _compared(what: str, rows: Sequence[tuple[str, Mapping[str, Any]]], beside: str) -> None:
    """Runs over the same targets, each with its paired difference."""
    found = table(what, *METRICS, f"hr@10 {beside}", "95 %", right=METRICS)
    for name, row in rows:
        difference = row.get("difference", {}).get("hr@10")
        said = (f"{difference['mean']:+.4f}", between((difference["low"], difference["high"]))) if difference else ()
        found.add_row(name, *numbers(row), *(said or ("", "")))
    emit(found)


def numbers(measured: Mapping[str, float], spread: Mapping[str, float] | None = None) -> list[str]:
    """Each metric with four digits, and with how far seeds are apart; empty where nothing was scored."""
    if not measured:
        return ["" for _ in METRICS]
    return [f"{measured[metric]:.4f}" + (f" ± {spread[metric]:.4f}" if spread else "") for metric in METRICS]


def between(interval: Sequence[float]) -> str:
    """An interval in words."""
    return f"{interval[0]:.4f} to {interval[1]:.4f}"


def _span(window: Mapping[str, Any]) -> str:
    first, last = (datetime.fromtimestamp(window[end], UTC) for end in ("from", "to"))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
