"""`rec evaluate --policy`: a log of feedback in, three estimates and a verdict out; what cannot be read is told."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from tests.cli.runner import rec_now

PARTS = {"value", "low", "high"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(count: int = 1_500, best: str = "c") -> list[dict[str, object]]:
    """A uniform policy over three items at two places; `best` is clicked most."""
    rng = Random(3)
    made = []
    for at in range(count):
        action = rng.choice("abc")
        clicked = rng.random() < (0.4 if action == best else 0.1)
        target = 0.8 if action == best else 0.1
        made.append({"action": action, "reward": int(clicked), "propensity": 1 / 3, "position": at % 2,
                     "target_propensity": target, "cluster": f"s{at // 2}"})  # fmt: skip
    return made


def jsonl(made: list[dict[str, object]], name: str = "log.jsonl") -> str:
    Path(name).write_text("\n".join(map(json.dumps, made)) + "\n")
    return name


def test_the_json_has_the_three_estimates_the_sample_and_a_verdict() -> None:
    done = rec_now("evaluate", "--policy", jsonl(rows()), "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    for name in ("ips", "snips", "dr"):
        assert set(body[name]) == PARTS
        assert body[name]["low"] < body[name]["value"] < body[name]["high"]
        assert body[name]["value"] == pytest.approx(0.34, abs=0.05)
    assert body["max_weight"] == pytest.approx(2.4)
    assert body["ess"] < 1_500
    assert body["verdict"].startswith("The target policy earns more")


def test_the_same_seed_gives_the_same_report_and_csv_the_same_as_jsonl() -> None:
    made = rows(300)
    lines = [",".join(made[0]), *(",".join(map(str, row.values())) for row in made)]
    Path("log.csv").write_text("\n".join(lines) + "\n")
    asked = ("--seed", "4", "--json")
    first = rec_now("evaluate", "--policy", jsonl(made), *asked)
    assert first.lines == rec_now("evaluate", "--policy", "log.csv", *asked).lines
    assert first.lines == rec_now("evaluate", "--policy", "log.jsonl", *asked).lines


def test_a_target_can_be_named_or_be_another_policys_log() -> None:
    log = jsonl(rows())
    uniform = rec_now("evaluate", "--policy", log, "--target", "uniform", "--json").lines[0]
    assert uniform["ess"] == pytest.approx(1_500)
    assert uniform["model"] == "action and position"
    only_c = jsonl([row for row in rows() if row["action"] == "c"], "c.jsonl")
    always_c = rec_now("evaluate", "--policy", log, "--target", only_c, "--json").lines[0]
    assert always_c["snips"]["value"] == pytest.approx(0.4, abs=0.05)
    gone = rec_now("evaluate", "--policy", log, "--target", "gone.jsonl")
    assert gone.code == 2
    assert "there is no such log" in gone.err


def test_a_person_reads_a_table_and_the_verdict() -> None:
    done = rec_now("evaluate", "--policy", jsonl(rows(40)))
    assert done.code == 0
    assert "SNIPS" in done.out
    assert "No conclusion" in done.out
    assert "40 rows, effective" in done.err


def test_bad_rows_are_told_and_cost_no_other_row() -> None:
    made = rows(200)
    made[3]["propensity"], made[5]["reward"], made[7]["action"] = 0, "much", ""
    made[9]["target_propensity"] = 1.5
    done = rec_now("evaluate", "--policy", jsonl(made), "--json")
    assert done.lines[0]["rows"] == 196
    assert "log.jsonl:4: propensity: 0 is no propensity" in done.err
    assert "log.jsonl:6: reward: 'much' is no number" in done.err
    assert "log.jsonl:8: action: is empty" in done.err
    assert "log.jsonl:10: target_propensity: 1.5 is no probability" in done.err
    assert "4 rows were left out" in done.err


def test_columns_have_the_names_that_the_file_gives_them() -> None:
    made = [{"click" if name == "reward" else name: value for name, value in row.items()} for row in rows(200)]
    done = rec_now("evaluate", "--policy", jsonl(made), "--map", "reward=click", "--json")
    assert done.code == 0, done.err
    assert rec_now("evaluate", "--policy", "log.jsonl", "--map", "profit=click").code == 2


def test_the_open_bandit_dataset_is_read_by_the_names_of_its_files() -> None:
    folder = Path("random/men")
    folder.mkdir(parents=True)
    rng = Random(1)
    lines = ["item_id,position,click,propensity_score"]
    lines += [f"{rng.randrange(4)},{1 + at % 3},{int(rng.random() < 0.2)},0.25" for at in range(600)]
    (folder / "men.csv").write_text("\n".join(lines) + "\n")
    done = rec_now("evaluate", "--policy", "--dataset", "obd", str(folder), "--target", "uniform", "--json")
    assert done.code == 0, done.err
    assert done.lines[0]["ips"] == done.lines[0]["logged"]
    missing = rec_now("evaluate", "--policy", "--dataset", "obd", "random", "--target", "uniform")
    assert missing.code == 2
    assert "there is no random.csv" in missing.err


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("--policy", "--frozen"), "--frozen"),
        (("--policy", "--user", "who"), "--user"),
        (("--target", "uniform"), "--target"),
        (("--policy", "--dataset", "ml100k"), "ml100k is a stream"),
        (("--dataset", "obd"), "obd is a log of feedback"),
        (("--policy", "--cap", "0"), "above 0"),
    ],
)
def test_options_that_would_change_nothing_are_refused_by_name(asked: tuple[str, ...], named: str) -> None:
    done = rec_now("evaluate", jsonl(rows(20)), *asked)
    assert done.code == 2
    assert named in done.err
