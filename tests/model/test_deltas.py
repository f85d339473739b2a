"""Deltas: read back they are the whole to the bit and say the same; with another base, or a broken one, nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rec.errors import ModelError
from rec.model import checkpoint
from rec.model.checkpoint import digest_of, load_meta
from rec.model.deltas import CODES, Series, Shelf, applied, bytes_of, check, difference, load
from rec.model.served import brain_of
from rec.model.teaching import Shape
from rec.model.texts import Texts
from rec.model.vocabulary import Codes
from tests.agents.school import walks
from tests.model.test_lineage import WALKS, lineage

Arrays = dict[str, np.ndarray[Any, Any]]
SMALL = 1_000  # bytes: what is larger may be a delta


def weights(rows: int = 200, touched: tuple[int, ...] = (), by: float = 1.0) -> Arrays:
    """A table, and a dense weight that is another one each time."""
    table = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    table = np.concatenate([table, np.zeros((rows - 200, 8), np.float32)])
    table[list(touched)] += np.float32(by)
    return {"table": table, "dense": np.full((4, 4), by, np.float64), "scale": np.asarray(by, np.float16)}


def meta(**slots: int) -> dict[str, Any]:
    return {"offset": 7, "slots": list(slots.items()), "categories": [["c", 1]], "brands": []}


def same(one: Arrays, two: Arrays) -> bool:
    return one.keys() == two.keys() and digest_of(one) == digest_of(two)


def size(url: Path, name: str) -> int:
    return sum(path.stat().st_size for path in (url / name).iterdir())


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Two versions: `w`, whole, and `d`, a delta against it."""
    series = Series(SMALL)
    assert series.save(str(tmp_path), "w", weights(), meta(a=1, b=2)).base is None
    assert series.save(str(tmp_path), "d", weights(203, (3, 5, 201)), meta(a=1, c=2, d=3)).base == "w"
    return str(tmp_path)


# ---------------------------------------------------------------- arrays
@pytest.mark.parametrize(
    "change",
    [
        lambda w: w,
        lambda w: w | {"table": w["table"] * 2},
        lambda w: w | {"table": w["table"][:100]},  # shorter
        lambda w: w | {"table": w["table"].astype(np.float64)},
        lambda w: w | {"table": w["table"][:, :4].copy()},
        lambda w: w | {"table": np.where(w["table"] > 0, np.float32(np.nan), w["table"])},
        lambda w: w | {"table": np.concatenate([w["table"], np.full((2, 8), -0.0, np.float32)])},
        lambda w: w | {"more": np.zeros((0, 3), np.int64), "mask": np.array([True])},
        lambda w: {"scale": w["scale"]},
    ],
)
def test_what_differs_and_the_base_are_the_whole_to_the_bit(change: Any) -> None:
    whole = change(weights())
    assert same(applied(weights(), difference(weights(), whole)), whole)


def test_a_delta_holds_the_rows_that_differ() -> None:
    delta = difference(weights(), weights(210, (3, 205)))
    assert delta["rows.table"].tolist() == [3, 205]
    assert delta["to.table"].shape == (2, 8)
    assert int(delta["length.table"]) == 210


# ---------------------------------------------------------------- there and back
def test_a_version_that_is_read_through_a_delta_is_the_one_that_was_saved(url: str, tmp_path: Path) -> None:
    expected = weights(203, (3, 5, 201))
    model, said = load(url, "d")
    assert same(model, expected)
    assert said["digest"] == checkpoint.save(url, "full", {"model": expected}, meta(a=1, c=2, d=3))
    _, whole = load(url, "full")
    assert {key: dict(said[key]) for key in CODES} == {key: dict(whole[key]) for key in CODES}
    assert said["offset"] == 7
    assert list(load_meta(url, "d")["files"]) == ["delta.safetensors"]
    assert size(tmp_path, "d") < size(tmp_path, "w") / 4


def test_a_delta_is_read_against_what_lies_on_the_shelf_and_not_a_second_time_from_the_store(url: str) -> None:
    shelf = Shelf()
    once, _ = load(url, "d", shelf)
    checkpoint.delete(url, "w")
    again, _ = load(url, "d", shelf)
    assert same(once, again)
    with pytest.raises(ModelError):
        load(url, "d", Shelf())


