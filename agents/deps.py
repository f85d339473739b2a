"""What the worker's agents are given: every backend opened, every handler built, in one place and in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from agents.anew import Anew
from agents.behavior import Behavior, Users
from agents.catalog_sync import CatalogSync
from agents.consents import Consents
from agents.counting import Counting, load_counters
from agents.dead_letters import DeadLetters
from agents.examples import Examples
from agents.explaining import Explaining
from agents.feedback import Feedback
from agents.idling import Idling
from agents.intents import Intents
from agents.metrics import Metrics
from agents.model_sync import ModelSync
from agents.presence import Presence
from agents.query_encoder import query_reader
from agents.rating import rating_of
from agents.refresh import Refresher
from agents.requests import Requests
from agents.retraction import Retraction
from agents.rewarding import choosing
from agents.rule_sync import RuleSync
from agents.scoring import INLINE_S, Scoring
from agents.search_thread import search_engine
from agents.searching import Searching
from agents.selling import selling
from agents.served import ServedLists
from agents.shown import Learning, Shown
from agents.stores import forgetting_of, open_stores
from agents.sweep import Sweep
from agents.windows import Table, Windows
from rec.catalog import Catalog, card
from rec.clock import SharedClock
from rec.config import Settings
from rec.errors import Unavailable
from rec.feedback import JoinRules
from rec.likeness import ItemLikeness
from rec.looptime import watch_gaps
from rec.model.device import hardware_of
from rec.model.weights import encoder_id
from rec.policy.exposure import groups_of
from rec.policy.filters import ListRules
from rec.policy.strategy import Strategy
from rec.ports import Database, Exchange, Log
from rec.recent import Recent
from rec.recommend import Brain, World
from rec.scenes import Scenes
from rec.state import FoldRules
from rec.topics import BEHAVIOR, DEAD_LETTERS, EXAMPLES, FEEDBACK, REQUESTS, SERVED, topics
from rec.value import Worth
from rec.vitals import process_name, tell

log = logging.getLogger(__name__)

Owned = Callable[[str], bool]

PASSED = 50_000  # lists of placements that are not joined, known for as long as somebody may act on them
SHELF_S = 0.1  # popularity over the whole catalog, brought together ten times a second and not once a list


class Deps(NamedTuple):
    """The worker's parts, wired."""

    name: str
    behavior: Behavior
    requests: Requests
    feedback: Feedback
    windows: Windows
    searching: Searching
    sweep: Sweep
    consents: Consents
    exchange: Exchange
    log: Log
    idling: Idling
    loops: dict[str, Callable[[], Coroutine[Any, Any, None]]]  # beside the agents, for ever


@contextlib.asynccontextmanager
async def open_deps(
    settings: Settings, users: Users, windows: Table, owned: Owned, metrics: Metrics
) -> AsyncIterator[Deps]:
    """Open the stores, load catalog and counters, wire the handlers.

    `users` and `windows` are the tables, `owned` says who is in them.
    """
    async with open_stores(settings) as (to, exchange, database):
        # One BLAS thread: a matrix of a few thousand rows is done before a second core has woken, and BLAS threads
        # that spin between two products take the cores from everybody else (measured: 6.8 → 1.5 ms CPU a list).
        with threadpool_limits(1), ThreadPoolExecutor(1, thread_name_prefix="scoring") as executor:
            await to.create(topics(settings))
            yield await wire(settings, users, windows, owned, metrics, to, exchange, database, executor)


