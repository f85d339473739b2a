"""catalog texts → **vectors**. A pretrained transformer that reads product texts, in a process of its own.

The worker's loop must never wait for torch, so it does not even import it: it starts
`ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=warm, initargs=(name, threads))` and submits
`encode_batch`; only that child imports this module's torch. Vectors cross as bytes of float32.

    texts → tokens → transformer → mean over the tokens → unit length          (Reimers & Gurevych 2019, SBERT)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rec.errors import ConfigError, ModelError, RecError, Unavailable
from rec.model.background import begin_background, load_aside
from rec.model.checkpoint import MODEL, load
from rec.model.device import usable
from rec.model.weights import DEFAULT, adapter_of, encoder_id, locate, tuned_id

if TYPE_CHECKING:
    import torch

MAX_TOKENS = 256  # what the shipped MiniLM was trained for; the rest of a longer text is not read
BATCH = 32


class Adapter(NamedTuple):
    """What tuning has learned, beside a base encoder's weights."""

    base: str  # its encoder_id
    digest: str
    rank: int
    alpha: int
    weights: dict[str, np.ndarray[Any, Any]]


class TextEncoder:
    """Texts in, unit vectors out. `encoder_id` names the weights, `dim` is the length of a vector.

    With an adapter it is another encoder, of another epoch: its vectors do not mix with those of the base. `device` as
    torch names it (`rec.model.device.hardware_of`). Raises ModelError, and ConfigError if torch cannot use the device.
    """

    def __init__(self, name: str = DEFAULT, adapter: Adapter | None = None, device: str = "cpu") -> None:
        folder = locate(name)
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # stderr belongs to the worker's log
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the encoder {name} in {folder} cannot be loaded: {error}") from error
        self.encoder_id = encoder_id(name)
        self.rank, self.alpha = 0, 0
        self.dim = int(model.config.hidden_size)
        self._max_tokens = min(MAX_TOKENS, int(getattr(model.config, "max_position_embeddings", MAX_TOKENS)))
        if adapter is not None:
            model = self._adapted(model, adapter)
        self._device = device
        with usable(device):
            self._model = model.to(device).eval()

    def _adapted(self, model: Any, adapter: Adapter) -> Any:
        from rec.model.lora import with_lora

        if adapter.base != self.encoder_id:
            raise ModelError(f"the adapter {adapter.digest[:16]} is of {adapter.base}, not of {self.encoder_id}")
        self.encoder_id = tuned_id(adapter.base, adapter.digest)
        self.rank, self.alpha = adapter.rank, adapter.alpha
        return with_lora(model, adapter.rank, adapter.alpha, adapter.weights)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors [n, dim] of unit length, in the order of the texts.

        Texts of like length share a batch, so that little is spent on padding.
        """
        vectors = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            vectors[places] = self._batch([texts[i] for i in places]).cpu().numpy()
        return vectors

    def _batch(self, texts: list[str]) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            return self.embed(texts)

    def embed(self, texts: list[str]) -> torch.Tensor:
        """[n, dim] unit vectors of one batch, which gradients go through."""
        import torch

        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._device)
        hidden: torch.Tensor = self._model(**tokens).last_hidden_state  # [batch, tokens, dim]
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return torch.nn.functional.normalize(mean, dim=1)

    # ------------------------------------------------------------------ tuning
    def merge(self) -> None:
        """Add the adapter to the weights beside it, if there is one: as fast as without; it cannot be tuned on."""
        if self.rank:
            self._model = self._model.merge_and_unload().eval()

    def grow(self, rank: int, alpha: int) -> None:
        """An adapter that changes nothing yet, where there is none. From here on the encoder has no id."""
        from rec.model.lora import with_lora

        self.encoder_id = ""
        if not self.rank:
            self.rank, self.alpha = rank, alpha
            self._model = with_lora(self._model, rank, alpha).to(self._device).eval()

    def tuned_parameters(self) -> list[torch.nn.Parameter]:
        """What tuning may change: the adapter's weights, and nothing else."""
        return [weight for weight in self._model.parameters() if weight.requires_grad]

    def adapter(self) -> dict[str, npt.NDArray[np.float32]]:
        """The adapter's weights by name."""
        from rec.model.lora import lora_of

        return lora_of(self._model)


def epoch_encoder(name: str, url: str, encoder: str, device: str = "cpu") -> TextEncoder:
    """The encoder of an epoch: the base `name`, with the adapter from the checkpoints under `url`, if it has one.

    Raises ModelError if either is not there.
    """
    if (adapter := adapter_of(encoder)) is None:
        return TextEncoder(name, device=device)
    tensors, meta = load(url, adapter)
    about = Adapter(str(meta["base"]), str(meta["digest"]), int(meta["rank"]), int(meta["alpha"]), tensors[MODEL])
    return TextEncoder(name, about, device)


# ---------------------------------------------------------------- in the child process
_warm: list[TextEncoder] = []


def warm(
    name: str = DEFAULT,
    threads: int = 1,
    urgent: bool = False,
    device: str = "cpu",
    url: str = "",
    encoder: str = "",
) -> None:
    """Initializer of the child: load the weights, behind everybody else: a new list matters more than a new vector.

    `urgent`: somebody waits for a vector, once the weights are there. `encoder`: of an epoch, whose adapter is under
    `url`.

    Raises ModelError, which the parent sees as BrokenProcessPool: call `locate` and `hardware_of` there first. A device
    that is there and that torch cannot use is an error in the log, and the CPU is used.
    """
    begin_background(threads, urgent=urgent)
    _warm[:] = [load_aside(_reader, name, url, encoder, device)]


def _reader(name: str, url: str, encoder: str, device: str) -> TextEncoder:
    try:
        found = epoch_encoder(name, url, encoder, device)
    except ConfigError as error:  # lists and searches wait for vectors: late ones are better than none
        logging.getLogger(__name__).error("%s; until then texts are read on the CPU", error.message)
        found = epoch_encoder(name, url, encoder)
    found.merge()
    return found


def encode_batch(texts: list[str]) -> tuple[int, bytes]:
    """(dim, float32 bytes [n * dim]) of the texts, in their order. Only in a process that `warm` has prepared.

    Raises Unavailable where torch cannot: a GPU without memory is for another try, and no reason to end a worker.
    """
    if not _warm:
        raise ModelError("encode_batch runs in a process that was started with initializer=warm")
    encoder = _warm[0]
    try:
        return encoder.dim, encoder.encode(texts).tobytes()
    except RecError:
        raise
    except Exception as error:
        raise Unavailable(f"{len(texts)} texts could not be read: {error!r}") from error
