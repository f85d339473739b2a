"""`rec tune` writes what `rec evaluate --settings` reads; and what else `rec evaluate` measures and draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.runner import rec_now
from tests.cli.test_evaluate import COLUMNS, METRICS, clicks, csv_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


GATE = ("--no-network", "--no-frozen", "--json")


def test_the_best_of_a_search_is_what_evaluate_then_uses() -> None:
    rows = csv_of(clicks())
    arguments = (rows, *COLUMNS, "--no-network", "--trials", "3", "--seed", "2", "--warmup", "0.4", "--json")
    done = rec_now("tune", *arguments, "--out", "a.json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert len(body["trials"]) == 3
    assert body["events"] == 144
    assert "trial 3 of 3" in done.err
    kept = json.loads(Path("a.json").read_text())
    assert kept["gate"]["rate"] == body["best"]["settings"]["gate.rate"]
    assert kept["found"]["value"] == body["best"]["ndcg@10"] >= body["default"]["ndcg@10"]
    again = rec_now("tune", *arguments, "--out", "b.json")
    assert again.lines == done.lines
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    used = rec_now("evaluate", rows, *COLUMNS, *GATE, "--settings", "a.json").lines[0]
    assert used["settings"] == body["best"]["settings"]


def test_settings_change_what_is_tested() -> None:
    rows = csv_of(clicks())
    Path("s.json").write_text('{"gate": {"rate": 0.9}, "features": {"history": 10}}')
    plain = rec_now("evaluate", rows, *COLUMNS, *GATE).lines[0]
    other = rec_now("evaluate", rows, *COLUMNS, *GATE, "--settings", "s.json").lines[0]
    assert other["model"] != plain["model"]


def test_a_wrong_setting_is_exit_3_and_names_the_field() -> None:
    Path("s.json").write_text('{"training": {"rte": 1}}')
    done = rec_now("evaluate", csv_of(clicks(5)), *COLUMNS, "--settings", "s.json")
    assert done.code == 3
    assert "training.rte: there is no such setting. Did you mean training.rate?" in done.err


def test_a_setting_that_is_not_in_its_group_is_told_where_it_belongs() -> None:
    Path("s.json").write_text('{"gate.rate": 5}')
    done = rec_now("evaluate", csv_of(clicks(5)), *COLUMNS, "--settings", "s.json")
    assert done.code == 3
    assert 'gate.rate: a setting is written inside its group, like {"gate": {"rate": 0.05}}' in done.err


def test_seeds_give_each_the_mean_and_the_spread() -> None:
    done = rec_now("evaluate", csv_of(clicks(20)), *COLUMNS, "--no-frozen", "--seeds", "0,1", "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert set(body["by_seed"]) == {"0", "1"}
    mean = sum(body["by_seed"][seed]["ndcg@10"] for seed in "01") / 2
    assert body["model"]["ndcg@10"] == pytest.approx(mean, abs=2e-5)
    assert set(body["spread"]["model"]) == METRICS
    one = rec_now("evaluate", csv_of(clicks(20)), *COLUMNS, "--no-frozen", "--seed", "1", "--json").lines[0]
    assert one["model"] == body["by_seed"]["1"]


def test_parts_say_what_each_adds_and_that_titles_are_missing_where_they_are() -> None:
    done = rec_now("evaluate", csv_of(clicks(20)), *COLUMNS, "--no-frozen", "--parts", "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert [part["part"] for part in body["parts"]] == ["fixed mix", "gate alone", "+ network"]
    assert body["parts"][2]["hr@10"] == body["model"]["hr@10"]
    assert "No titles" in done.err


def test_a_lag_curve_windows_and_pictures() -> None:
    asked = ("--no-network", "--lag", "60,864000", "--windows", "4", "--plots", "drawn")
    done = rec_now("evaluate", csv_of(clicks()), *COLUMNS, *asked)
    assert done.code == 0, done.err
    for word in ("learned after", "at once", "1 min", "10 d", "never", "window", "2023-11-15"):
        assert word in done.out
    drawn = sorted(Path("drawn").iterdir())
    assert [path.name for path in drawn] == ["lags.png", "slices.png", "windows.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seed", "1", "--seeds", "0,1"), "not both"),
        (("--seeds", "0,0"), "different numbers"),
        (("--seeds", "x"), "whole numbers"),
        (("--no-network", "--seeds", "0,1"), "no use with --no-network"),
        (("--no-network", "--price", "at"), "--price has no use with --no-network"),
        (("--no-network", "--parts"), "no use with --no-network"),
        (("--no-network", "--value"), "--value has no use with --no-network"),
        (("--no-network", "--device", "cpu"), "--device has no use with --no-network"),
        (("--leave-one-out", "--plots", "p"), "no use with --leave-one-out"),
        (("--leave-one-out", "--every", "1"), "--every has no use with --leave-one-out"),
        (("--leave-one-out", "--value"), "--value has no use with --leave-one-out"),
        (("--leave-one-out", "--text"), "--text has no use with --leave-one-out"),
        (("--leave-one-out", "--no-network"), "--no-network has no use with --leave-one-out"),
        (("--leave-one-out", "--no-frozen"), "--no-frozen has no use with --leave-one-out"),
        (("--leave-one-out", "--warmup", "0.2"), "--warmup has no use with --leave-one-out"),
        (("--leave-one-out", "--title", "name"), "--title has no use with --leave-one-out"),
        (("--contrast", "0.1"), "--contrast has no use without --leave-one-out"),
        (("--pretrain", "2"), "--pretrain has no use without --leave-one-out"),
        (("--leave-one-out", "--contrast", "nan"), "'nan' is no number"),
        (("--dataset", "ml100k"), "--user has no use with --dataset ml100k"),
    ],
)
def test_options_that_would_change_nothing_are_wrong_use(arguments: tuple[str, ...], said: str) -> None:
    done = rec_now("evaluate", csv_of(clicks(5)), *COLUMNS, *arguments)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--limit", "5"), "--limit has no use with --dataset beauty"),
        (("more.csv",), "reads one folder"),
        (("--time", "at"), "--time has no use with --dataset beauty"),
    ],
)
def test_a_public_set_is_read_as_it_is_or_not_at_all(arguments: tuple[str, ...], said: str) -> None:
    csv_of(clicks(5), "more.csv")
    Path("set").mkdir()
    Path("set/s3rec_Beauty.txt").write_text("".join(f"u{u} 1 2 3 4 5\n" for u in range(20)))
    done = rec_now("evaluate", "set", "--dataset", "beauty", "--leave-one-out", *arguments)
    assert done.code == 2
    assert said in done.err


def test_rec_tune_names_the_command_for_a_set_without_times() -> None:
    Path("set").mkdir()
    done = rec_now("tune", "set", "--dataset", "beauty")
    assert done.code == 2
    assert "rec evaluate --leave-one-out" in done.err


def test_pictures_that_have_no_place_are_told_before_anything_is_tested() -> None:
    Path("file").write_text("")
    done = rec_now("evaluate", csv_of(clicks(20)), *COLUMNS, "--no-network", "--plots", "file/drawn")
    assert done.code == 2
    assert "file/drawn: this folder cannot be made" in done.err
    assert "--plots" in done.err
    assert "testing" not in done.err


def test_a_folder_that_is_not_there_is_told_before_the_search() -> None:
    done = rec_now("tune", csv_of(clicks(5)), *COLUMNS, "--out", "nowhere/s.json")
    assert done.code == 2
    assert "there is no folder" in done.err


def test_a_gpu_that_is_not_there_is_exit_3_for_the_search_as_for_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REC_DEVICE", "cuda:99")
    for command in ("tune", "evaluate"):
        done = rec_now(command, csv_of(clicks(5)), *COLUMNS)
        assert done.code == 3
        assert "REC_DEVICE" in done.err


def test_a_warm_up_that_is_no_number_is_wrong_use_and_nothing_is_searched() -> None:
    done = rec_now("tune", csv_of(clicks()), *COLUMNS, "--no-network", "--warmup", "nan", "--trials", "1")
    assert done.code == 2
    assert "--warmup" in done.err
    assert not Path("settings.json").exists()
