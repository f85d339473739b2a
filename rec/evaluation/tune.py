"""warm-up → **tune** → settings. A search for hyper-parameters in the part of a stream that is never scored.

The warm-up is cut off first, and nothing behind it is looked at but how many items an event has, which is what the
warm-up is a share of. Inside it the last part is the test: each trial is one pass of the code that serves, tested and
then learned, and its worth is the mean of a metric there. The first trial is what is the default, so the best is never
worse than that on these events. Optuna's TPE (Bergstra et al. 2011), seeded: the same stream gives the same study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rec.catalog import Floats
from rec.errors import BadInput
from rec.evaluation.metrics import means
from rec.evaluation.prequential import Rules, warm_events
from rec.evaluation.runs import Subject
from rec.evaluation.settings import Knob, Value, searched
from rec.evaluation.stream import Stream
from rec.model.device import Hardware

if TYPE_CHECKING:
    from optuna import Trial

TEST_SHARE = 0.3  # of the warm-up


class Tried(NamedTuple):
    """One trial: the values, and what each metric was on the test slice."""

    number: int
    settings: dict[str, Value]
    measured: dict[str, float]


class Study(NamedTuple):
    """All trials, the best of them by `metric`, and how much was read and tested."""

    metric: str
    trials: list[Tried]
    events: int
    scored: int

    @property
    def best(self) -> Tried:
        return max(self.trials, key=lambda tried: tried.measured[self.metric])  # of equals the first

    @property
    def default(self) -> Tried:
        return self.trials[0]


def warm_up(stream: Stream, share: float) -> Stream:
    """The stream up to the end of its warm-up, with the items that occur there alone. Raises BadInput if that is
    too little, or if `share` is none."""
    events = stream.events[: warm_events(stream.events, share)]
    if len(events) < 10:
        raise BadInput(
            f"The warm-up holds {len(events)} events: too few to tune on. Give more, or a larger --warmup.",
            field="--warmup",
        )
    named = {item.item_id for event in events for item in event.items}
    return Stream(events, {item_id: item for item_id, item in stream.items.items() if item_id in named}, [])


def tune(
    warm: Stream,
    rules: Rules,
    *,
    trials: int,
    seed: int,
    metric: str = "ndcg@10",
    network: bool = True,
    vectors: Mapping[str, Floats] | None = None,
    hardware: Hardware = Hardware(),
    progress: Callable[[int, int], None] = lambda _trial, _events: None,
    tried: Callable[[Study], None] = lambda _: None,
) -> Study:
    """Search in `warm`, which is all that is known here.

    `progress(trial, events done)` while a trial runs, `tried(study so far)` after it. Raises BadInput if there is
    nothing to test on.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it would say is said by `tried`
    knobs = searched(network=network)
    of_set = {f"features.{name}": getattr(rules, name) for name in ("half_life_s", "history")}  # its own defaults
    defaults = {name: of_set.get(name, knob.default) for name, knob in knobs.items()}
    inside = rules._replace(warmup=1 - TEST_SHARE, every=1, lag_s=0.0, frozen=False)
    found = Study(metric, [], len(warm.events), 0)

    def objective(trial: Trial) -> float:
        nonlocal found
        values = {name: _suggested(trial, name, knob) for name, knob in knobs.items()}
        subject = Subject(warm.events, warm.items, inside, values, network, vectors, hardware)
        tested = subject.run(seed, lambda done: progress(trial.number, done))
        if not tested:
            raise BadInput("There is nothing in the last part of the warm-up to test on.", field="FILE")
        measured = means([one.rank for one in tested])
        found = found._replace(trials=[*found.trials, Tried(trial.number, values, measured)], scored=len(tested))
        tried(found)
        return measured[metric]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(defaults)
    study.optimize(objective, n_trials=trials)
    return found


def _suggested(trial: Trial, name: str, knob: Knob) -> Value:
    """A value in the range that is tried."""
    if knob.choice:
        chosen: Any = trial.suggest_categorical(name, knob.tried)
        return chosen  # type: ignore[no-any-return]
    low, high = knob.tried
    if knob.whole:
        return trial.suggest_int(name, int(low), int(high), log=knob.log)
    return float(f"{trial.suggest_float(name, low, high, log=knob.log):.6g}")  # more digits mean nothing
