"""The real pretrained encoder, as the worker's child runs it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rec.errors import ConfigError, ModelError
from rec.model.encoder import TextEncoder
from rec.model.weights import encoder_id


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


def test_like_titles_are_nearer_than_unlike_ones(encoder: TextEncoder) -> None:
    tent, shelter, kettle = encoder.encode(["3-person dome tent", "camping shelter for three", "electric kettle"])
    assert float(tent @ shelter) > float(tent @ kettle) + 0.2


def test_vectors_are_of_unit_length_in_the_order_of_the_texts(encoder: TextEncoder) -> None:
    texts = ["a much longer title that goes on for quite some time, with many words", "mug", "lamp"]
    together = encoder.encode(texts)
    assert together.shape == (3, encoder.dim)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(together[1], encoder.encode(["mug"])[0], atol=1e-4)


def test_no_texts_give_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_an_encoder_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="no-such-encoder"):
        TextEncoder("no-such-encoder")


def test_it_computes_on_the_device_it_is_told(encoder: TextEncoder) -> None:
    there = TextEncoder(device="meta")  # torch's device of shapes without numbers: no GPU is needed to see it used
    with pytest.raises(RuntimeError, match="meta"):
        there.embed(["tent"])
    assert encoder.embed(["tent"]).device.type == "cpu"


def test_a_device_that_torch_cannot_use_is_a_setting_to_mend() -> None:
    with pytest.raises(ConfigError, match="REC_DEVICE: torch cannot use cuda:99.*REC_DEVICE=cpu") as caught:
        TextEncoder(device="cuda:99")
    assert caught.value.field == "REC_DEVICE"


def test_the_worker_asks_for_the_weights_name_without_torch() -> None:
    code = "import sys; from rec.model.encoder import encode_batch, warm; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert encoder_id("all-MiniLM-L6-v2").startswith("all-MiniLM-L6-v2")
