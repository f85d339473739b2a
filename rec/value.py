"""network's heads + settings → **value** → ranking. What it is worth to a shop that somebody turns to an item.

    value = Σ_a worth_a · P(action a) = P(item) · Σ_a worth_a · P(a | item)
            the gate says P(item), the heads of the network P(a | item); each candidate for itself

Pure. On the logarithmic scale of the gate's logits the sum is one more term, so where the heads say the same of all
candidates, or all worths but one are 0 and that action goes without saying, the order is the gate's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, View
from rec.model.encode import HEADS
from rec.state import UserState

if TYPE_CHECKING:
    from rec.config import Settings

LEAST = 0.01  # of the smallest worth above 0: what is worth less than that, or less than nothing, counts as this

Rows = npt.NDArray[np.integer[Any]]


class Worth(NamedTuple):
    """What one action is worth beside the others, by HEADS; below 0 where it is to be avoided."""

    click: float = 1.0
    cart: float = 2.0
    purchase: float = 4.0
    dislike: float = -4.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Worth:
        return cls(*(getattr(settings, f"value_{name}") for name in HEADS))


assert Worth._fields == HEADS


class Heard(NamedTuple):
    """What a network says of one shopper: of all items what comes next, and of any what they would do with it."""

    log_p: Floats  # [size] log P(next item)
    after: Floats | None = None  # [heads, d] the shopper, turned towards each head; None: a network without heads
    base: Floats | None = None  # [heads] logits of an item that nothing is known of
    items: Floats | None = None  # [n, d]; row 0: nothing is known
    places: Rows | None = None  # [size] the row of `items` of each row of the catalog

    def chances(self, rows: Rows) -> Floats | None:
        """P(action | item) [m, heads] of the candidates `rows` [m]."""
        if self.after is None or self.base is None or self.items is None or self.places is None:
            return None
        logits = self.items[self.places[rows]] @ self.after.T + self.base
        chances: Floats = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return chances


class SequenceModel(Protocol):
    """A network that reads what a shopper did and says what comes next. See rec.model.served."""

    version: str

    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        """log P(next item) [view.size] for each user at their moment of `now`; None where there is nothing to go by."""
        ...


@runtime_checkable
class WithHeads(Protocol):
    """A network that has more to say than what comes next."""

    def hear(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard | None]:
        """What it says of each user at their moment of `now`; None where there is nothing to go by."""
        ...


def hear(
    network: SequenceModel, view: View, users: Sequence[UserState | None], now: Sequence[float]
) -> list[Heard | None]:
    """All that a network has to say of each user."""
    if isinstance(network, WithHeads):
        return network.hear(view, users, now)
    return [None if said is None else Heard(said) for said in network.log_probabilities(view, users, now)]


def log_value(chances: Floats, worth: Worth) -> Floats:
    """[m] log Σ_a worth_a · P(a | item), from P(a | item) [m, heads]; 0 for all if nothing is worth anything.

    >>> chances = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], np.float32)
    >>> [round(each, 2) for each in log_value(chances, Worth(1, 0, 3, -9)).tolist()]
    [0.0, 1.39, -4.61]
    """
    wanted = [each for each in worth if each > 0]
    if not wanted:
        return np.zeros(len(chances), np.float32)
    values = np.maximum(chances @ np.array(worth, np.float32), np.float32(LEAST * min(wanted)))
    logs: Floats = np.log(values).astype(np.float32)
    return logs