def test_a_whole_version_that_was_read_is_on_the_shelf_for_those_that_follow(url: str) -> None:
    shelf = Shelf()
    model, _ = load(url, "w", shelf)
    checkpoint.delete(url, "w")
    assert same(load(url, "d", shelf)[0], weights(203, (3, 5, 201)))
    with pytest.raises(ValueError, match="read-only"):
        model["table"][0] = 0.0  # or the next delta would be against something else


def test_deltas_are_against_the_last_whole_version_and_never_against_each_other(tmp_path: Path) -> None:
    series = Series(SMALL)
    touched: tuple[int, ...] = ()
    for n in range(4):
        saved = series.save(str(tmp_path), f"v{n}", weights(touched=touched), meta())
        assert saved.base == (None if n == 0 else "v0")
        touched += (n, 10 + n)


def test_a_delta_of_more_than_half_of_the_whole_is_written_whole_and_others_follow_it(tmp_path: Path) -> None:
    series, half = Series(SMALL), tuple(range(120))
    found = [
        series.save(str(tmp_path), f"v{n}", weights(touched=touched), meta()).base
        for n, touched in enumerate([(), (1,), half, (*half, 130)])
    ]
    assert found == [None, "v0", None, "v2"]


def test_up_to_the_limit_a_version_is_the_same_to_the_byte_as_without_deltas(tmp_path: Path) -> None:
    series, limit = Series(bytes_of(weights())), str(tmp_path / "limit")
    for name, touched in (("v1", ()), ("v2", (3,))):
        model = weights(touched=touched)
        assert series.save(limit, name, model, meta(a=1)).base is None
        checkpoint.save(str(tmp_path / "plain"), name, {"model": model}, meta(a=1))
        for file in ("model.safetensors", "meta.json"):
            assert (tmp_path / "limit" / name / file).read_bytes() == (tmp_path / "plain" / name / file).read_bytes()


def test_a_series_that_begins_again_rests_on_nothing_that_was_there(tmp_path: Path) -> None:
    series = Series(SMALL)
    series.save(str(tmp_path), "v1", weights(), meta())
    series.begin_again()
    assert series.save(str(tmp_path), "v2", weights(touched=(1,)), meta()).base is None


def test_if_the_base_is_gone_the_next_version_is_whole(url: str) -> None:
    series = Series(SMALL)
    series.save(url, "base", weights(touched=(9,)), meta())
    checkpoint.delete(url, "base")
    assert series.save(url, "next", weights(touched=(9, 10)), meta()).base is None


def test_what_a_killed_trainer_has_written_is_used_again_or_if_its_base_is_gone_replaced(url: str) -> None:
    model = weights(203, (3, 5, 201))
    assert Series(SMALL).save(url, "d", model, meta(a=1, c=2, d=3)).base == "w"
    checkpoint.delete(url, "w")
    assert Series(SMALL).save(url, "d", model, meta(a=1, c=2, d=3)).base is None
    assert same(load(url, "d")[0], model)


# ---------------------------------------------------------------- damage
def test_without_its_base_a_delta_is_no_version_and_says_what_it_rests_on(url: str) -> None:
    checkpoint.delete(url, "w")
    with pytest.raises(ModelError, match=r"d is a delta against w\. there is no checkpoint w in .*rec models list"):
        load(url, "d")
    assert "there is no checkpoint w" in (check(url, "d")["w/meta.json"] or "")


def test_with_other_weights_under_its_bases_name_a_delta_is_no_version(url: str) -> None:
    checkpoint.delete(url, "w")
    checkpoint.save(url, "w", {"model": weights(touched=(7,))}, meta(a=1, b=2))
    with pytest.raises(ModelError, match=r"cannot be made from w: that is another one now.*rec models"):
        load(url, "d")
    assert "another one now" in (check(url, "d")["w/meta.json"] or "")


def test_a_base_with_other_names_is_found(url: str) -> None:
    checkpoint.delete(url, "w")
    checkpoint.save(url, "w", {"model": weights()}, meta(a=1, b=9, z=4))
    with pytest.raises(ModelError, match="together their names are not those that were saved"):
        load(url, "d")


