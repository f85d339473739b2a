"""judged queries → **tuned encoder** → search measures. What the trainer's slower clock would make of such clicks.

The same pairs, steps and gate (rec.pairs, rec.model.tuning): each relevant product of a query counts as chosen for it;
a visit that is no better on the pairs it holds out is dropped, and the encoder stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rec.errors import BadInput
from rec.model.checkpoint import digest_of
from rec.model.encoder import Adapter, TextEncoder
from rec.model.teaching import Tune
from rec.model.weights import DEFAULT, encoder_id, tuned_id
from rec.pairs import Pairs, as_read

LEAST_HELD = 2  # pairs that a visit is tested on: fewer have no standard error
Tell = Callable[[int, Mapping[str, float], bool], None]  # visit, metrics, whether it is kept


def tuned_by(
    chosen: Mapping[str, Sequence[str]],
    texts: Mapping[str, str],
    visits: int,
    steps: int,
    seed: int,
    tell: Tell,
    name: str = DEFAULT,
    device: str = "cpu",
) -> TextEncoder:
    """The encoder after so many visits. `chosen`: query → item_ids; `texts`: of the items.

    Raises ModelError if the base encoder cannot be loaded, BadInput for too few queries.
    """
    from rec.model.tuning import tune

    pairs = Pairs(queries=sum(map(len, chosen.values())))
    for query, item_ids in chosen.items():
        for item_id in item_ids:
            pairs.choose(as_read(query), item_id)
    base = encoder_id(name)
    lessons = pairs.lessons(texts, Tune().held_most)
    if not lessons.train or len(lessons.held) < LEAST_HELD:
        raise BadInput(
            f"{len(lessons.train)} pairs to tune with and {len(lessons.held)} to test them on are too few, of "
            f"{len(chosen)} queries. Give more queries, or leave --tune out.",
            field="--tune",
        )
    encoder, kept = TextEncoder(name, device=device), None
    for visit in range(visits):
        tuned = tune(encoder, lessons, Tune(steps=steps, seed=seed + visit))
        tell(visit + 1, tuned.metrics, tuned.better)
        if tuned.better:
            kept = Adapter(base, digest_of(tuned.weights), encoder.rank, encoder.alpha, tuned.weights)
            encoder.encoder_id = tuned_id(base, kept.digest)
        else:
            encoder = TextEncoder(name, kept, device)
    return encoder
