"""Where the network learns, and in how many bits: what is asked for or a clear no, and the same model either way."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from rec.config import load_settings
from rec.errors import ConfigError
from rec.model.device import Hardware, gpus, hardware_of, placed
from rec.model.fit import fit
from rec.model.learner import Learner
from tests.model.test_fit import ITEMS, SETTINGS, circles
from tests.model.test_learner import TRAINING, lessons, probabilities

CYCLE = ("a", "b", "c", "d")
BF16 = Hardware(precision="bf16")


@pytest.mark.parametrize(("device", "count"), [("cuda", 0), ("cuda:0", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_a_setting_to_mend(device: str, count: int) -> None:
    with pytest.raises(ConfigError, match=rf"REC_DEVICE: {device} is asked for, and here .*REC_DEVICE=auto") as caught:
        placed(device, count)
    assert (caught.value.field, caught.value.exit_code) == ("REC_DEVICE", 3)


def test_a_device_that_nobody_knows_is_named() -> None:
    with pytest.raises(ConfigError, match="'tpu' is none of auto, cpu, cuda, cuda:N"):
        placed("tpu", 1)


def test_as_many_gpus_are_seen_as_torch_sees() -> None:
    assert gpus() == torch.cuda.device_count()
    assert hardware_of(load_settings(precision="bf16")).precision == "bf16"


def taught(hardware: Hardware, **more: Any) -> Learner:
    learner = Learner(msgspec.structs.replace(TRAINING, **more), hardware)
    learner.learn(lessons(240, CYCLE))
    return learner


@pytest.mark.parametrize("full_until", [20_000, 2], ids=["full softmax", "sampled softmax"])
def test_in_bfloat16_it_learns_the_same_within_tolerance(full_until: int) -> None:
    whole, half = (taught(each, full_until=full_until, impressions=0.1) for each in (Hardware(), BF16))
    assert half.loss == pytest.approx(whole.loss, rel=0.1, abs=0.02)
    state, _ = lessons(240, CYCLE)[-1]
    there, here = (probabilities(each, state, *CYCLE) for each in (whole, half))
    assert here == pytest.approx(there, abs=0.05)


def test_weights_and_moments_stay_float32_and_a_learner_of_the_other_precision_goes_on_from_them() -> None:
    learner = taught(BF16)
    arrays, rest = learner.state()
    kinds = {array.dtype for name, array in arrays.items() if name.startswith(("network.", "optimizer."))}
    assert kinds == {np.dtype(np.float32)}
    other = Learner(TRAINING)
    other.load(arrays, rest)
    other.learn(lessons(260, CYCLE)[240:])
    assert other.steps > learner.steps


def test_an_offline_fit_in_bfloat16_is_as_good() -> None:
    quick = msgspec.structs.replace(SETTINGS, epochs=8)
    found = [fit(circles(200), ITEMS, quick, hardware=each).validation for each in (Hardware(), BF16)]
    assert found[1][-1] == pytest.approx(found[0][-1], abs=0.05)
