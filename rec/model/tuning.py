"""pairs of texts → **tuning** → an adapter. One visit of the slower clock: some contrastive steps, then a test.

    step      InfoNCE: the text acted on next, among those of the batch, given the one acted on last, or given the
              query it was chosen for (half of the batch each, where there are both); logQ-corrected
              + anchor · mean(1 - cos(vector now, vector of the last epoch))
    test      -log P of the same on pairs that were held out, now and in the last epoch, pair by pair: better by more
              than a standard error over all of them, and neither kind worse by more than that

The anchor is on vectors, not on A and B: those can change together and mean the same, while vectors are what the
network's text projection was fitted to. Seeded; on a CPU the same lessons give the same adapter to the bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rec.model.encoder import TextEncoder
from rec.model.loss import in_batch_softmax
from rec.model.teaching import Tune
from rec.pairs import Lessons


class Tuned(NamedTuple):
    """What came of it: the adapter, whether it is better than the last epoch, and by how much."""

    weights: dict[str, np.ndarray]
    better: bool
    metrics: dict[str, float]


def tune(encoder: TextEncoder, lessons: Lessons, how: Tune) -> Tuned:
    """Tune the encoder in place. Better: by more than one standard error over the held-out pairs, and of no kind worse
    by more than that."""
    with torch.random.fork_rng():
        torch.manual_seed(how.seed)
        rng = np.random.default_rng(how.seed)
        encoder.grow(how.rank, how.alpha)
        batches = [_drawn(lessons, how, rng) for _ in range(how.steps)]
        read = sorted({place for batch in [*batches, lessons.held] for pair in batch for place in pair})
        last = _Vectors(read, torch.from_numpy(encoder.encode([lessons.texts[place] for place in read])))
        before = held_out(last, lessons, how)
        _learn(encoder, lessons, batches, last, how)
        now = _Vectors(read, torch.from_numpy(encoder.encode([lessons.texts[place] for place in read])))
        after = held_out(now, lessons, how)
    gain = before - after
    error = _error(gain)
    kinds = [gain[places] for places in lessons.apart(lessons.held) if len(places) > 1]
    harmed = any(part.mean() < -_error(part) for part in kinds)
    metrics = {
        "loss": float(after.mean()),
        "last_loss": float(before.mean()),
        "error": error,
        "moved": float((1 - (now.all * last.all).sum(1)).mean()),
        "pairs": float(len(lessons.train)),
        "held": float(len(lessons.held)),
    }
    if asked := lessons.apart(lessons.held)[1]:
        metrics |= {"query_loss": float(after[asked].mean()), "query_last_loss": float(before[asked].mean())}
    return Tuned(encoder.adapter(), bool(gain.mean() > error) and not harmed, metrics)


def _error(gain: np.ndarray) -> float:
    """Of the mean."""
    return float(gain.std(ddof=1)) / float(len(gain) ** 0.5)


class _Vectors:
    """Of some of the texts, by their places."""

    def __init__(self, places: list[int], vectors: Tensor) -> None:
        self._row_of, self.all = {place: row for row, place in enumerate(places)}, vectors

    def of(self, places: list[int]) -> Tensor:
        return self.all[[self._row_of[place] for place in places]]


def _drawn(lessons: Lessons, how: Tune, rng: np.random.Generator) -> list[tuple[int, int]]:
    drawn: list[int] = []
    kinds = [places for places in lessons.apart(lessons.train) if places]
    for places in kinds:
        size = min(how.batch // len(kinds), len(places))
        drawn += [places[at] for at in rng.choice(len(places), size, replace=False).tolist()]
    return [lessons.train[at] for at in drawn]


def _learn(
    encoder: TextEncoder, lessons: Lessons, batches: list[list[tuple[int, int]]], last: _Vectors, how: Tune
) -> None:
    known = set(lessons.train)
    often = np.zeros(len(lessons.texts))  # how probable a text is among the answers of a batch
    kinds = [places for places in lessons.apart(lessons.train) if places]
    for places in kinds:
        answers = [lessons.train[at][1] for at in places]
        often += np.bincount(answers, minlength=len(often)) / (len(places) * len(kinds))
    optimizer = torch.optim.AdamW(encoder.tuned_parameters(), lr=how.rate, weight_decay=0.0)
    for batch in batches:
        answers = sorted({then for _, then in batch})
        firsts = sorted({first for first, _ in batch} - set(answers))
        places = answers + firsts
        vectors = encoder.embed([lessons.texts[place] for place in places]).float().cpu()  # [n, dim]
        row_of = {place: row for row, place in enumerate(places)}
        likeness = vectors[[row_of[first] for first, _ in batch]] @ vectors[: len(answers)].T / how.temperature
        targets, others = _answers(batch, answers, known)
        log_q = torch.from_numpy(np.log(often[answers])).float()
        loss = in_batch_softmax(likeness, targets, others, log_q).mean()
        loss = loss + how.anchor * anchor(vectors, last.of(places))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(encoder.tuned_parameters(), how.clip)
        optimizer.step()


def anchor(vectors: Tensor, last: Tensor) -> Tensor:
    """The mean 1 - cos of unit vectors [n, dim] to those of the last epoch."""
    return (1 - (vectors * last).sum(1)).mean()


def held_out(vectors: _Vectors, lessons: Lessons, how: Tune) -> np.ndarray:
    """-log P of each held-out pair's second text among all second texts of held-out pairs."""
    answers = sorted({then for _, then in lessons.held})
    likeness = vectors.of([first for first, _ in lessons.held]) @ vectors.of(answers).T / how.temperature
    targets, others = _answers(lessons.held, answers, {*lessons.train, *lessons.held})
    losses: np.ndarray = in_batch_softmax(likeness, targets, others, torch.zeros(len(answers))).double().numpy()
    return losses


def _answers(pairs: list[tuple[int, int]], answers: list[int], known: set[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """[B] which of the answers is each pair's own; [B, n] which are no wrong ones: known, or the first text itself."""
    place_of = {answer: at for at, answer in enumerate(answers)}
    targets = torch.tensor([place_of[then] for _, then in pairs])
    others = torch.tensor([[(first, answer) in known or answer == first for answer in answers] for first, _ in pairs])
    return targets, others
