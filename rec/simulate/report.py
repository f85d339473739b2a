"""runs → **a comparison**: reward, regret, and how soon lists follow an interest that has jumped.

`adapt_events_p50` and `_p90`: of all jumps, after how many actions of the shopper half of the top ten was of the new
interest. Many jumps are not seen to their end: the shopper leaves, or jumps again. They count for as long as they were
seen (Kaplan & Meier 1958); a quantile that nobody was seen to reach is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rec.simulate.closed import Adapted, Loop, Run, Setting
from rec.simulate.players import PLAYERS

Told = Callable[[str, int, int], None]  # strategy, seed, lists so far


def compare(
    names: Sequence[str], setting: Setting, seeds: Sequence[int], progress: Told = lambda *_: None
) -> dict[str, Any]:
    """{"strategies": {name: figures}}: mean over the seeds for reward and regret, all seeds' jumps together."""

    def play(name: str, seed: int) -> Run:
        return Loop(setting, PLAYERS[name](), seed=seed).run(lambda at: progress(name, seed, at))

    runs = {name: [play(name, seed) for seed in seeds] for name in names}
    body: dict[str, Any] = {"strategies": {name: figures(mine) for name, mine in runs.items()}}
    if len(seeds) > 1:
        body["by_seed"] = {
            str(seed): {name: figures([mine[at]]) for name, mine in runs.items()} for at, seed in enumerate(seeds)
        }
    return {**body, "setting": {**setting._asdict(), "seeds": list(seeds)}}


def figures(runs: Sequence[Run]) -> Mapping[str, float | int | None]:
    """Of one strategy."""
    jumps = [jump for run in runs for jump in run.jumps]
    return {
        "reward": sum(run.reward for run in runs) / len(runs),
        "regret": sum(run.regret for run in runs) / len(runs),
        "adapt_events_p50": quantile(jumps, 0.5),
        "adapt_events_p90": quantile(jumps, 0.9),
        "jumps": len(jumps),
        "exposure_gap": sum(run.gap for run in runs) / len(runs),
        "followed": sum(jump.followed for jump in jumps),
    }


def quantile(jumps: Sequence[Adapted], share: float) -> int | None:
    """Actions after which that share of the jumps was followed, by the product-limit estimate; None: never seen.

    >>> quantile([Adapted(1, True), Adapted(2, False), Adapted(3, True)], 0.5)
    3
    """
    waiting = 1.0
    for at in sorted({jump.events for jump in jumps if jump.followed}):
        under_watch = sum(jump.events >= at for jump in jumps)
        waiting *= 1 - sum(jump.followed and jump.events == at for jump in jumps) / under_watch
        if waiting <= 1 - share + 1e-12:
            return at
    return None
