"""report → **pictures**. PNGs of a report: windows of the stream, lag curve, slices, parts. Without a screen.

`Figure` and its Agg canvas alone, no pyplot: nothing global is touched, so a run inside another program is safe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rec.evaluation.report import lag_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRIC = "hr@10"
MODEL, LINE, LIMIT = "#1f5fa8", "#b9772e", "#8a8a8a"
LINES_SHOWN = 3  # the best baselines in the picture of the windows; more of them hide each other


def draw(body: Mapping[str, Any], folder: Path) -> list[Path]:
    """What the report has something for, as PNGs in `folder`, which is made if need be; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    if body["windows"]:
        made.append(_save(_windows(body), folder / "windows.png"))
    if len(body.get("lag_curve", ())) > 1:
        made.append(_save(_lags(body["lag_curve"]), folder / "lags.png"))
    if any(part["scored"] for part in body["slices"].values()):
        made.append(_save(_slices(body["slices"]), folder / "slices.png"))
    if body.get("parts"):
        made.append(_save(_ablation(body["parts"]), folder / "parts.png"))
    return made


def _windows(body: Mapping[str, Any]) -> Figure:
    windows = body["windows"]
    figure, axes = _axes("Hit rate over the stream", "share of targets on a list of ten", size=(9.0, 4.8))
    places = range(1, len(windows) + 1)
    ours = [window[METRIC] for window in windows]
    low, high = _ends(windows)
    axes.fill_between(places, low, high, color=MODEL, alpha=0.18, linewidth=0, label="95 % interval over shoppers")
    axes.plot(places, ours, "o-", color=MODEL, label="model")
    best = sorted(body["baselines"], key=lambda name: -body["baselines"][name][METRIC])[:LINES_SHOWN]
    for name, style in zip(best, ("--", "-.", ":"), strict=False):
        values = [window["baselines"][name][METRIC] for window in windows]
        axes.plot(places, values, style, color=LINE, label=name.replace("_", " "))
    shown = range(0, len(windows), max(1, -(-len(windows) // 10)))  # ten labels at most
    axes.set_xticks([at + 1 for at in shown], [_day(windows[at]["from"]) for at in shown], rotation=30, ha="right")
    axes.set_xlabel("beginning of the window (UTC); each has as many targets")
    axes.set_ylim(bottom=0)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _lags(points: Sequence[Mapping[str, Any]]) -> Figure:
    figure, axes = _axes("What being late costs", "share of targets on a list of ten", size=(7.5, 4.5))
    places = range(len(points))
    ours = [point[METRIC] for point in points]
    low, high = _ends(points)
    axes.fill_between(places, low, high, color=MODEL, alpha=0.18, linewidth=0, label="95 % interval over shoppers")
    axes.plot(places, ours, "o-", color=MODEL, label="model")
    for place, value in zip(places, ours, strict=True):
        axes.annotate(f"{value:.3f}", (place, value), (0, 9), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xticks(list(places), [lag_name(point["lag_s"]) for point in points])
    axes.set_xlim(-0.35, len(points) - 0.65)
    axes.set_xlabel("what happened is learned after")
    axes.set_ylim(0, max(high) * 1.12 or 1)
    axes.legend(loc="lower left", frameon=False)
    return figure


def _slices(slices: Mapping[str, Mapping[str, Any]]) -> Figure:
    shown = {name: part for name, part in slices.items() if part["scored"]}
    figure, axes = _axes("Where it comes from", "", size=(9.0, 1.4 + 0.55 * len(shown)))
    parts = list(shown.values())
    places = list(range(len(parts)))[::-1]
    ours = [part[METRIC] for part in parts]
    axes.barh([place + 0.18 for place in places], ours, 0.36, color=MODEL, label="model", xerr=_errors(parts))
    lines = [part.get("best_baseline_hr@10", 0.0) for part in parts]
    axes.barh([place - 0.18 for place in places], lines, 0.36, color=LINE, label="best line there")
    for place, part, line in zip(places, parts, lines, strict=True):
        if line:
            name = part["best_baseline"].replace("_", " ")
            axes.annotate(name, (line, place - 0.18), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(places, [f"{name}\n{part['scored']:,} targets" for name, part in shown.items()], fontsize=9)
    axes.set_xlabel("share of targets on a list of ten, with 95 % intervals over shoppers")
    axes.margins(x=0.14)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _ablation(parts: Sequence[Mapping[str, Any]]) -> Figure:
    figure, axes = _axes("What each part adds", "share of targets on a list of ten", size=(7.0, 4.5))
    places = list(range(len(parts)))
    colors = [LIMIT if part["part"] == "fixed mix" else MODEL for part in parts]
    axes.bar(places, [part[METRIC] for part in parts], 0.55, color=colors, yerr=_errors(parts))
    for place, part in zip(places, parts, strict=True):
        gain = part.get("difference", {}).get(METRIC)
        said = f"{part[METRIC]:.3f}" + (f"\n{gain['mean']:+.3f}" if gain else "")
        top = (place, part["intervals"][METRIC][1])
        axes.annotate(said, top, (0, 5), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xticks(places, [part["part"] for part in parts])
    axes.set_xlabel("with 95 % intervals over shoppers; below each value what it adds to the one before it")
    axes.margins(y=0.18)
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    return figure


# ---------------------------------------------------------------- drawing
def _axes(title: str, label: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_ylabel(label)
    axes.set_axisbelow(True)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).print_png(path)  # type: ignore[no-untyped-call]
    return path


def _ends(parts: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    return [part["intervals"][METRIC][0] for part in parts], [part["intervals"][METRIC][1] for part in parts]


def _errors(parts: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Lengths of the error bars, down and up; a bootstrap's interval can miss its mean by a hair."""
    low, high = _ends(parts)
    ours = [part[METRIC] for part in parts]
    return [
        [max(0.0, value - end) for value, end in zip(ours, low, strict=True)],
        [max(0.0, end - value) for value, end in zip(ours, high, strict=True)],
    ]


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
