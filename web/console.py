"""GET /v1/console, /v1/users, /v1/items, /v1/audit, /v1/dead-letters: what an engineer looks at. Backends alone.

What processes count comes through the exchange (rec.vitals), so any web process answers for all of them. Counters and
buckets as they are: rates and quantiles are the reader's, from two readings.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web

from rec.browsing import words_of
from rec.dead_letters import Kept, letter_at, newest_letters
from rec.events import Id, instant
from rec.protocol import Count
from rec.topics import DEAD_LETTERS
from rec.vitals import Vitals, decode_vitals
from web.edge import EDGE, Edge
from web.front import answer
from web.models import shown
from web.parsing import path_of, query_of

LETTERS_S = 10.0
Words = Annotated[str, msgspec.Meta(max_length=200)]


class OnlineQuery(msgspec.Struct, frozen=True):
    """GET /v1/users. `q`: a part of the id."""

    q: Words = ""
    n: Count = 50


class ItemsQuery(msgspec.Struct, frozen=True):
    """GET /v1/items. `after`: `next` of the page before."""

    q: Words = ""
    n: Count = 50
    after: Id | None = None


class NewestQuery(msgspec.Struct, frozen=True):
    """GET /v1/audit, GET /v1/dead-letters."""

    n: Count = 50


class LetterPath(msgspec.Struct, frozen=True):
    letter_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,9}-[0-9]{1,18}\Z")]


async def get_console(request: web.Request) -> web.Response:
    """What all processes tell, which model serves, and the settings that decide what can be seen here."""
    edge = _edge(request)
    reports, states, live, pinned = await asyncio.gather(
        edge.exchange.reports(), edge.exchange.worker_states(), edge.database.live_version(), edge.database.pinned()
    )
    processes = [told(decode_vitals(report), states) for report in reports.values()]
    processes.sort(key=lambda process: (process["role"], process["name"]))
    return answer(
        {
            "at": edge.clock(),
            "processes": processes,
            "model": None if live is None else shown(live, pinned),
            "pinned": pinned,
            "settings": {
                "rules_need_review": edge.settings.rules_need_review,
                "demo": edge.settings.demo,
                "retention_days": edge.settings.retention_days,
                "short_half_life_s": edge.settings.short_half_life_s,
                "long_half_life_s": edge.settings.long_half_life_s,
            },
        }
    )


async def get_users(request: web.Request) -> web.Response:
    """Who is connected anywhere right now, and which lists they look at."""
    edge, query = _edge(request), query_of(request, OnlineQuery)
    online = await edge.exchange.online()
    found = sorted((wanted for wanted in online if query.q in wanted.user_id), key=lambda wanted: wanted.user_id)
    users = [{"user_id": wanted.user_id, "screens": wanted.screens} for wanted in found[: query.n]]
    return answer({"online": len(online), "users": users})


async def get_items(request: web.Request) -> web.Response:
    """Items by id whose id, title, brand or category has every word; those that are flagged or out of stock, too."""
    edge, query = _edge(request), query_of(request, ItemsQuery)
    words = words_of(query.q)
    items, total = await asyncio.gather(
        edge.database.find_items(words, query.n + 1, query.after or ""), edge.database.count_items()
    )
    page = items[: query.n]
    return answer({"total": total, "items": page, "next": page[-1].item_id if len(items) > query.n else None})


async def get_audit(request: web.Request) -> web.Response:
    """Who changed what, and why, newest first."""
    edge, query = _edge(request), query_of(request, NewestQuery)
    return answer({"entries": await edge.database.recent(query.n)})


async def get_dead_letters(request: web.Request) -> web.Response:
    """The newest records that could not be processed, newest first; without what they hold, which may be personal."""
    edge, query = _edge(request), query_of(request, NewestQuery)
    topic = edge.settings.topic(DEAD_LETTERS)
    letters = await newest_letters(edge.log, topic, query.n, LETTERS_S)
    return answer({"letters": [outline(kept) for kept in reversed(letters)]})


async def get_dead_letter(request: web.Request) -> web.Response:
    """One of them, with its key and its payload as text."""
    edge = _edge(request)
    partition, _, offset = path_of(request, LetterPath).letter_id.partition("-")
    topic = edge.settings.topic(DEAD_LETTERS)
    kept = await letter_at(edge.log, topic, int(partition), int(offset), LETTERS_S)
    return answer({**outline(kept), "key": kept.letter.key, "payload": kept.letter.payload})


def told(vitals: Vitals, states: dict[str, str]) -> dict[str, Any]:
    """A process as it is shown; a worker with whether it serves.

    >>> told(Vitals("worker", "a:1", 0.0, 1.0, "0", {}, {}, {}), {"a:1": "ready"})["state"]
    'ready'
    """
    state = states.get(vitals.name) if vitals.role == "worker" else None
    return {**{name: getattr(vitals, name) for name in Vitals.__struct_fields__}, "state": state}


def outline(kept: Kept) -> dict[str, Any]:
    """A dead letter without what it holds."""
    letter = kept.letter
    return {
        "letter_id": f"{kept.partition}-{kept.offset}",
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "reason": letter.reason,
        "error": letter.error,
        "at": instant(letter.at),
        "bytes": len(letter.raw),
    }


def _edge(request: web.Request) -> Edge:
    edge = request.app[EDGE]
    edge.backend_only(request)
    return edge
