"""Checkpoints come back to the bit, or not at all: cut off, flipped, half written and foreign ones are told apart."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import numpy as np
import pytest

from rec.errors import ConfigError, ModelError, Unavailable
from rec.model.checkpoint import check, delete, digest_of, load, load_meta, names, save
from rec.store.folders import Folders

Weights = dict[str, np.ndarray[Any, Any]]
META = {"parent": "v0", "offset": 41, "metrics": {"nll": 3.25}}


def weights(seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    return {
        "gate": rng.normal(size=(3, 4)).astype(np.float32),
        "items": rng.integers(0, 9, 5),
        "scale": np.asarray(0.5, np.float16),
        "none": np.zeros((0, 7), np.float64),
        "mask": np.array([True, False]),
    }


@pytest.fixture(params=["local", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "models")
        return
    place = f"memory://{uuid.uuid4().hex}"
    yield place
    if (memory := fsspec.filesystem("memory")).exists(place):
        memory.rm(place, recursive=True)


def write(url: str, name: str, file: str, content: bytes) -> None:
    fs, root = fsspec.core.url_to_fs(url)
    fs.makedirs(f"{root}/{name}", exist_ok=True)
    fs.pipe_file(f"{root}/{name}/{file}", content)


def read(url: str, name: str, file: str) -> bytes:
    fs, root = fsspec.core.url_to_fs(url)
    content: bytes = fs.cat_file(f"{root}/{name}/{file}")
    return content


def same(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and all(
        one[name].dtype == two[name].dtype
        and one[name].shape == two[name].shape
        and one[name].tobytes() == two[name].tobytes()
        for name in one
    )


# ---------------------------------------------------------------- there and back
def test_tensors_and_meta_come_back_as_they_were(url: str) -> None:
    digest = save(url, "v1", {"model": weights(), "optimizer": weights(1)}, META)
    tensors, meta = load(url, "v1", ("model", "optimizer"))
    assert same(tensors["model"], weights())
    assert same(tensors["optimizer"], weights(1))
    assert {key: meta[key] for key in META} == META
    assert (meta["format"], meta["digest"]) == (1, digest)
    assert meta == load_meta(url, "v1")
    assert meta["files"]["model.safetensors"]["bytes"] == len(read(url, "v1", "model.safetensors"))
    assert check(url, "v1") == {"model.safetensors": None, "optimizer.safetensors": None}
    tensors["model"]["gate"][0, 0] = 7.0  # fresh arrays, to go on learning with


def test_only_the_files_that_are_asked_for_are_read(url: str) -> None:
    save(url, "v1", {"model": weights(), "optimizer": weights(1)}, META)
    write(url, "v1", "optimizer.safetensors", b"broken")
    assert list(load(url, "v1")[0]) == ["model"]
    wrong = check(url, "v1")
    assert wrong.pop("model.safetensors") is None
    assert (wrong["optimizer.safetensors"] or "").startswith("it has 6 bytes instead of ")


def test_names_are_those_of_whole_checkpoints_and_a_deleted_one_is_gone(url: str) -> None:
    assert names(url) == []
    assert not delete(url, "v1")
    for name in ("v2", "v1", "v10"):
        save(url, name, {"model": weights()}, META)
    assert names(url) == ["v1", "v10", "v2"]
    assert delete(url, "v1")
    assert names(url) == ["v10", "v2"]
    with pytest.raises(ModelError, match=r"there is no checkpoint v1 in .*rec models"):
        load(url, "v1")
    save(url, "v1", {"model": weights(5)}, META)
    assert same(load(url, "v1")[0]["model"], weights(5))


def test_saving_again_is_no_change_and_other_weights_under_the_name_are_refused(url: str) -> None:
    digest = save(url, "v1", {"model": weights()}, META)
    assert save(url, "v1", {"model": weights()}, {"offset": 99}) == digest
    assert load_meta(url, "v1")["offset"] == 41
    with pytest.raises(ModelError, match=r"v1 is in .* already, with other weights"):
        save(url, "v1", {"model": weights(1)}, META)
    assert same(load(url, "v1")[0]["model"], weights())


# ---------------------------------------------------------------- digests
def test_equal_weights_have_equal_digests_wherever_and_however_they_lie(url: str, tmp_path: Path) -> None:
    one = weights()
    other = {name: one[name] for name in reversed(one)}
    other["gate"] = np.asfortranarray(one["gate"]).astype(">f4")  # other order in memory, other ends
    assert save(url, "v1", {"model": one}, META) == save(str(tmp_path / "elsewhere"), "w", {"model": other}, {})
    assert same(load(str(tmp_path / "elsewhere"), "w")[0]["model"], one)
    assert digest_of(load(url, "v1")[0]["model"]) == digest_of(one)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w | {"gate": w["gate"].reshape(4, 3)},
        lambda w: w | {"gate": w["gate"].view(np.int32)},
        lambda w: {**{name: w[name] for name in w if name != "gate"}, "gates": w["gate"]},
        lambda w: w | {"gate": np.nextafter(w["gate"], 1)},
        lambda w: w | {"none": np.zeros((0, 8), np.float64)},
    ],
)
def test_another_name_shape_kind_or_value_is_another_digest(change: Any) -> None:
    assert digest_of(change(weights())) != digest_of(weights())


def test_the_digest_is_of_the_model_alone(tmp_path: Path) -> None:
    digest = save(str(tmp_path), "v1", {"model": weights(), "optimizer": weights(1)}, META)
    assert digest == digest_of(weights())


def test_the_digest_is_sha256_of_name_kind_shape_and_little_endian_bytes() -> None:
    bytes_of = b'["b","bool",[1]]\x01' + b'["w","float32",[3]]' + np.arange(3, dtype="<f4").tobytes()
    tensors = {"w": np.arange(3, dtype=">f4"), "b": np.array([True])}
    assert digest_of(tensors) == hashlib.sha256(bytes_of).hexdigest()


# ---------------------------------------------------------------- damage
def test_a_file_that_is_cut_off_anywhere_is_named(url: str) -> None:
    save(url, "v1", {"model": weights()}, META)
    for file in ("model.safetensors", "meta.json"):
        whole = read(url, "v1", file)
        for length in range(len(whole)):
            write(url, "v1", file, whole[:length])
            with pytest.raises(ModelError, match=rf"the file {file} of the checkpoint v1 in .* is broken.*rec models"):
                load(url, "v1")
        write(url, "v1", file, whole + b"\0")
        with pytest.raises(ModelError, match=rf"the file {file} of the checkpoint v1"):
            load(url, "v1")
        write(url, "v1", file, whole)
    assert same(load(url, "v1")[0]["model"], weights())


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    url = str(tmp_path)
    save(url, "v1", {"model": weights()}, META)
    for file in ("model.safetensors", "meta.json"):
        whole = read(url, "v1", file)
        for place in range(len(whole)):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << place % 8
            (tmp_path / "v1" / file).write_bytes(flipped)
            with pytest.raises(ModelError):
                load(url, "v1")
        (tmp_path / "v1" / file).write_bytes(whole)
    load(url, "v1")


def test_a_missing_file_is_named(url: str) -> None:
    save(url, "v1", {"model": weights()}, META)
    with pytest.raises(ModelError, match=r"has no file optimizer.safetensors, only model.safetensors"):
        load(url, "v1", ("optimizer",))
    fs, root = fsspec.core.url_to_fs(url)
    fs.rm_file(f"{root}/v1/model.safetensors")
    with pytest.raises(ModelError, match=r"model.safetensors of the checkpoint v1 .* it is missing"):
        load(url, "v1")


def test_a_checkpoint_of_a_later_format_says_so(url: str) -> None:
    save(url, "v1", {"model": weights()}, META)
    meta = msgspec.json.decode(read(url, "v1", "meta.json"))
    write(url, "v1", "meta.json", msgspec.json.encode({**meta, "format": 2}))
    with pytest.raises(ModelError, match=r"v1 in .* has format 2, and this version reads 1\. Update"):
        load_meta(url, "v1")


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"format": "1"}', b"\xff\xfe", b"null", b'{"format": true}'])
def test_a_meta_that_is_something_else_is_broken(url: str, content: bytes) -> None:
    save(url, "v1", {"model": weights()}, META)
    write(url, "v1", "meta.json", content)
    with pytest.raises(ModelError, match=r"meta.json of the checkpoint v1"):
        load(url, "v1")


# ---------------------------------------------------------------- crashes
def test_without_meta_json_there_is_no_checkpoint_and_the_name_is_free(url: str) -> None:
    write(url, "v1", "model.safetensors", b"what a crash has left")
    assert names(url) == []
    with pytest.raises(ModelError, match="there is no checkpoint v1"):
        load(url, "v1")
    save(url, "v1", {"model": weights()}, META)
    assert names(url) == ["v1"]
    assert same(load(url, "v1")[0]["model"], weights())


CRASH = """
import os, sys
import numpy as np
from rec.model import checkpoint
written = 0
def sync(handle, real=os.fsync):
    global written
    written += 1
    if written > int(sys.argv[2]):
        os._exit(9)  # as a kill would: nothing is tidied up
    real(handle)