async def wire(
    settings: Settings,
    users: Users,
    table: Table,
    owned: Owned,
    metrics: Metrics,
    to: Log,
    exchange: Exchange,
    database: Database,
    executor: Executor,
    inline_s: float = INLINE_S,
) -> Deps:
    """Every handler and loop of a worker, connected. `executor` makes the lists that cost more than `inline_s`."""
    name, rules, lists = process_name(), FoldRules.from_settings(settings), ListRules.from_settings(settings)
    behavior_topic, requests_topic = settings.topic(BEHAVIOR), settings.topic(REQUESTS)
    forgetting = forgetting_of(settings, to, exchange, database)
    consents = Consents(users=users, owned=owned, exchange=exchange, to=to, behavior_topic=behavior_topic)
    examples = Examples(to=to, topic=settings.topic(EXAMPLES), lost=metrics.examples_lost)
    dead_letters = DeadLetters(settings.topic(DEAD_LETTERS), to, metrics.dead)
    base_encoder = await asyncio.to_thread(encoder_id, settings.encoder)
    catalog = Catalog(base_encoder)
    counters = await asyncio.to_thread(load_counters, settings.counters_path, settings)
    worth, strategy = Worth.from_settings(settings), Strategy.from_settings(settings)
    world = World(catalog, counters, rules, lists, Brain.untaught(), worth, SHELF_S, strategy, likeness=ItemLikeness())
    world.scenes = Scenes.from_settings(settings)
    sales = await asyncio.to_thread(selling, settings, world, to, metrics)
    presence = Presence(exchange)
    shown = Shown(presence)
    strategies, rewarding = await asyncio.to_thread(choosing, settings, to, exchange, database, metrics)
    passed = Recent[str, bool](PASSED) if settings.feedback and settings.feedback_placements else None
    served = ServedLists(
        to=to,
        topic=settings.topic(SERVED),
        partitions=settings.partitions,
        item_of=catalog.get,
        consent_default=rules.consent_default,
        lost=metrics.served_lost,
        wanted=settings.joins,
        passed=passed,
        **({"ads_of": sales.market.taken} if sales is not None else {}),
        groups_of=lambda item_id: groups_of(item) if (item := catalog.get(item_id)) is not None else ("", ""),
    )
    retraction = Retraction(
        to=to,
        topic=settings.topic(FEEDBACK),
        partitions=settings.partitions,
        forgetting=forgetting,
        database=database,
        exchange=exchange,
        holder=name,
    )
    windows = Windows(table)
    feedback = Feedback(
        windows=windows,
        users=users,
        owned=owned,
        rules=JoinRules.from_settings(settings, world.scenes.reward),
        to=to,
        served_topic=settings.topic(SERVED),
        feedback_topic=settings.topic(FEEDBACK),
        partitions=settings.partitions,
        forgetting=forgetting,
        retraction=retraction,
        dead_letters=dead_letters,
        metrics=metrics,
        wanted=settings.feedback,
        passed=passed,
        consent_default=rules.consent_default,
        teach=examples.put if settings.train_rewards else None,
    )
    rating = await asyncio.to_thread(rating_of, settings, to, lambda ledger: setattr(world, "ledger", ledger))
    refresher = Refresher(
        state_of=lambda user_id: users.get(user_id.encode()),
        erased_at=forgetting.moment,
        presence=presence,
        shown=shown,
        served=served,
        exchange=exchange,
        scoring=Scoring(world, executor, random.Random(), inline_s, learned=rewarding.refreshing),
        metrics=metrics,
        batch=settings.refresh_batch,
        hold_s=lambda: world.strategy.hold_s,
        strategy_of=strategies.choose,
        label_of=world.scenes.label,
    )

    def listed(item_id: str) -> dict[str, Any] | None:
        return card(item) if (item := catalog.get(item_id)) is not None and item.may_be_shown else None

    sweep = Sweep(
        owned=owned,
        state_of=lambda user_id: users.get(user_id.encode()),
        presence=presence,
        exchange=exchange,
        refresher=refresher,
        shown=shown,
        learning=Learning(exchange, shown, listed),
        metrics=metrics,
        interval_s=settings.sweep_interval_s,
    )
    presence.on_gap = sweep.soon  # whatever moved while nobody was known to look is made up for at once
    device = (await asyncio.to_thread(hardware_of, settings)).device  # of the encoders
    query_encoder = query_reader(settings, base_encoder, world, device)
    searching = Searching(
        engine=await asyncio.to_thread(search_engine, settings),
        encoder=query_encoder,
        world=world,
        state_of=lambda user_id: users.get(user_id.encode()),
        life_of=refresher.life,
        served=served,
        exchange=exchange,
        metrics=metrics,
        fusion_path=settings.fusion_path,
    )
    intents = Intents(query_encoder)
    behavior = Behavior(
        users=users,
        facets=catalog.facets,
        rules=rules,
        refresher=refresher,
        to=to,
        behavior_topic=behavior_topic,
        requests_topic=requests_topic,
        dead_letters=dead_letters,
        forgetting=forgetting,
        consents=consents,
        examples=examples,
        feedback=feedback,
        steps=settings.model_steps,
        metrics=metrics,
        searching=searching,
        intents=intents,
    )
    explaining = Explaining(world, lambda user_id: users.get(user_id.encode()), strategies.choose, exchange)
    shared = SharedClock(exchange)
    with contextlib.suppress(Unavailable):  # it is asked again, again and again
        await shared.look()
    requests = Requests(
        users=users,
        rules=rules,
        refresher=refresher,
        presence=presence,
        exchange=exchange,
        to=to,
        requests_topic=requests_topic,
        dead_letters=dead_letters,
        forgetting=forgetting,
        consents=consents,
        feedback=feedback,
        rating=rating,
        searching=searching,
        explaining=explaining,
        trail_of=counters.trail,
        shared=shared,
        idle_s=settings.idle_days * 86_400.0,
        metrics=metrics,
        selling=sales,
    )

    anew = Anew(to, requests_topic, presence=presence, shown=shown, owned=owned)
    refresher.make_anew = sweep.make_anew = anew.make
    sweep.on_outdated = anew.on_catalog_change
    idling = Idling(users, owned=owned, presence=presence, to=to, requests_topic=requests_topic, idle_s=requests.idle_s)
    rule_sync = RuleSync(world=world, database=database, exchange=exchange, on_change=anew.on_rule_change)
    catalog_sync = CatalogSync(
        catalog=catalog,
        database=database,
        exchange=exchange,
        encoder=settings.encoder,
        encoder_id=base_encoder,
        holder=name,
        traffic=lambda item_id: world.counters.tables.traffic_of(item_id),
        on_change=anew.on_catalog_change,
        follow_items=searching.follow,
        device=device,
    )
    model_sync = ModelSync(
        world=world,
        database=database,
        exchange=exchange,
        poll_s=settings.model_poll_s,
        on_swap=lambda _: metrics.swaps.inc(),
        on_texts=query_encoder.follow if query_encoder is not None else None,
    )
    counting = Counting(
        counters=counters,
        facets=catalog.facets,
        path=settings.counters_path,
        source=to,
        topic=behavior_topic,
        forgetting=forgetting,
        metrics=metrics,
        snapshot_s=settings.counters_snapshot_s,
    )
    await forgetting.load()
    count = await catalog_sync.load()
    await rule_sync.load()
    await presence.reload()
    await counting.caught_up()
    await model_sync.prepare()
    await model_sync.look()
    await strategies.look()
    log.info("%d items, counters through %.0f, %d users online", count, counters.learned_through, len(presence))
    loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "presence": presence.follow,
        "clock": shared.run,
        "refresher": refresher.run,
        "vitals": lambda: tell(exchange, metrics.of_worker(), role="worker", name=name),
        "loop gaps": lambda: watch_gaps(metrics.loop_gap.observe),
        "sweep": sweep.run,
        "consents": consents.run,
        "catalog": catalog_sync.run,
        "rules": rule_sync.run,
        "encoder": catalog_sync.encode_for_ever,
        "counting": counting.run,
        "search": searching.run,
        "explaining": explaining.run,
        "fusion": searching.save_for_ever,
        **({"query encoder": query_encoder.run, "intents": intents.run} if query_encoder is not None else {}),
        "model": model_sync.run,
        "strategies": strategies.run,
        "examples": examples.run,
        "retraction": retraction.run,
        "snapshots": counting.save_for_ever,
        "erasures": forgetting.finish_for_ever,
        "idle users": idling.run,
    }
    if settings.feedback:  # else nothing comes, and two readers of a topic would ask the broker all the time
        loops |= {
            "rewards": rewarding.run,
            "snapshots of rewards": rewarding.save_for_ever,
            "what strategies earned": rewarding.show_for_ever,
            "served": served.run,
            "feedback": feedback.sweep_for_ever,
            "rates": rating.run,
            "rate snapshots": rating.save_for_ever,
            **(sales.loops() if sales is not None else {}),
        }
    return Deps(name, behavior, requests, feedback, windows, searching, sweep, consents, exchange, to, idling, loops)
