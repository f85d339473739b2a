"""`make bench` fails when a target is missed, and says which; what was measured is printed and kept all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.__main__ import conclude


def figures(**other: Any) -> dict[str, Any]:
    """A run that holds every target, but for what is given."""
    at_200 = {"rate": 200.0, "p50_ms": 9.0, "p95_ms": 20.0, "p99_ms": 40.0} | other.get("at_200", {})
    counted = {"late": 0, "refused": 0, "events": 3_000, "connections": 1_000, "cores": {"web": 0.5}}
    return {
        "floor": {"rate": 200, "p50_ms": 3.0, "p95_ms": 5.0, "p99_ms": 9.0},
        "latency": [at_200 | counted],
        "folding": {
            "worker_per_s": 2_500.0,
            "bare_per_s": 3_000.0,
            "ratio": other.get("ratio", 0.83),
            "ratios": [0.8, 0.9, 1.0],
        },
        "sockets": {
            "idle": {"connections": 3_000, "rss_kib_per_connection": other.get("kib", 20.0)},
            "saturated": {
                "cpu_us_per_delivery": other.get("us", 80.0),
                "delivered_per_s": 9_000,
                "connections": 1_000,
                "cpu_cores": 0.7,
            },
        },
    }


def test_a_run_that_holds_every_target_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(figures(), tmp_path / "bench.json") == 0
    said = capsys.readouterr()
    assert "MISSED" not in said.out
    assert "missed:" not in said.err


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"ratio": 0.73}, "folded against the bare agent: 0.73 (median of 3), wanted at least 0.80"),
        ({"kib": 31.5}, "memory per idle connection, 3000: 31.5 KiB, wanted under 25 KiB"),
        ({"us": 120.0}, "web CPU per 4 kB slate delivered: 120.0 µs, wanted under 120 µs"),
        ({"at_200": {"p50_ms": 15.3}}, "p50 against the floor: 5.1x, wanted at most 5x"),
        (
            {"at_200": {"p99_ms": 150.0}},
            "event → push at 200/s, p50/p95/p99: 9.0 / 20.0 / 150.0 ms, wanted p99 under 150",
        ),
        ({"at_200": {"p50_ms": float("nan")}}, "p50 against the floor: nanx, wanted at most 5x"),
    ],
)
def test_a_missed_target_is_exit_code_1_and_named_after_the_table_and_the_file(
    other: dict[str, Any], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    assert conclude(figures(**other), out) == 1
    said = capsys.readouterr()
    assert said.out.count("MISSED") == 1
    assert [line for line in said.err.splitlines() if line.startswith("missed")] == [f"missed: {named}"]
    assert json.loads(out.read_text())["folding"]["bare_per_s"] == 3_000.0


def test_only_the_parts_that_were_run_are_judged(tmp_path: Path) -> None:
    assert conclude({"folding": figures()["folding"]}, None) == 0
    assert conclude({}, None) == 0


def test_how_fast_the_child_learns_is_told_beside_its_floor(capsys: pytest.CaptureFixture[str]) -> None:
    taught = {"child_per_s": 123.4, "bare_per_s": 987.0, "ratio": 0.125, "rounds": [[123, 987]] * 3}
    assert conclude({"lessons": taught}, None) == 0
    said = capsys.readouterr().out
    assert all(part in said for part in ("123/s", "987/s", "0.12 (median of 3)"))