os.fsync = sync
model = {"w": np.arange(9, dtype=np.float32)}
checkpoint.save(sys.argv[1], "v1", {"model": model, "optimizer": model}, {})
"""


@pytest.mark.parametrize("files", [0, 1, 2, 3])
def test_a_crash_between_the_files_leaves_nothing_that_could_be_read(tmp_path: Path, files: int) -> None:
    died = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), str(files)], timeout=60)
    assert died.returncode == 9
    (left,) = tmp_path.iterdir()
    assert names(str(tmp_path)) == []
    with pytest.raises(ModelError, match="there is no checkpoint v1"):
        load(str(tmp_path), "v1")
    save(str(tmp_path), "v1", {"model": weights()}, META)  # at once: what may still be in work is left alone
    assert {path.name for path in tmp_path.iterdir()} == {"v1", left.name}
    os.utime(left, (time.time() - 4_000,) * 2)
    save(str(tmp_path), "v2", {"model": weights()}, META)
    assert {path.name for path in tmp_path.iterdir()} == {"v1", "v2"}


def test_of_two_that_save_at_once_the_second_finds_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, real = str(tmp_path), Folders.write

    def late(self: Folders, *args: Any) -> None:
        monkeypatch.setattr(Folders, "write", real)
        save(url, "v1", {"model": weights()}, {"first": True})
        real(self, *args)

    monkeypatch.setattr(Folders, "write", late)
    save(url, "v1", {"model": weights()}, META)
    assert load_meta(url, "v1")["first"]
    monkeypatch.setattr(Folders, "write", late)
    delete(url, "v1")
    with pytest.raises(ModelError, match="with other weights"):
        save(url, "v1", {"model": weights(3)}, META)
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


# ---------------------------------------------------------------- misuse, and a store that is away
@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "../v1", "v1\n", "x" * 129])
def test_a_name_that_could_lead_elsewhere_is_refused(url: str, name: str) -> None:
    for call in (
        lambda: save(url, name, {"model": weights()}, META),
        lambda: load(url, name),
        lambda: delete(url, name),
    ):
        with pytest.raises(ModelError, match="no name"):
            call()


def test_what_the_format_cannot_hold_is_refused_before_anything_is_written(url: str) -> None:
    with pytest.raises(ModelError, match="the tensor words is of kind str"):
        save(url, "v1", {"model": {"words": np.array(["a"])}}, META)
    with pytest.raises(ModelError, match="kind object"):
        save(url, "v1", {"model": weights(), "more": {"any": np.array([{}])}}, META)
    with pytest.raises(ValueError, match="needs the file 'model'"):
        save(url, "v1", {"optimizer": weights()}, META)
    with pytest.raises(ValueError, match="none of format"):
        save(url, "v1", {"model": weights()}, {"digest": "mine"})
    assert names(url) == []


@pytest.mark.parametrize("place", ["nope://bucket/models", "s3://bucket/models"])
def test_a_url_that_cannot_be_opened_is_a_setting_to_mend(place: str) -> None:
    if place.startswith("s3") and importlib.util.find_spec("s3fs"):
        pytest.skip("s3fs is installed here")
    with pytest.raises(ConfigError, match=r"REC_MODELS_URL: .* cannot be opened"):
        names(place)


def test_a_store_that_cannot_be_written_to_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match=r"The model store .*models cannot be used \(.*REC_MODELS_URL"):
        save(str(tmp_path / "models"), "v1", {"model": weights()}, META)


def test_torch_stays_out() -> None:
    script = "import sys, rec.model.checkpoint; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