@pytest.mark.parametrize("name", ["d", "w"])
def test_a_broken_file_of_a_delta_or_of_its_base_is_named(url: str, tmp_path: Path, name: str) -> None:
    path = next((tmp_path / name).glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match=rf"the file {path.name} of the checkpoint {name} in .* is broken"):
        load(url, "d")
    file = path.name if name == "d" else f"w/{path.name}"
    assert check(url, "d")[file] == "its checksum is wrong"
    assert [each for each, why in check(url, "d").items() if why] == [file]


@pytest.mark.parametrize(
    "delta",
    [
        {"rows.table": np.array([999], np.uint32), "to.table": np.zeros((1, 8), np.float32), "length.table": 200},
        {"rows.table": np.array([1], np.uint32), "to.table": np.zeros((1, 8), np.float32), "length.table": 100},
        {"rows.table": np.array([1], np.uint32), "to.table": np.zeros((1, 7), np.float32), "length.table": 200},
        {"rows.other": np.array([1], np.uint32), "to.other": np.zeros((1, 8), np.float32), "length.other": 200},
        {"rows.table": np.array([1], np.uint32)},
        {"whole.table": np.zeros((1, 8), np.float32)},
    ],
)
def test_a_delta_that_does_not_fit_its_base_is_refused(url: str, delta: dict[str, Any]) -> None:
    about = load_meta(url, "d")
    rest = {key: about[key] for key in ("base", "codes")}
    arrays = {key: np.asarray(array) for key, array in delta.items()}
    checkpoint.save(url, "odd", {"delta": arrays}, rest, about["digest"])
    with pytest.raises(ModelError, match=r"odd cannot be made from w"):
        load(url, "odd")


# ---------------------------------------------------------------- a lineage's
def test_what_is_taken_out_of_meta_are_the_codes_of_a_version() -> None:
    assert Codes._fields == CODES


def test_a_version_through_a_delta_says_what_the_whole_one_says(tmp_path: Path) -> None:
    series, one = Series(SMALL), lineage()
    one.take(WALKS[:112], 112)
    series.save(str(tmp_path), "v1", *one.version())
    one.take(WALKS[112:], 120)
    arrays, about = one.version()
    assert series.save(str(tmp_path), "v2", arrays, about).base == "v1"
    view = one._world.catalog.view()
    example = walks(5, 30, seed=3)[-1]
    said = []
    for model, its_meta in ((arrays, json.loads(json.dumps(about))), load(str(tmp_path), "v2")):
        _, served = brain_of("v2", model, its_meta, Texts(str(about["encoder"])))
        said.append(served.log_probabilities(view, [example.state], [example.event.at])[0])
    whole, through = said
    assert whole is not None
    assert through is not None
    assert np.array_equal(whole, through)


def test_a_few_hundred_rows_of_fifty_thousand_are_a_twentieth_of_the_bytes(tmp_path: Path) -> None:
    """Of 50,000 ids of 64 numbers, 300 are touched; the rest of the usual network has changed altogether."""
    shape = Shape(ids=50_000)
    rng = np.random.default_rng(0)
    base = {
        "items.id.weight": rng.normal(size=(shape.ids + 1, shape.dim)).astype(np.float32),
        "bias.weight": rng.normal(size=(shape.ids + 1, 1)).astype(np.float32),
        "dense": rng.normal(size=(2, 50_000)).astype(np.float32),
    }
    touched = rng.choice(shape.ids, 300, replace=False)
    now = {name: array.copy() for name, array in base.items()}
    for name in ("items.id.weight", "bias.weight"):
        now[name][touched] += 0.5
    now["dense"] += 0.5
    about = meta(**{f"product-{n}": n + 1 for n in range(shape.ids)})
    series = Series(10_000_000)
    series.save(str(tmp_path), "w", base, about)
    assert series.save(str(tmp_path), "d", now, about).base == "w"
    assert size(tmp_path, "d") < size(tmp_path, "w") / 20
    assert same(load(str(tmp_path), "d")[0], now)
