"""stream + rules + settings → **runs** → targets. One pass a seed, with fresh counters, gate and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rec.catalog import Floats, Item
from rec.evaluation.prequential import Network, Prequential, Rules, Target
from rec.evaluation.settings import Settings, gate_with, rules_with, training_with
from rec.events import Event
from rec.model.device import Hardware

Progress = Callable[[int], None]


class Subject(NamedTuple):
    """What is tested: on which events, by which rules, made of which parts."""

    events: Sequence[Event]
    items: Mapping[str, Item]
    rules: Rules
    settings: Settings
    network: bool = True
    vectors: Mapping[str, Floats] | None = None  # of the titles, where they are read
    hardware: Hardware = Hardware()

    def run(self, seed: int, progress: Progress = lambda _: None, *, lines: bool = False) -> list[Target]:
        """One pass. `lines`: test the baselines, too, which takes longer."""
        vectors = self.vectors or {}
        text_dim = len(next(iter(vectors.values()))) if vectors else 0
        made = network_of(self.settings, text_dim, seed, self.hardware) if self.network else None
        test = Prequential(
            self.items,
            rules_with(self.settings, self.rules),
            network=made,
            vectors=vectors,
            gate=gate_with(self.settings),
            lines=lines,
        )
        return list(test.run(self.events, progress))


def network_of(settings: Settings, text_dim: int, seed: int, hardware: Hardware = Hardware()) -> Network:
    """A network that has learned nothing yet."""
    from rec.model.learner import Learner

    return Learner(training_with(settings, text_dim=text_dim, seed=seed), hardware)
