"""Tests side by side: what shares a server stays together, and what is named is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lanes import LANES, LONG, lane

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("path", [*(path for paths in LANES.values() for path in paths), *LONG])
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


def test_one_process_has_all_of_a_lane_and_a_file_stays_together() -> None:
    for paths in LANES.values():
        assert len({lane(f"{path}::test_it[kafka]") for path in paths}) == 1
    assert lane("tests/unit/test_a.py::TestB::test_c[d::e]") == lane("tests/unit/test_a.py::test_f")
    assert lane("tests/unit/test_a.py::test_f") != lane("tests/unit/test_b.py::test_f")


def test_a_test_on_kafka_that_another_process_could_get_fails(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["tests.conftest"]')
    pytester.makeini(f"[pytest]\npythonpath = {ROOT}\nmarkers = needs_kafka")
    pytester.makepyfile(test_mine="import pytest\n@pytest.mark.needs_kafka\ndef test_it(): pass")
    result = pytester.runpytest_subprocess("-n1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*it needs Kafka: name its file in tests/lanes.py*"])


def test_make_test_takes_what_to_run_and_how_many_at_a_time() -> None:
    def told(*more: str) -> str:
        return subprocess.run(
            ["make", "-n", "test", *more], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    assert "-m pytest -n 2 tests/unit -x\n" in told("JOBS=2", "ARGS=tests/unit -x")
    assert "-m pytest  tests/unit -x\n" in told("JOBS=1", "ARGS=tests/unit -x")
