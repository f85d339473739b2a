"""`rec simulate`: strategies beside each other on shoppers whose hidden interests are known, drift and jump."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from rec.cli.evaluate import Seeds
from rec.cli.given import given, refuse
from rec.cli.output import emit, emit_json, json_option, say, table
from rec.cli.progress import ProgressLine
from rec.errors import BadInput
from rec.evaluation.adapters import DATASETS
from rec.evaluation.stream import Stream
from rec.policy.bandit import BanditRules
from rec.policy.refresh import ACTIONS
from rec.simulate.ads import Setting as AdDays
from rec.simulate.ads import days_of_ads, summed
from rec.simulate.arms import Setting as Arms
from rec.simulate.arms import regrets
from rec.simulate.closed import Setting
from rec.simulate.players import PLAYERS
from rec.simulate.replay import replay as replayed
from rec.simulate.report import compare
from rec.simulate.watched import WAYS, Thumb, watched

_FIGURES = ("reward", "regret", "adapt_events_p50", "adapt_events_p90", "jumps", "followed", "exposure_gap")


class Names(click.ParamType):
    """Some of the known names, separated by commas."""

    name = "name,…"

    def __init__(self, known: Collection[str]) -> None:
        self._known = known

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        if unknown := [name for name in names if name not in self._known]:
            self.fail(f"there is no {unknown[0]!r}. Built in: {', '.join(self._known)}.", param, ctx)
        if not names:
            self.fail(f"{value!r} names nothing. Built in: {', '.join(self._known)}.", param, ctx)
        return names


@click.command()
@click.option("--compare", "names", type=Names(PLAYERS), help=f"Play a closed loop with each: {','.join(PLAYERS)}.")
@click.option(
    "--replay", type=click.Path(path_type=Path, exists=True), help="Against a recorded stream: the folder of --dataset."
)
@click.option("--dataset", type=click.Choice(list(DATASETS)), default="yoochoose", show_default=True, help="Its kind.")
@click.option("--arms", is_flag=True, help="The bandit over strategies alone: the best of three changes half way.")
@click.option("--ads", is_flag=True, help="Days of ads, of --events lists each: budgets, and whether p(click) is true.")
@click.option("--refresh", type=Names(WAYS), help=f"How a list changes under the eyes: {','.join(WAYS)}.")
@click.option(
    "--moving", type=click.FloatRange(0, 1), help="With --refresh: what a change under the thumb costs.  [0.5]"
)
@click.option(
    "--shoppers",
    default=200,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many there are; with --ads 3000.",
)
@click.option(
    "--events",
    default=5_000,
    show_default=True,
    type=click.IntRange(1),
    help="Lists they look at, in sum; with --ads a day, 20000.",
)
@click.option("--seed", type=click.IntRange(0), help="The same seed, the same run.  [0]")
@click.option("--seeds", type=Seeds(), help="Once for each; the figures are their mean: 0,1,2.")
@click.option("--network", is_flag=True, help="The trainer's network learns, too, and not the gate alone.")
@click.option(
    "--rewards", type=click.FloatRange(0), help="With --network: weight of what lists earn, as REC_TRAIN_REWARDS.  [0]"
)
@json_option
@click.pass_context
def simulate(
    ctx: click.Context,
    /,
    names: tuple[str, ...] | None,
    replay: Path | None,
    dataset: str,
    arms: bool,
    ads: bool,
    refresh: tuple[str, ...] | None,
    moving: float | None,
    shoppers: int,
    events: int,
    seed: int | None,
    seeds: tuple[int, ...] | None,
    network: bool,
    rewards: float | None,
    as_json: bool,
) -> None:
    """What strategies earn from simulated shoppers, and how soon their lists follow an interest that jumps.

    Lists are made by the code that serves, on the demo catalog; counters and gate learn from what comes of them.
    adaptive is what an installation with feedback does by itself, bandit one that chooses among three strategies. Every
    strategy plays on the same lives. Reward: click 1, cart 2, purchase 4. Regret: what the best list would have earned
    more, on average. adapt_events: actions of a shopper until half of the top ten follows their new interest.

    \b
    rec simulate --compare adaptive,greedy,epsilon_greedy,random
    rec simulate --compare adaptive,greedy --shoppers 2000 --events 16000 --seeds 0,1,2 --json
    rec simulate --compare adaptive,greedy --network --rewards 0.1
    rec simulate --compare adaptive,greedy,random --replay path/to/yoochoose_100k --events 10000
    rec simulate --refresh replace,tail,wait,learned --moving 0.5
    rec simulate --arms --seeds 0,1,2
    rec simulate --ads --seeds 0,1,2 --json
    rec simulate --ads --events 20000 --shoppers 3000
    """
    if seed is not None and seeds:
        raise BadInput("Give --seed or --seeds, not both.", field="--seeds")
    if (names is not None) + arms + ads + (refresh is not None) != 1:
        message = "Give --compare STRATEGY,…, --refresh WAY,…, --arms or --ads, and one of them."
        raise BadInput(message, field="--compare")
    if refresh is None:
        refuse(ctx, "anything but --refresh", ["moving"])
    if replay is None:
        refuse(ctx, "a simulation; it is for --replay", ["dataset"])
    elif names is None:
        raise BadInput("--replay needs --compare STRATEGY,…", field="--replay")
    chosen = seeds or (seed or 0,)
    if refresh is not None:
        refuse(ctx, "--refresh", ["network", "rewards"])
        _refresh(
            refresh,
            Setting(shoppers, events),
            Thumb()._replace(moving=0.5 if moving is None else moving),
            chosen,
            as_json,
        )
        return
    if names is None:
        refuse(ctx, "--ads" if ads else "--arms", ["network", "rewards", *([] if ads else ["shoppers", "events"])])
        if ads:
            given = {name: value for name, value in (("shoppers", shoppers), ("lists", events)) if _said(ctx, name)}
            _ads(AdDays(**given), chosen, as_json)
            return
        _arms(Arms(), chosen, as_json)
        return
    if replay is not None:
        refuse(ctx, "--replay", ["shoppers", "seeds", "network", "rewards"])
        _replay(names, DATASETS[dataset].read(replay), chosen[0], events, as_json)
        return
    if rewards is not None and not math.isfinite(rewards):
        raise BadInput(f"--rewards {rewards:g} is no weight. Give a finite number.", field="--rewards")
    if not network:
        refuse(ctx, "a gate alone, which learns of no rewards; it is for --network", ["rewards"])
    setting = Setting(shoppers, events, network=network, rewards=rewards or 0.0)
    with ProgressLine("playing", "lists") as line:
        total = max(1, events)
        body = compare(names, setting, chosen, lambda name, _, at: line.update(at, at / total))
    if as_json:
        emit_json(body)
        return
    rows = table("strategy", *_FIGURES, right=_FIGURES)
    for name, figures in body["strategies"].items():
        counted = ["never" if figures[one] is None else f"{figures[one]:,.0f}" for one in _FIGURES[:-1]]
        rows.add_row(name, *counted, f"{figures['exposure_gap']:.1%}")
    emit(rows)
    say(f"{shoppers:,} shoppers, {events:,} lists a strategy, seeds {', '.join(map(str, chosen))}")


def _said(ctx: click.Context, field: str) -> bool:
    """Whether the size of days of ads was asked for; `lists` of a day are --events."""
    option = {"lists": "events"}.get(field, field)
    return given(ctx, option)


def _replay(names: tuple[str, ...], stream: Stream, seed: int, limit: int, as_json: bool) -> None:
    body = replayed(names, stream.items, stream.events, seed=seed, limit=limit, tell=say)
    if as_json:
        emit_json(body)
        return
    headings = ("reward", "regret", "true", "SNIPS", "low", "high", "effective rows")
    rows = table("strategy", *headings, "within", right=headings)
    for name, figures in body["strategies"].items():
        beside = body["off_policy"][name]
        numbers = [f"{number:.4f}" for number in (beside["true"], *beside["snips"].values())]
        earned = [f"{figures[one]:,.0f}" for one in ("reward", "regret")]
        rows.add_row(name, *earned, *numbers, f"{beside['ess']:,.0f}", "yes" if beside["within"] else "no")
    emit(rows)
    say(f"{body['lists']:,} lists; true and SNIPS: reward a list of the same learner, from full information and a log")


def _ads(setting: AdDays, seeds: tuple[int, ...], as_json: bool) -> None:
    days = {}
    with ProgressLine("playing", "seeds") as line:
        for at, seed in enumerate(seeds):
            days[seed] = days_of_ads(setting, seed)
            line.update(at + 1, (at + 1) / len(seeds))
    if as_json:
        body = {str(seed): {**day._asdict(), **summed(day)} for seed, day in days.items()}
        emit_json({"days": body, "setting": setting._asdict()})
        return
    rows = table("seed", *summed(next(iter(days.values()))), right=tuple(summed(next(iter(days.values())))))
    for seed, day in days.items():
        rows.add_row(str(seed), *(f"{number:.4g}" for number in summed(day).values()))
    emit(rows)
    say(
        f"{setting.lists:,} lists a day, {setting.campaigns} campaigns, {setting.workers} workers, day {setting.days}; "
        "off: the largest distance to the budget, and of foreseen to true clicks, as shares"
    )


def _refresh(ways: tuple[str, ...], setting: Setting, thumb: Thumb, seeds: tuple[int, ...], as_json: bool) -> None:
    with ProgressLine("watching", "lists") as line:
        runs = watched(ways, setting, thumb, seeds, lambda at: line.update(at, at / setting.events))
    if as_json:
        emit_json({"ways": runs, "setting": {**setting._asdict(), **thumb._asdict(), "seeds": list(seeds)}})
        return
    headings = ("reward", "sd over seeds", *ACTIONS)
    rows = table("refresh", *headings, right=headings)
    for way, found in runs.items():
        decided = [f"{found['decided'][action]:,.0f}" for action in ACTIONS]
        rows.add_row(way, f"{found['reward']:,.0f}", f"{found['sd']:,.0f}", *decided)
    emit(rows)
    say(f"{setting.shoppers:,} shoppers, {setting.events:,} lists that are opened, seeds {', '.join(map(str, seeds))}")


def _arms(setting: Arms, seeds: tuple[int, ...], as_json: bool) -> None:
    runs = [regrets(setting, BanditRules(prior_reward=0.05), seed=seed) for seed in seeds]
    lost = {name: sum(run[name] for run in runs) / len(runs) for name in runs[0]}
    if as_json:
        emit_json({"regret": lost, "setting": {**setting._asdict(), "seeds": list(seeds)}})
        return
    rows = table("bandit", "regret", right=("regret",))
    for name, figure in lost.items():
        rows.add_row(name, f"{figure:,.1f}")
    emit(rows)
    say(
        f"{setting.lists:,} lists in {setting.seconds / 86_400:.0f} days, "
        f"mean rewards {setting.before} and then {setting.after}"
    )
