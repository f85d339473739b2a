"""Tuning the encoder: only the adapter learns, the anchor holds it, a worse one is refused, the same gives the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from rec.errors import ModelError
from rec.model.checkpoint import MODEL, digest_of, load, save
from rec.model.encoder import TextEncoder, epoch_encoder
from rec.model.loss import in_batch_softmax
from rec.model.teaching import Tune
from rec.model.tuning import Tuned, _drawn, anchor, tune
from rec.model.weights import encoder_id, tuned_id
from rec.pairs import Lessons
from tests.model.tiny import tiny_bert

KINDS, EACH = 6, 8
TEXTS = [f"kind{n % KINDS} n{n}" for n in range(KINDS * EACH)]
HOW = Tune(steps=30, batch=16, rank=4, alpha=8, rate=1e-2, temperature=0.2, anchor=0.1, least=1, held=1)


def lessons(*, wrong: bool = False, seed: int = 1) -> Lessons:
    """Pairs within a kind. `wrong`: what is learned from leads elsewhere than what is held out."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(1_500):
        a, b = (int(n) for n in rng.integers(0, len(TEXTS), 2))
        if a != b and a % KINDS == b % KINDS:
            pairs.append((a, b))
    pairs = list(dict.fromkeys(pairs))
    train, held = pairs[:-40], pairs[-40:]
    if wrong:
        train = [(a, (a + 3) % len(TEXTS)) for a, _ in train]
    return Lessons(TEXTS, list(dict.fromkeys(train)), held)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    words = {word for text in TEXTS for word in text.split()}
    return tiny_bert(tmp_path_factory.mktemp("tiny"), words, dim=16)


def tuned(folder: str, how: Tune = HOW, taught: Lessons | None = None) -> tuple[TextEncoder, Tuned]:
    encoder = TextEncoder(folder)
    return encoder, tune(encoder, taught or lessons(), how)


@pytest.fixture(scope="module")
def learned(folder: str) -> tuple[TextEncoder, Tuned]:
    return tuned(folder)


def test_what_goes_together_moves_together_and_held_out_pairs_show_it(learned: tuple[TextEncoder, Tuned]) -> None:
    _, result = learned
    assert result.better
    assert result.metrics["loss"] < result.metrics["last_loss"] - result.metrics["error"]
    assert result.metrics["moved"] > 0.01


def test_only_the_adapter_has_learned(folder: str, learned: tuple[TextEncoder, Tuned]) -> None:
    plain, (encoder, result) = TextEncoder(folder), learned
    before = dict(plain._model.named_parameters())
    frozen = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): weight
        for name, weight in encoder._model.named_parameters()
        if "lora_" not in name
    }
    assert frozen.keys() == before.keys()
    assert all(torch.equal(weight, before[name]) for name, weight in frozen.items())
    assert all("lora_" in name for name in result.weights)
    assert any(array.any() for name, array in result.weights.items() if "lora_B" in name)


def test_an_adapter_that_has_learned_nothing_changes_nothing(folder: str) -> None:
    encoder = TextEncoder(folder)
    plain = encoder.encode(TEXTS)
    encoder.grow(4, 8)
    assert np.array_equal(encoder.encode(TEXTS), plain)


def test_the_anchor_pulls_towards_the_last_epoch(folder: str) -> None:
    free, held = (tuned(folder, msgspec.structs.replace(HOW, anchor=weight))[1] for weight in (0.0, 10.0))
    assert held.metrics["moved"] < free.metrics["moved"] / 2


def test_the_anchor_is_nothing_where_nothing_moved_and_its_gradient_leads_back() -> None:
    last = torch.nn.functional.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    assert float(anchor(last, last)) == pytest.approx(0.0, abs=1e-6)
    moved = (last + 0.3).requires_grad_()
    unit = torch.nn.functional.normalize(moved, dim=1)
    anchor(unit, last).backward()  # type: ignore[no-untyped-call]
    assert moved.grad is not None
    stepped = torch.nn.functional.normalize(moved.detach() - moved.grad, dim=1)
    assert float(anchor(stepped, last)) < float(anchor(unit.detach(), last))


def test_an_adapter_that_is_worse_on_held_out_pairs_is_refused(folder: str) -> None:
    _, result = tuned(folder, msgspec.structs.replace(HOW, anchor=0.0), lessons(wrong=True))
    assert not result.better
    assert result.metrics["loss"] > result.metrics["last_loss"] - result.metrics["error"]


def test_the_same_pairs_give_the_same_adapter_to_the_bit_whatever_was_drawn_before(
    folder: str, learned: tuple[TextEncoder, Tuned]
) -> None:
    one = learned[1]
    torch.rand(3)
    two = tuned(folder)[1]
    other = tuned(folder, msgspec.structs.replace(HOW, seed=1))[1]
    assert digest_of(one.weights) == digest_of(two.weights) != digest_of(other.weights)
    assert one.metrics == two.metrics


def test_a_saved_adapter_reads_texts_as_the_tuned_encoder_did_and_under_a_name_of_its_own(
    folder: str, learned: tuple[TextEncoder, Tuned], tmp_path: Path
) -> None:
    encoder, result = learned
    base = encoder_id(folder)
    digest = digest_of(result.weights)
    meta = {"base": base, "rank": encoder.rank, "alpha": encoder.alpha}
    save(str(tmp_path), digest[:16], {MODEL: result.weights}, meta)
    again = epoch_encoder(folder, str(tmp_path), tuned_id(base, digest))
    assert again.encoder_id == tuned_id(base, digest) != base
    assert np.array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    assert not np.allclose(again.encode(TEXTS), TextEncoder(folder).encode(TEXTS), atol=1e-3)


