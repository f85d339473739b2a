"""settings → **device** → learner, fit. What the network learns on, and in how many bits. No torch as it loads.

Weights, moments and losses are float32 whatever the precision: `bf16` is torch's autocast, of the products alone.
What serves is float32 on a CPU, always.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rec.errors import ConfigError

if TYPE_CHECKING:
    from rec.config import Settings

_NAME = re.compile(r"auto|cpu|cuda(:\d+)?")
_BUILT_FOR = re.compile(r"^cuda\b[^=\n]*=\s*'", re.M)


class Hardware(NamedTuple):
    """`device` as torch names it; `threads` are those of a CPU."""

    device: str = "cpu"
    precision: str = "fp32"  # or bf16
    threads: int = 1

    def cast(self) -> contextlib.AbstractContextManager[object]:
        """In here products are of the precision."""
        import torch

        return torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.precision == "bf16")


def hardware_of(settings: Settings) -> Hardware:
    """What the settings ask for, on this machine. Raises ConfigError that names REC_DEVICE."""
    return Hardware(placed(settings.device, gpus()), settings.precision, settings.train_threads)


def placed(device: str, count: int) -> str:
    """The device that is meant where torch can use `count` GPUs. Raises ConfigError if it is not there.

    >>> placed("auto", 0), placed("auto", 2), placed("cuda", 1), placed("cuda:1", 2), placed("cpu", 2)
    ('cpu', 'cuda:0', 'cuda:0', 'cuda:1', 'cpu')
    """
    if not _NAME.fullmatch(device):
        raise ConfigError(f"REC_DEVICE: {device!r} is none of auto, cpu, cuda, cuda:N", field="REC_DEVICE")
    if device == "cpu" or (device == "auto" and not count):
        return "cpu"
    number = int(device.partition(":")[2] or 0)
    if number >= count:
        there = f"{count} GPU(s), numbered from 0" if count else "no GPU that torch could use"
        raise ConfigError(
            f"REC_DEVICE: {device} is asked for, and here is {there}. Set REC_DEVICE=auto, "
            "or install the driver and a torch that is built for CUDA",
            field="REC_DEVICE",
        )
    return f"cuda:{number}"


@contextlib.contextmanager
def usable(device: str) -> Iterator[None]:
    """In here a device is used for the first time. The driver may show a GPU that this torch cannot use: too old a
    driver, no memory left. Raises ConfigError then."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        if device == "cpu":
            raise
        raise ConfigError(
            f"REC_DEVICE: torch cannot use {device}: {error}. Set REC_DEVICE=cpu", field="REC_DEVICE"
        ) from None


def gpus() -> int:
    """How many GPUs torch could use here: none if it is built without CUDA, else those the driver shows us."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return 0
    if not _BUILT_FOR.search((Path(spec.origin).parent / "version.py").read_text()):
        return 0
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:  # no driver
        return 0
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0
    return count.value
