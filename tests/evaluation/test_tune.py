"""The search sees the warm-up alone, gives the same for the same seed, and writes what `rec evaluate` can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from rec.errors import BadInput, ConfigError
from rec.evaluation.prequential import Rules
from rec.evaluation.settings import (
    KNOBS,
    checked,
    gate_with,
    read_settings,
    rules_with,
    searched,
    training_with,
    write_settings,
)
from rec.evaluation.stream import Action, Stream, stream_of
from rec.evaluation.tune import Study, tune, warm_up
from rec.model.teaching import Shape, Training


def walk(shoppers: int = 40, length: int = 6, step: int = 1) -> list[Action]:
    return [
        Action(1.7e9 + 3_600 * s + 60 * n, f"s{s}", f"i{(7 * s + step * n) % 30}", "view_item")
        for s in range(shoppers)
        for n in range(length)
    ]


def gate_only(stream: Stream, seed: int = 1) -> Study:
    return tune(warm_up(stream, 0.5), Rules(), trials=3, seed=seed, network=False)


class Sealed:
    """An event after the warm-up: that it has an item may be known, nothing else."""

    items = (None,)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of an event after the warm-up was read")


class TestWarmUp:
    def test_no_event_after_it_is_ever_read(self) -> None:
        stream = stream_of(walk())
        half = len(stream.events) // 2
        sealed: list[Any] = [*stream.events[:half], *(Sealed() for _ in stream.events[half:])]
        study = gate_only(stream._replace(events=sealed))
        assert study.events == half
        assert study == gate_only(stream)

    @pytest.mark.parametrize("share", [float("nan"), float("inf"), -0.1, 1.0])
    def test_a_share_that_is_none_is_refused_and_never_the_whole_stream(self, share: float) -> None:
        with pytest.raises(BadInput, match="no share for a warm-up"):
            warm_up(stream_of(walk()), share)

    def test_another_future_gives_the_same_study(self) -> None:
        rows = walk()
        other = rows[:120] + [row._replace(user=f"x{row.user}", item_id=f"new{row.item_id}") for row in rows[120:]]
        assert gate_only(stream_of(rows)) == gate_only(stream_of(other))

    def test_it_knows_no_item_that_comes_later(self) -> None:
        rows = [Action(1.7e9 + n, "s", f"i{n}", "view_item") for n in range(40)]
        assert set(warm_up(stream_of(rows), 0.5).items) == {f"i{n}" for n in range(20)}

    def test_one_that_is_too_short_says_so(self) -> None:
        with pytest.raises(BadInput, match="too few to tune on"):
            warm_up(stream_of(walk(2)), 0.2)


class TestStudy:
    def test_the_first_trial_is_the_default_so_the_best_is_never_worse(self) -> None:
        study = gate_only(stream_of(walk()))
        assert study.default.settings == {name: knob.default for name, knob in searched(network=False).items()}
        assert study.best.measured["ndcg@10"] >= study.default.measured["ndcg@10"]

    def test_a_sets_own_half_life_and_history_are_its_defaults(self) -> None:
        rules = Rules(half_life_s=14 * 86_400.0, history=1_000)
        first = tune(warm_up(stream_of(walk()), 0.5), rules, trials=1, seed=1, network=False).default.settings
        assert (first["features.half_life_s"], first["features.history"]) == (14 * 86_400.0, 1_000)

    def test_another_seed_tries_something_else(self) -> None:
        stream = stream_of(walk())
        assert gate_only(stream, 1).trials[1:] != gate_only(stream, 2).trials[1:]

    def test_what_is_tried_may_all_be_in_a_file(self) -> None:
        for name, knob in KNOBS.items():
            assert knob.low <= min(knob.tried) <= max(knob.tried) <= knob.high, name
            assert min(knob.tried) <= knob.default <= max(knob.tried), name


class TestSettings:
    def test_what_is_written_is_read_again(self, tmp_path: Path) -> None:
        settings = {name: knob.default for name, knob in KNOBS.items()}
        write_settings(tmp_path / "s.json", settings, {"seed": 1})
        assert read_settings(tmp_path / "s.json") == settings
        assert [path.name for path in tmp_path.iterdir()] == ["s.json"]

    def test_the_defaults_of_the_knobs_are_those_of_the_code(self) -> None:
        settings = {name: knob.default for name, knob in KNOBS.items()}
        assert training_with(settings, text_dim=0, seed=0) == Training()
        assert rules_with(settings, Rules()) == Rules()
        assert gate_with(settings).rate == gate_with({}).rate

    def test_a_file_that_names_one_changes_that_one(self) -> None:
        found = checked({"network": {"dim": 32}}, "f")
        assert training_with(found, text_dim=0, seed=3) == Training(shape=Shape(dim=32), seed=3)

    @pytest.mark.parametrize(
        ("body", "field", "said"),
        [
            ({"gates": {}}, "gates", "Did you mean gate?"),
            ({"training": {"rte": 0.1}}, "training.rte", "Did you mean training.rate?"),
            ({"training": {"rate": 7}}, "training.rate", "out of range"),
            ({"training": {"rate": "fast"}}, "training.rate", "is no number"),
            ({"network": {"layers": 1.5}}, "network.layers", "is no whole number"),
            ({"network": {"layers": True}}, "network.layers", "is no whole number"),
            ({"network": {"heads": 3}}, "network.heads", "do not divide"),
            ({"features": 3}, "features", "an object is needed"),
            ({"format": 2}, "format", "not known here"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, body: dict[str, Any], field: str, said: str) -> None:
        path = tmp_path / "s.json"
        path.write_bytes(msgspec.json.encode(body))
        with pytest.raises(ConfigError, match=said) as caught:
            read_settings(path)
        assert caught.value.field == field
        assert str(path) in caught.value.message

    def test_a_file_that_is_no_json_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "s.json").write_text("{")
        with pytest.raises(ConfigError, match="no JSON"):
            read_settings(tmp_path / "s.json")

    def test_the_docs_list_every_knob(self) -> None:
        docs = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
        assert [name for name in KNOBS if f"| `{name}` |" not in docs] == []
