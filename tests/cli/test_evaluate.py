"""`rec evaluate`: any table of events in, the model beside its lines out; what cannot be read is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.runner import rec_now

METRICS = {"hr@10", "ndcg@10", "mrr@10"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def clicks(sessions: int = 60, length: int = 6) -> list[dict[str, object]]:
    """Sessions that walk along the same circle of 30 products."""
    return [
        {
            "who": f"s{s}",
            "sku": f"i{(7 * s + n) % 30}",
            "at": 1_700_000_000 + 3_600 * s + 60 * n,
            "name": f"Product {n}",
        }
        for s in range(sessions)
        for n in range(length)
    ]


def csv_of(rows: list[dict[str, object]], name: str = "clicks.csv") -> str:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    Path(name).write_text("\n".join(lines) + "\n")
    return name


COLUMNS = ("--user", "who", "--item", "sku", "--time", "at")


def test_the_model_is_beside_its_lines_its_frozen_self_and_its_intervals() -> None:
    done = rec_now("evaluate", csv_of(clicks()), *COLUMNS, "--no-network", "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert body["scored"] == 288  # 360 clicks, the first fifth learned from alone
    assert set(body["model"]) == set(body["frozen"]) == METRICS
    assert set(body["baselines"]) == {"popularity", "decayed_popularity", "own_history", "rules", "knn", "mix"}
    low, high = body["intervals"]["hr@10"]
    assert low <= body["model"]["hr@10"] <= high
    assert body["model"]["hr@10"] > body["baselines"]["popularity"]["hr@10"]


def test_json_lines_say_the_same_as_csv() -> None:
    rows = clicks()
    Path("clicks.jsonl").write_text("\n".join(map(json.dumps, rows)))
    same = (*COLUMNS, "--no-network", "--no-frozen", "--json")
    assert rec_now("evaluate", "clicks.jsonl", *same).lines == rec_now("evaluate", csv_of(rows), *same).lines


def test_a_column_of_titles_that_is_named_is_read_unless_that_is_refused() -> None:
    asked = ("evaluate", csv_of(clicks(10)), *COLUMNS, "--no-network", "--no-frozen", "--title", "name")
    assert "titles" in rec_now(*asked).err
    assert "titles" not in rec_now(*asked, "--no-text").err


def test_lags_are_measured_beside_each_other() -> None:
    done = rec_now(
        "evaluate", csv_of(clicks()), *COLUMNS, "--no-network", "--no-frozen", "--lag", "0,3600,864000", "--json"
    )
    (body,) = done.lines
    assert list(body["lags"]) == ["0", "3600", "864000"]
    assert body["lags"]["0"] == body["model"]
    assert body["lags"]["864000"]["hr@10"] < body["model"]["hr@10"]


def test_the_network_takes_part(tmp_path: Path) -> None:
    done = rec_now("evaluate", csv_of(clicks(20)), *COLUMNS, "--no-frozen", "--json")
    assert done.code == 0, done.err
    assert done.lines[0]["scored"] == 96


def test_rows_that_cannot_be_read_are_told_by_line_and_cost_no_other_row() -> None:
    rows = clicks(20)
    rows[3]["at"] = "yesterday"
    rows[5]["sku"] = ""
    done = rec_now("evaluate", csv_of(rows), *COLUMNS, "--no-network", "--no-frozen", "--json")
    assert done.code == 0
    assert done.lines[0]["scored"] > 80
    assert "clicks.csv:5: at: is no time" in done.err.replace("at: at:", "at:")
    assert "clicks.csv:7: sku: is empty" in done.err
    assert "2 rows were left out" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--user", "whom", "--item", "sku", "--time", "at"), "there is no column whom"),
        ((*COLUMNS, "--lag", "soon"), "give seconds"),
        ((*COLUMNS, "--lag", "-5"), "at least 0"),
        ((*COLUMNS, "--lag", "nan"), "at least 0"),
        ((*COLUMNS, "--lag", "60,inf"), "and finite"),
        ((*COLUMNS, "--lag", ","), "names no lag"),
        ((*COLUMNS, "--warmup", "nan"), "'nan' is no number"),
        ((*COLUMNS, "--warmup", "1"), "0<=x<=0.99"),
        (("--dataset", "ml100k"), "folder"),
    ],
)
def test_bad_use_says_what_to_do(arguments: tuple[str, ...], said: str) -> None:
    done = rec_now("evaluate", csv_of(clicks(5)), *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


def test_a_table_for_a_person() -> None:
    done = rec_now("evaluate", csv_of(clicks()), *COLUMNS, "--no-network")
    assert done.code == 0
    for word in ("hr@10", "model", "popularity", "model, frozen", "first action of a shopper"):
        assert word in done.out


def test_leave_one_out_fits_a_network_and_ranks_the_last_items() -> None:
    done = rec_now("evaluate", csv_of(clicks(200)), *COLUMNS, "--leave-one-out", "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert body["scored"] == 200
    assert body["model"]["hr@10"] > 0.9
    assert set(body["baselines"]) == {"popularity", "rules"}
    assert "epoch 1" in done.err


def test_leave_one_out_ranks_what_was_seen_unless_that_is_excluded() -> None:
    rows = csv_of([{**row, "sku": row["name"]} for row in clicks(12, 11)])  # ten products come before everybody's last
    found = {}
    for seen in ("keep", "exclude"):
        done = rec_now("evaluate", rows, *COLUMNS, "--leave-one-out", "--seen", seen, "--json")
        assert done.code == 0, done.err
        found[seen] = done.lines[0]["baselines"]["popularity"]["hr@10"]
    assert found == {"keep": 0.0, "exclude": 1.0}


def test_leave_one_out_takes_the_weight_of_the_contrastive_term() -> None:
    rows = csv_of(clicks(12))
    losses = [
        rec_now("evaluate", rows, *COLUMNS, "--leave-one-out", "--contrast", weight, "--json").err.splitlines()[0]
        for weight in ("0", "0.5")
    ]
    assert all(said.startswith("epoch 1: loss ") for said in losses)
    assert losses[0] != losses[1]
    assert "nan" not in losses[1]


def test_leave_one_out_learns_from_views_alone_first_if_that_is_asked_for() -> None:
    done = rec_now("evaluate", csv_of(clicks(12)), *COLUMNS, "--leave-one-out", "--pretrain", "2", "--json")
    assert done.code == 0, done.err
    first, second, third, *_ = done.err.splitlines()
    assert first.startswith("epoch 1 of views alone: loss ")
    assert second.startswith("epoch 2 of views alone: loss ")
    assert third.startswith("epoch 1: loss ")


@pytest.mark.parametrize("option", ["--contrast", "--pretrain"])
def test_views_of_histories_that_are_too_short_for_them_are_refused(option: str) -> None:
    done = rec_now("evaluate", csv_of(clicks(12, 5)), *COLUMNS, "--leave-one-out", option, "1", "--json")
    assert done.code == 2
    assert "Nobody has 6 items or more (the most are 5)" in done.err


@pytest.mark.parametrize("length", [1, 2, 3])
def test_sequences_that_are_too_short_to_leave_one_out_are_told(length: int) -> None:
    done = rec_now("evaluate", csv_of(clicks(20, length)), *COLUMNS, "--leave-one-out")
    assert done.code == 2
    assert f"Nobody has 4 items or more (the most are {length})" in done.err
    assert "Give more events" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--every", "1000"), "--every 1000: nothing would be scored"),
        (("--every", "30", "--warmup", "0.99"), "--every 30: nothing would be scored"),
        (("--event", "what"), "a smaller --warmup"),  # nobody wanted anything
    ],
)
def test_a_run_that_would_score_nothing_is_an_error(arguments: tuple[str, ...], said: str) -> None:
    rows = [{**row, "what": "remove_from_cart"} for row in clicks(60)]
    done = rec_now("evaluate", csv_of(rows), *COLUMNS, "--no-network", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""
