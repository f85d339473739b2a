"""What one half of the queries makes of the encoder: steps and gate of the trainer, judgments in place of clicks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from rec.errors import BadInput
from rec.evaluation.search import halves
from rec.evaluation.tuned import tuned_by
from rec.model.encoder import TextEncoder
from rec.model.weights import encoder_id
from tests.model.tiny import tiny_bert

KINDS = 6
TEXTS = {f"i{n}": f"kind{n % KINDS} n{n}" for n in range(48)}
CHOSEN = {f"want{n % KINDS} q{n}": [f"i{at}" for at in range(n % KINDS, 48, KINDS)] for n in range(48)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    words = {word for text in [*TEXTS.values(), *CHOSEN] for word in text.split()}
    return tiny_bert(tmp_path_factory.mktemp("tiny"), words, dim=16)


def test_each_visit_is_told_and_what_is_kept_has_a_name_of_its_own(folder: str) -> None:
    told: list[tuple[int, float, float, bool]] = []

    def tell(visit: int, metrics: Mapping[str, float], kept: bool) -> None:
        told.append((visit, metrics["query_loss"], metrics["query_last_loss"], kept))

    encoder = tuned_by(CHOSEN, TEXTS, 3, 30, 0, tell, folder)
    assert [visit for visit, *_ in told] == [1, 2, 3]
    kept = [loss for _, loss, last, kept in told if kept and loss < last]
    assert len(kept) == sum(one[-1] for one in told) > 0
    assert encoder.encoder_id.startswith(f"{encoder_id(folder)}+")
    plain = TextEncoder(folder)
    assert not np.allclose(encoder.encode(["kind1 n1"]), plain.encode(["kind1 n1"]), atol=1e-4)


def test_without_a_visit_it_is_the_base(folder: str) -> None:
    encoder = tuned_by(CHOSEN, TEXTS, 0, 30, 0, lambda *_: None, folder)
    assert encoder.encoder_id == encoder_id(folder)


def test_a_merged_adapter_says_what_the_adapter_says(folder: str) -> None:
    encoder = tuned_by(CHOSEN, TEXTS, 1, 30, 0, lambda *_: None, folder)
    apart = encoder.encode(list(CHOSEN))
    encoder.merge()
    assert np.allclose(encoder.encode(list(CHOSEN)), apart, atol=1e-5)


def test_too_few_queries_are_refused(folder: str) -> None:
    with pytest.raises(BadInput, match="too few") as refused:
        tuned_by({"want1": ["i1"]}, TEXTS, 1, 1, 0, lambda *_: None, folder)
    assert refused.value.field == "--tune"


def test_no_query_is_in_both_halves_and_the_seed_decides() -> None:
    first = halves(CHOSEN, 0)
    assert not set(first.taught) & set(first.tested)
    assert sorted([*first.taught, *first.tested]) == sorted(CHOSEN)
    assert halves(CHOSEN, 0) == first != halves(CHOSEN, 1)
