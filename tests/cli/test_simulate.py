"""`rec simulate`: strategies beside each other, the same for the same seed."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.cli.runner import rec_now

SMALL = ("--shoppers", "10", "--events", "60")


def test_the_json_has_reward_regret_and_adaptation_of_each_strategy() -> None:
    asked = ("simulate", "--compare", "adaptive,random", *SMALL, "--seed", "1", "--json")
    done = rec_now(*asked)
    assert done.code == 0, done.err
    (body,) = done.lines
    assert list(body["strategies"]) == ["adaptive", "random"]
    for figures in body["strategies"].values():
        assert {"reward", "regret", "adapt_events_p50", "adapt_events_p90"} <= set(figures)
    assert rec_now(*asked).lines == [body]


def test_several_seeds_are_shown_each_and_as_their_mean() -> None:
    (body,) = rec_now("simulate", "--compare", "random", *SMALL, "--seeds", "1,2", "--json").lines
    each = [body["by_seed"][seed]["random"]["reward"] for seed in ("1", "2")]
    assert body["strategies"]["random"]["reward"] == pytest.approx(sum(each) / 2)


def test_a_person_reads_a_table() -> None:
    done = rec_now("simulate", "--compare", "random,greedy", *SMALL)
    assert "adapt_events_p50" in done.out
    assert "10 shoppers, 60 lists a strategy, seeds 0" in done.err


def test_the_bandit_alone_is_compared_with_one_that_keeps_everything_and_with_chance() -> None:
    (body,) = rec_now("simulate", "--arms", "--json").lines
    assert body["regret"]["forgetting"] < body["regret"]["keeping"]
    assert body["regret"]["forgetting"] < body["regret"]["uniform"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("--compare", "adaptive,clever"), "'clever'"),
        ((), "--compare"),
        (("--compare", "random", "--arms"), "--arms"),
        (("--compare", "random", "--rewards", "0.1"), "--rewards"),
        (("--compare", "random", "--network", "--rewards", "nan"), "--rewards"),
        (("--arms", "--network"), "--network"),
        (("--compare", "random", "--seed", "1", "--seeds", "1,2"), "--seeds"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(asked: tuple[str, ...], named: str) -> None:
    done = rec_now("simulate", *asked)
    assert done.code == 2
    assert named in done.err


def test_a_recorded_stream_is_replayed_beside_what_a_log_says_of_each_strategy(tmp_path: Path) -> None:
    rng = Random(1)
    for name, sessions in (("train_full", range(60)), ("test", range(60, 70))):
        lines = ["SessionId\tItemId\tTime"]
        lines += [f"{s}\ti{(s + n + rng.randrange(2)) % 20}\t{1_000 * s + n}.0" for s in sessions for n in range(5)]
        (tmp_path / f"yoochoose-clicks-100k_{name}.txt").write_text("\n".join(lines) + "\n")
    asked = ("simulate", "--compare", "greedy,random", "--replay", str(tmp_path), "--events", "60")
    (body,) = rec_now(*asked, "--json").lines
    assert body["lists"] == 60
    assert set(body["strategies"]) == set(body["off_policy"]) == {"greedy", "random"}
    shown = rec_now(*asked)
    assert "SNIPS" in shown.out
    assert "60 lists" in shown.err
    refused = rec_now(*asked, "--shoppers", "5")
    assert refused.code == 2
    assert "--shoppers" in refused.err


def test_days_of_ads_say_of_each_campaign_what_it_spent_and_whether_p_click_was_true() -> None:
    asked = ("simulate", "--ads", "--events", "100", "--shoppers", "20")
    done = rec_now(*asked, "--seed", "1", "--json")
    assert done.code == 0, done.err
    (body,) = done.lines
    assert (body["setting"]["lists"], body["setting"]["shoppers"]) == (100, 20)
    for day in body["days"].values():
        assert day["spent"].keys() <= day["budgets"].keys()
        assert day["over_cap"] == 0
        assert day["shown"] > 0
    shown = rec_now(*asked, "--seeds", "1,2")
    assert [line.split()[0] for line in shown.out.splitlines()[-2:]] == ["1", "2"]
    assert "100 lists a day" in shown.err
    assert rec_now("simulate", "--ads", "--network").code == 2
    assert rec_now("simulate", "--arms", "--events", "5").code == 2


def test_each_way_to_refresh_decides_as_it_is_called() -> None:
    asked = ("--refresh", "replace,tail,wait,learned", "--shoppers", "5", "--events", "40", "--seeds", "0,1")
    shown = rec_now("simulate", *asked)
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.out.splitlines()[1:]]
    rows = {name: [int(each.replace(",", "")) for each in more[-3:]] for name, *more in lines}
    assert rows.keys() == {"replace", "tail", "wait", "learned"}
    assert rows["replace"] == [0, 0, 0]
    assert rows["tail"][1] > 0
    assert rows["tail"][2] == 0
    assert rows["wait"][2] > 0
    assert min(rows["learned"]) > 0
    assert "seeds 0, 1" in shown.err


def test_ways_to_refresh_are_compared_with_what_each_decided() -> None:
    done = rec_now(
        "simulate", "--refresh", "replace,tail", "--moving", "1", "--shoppers", "10", "--events", "30", "--json"
    )
    assert done.code == 0, done.err
    (body,) = done.lines
    assert body["ways"].keys() == {"replace", "tail"}
    assert body["setting"]["moving"] == 1.0
    assert body["ways"]["replace"]["decided"] == {"replace": 0.0, "tail": 0.0, "wait": 0.0}
    for argv in (("--refresh", "swap"), ("--refresh", "tail", "--arms"), ("--arms", "--moving", "1")):
        assert rec_now("simulate", *argv).code == 2
