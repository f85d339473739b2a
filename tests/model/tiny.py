"""A tiny Hugging Face BERT with random weights, made where a test wants it: some ten kilobytes, and no download."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def tiny_bert(folder: Path, words: Iterable[str], dim: int = 8, seed: int = 0) -> str:
    """Save a BERT that knows these words; its folder, as `REC_ENCODER` would name it."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(words))]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(known),
            hidden_size=dim,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=2 * dim,
            max_position_embeddings=32,
            initializer_range=0.5,
        )
        model = BertModel(config)
    model.save_pretrained(folder)
    BertTokenizerFast(vocab={word: at for at, word in enumerate(known)}).save_pretrained(folder)
    return str(folder)
