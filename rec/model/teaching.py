"""settings → **teaching** → network, learner, lineage, encoder. How large models are, how they are taught. No torch."""

from __future__ import annotations

import msgspec


class Shape(msgspec.Struct, frozen=True):
    """Sizes of the network. Two networks with the same shape can exchange weights."""

    dim: int = 64
    layers: int = 2
    heads: int = 2
    steps: int = 50  # L, at most 200
    dropout: float = 0.1
    ids: int = 20_000  # items that can have an id of their own at a time
    text_dim: int = 0
    image_dim: int = 0
    categories: int = 512
    brands: int = 4096


class Training(msgspec.Struct, frozen=True):
    """How the network is taught."""

    shape: Shape = Shape()
    batch: int = 128  # examples a step, new ones and replayed ones
    new: int = 32  # at most so many new ones a step
    rate: float = 1e-3
    warmup_steps: int = 100
    decay: float = 0.01  # decoupled weight decay (Loshchilov & Hutter 2019), of matrices alone
    clip: float = 1.0
    replay: int = 20_000  # examples kept
    hide: float = 0.05  # share of histories whose newest action is hidden
    heads: float = 0.1  # weight of the heads' loss
    impressions: float = 0.0  # weight of the loss against what was shown and left alone
    policy: float = 0.0  # weight of the off-policy corrected policy gradient of what lists earned
    policy_cap: float = 10.0  # of the weight of one place in it
    policy_places: int = 32  # that earned something, a step
    policy_kept: int = 4_096  # of them, the newest
    admit_after: int = 1  # occurrences until an item has an id of its own
    strangers: int = 10_000  # items that the catalog does not have and somebody acted on; of more the longest unseen go
    expire_s: float = 90 * 86_400.0  # an item that nobody has acted on for so long loses its id
    full_until: int = 20_000  # items up to which the softmax runs over all; beyond it over those in the batch, and
    negatives: int = 256  # ... so many drawn from all of them, each as likely as the others
    whole_until: int = 10_000_000  # bytes of weights up to which AdamW moves all rows, and versions are written whole
    seed: int = 0


class Teaching(msgspec.Struct, frozen=True):
    """How a lineage learns."""

    training: Training = Training()
    half_life_s: float = 2 * 86_400  # of the popularity
    consent_default: bool = True
    encoder: str = ""  # the base encoder: its vectors are what a lineage begins with, and the catalog's


class Tune(msgspec.Struct, frozen=True):
    """How the text encoder is tuned: one visit of it."""

    steps: int = 60
    batch: int = 32  # pairs a step
    rank: int = 8  # of LoRA (Hu et al. 2022); on all linear layers, so any encoder will do
    alpha: int = 16
    rate: float = 2e-4
    temperature: float = 0.05
    anchor: float = 1.0  # weight of the mean 1 - cos between a text's vector and that of the last epoch
    clip: float = 1.0
    least: int = 256  # pairs to learn from, before it is worth it
    held: int = 32  # ... and held-out ones
    held_most: int = 512
    seed: int = 0
