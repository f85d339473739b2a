"""columns → **slices**. Which targets belong to new shoppers, long histories, cold items, repeats. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from rec.evaluation.tested import Tested

COLD = 5  # an item with at most so many events before is cold
LONG = 20  # different items in a history that is called long

SLICES: Mapping[str, Callable[[Tested], npt.NDArray[np.bool_]]] = {
    "first action of a shopper": lambda all_: all_.known == 0,
    "shopper with 1 to 4 items": lambda all_: (all_.known >= 1) & (all_.known <= 4),
    "shopper with 5 items or more": lambda all_: all_.known >= 5,
    f"long history, {LONG} items or more": lambda all_: all_.known >= LONG,
    "item never seen before": lambda all_: all_.support == 0,
    f"cold item, at most {COLD} events": lambda all_: all_.support <= COLD,
    f"cold item, 1 to {COLD} events": lambda all_: (all_.support >= 1) & (all_.support <= COLD),
    "repeat of the shopper's own": lambda all_: all_.repeat,
    "new to the shopper": lambda all_: ~all_.repeat & (all_.support > 0),
}
