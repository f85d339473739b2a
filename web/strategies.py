"""/v1/strategies and /v1/experiments, for backends: what `rec strategies` and `rec experiments` do, over HTTP.

A change says why, in its body or as ?why=; who it was is `actor`, for all backends have the same key. Both go into
the audit trail with the change.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any

import msgspec
from aiohttp import web

from rec.errors import BadInput, NotFound, Unavailable
from rec.events import MAX_TEXT
from rec.policy.bandit import BanditRules
from rec.policy.chosen import Offer
from rec.policy.desk import reason
from rec.policy.experiments import experiment_of
from rec.policy.results import report, tally
from rec.policy.store import Who
from rec.policy.strategy import strategy_of
from rec.ports import Hint
from rec.topics import FEEDBACK
from rec.trials import all_earned
from web.edge import BACKEND_ACTOR, EDGE, Edge
from web.front import answer
from web.parsing import as_in_path, body_of, path_of, query_of

READ_S = 10.0  # a broker that is silent for so long is away
MOST_LISTS = 300_000  # lists that are added up here; beyond it is work for a file

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NamePath(msgspec.Struct, frozen=True):
    """Which one."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Why(msgspec.Struct, frozen=True):
    """The query of a DELETE."""

    why: Words
    actor: Actor | None = None

    def who(self) -> Who:
        return Who(f"{BACKEND_ACTOR}: {self.actor}" if self.actor else BACKEND_ACTOR, reason(self.why, MAX_TEXT))


class StrategyPut(Why, frozen=True, kw_only=True):
    """The body of PUT /v1/strategies/{name}."""

    strategy: dict[str, Any]
    bandit: bool = False


class ExperimentPut(Why, frozen=True, kw_only=True):
    """The body of PUT /v1/experiments/{name}."""

    experiment: dict[str, Any]


async def get_strategies(request: web.Request) -> web.Response:
    """All strategies, in the order in which each was first put."""
    stored = await _edge(request).database.stored()
    return answer({"revision": stored.revision, "strategies": stored.offers})


async def put_strategy(request: web.Request) -> web.Response:
    """Insert or replace a strategy; workers have it within two seconds."""
    edge, name, body = _edge(request), path_of(request, NamePath).name, await body_of(request, StrategyPut)
    offer = Offer(strategy_of(as_in_path(body.strategy, "name", name, within="strategy.")), body.bandit)
    await edge.database.put_strategy(offer, body.who(), BanditRules.from_settings(edge.settings))
    await _tell(edge)
    return answer(offer)


async def delete_strategy(request: web.Request) -> web.Response:
    """Take a strategy away; one that an experiment names is refused."""
    edge = _edge(request)
    await edge.database.drop_strategy(path_of(request, NamePath).name, query_of(request, Why).who())
    await _tell(edge)
    return answer({"deleted": True})


async def get_experiments(request: web.Request) -> web.Response:
    """All experiments, the oldest first."""
    stored = await _edge(request).database.stored()
    return answer({"revision": stored.revision, "experiments": stored.experiments})


async def get_experiment_result(request: web.Request) -> web.Response:
    """What each arm of an experiment earned, of all lists that were looked at until now."""
    edge, name = _edge(request), path_of(request, NamePath).name
    experiment = next((each for each in (await edge.database.stored()).experiments if each.name == name), None)
    if experiment is None:
        raise NotFound("There is no such experiment.", code="unknown_experiment", field="name")
    if experiment.since is None:
        message = "was stored before experiments kept when they began. Say from when: rec experiments result --since."
        raise BadInput(f"{name} {message}", field="name")
    rows = await all_earned(edge.log, edge.settings.topic(FEEDBACK), edge.settings.partitions, READ_S, MOST_LISTS)
    since = experiment.since.timestamp()
    return answer(report(experiment, tally(experiment, rows, since, edge.clock()), since))


async def put_experiment(request: web.Request) -> web.Response:
    """Insert or replace an experiment."""
    edge, name, body = _edge(request), path_of(request, NamePath).name, await body_of(request, ExperimentPut)
    experiment = experiment_of(as_in_path(body.experiment, "name", name, within="experiment."))
    experiment = await edge.database.put_experiment(experiment, body.who())
    await _tell(edge)
    return answer(experiment)


async def delete_experiment(request: web.Request) -> web.Response:
    """Take an experiment away."""
    edge = _edge(request)
    await edge.database.drop_experiment(path_of(request, NamePath).name, query_of(request, Why).who())
    await _tell(edge)
    return answer({"deleted": True})


def _edge(request: web.Request) -> Edge:
    edge = request.app[EDGE]
    edge.backend_only(request)
    return edge


async def _tell(edge: Edge) -> None:
    """A hint that is lost costs a second: workers look by themselves."""
    with contextlib.suppress(Unavailable):
        await edge.exchange.hint(Hint("strategies", ""))
