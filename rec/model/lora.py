"""encoder → **lora** → tuned encoder. The one place that knows peft: low-rank adapters beside frozen weights.

W·x + (alpha/rank)·B·A·x      only A and B learn; B begins at zero, so a new adapter changes nothing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

from rec.errors import ModelError


def with_lora(model: Any, rank: int, alpha: int, weights: Mapping[str, np.ndarray] | None = None) -> Any:
    """The model with adapters on all its linear layers, fresh ones or these. Raises ModelError if they do not fit.

    All linear layers: it is the one rule that holds for any encoder, and what Dettmers et al. 2023 recommend. Without
    dropout, so that the same seed gives the same weights, and the anchor alone holds the adapter back.
    """
    grown = get_peft_model(model, LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear"))
    if weights is not None:
        expected = get_peft_model_state_dict(grown)
        shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
        if shapes != {name: array.shape for name, array in weights.items()}:
            raise ModelError("the adapter is of another encoder or rank: its weights do not fit")
        set_peft_model_state_dict(grown, {name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    return grown


def lora_of(model: Any) -> dict[str, np.ndarray]:
    """The adapters' weights by name: all that tuning changes."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in get_peft_model_state_dict(model).items()}
