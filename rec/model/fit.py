"""sequences → **fit** → network. Offline training, for a stream that is already there: epochs, validation, early stop.

The online learner (`rec.model.learner`) takes one step a batch of news; this goes over everything again and again and
keeps the weights that were best on the validation targets. Two views of a history (crop, mask, reorder, CL4SRec) can be
told to find each other, in epochs of their own before that (self-supervised pre-training: nothing is foreseen in them,
so any history will do), or as one more term of the loss.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rec.model.device import Hardware
from rec.model.encode import ACTION_CODES
from rec.model.loss import contrastive, full_softmax, sampled_softmax, with_bias
from rec.model.network import Histories, Items, Network
from rec.model.teaching import Shape

Sequences = Sequence[Sequence[int]]  # item rows from 1, oldest first
_VIEWED = ACTION_CODES["view_item"]


class Fit(msgspec.Struct, frozen=True):
    """How an offline fit goes."""

    shape: Shape = Shape(steps=50, dropout=0.4)
    batch: int = 256
    epochs: int = 200  # at most
    patience: int = 5  # validations without a better one until it ends, once the warm-up is long over
    negatives: int = 1_024  # drawn alike for all examples of a step; 0: the softmax runs over all items
    rate: float = 1e-3
    decay: float = 0.01
    clip: float = 1.0
    warmup_steps: int = 100
    contrast: float = 0.0  # weight of the contrastive term between two views of each history
    pretrain: int = 0  # epochs of that term alone, before all others
    seed: int = 0


class Fitted(NamedTuple):
    """The network at its best, and NDCG@10 on the validation targets after each epoch."""

    network: Network
    items: Items
    validation: list[float]


def fit(
    sequences: Sequences,
    count: int,
    settings: Fit,
    progress: Callable[[int, float, float], None] = lambda *_: None,
    hardware: Hardware = Hardware(),
    pretrained: Callable[[int, float], None] = lambda *_: None,
    *,
    seen_excluded: bool = False,
) -> Fitted:
    """Train on all but the last item of each sequence; that one is the validation target.

    `count` items, rows 1 to count; without text or facets. `seen_excluded` of the validation, as in
    `ranks_of_last`. `progress(epoch, loss, ndcg)`, `pretrained(epoch, loss)`.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    shape = msgspec.structs.replace(settings.shape, ids=count)
    network, items = Network(shape), plain_items(count, shape)
    torch.nn.init.normal_(network.items.id.weight[1:], std=0.02)
    network, items = network.to(hardware.device), Items(*(column.to(hardware.device) for column in items))
    training = [list(sequence[:-1]) for sequence in sequences if len(sequence) > 2]
    views = _Optimizer(network, settings)
    for epoch in range(settings.pretrain):
        losses = []
        for part in alike_batches(training, settings.batch, rng):
            with hardware.cast():
                loss = views_loss(network, items, [training[at] for at in part], rng)
            losses.append(views.step(loss) if loss.requires_grad else 0.0)
        pretrained(epoch, float(np.mean(losses)))
    optimizer = _Optimizer(network, settings)
    best, kept, validation = -1.0, copy.deepcopy(network.state_dict()), list[float]()
    for epoch in range(settings.epochs):
        network.train()
        losses = []
        for part in alike_batches(training, settings.batch, rng):
            chosen = [training[at] for at in part]
            with hardware.cast():
                loss = next_items_loss(network, items, chosen, settings.negatives)
                if settings.contrast:
                    loss = loss + settings.contrast * views_loss(network, items, chosen, rng)
            losses.append(optimizer.step(loss))
        ranks = ranks_of_last(network, items, sequences, seen_excluded=seen_excluded)
        validation.append(float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0).mean()))
        progress(epoch, float(np.mean(losses)), validation[-1])
        if validation[-1] > best:
            best, kept = validation[-1], copy.deepcopy(network.state_dict())
        elif optimizer.steps > 5 * settings.warmup_steps and since_best(validation) > settings.patience:
            break
    network.load_state_dict(kept)
    return Fitted(network.eval(), items, validation)


def since_best(validation: Sequence[float]) -> int:
    """How many validations ago the best was, itself included.

    >>> since_best([0.1, 0.3, 0.2, 0.3])
    3
    """
    return len(validation) - int(np.argmax(validation))


class _Optimizer:
    """AdamW with warm-up and clipping."""

    def __init__(self, network: Network, settings: Fit) -> None:
        self._network, self._settings, self.steps = network, settings, 0
        self._adamw = torch.optim.AdamW(
            network.parameters(), lr=settings.rate, weight_decay=settings.decay, betas=(0.9, 0.98)
        )

    def step(self, loss: Tensor) -> float:
        """One step down; the loss before it."""
        self.steps += 1
        for group in self._adamw.param_groups:
            group["lr"] = self._settings.rate * min(1.0, self.steps / self._settings.warmup_steps)
        self._adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._settings.clip)
        self._adamw.step()
        return float(loss.detach())