def test_the_next_visit_goes_on_from_the_last_adapter(
    folder: str, learned: tuple[TextEncoder, Tuned], tmp_path: Path
) -> None:
    encoder, first = learned
    digest, base = digest_of(first.weights), encoder_id(folder)
    meta = {"base": base, "rank": encoder.rank, "alpha": encoder.alpha}
    save(str(tmp_path), digest[:16], {MODEL: first.weights}, meta)
    second = tune(epoch_encoder(folder, str(tmp_path), tuned_id(base, digest)), lessons(), HOW)
    assert second.metrics["last_loss"] == pytest.approx(first.metrics["loss"], abs=1e-5)


def test_an_adapter_of_another_encoder_is_refused(
    folder: str, learned: tuple[TextEncoder, Tuned], tmp_path: Path
) -> None:
    _, result = learned
    other = tiny_bert(tmp_path / "other", ["a"], dim=16, seed=9)
    digest = digest_of(result.weights)
    url = str(tmp_path / "adapters")
    save(url, digest[:16], {MODEL: result.weights}, {"base": encoder_id(folder), "rank": 4, "alpha": 8})
    with pytest.raises(ModelError, match="not of"):
        epoch_encoder(other, url, tuned_id(encoder_id(other), digest))
    save(url, "broken", {MODEL: result.weights}, {"base": encoder_id(folder), "rank": 2, "alpha": 8})
    with pytest.raises(ModelError, match="do not fit"):
        epoch_encoder(folder, url, f"{encoder_id(folder)}+broken")
    assert load(url, "broken")[1]["rank"] == 2


def test_the_loss_among_a_batch_is_that_of_a_slow_and_obvious_one() -> None:
    likeness = torch.tensor([[2.0, 1.0, 0.5], [0.3, 0.2, 0.1]])
    log_q = torch.log(torch.tensor([0.5, 0.25, 0.25]))
    known = torch.tensor([[True, True, False], [False, False, True]])
    said = in_batch_softmax(likeness, torch.tensor([0, 2]), known, log_q)
    corrected = np.exp(likeness.numpy() - log_q.numpy())
    assert float(said[0]) == pytest.approx(-np.log(corrected[0, 0] / (corrected[0, 0] + corrected[0, 2])), abs=1e-5)
    assert float(said[1]) == pytest.approx(-np.log(corrected[1, 2] / corrected[1].sum()), abs=1e-5)


# ---------------------------------------------------------------- queries
QUERIES = [f"want{n % KINDS} q{n}" for n in range(4 * KINDS)]  # of words that no title has
ALL = [*TEXTS, *QUERIES]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    return tiny_bert(tmp_path_factory.mktemp("searched"), {word for text in ALL for word in text.split()}, dim=16)


def asked(*, wrong: bool = False) -> Lessons:
    """Items of a kind after each other, and of that kind for a query; some queries are held out with all their pairs.
    `wrong`: queries are learned to mean another kind than the held-out ones do."""
    items = lessons()
    chosen = [
        (len(TEXTS) + at, item)
        for at in range(len(QUERIES))
        for item in range(len(TEXTS))
        if item % KINDS == at % KINDS
    ]
    train = [(query, item) for query, item in chosen if query - len(TEXTS) >= KINDS]
    if wrong:
        train = [(query, (item + 3) % len(TEXTS)) for query, item in train]
    held = [(query, item) for query, item in chosen if query - len(TEXTS) < KINDS]
    queries = frozenset(query for query, _ in chosen)
    return Lessons(ALL, [*items.train, *train], [*items.held, *held[::4]], queries)


def test_a_query_comes_nearer_to_what_was_chosen_for_it_and_so_does_one_that_was_never_learned_from(
    searched: str,
) -> None:
    taught = asked()
    before = TextEncoder(searched).encode(ALL)
    encoder, result = tuned(searched, HOW, taught)
    after = encoder.encode(ALL)

    def lead(vectors: np.ndarray, queries: range) -> float:
        """How much nearer what is chosen for a query is than everything else, on average."""
        likeness = vectors[len(TEXTS) :] @ vectors[: len(TEXTS)].T
        own = np.arange(len(QUERIES))[:, None] % KINDS == np.arange(len(TEXTS))[None] % KINDS
        return float(np.mean([likeness[q][own[q]].mean() - likeness[q][~own[q]].mean() for q in queries]))

    assert result.better
    assert result.metrics["query_loss"] < result.metrics["query_last_loss"]
    for queries in (range(KINDS, len(QUERIES)), range(KINDS)):
        assert lead(after, queries) > lead(before, queries) + 0.1


def test_what_helps_items_and_harms_queries_is_refused(searched: str) -> None:
    _, good = tuned(searched, HOW, asked())
    _, result = tuned(searched, HOW, asked(wrong=True))
    assert good.better
    assert not result.better
    assert result.metrics["query_loss"] > result.metrics["query_last_loss"]


def test_half_of_a_batch_is_of_queries_however_few_there_are() -> None:
    taught = asked()
    few = msgspec.structs.replace(taught, train=[pair for pair in taught.train if pair[0] < len(TEXTS) + 8])
    batch = _drawn(few, HOW, np.random.default_rng(0))
    assert len(batch) == HOW.batch
    assert sum(first in few.queries for first, _ in batch) == HOW.batch // 2
