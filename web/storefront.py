"""The storefront's own questions: what the system sees of its shopper, and the end of it. Only with REC_DEMO.

Invariant: whoever asks is told about, and can end, nobody but the demo shopper their token names. A real shop asks its
own backend instead, which has the API key: GET and DELETE /v1/users/{user_id}.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from rec.errors import Forbidden
from rec.state import FoldRules, UserState
from web.auth import Identity
from web.edge import EDGE, Edge
from web.front import answer
from web.parsing import ErasurePath, path_of
from web.users import erase, receipt

PREFIX = "demo-"  # of the ids of demo shoppers
SHOWN = 6  # interests
_ACTOR = "demo shopper"

_decode = msgspec.json.Decoder(UserState | None).decode


def add_storefront(app: web.Application) -> None:
    """Routes of the panel."""
    app.router.add_routes(
        [
            web.get("/demo/me", get_me),
            web.post("/demo/forget", post_forget),
            web.get("/demo/erasures/{erasure_id}", get_receipt),
        ]
    )


async def get_me(request: web.Request) -> web.Response:
    """What the worker knows of the shopper. Raises DeadlineExceeded, Unavailable."""
    edge = request.app[EDGE]
    user_id = _shopper(edge, edge.identify(request))
    state, _, _ = await edge.asker.known(user_id)
    rules = FoldRules.from_settings(edge.settings)
    return answer(seen(_decode(state), edge.clock(), rules))


async def post_forget(request: web.Request) -> web.Response:
    """Erase the shopper: the receipt so far, with 202."""
    edge = request.app[EDGE]
    return await erase(edge, _shopper(edge, edge.identify(request)), _ACTOR)


async def get_receipt(request: web.Request) -> web.Response:
    """The receipt as it stands. Its id is 128 random bits that only who erased was told; the receipt names nobody."""
    return await receipt(request.app[EDGE], path_of(request, ErasurePath).erasure_id, 200)


def seen(state: UserState | None, now: float, rules: FoldRules) -> dict[str, Any]:
    """Pure: a state as the panel shows it. Interests decayed to `now`, the strongest first.

    >>> seen(None, 0.0, FoldRules())["interests"]
    []
    >>> seen(UserState(epoch="a1", consent=False), 0.0, FoldRules())["consent"]
    'denied'
    """
    if state is None:
        state = UserState(epoch="")
    decayed = [(name, *interest.as_of(now, rules)) for name, interest in state.categories.items()]
    strongest = sorted((entry for entry in decayed if entry[1] > 0.05), key=lambda entry: (-entry[1], entry[0]))
    return {
        "events": state.applied,
        "consent": {None: None, True: "granted", False: "denied"}[state.consent],
        "interests": [
            {"name": name, "now": round(short, 3), "lasting": round(long, 3)} for name, short, long in strongest[:SHOWN]
        ],
        "half_life_s": rules.short_half_life_s,
        "cart": list(state.cart()),
        "bought": len(state.bought),
        "hidden": len(state.hidden),
    }


def _shopper(edge: Edge, who: Identity) -> str:
    if who.user_id is None or not who.user_id.startswith(PREFIX):
        raise Forbidden("This is for a demo shopper's token. A backend asks GET /v1/users/{user_id}.", field="user_id")
    edge.may_ask(who)
    return who.user_id