def alike_batches(sequences: Sequences, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Places of all sequences in random batches, those of like length together: little is spent on padding."""
    lengths = np.array([len(sequence) for sequence in sequences]) + rng.random(len(sequences))
    order = np.argsort(lengths, kind="stable")
    parts = np.array_split(order, math.ceil(len(order) / size))
    return [parts[at] for at in rng.permutation(len(parts))]


def plain_items(count: int, shape: Shape) -> Items:
    """Items that are nothing but their ids."""
    nothing = torch.zeros(count + 1, dtype=torch.long)
    text = torch.zeros(count + 1, shape.text_dim)
    return Items(torch.arange(count + 1), text, torch.zeros(count + 1, 0), nothing, nothing, torch.zeros(count + 1, 2))


def padded(sequences: Sequences, steps: int) -> Tensor:
    """[B, steps], right-aligned."""
    rows = torch.zeros(len(sequences), steps, dtype=torch.long)
    for at, sequence in enumerate(sequences):
        if newest := list(sequence[-steps:]):
            rows[at, -len(newest) :] = torch.tensor(newest)
    return rows


def histories_of(rows: Tensor) -> Histories:
    """Histories of views, without times."""
    return Histories(rows, (rows > 0).long() * _VIEWED, torch.zeros_like(rows)).trimmed()


def next_items_loss(network: Network, items: Items, sequences: Sequences, negatives: int) -> Tensor:
    """The softmax loss of every next item of each sequence."""
    whole = padded(sequences, network.shape.steps + 1).to(items.slot.device)
    histories = histories_of(whole[:, :-1])
    rows, after = histories.rows, whole[:, -histories.rows.shape[1] :]
    v = network.items(items)
    u = network.users(v, histories)
    real = (rows > 0) & (after > 0)
    n = len(items.slot)
    if not 0 < negatives < n - 1:
        return full_softmax(network.next_item(u[real], v, items).float(), after[real])
    u, v = with_bias(u[real], v, network.bias(items.slot))
    sampled = torch.randint(1, n, (negatives,)).to(v.device)  # drawn on the CPU: the same ones on any device
    return sampled_softmax(u, v, after[real], sampled, torch.zeros(n, device=v.device))


def views_loss(network: Network, items: Items, sequences: Sequences, rng: np.random.Generator) -> Tensor:
    """The contrastive loss between two views of each sequence that is long enough for them; 0 where none is."""
    long = [sequence for sequence in sequences if len(sequence) > 3]
    if not long:  # batches are of like length, so there are some without: a mean over nothing would be nan
        return torch.zeros((), device=items.slot.device)
    v = network.items(items)
    ends = [
        network.users(v, histories_of(padded([view(s, rng) for s in long], network.shape.steps).to(v.device)))[:, -1]
        for _ in range(2)
    ]
    return contrastive(*ends)


def view(sequence: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Another look at the same history: a part of it, some of it missing, or a part of it shuffled."""
    n = len(sequence)
    size = max(1, int(n * 0.6))
    start = int(rng.integers(0, n - size + 1))
    kind = int(rng.integers(3))
    if kind == 0:
        return list(sequence[start : start + size])
    if kind == 1:
        kept = rng.random(n) > 0.3
        kept[int(rng.integers(n))] = True
        return [item for item, keep in zip(sequence, kept, strict=True) if keep]
    part = [sequence[start + int(at)] for at in rng.permutation(size)]
    return [*sequence[:start], *part, *sequence[start + size :]]


@torch.no_grad()
def ranks_of_last(
    network: Network, items: Items, sequences: Sequences, batch: int = 512, *, seen_excluded: bool = False
) -> npt.NDArray[np.float64]:
    """The rank of each sequence's last item among all items, given those before it; ties half.

    `seen_excluded`: among all but those before it, unless it is one of them.
    """
    network.eval()
    v = network.items(items)
    out = []
    for start in range(0, len(sequences), batch):
        part = sequences[start : start + batch]
        u = network.users(v, histories_of(padded([s[:-1] for s in part], network.shape.steps).to(v.device)))[:, -1]
        logits = network.next_item(u, v, items)
        last = torch.tensor([[s[-1]] for s in part], device=v.device)
        own = logits.gather(1, last)
        if seen_excluded:
            seen = padded([s[:-1] for s in part], max(map(len, part))).to(v.device)  # row 0, padding, is out anyway
            logits = logits.scatter(1, seen, float("-inf")).scatter(1, last, own)
        out.append(((logits > own).sum(1) + ((logits == own).sum(1) - 1) / 2).cpu().numpy())
    return np.concatenate(out).astype(np.float64)
