"""version → **served** → ranking. A network that reads and no longer learns, over whatever the catalog is now.

The items of a version's catalog may be gone and new ones have come: their vectors are made from the catalog's own rows
(text, image, category, brand, price), and from the id embeddings that the version has for those it knew. They are made
once a catalog view, so a list costs one pass of the user tower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rec.catalog import Floats, View
from rec.errors import ModelError
from rec.features import FEATURES
from rec.gate import Gate
from rec.images import unit
from rec.model.encode import empty, write_history
from rec.model.network import Histories, Items, Network
from rec.model.teaching import Shape
from rec.model.texts import Texts
from rec.model.vocabulary import Codes, Vocabulary, price_features
from rec.state import UserState
from rec.value import Heard


class _Read(NamedTuple):
    """The items of one view of the catalog, as the network sees them."""

    view: View
    texts: Mapping[str, Floats]
    items: Items
    v: Tensor  # [n + 1, d]


class Served:
    """`rec.value.SequenceModel` of one version. Any thread may `warm` it while another one scores.

    `texts` are those of the epoch it learned with; they may go on changing in another thread.
    """

    def __init__(self, version: str, network: Network, codes: Codes, texts: Texts | None = None) -> None:
        self.version = version
        self.texts = texts or Texts("")
        self._network, self._codes = network.eval(), codes
        self._read: _Read | None = None

    @torch.no_grad()
    def warm(self, view: View) -> _Read:
        """Make the vectors of the items of this view; the first list need not wait for them."""
        read, vectors = self._read, self.texts.vectors
        if read is None or read.view is not view or read.texts is not vectors:
            items = items_of(view, self._codes, self._network.shape, self.texts)
            read = self._read = _Read(view, vectors, items, self._network.items(items))
        return read

    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        """log P(next item) [view.size] for each user, as of each one's moment."""
        return [one.log_p for one in self._heard(view, users, now)]

    def hear(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard | None]:
        """The same, with what the heads have to say (see rec.value)."""
        return list(self._heard(view, users, now))

    @torch.no_grad()
    def _heard(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard]:
        read = self.warm(view)
        batch = empty(len(users), self._network.shape.steps)

        def row_of(item_id: str) -> int:
            row = view.row(item_id)
            return 0 if row is None else row + 1

        for at, (state, moment) in enumerate(zip(users, now, strict=True)):
            write_history(batch, at, state, moment, row_of)
        histories = Histories(*(torch.from_numpy(array) for array in batch[:3])).trimmed()
        u = self._network.users(read.v, histories)[:, -1]
        logits = self._network.next_item(u, read.v, read.items)
        logits[:, torch.from_numpy(~np.concatenate([[False], view.known]))] = -math.inf
        return heard_of(self._network, u, read.v, F.log_softmax(logits, -1)[:, 1:], np.arange(1, view.size + 1))


def heard_of(network: Network, u: Tensor, v: Tensor, log_p: Tensor, places: np.ndarray) -> list[Heard]:
    """What the network says of each of B users [B, d] over items [n, d]; log_p [B, size], places [size] rows of v."""
    after, base, items = (each.detach().cpu().numpy() for each in (network.per_head(u), network.head_bias, v))
    return [Heard(said, turned, base, items, places) for said, turned in zip(log_p.numpy(), after, strict=True)]


def one_thread() -> None:
    """For this process: the network is small, and threads that spin take the cores from everybody else."""
    torch.set_num_threads(1)


def items_of(view: View, codes: Codes, shape: Shape, texts: Texts) -> Items:
    """The rows of a catalog view as the network takes them; row 0 is padding, row r of the view is row r + 1."""
    n = view.size
    slot, category, brand = (np.zeros(n + 1, np.int64) for _ in range(3))
    slot[1:] = [codes.slots.get(item_id, 0) for item_id in view.ids[:n]]
    category[1:] = _translated(view.category, view.categories, codes.categories)
    brand[1:] = _translated(view.brand, view.brands, codes.brands)
    price, text = np.zeros((n + 1, 2), np.float32), np.zeros((n + 1, shape.text_dim), np.float32)
    price[1:] = np.array([price_features(item.price) for item in view.items[:n]], np.float32).reshape(n, 2)
    if shape.text_dim:
        text[1:] = texts.matrix(view, shape.text_dim)
    image = np.zeros((n + 1, shape.image_dim), np.float32)
    if shape.image_dim:
        for row, item in enumerate(view.items[:n], start=1):
            if (vector := unit(item, shape.image_dim)) is not None:
                image[row] = vector
    return Items(*(torch.from_numpy(array) for array in (slot, text, image, category, brand, price)))


def _translated(column: np.ndarray, names: Mapping[str, int], codes: Mapping[str, int]) -> np.ndarray:
    """A column of the catalog's own numbers in the version's numbers."""
    known = dict(names)  # the catalog's thread may add to it meanwhile
    table = np.zeros(max(known.values(), default=0) + 1, np.int64)
    for name, code in known.items():
        table[code] = codes.get(name, 0) if name else 0
    translated: np.ndarray = table[column]
    return translated


# ---------------------------------------------------------------- as plain arrays
def packed(network: Network, vocabulary: Vocabulary) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What a version that serves has to hold: weights by name, id tables only as long as they are used; and JSON."""
    codes = vocabulary.codes
    used = max(codes.slots.values(), default=0) + 1
    arrays = {}
    for name, tensor in network.state_dict().items():
        array = tensor.detach().cpu().numpy()
        arrays[name] = array[:used].copy() if name in _BY_SLOT else array.copy()
    return arrays, {
        "shape": msgspec.to_builtins(network.shape),
        "slots": list(codes.slots.items()),
        "categories": list(codes.categories.items()),
        "brands": list(codes.brands.items()),
    }


_BY_SLOT = ("items.id.weight", "bias.weight")


def unpacked(version: str, arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any], texts: Texts) -> Served:
    """The version that `packed` wrote, over these texts. Raises ModelError if weights and shape do not fit."""
    used = len(arrays["items.id.weight"])
    shape = msgspec.convert({**rest["shape"], "ids": used - 1}, Shape)
    network = Network(shape)
    try:
        network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    except (RuntimeError, KeyError) as error:
        raise ModelError(f"the weights of {version} do not fit its shape: {error}") from None
    return Served(version, network, Codes(*(dict(rest[name]) for name in Codes._fields)), texts)


def epoch_of(meta: Mapping[str, Any]) -> str:
    """The encoder whose vectors a version learned with, by its meta.json."""
    return str(meta.get("encoder", ""))


def brain_of(name: str, model: Mapping[str, np.ndarray], meta: Mapping[str, Any], texts: Texts) -> tuple[Gate, Served]:
    """A version's gate and network, over texts of the epoch it learned with.

    Raises ModelError if it is of other features than this code's, or the texts are of another epoch.
    """
    if texts.encoder != epoch_of(meta):
        raise ModelError(f"the version {name} reads texts of {epoch_of(meta)}, and was given those of {texts.encoder}")
    if list(meta["features"]) != list(FEATURES):
        raise ModelError(f"the version {name} has other features than this software; it cannot serve here")
    network = {key.removeprefix("network."): array for key, array in model.items() if key.startswith("network.")}
    return Gate(tuple(tuple(row) for row in model["gate"].tolist())), unpacked(name, network, meta, texts)
