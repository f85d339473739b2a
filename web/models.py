"""GET and POST /v1/models: versions of the model, and which of them serves. Backends alone.

What `rec models` does, over HTTP. A choice needs a reason, which goes into the audit trail with whoever made it; a hint
makes the workers swap at once. Whoever is to promote must reach the weights: REC_MODELS_URL, as the workers have it.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Any, Literal

import msgspec
from aiohttp import web

from rec.audit import recorded
from rec.errors import BadInput, ModelError, Unavailable
from rec.events import Text
from rec.model import choosing
from rec.policy.desk import reason
from rec.ports import Hint, ModelVersion
from rec.protocol import Count
from rec.versions import has_weights
from web.edge import BACKEND_ACTOR, EDGE, Edge
from web.front import answer
from web.parsing import decode_known, query_of, read


class ModelsQuery(msgspec.Struct, frozen=True):
    """GET /v1/models."""

    n: Count = 50


class Choice(msgspec.Struct, frozen=True):
    """POST /v1/models. `version`: of a promotion alone."""

    decision: Literal["promote", "roll_back", "automatic"]
    why: Text
    version: str | None = None
    by: Text = ""


async def get_models(request: web.Request) -> web.Response:
    """The newest versions, and which is pinned."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    query = query_of(request, ModelsQuery)
    pinned, versions = await edge.database.pinned(), await edge.database.versions(query.n)
    return answer({"pinned": pinned, "versions": [shown(each, pinned) for each in versions]})


async def post_models(request: web.Request) -> web.Response:
    """Promote a version, go back to the one before, or let the trainer choose again."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    wanted = decode_known(await read(request), Choice)
    if (wanted.version is None) == (wanted.decision == "promote"):
        remedy = "name the one to promote" if wanted.version is None else f"leave it out of {wanted.decision}"
        raise BadInput(f"version: {remedy}.", field="version")
    why = reason(wanted.why)
    actor = f"{BACKEND_ACTOR}: {wanted.by}"[:200] if wanted.by else BACKEND_ACTOR
    recording = partial(recorded, edge.database, actor)
    try:
        if wanted.decision == "automatic":
            released = await choosing.let_go(edge.database, recording, why)
            return answer({"version": None, "replaced": None, "pinned": None, "released": released})
        if wanted.version is not None:
            done = await choosing.promote(edge.database, wanted.version, why, recording)
        else:
            done = await choosing.roll_back(edge.database, why, recording)
    except ModelError as error:
        raise BadInput(error.message, code="model_refused", field="version") from None
    await _tell(edge, done.version)
    return answer({"version": done.version, "replaced": done.replaced, "pinned": done.version, "released": None})


def shown(version: ModelVersion, pinned: str | None) -> dict[str, Any]:
    """A version, without where its weights lie: that is the operators' business."""
    fields = version._asdict()
    del fields["url"]
    return {**fields, "has_weights": has_weights(version), "pinned": version.version == pinned}


async def _tell(edge: Edge, version: str) -> None:
    """A hint that is lost costs seconds: workers look by themselves."""
    with contextlib.suppress(Unavailable):
        await edge.exchange.hint(Hint("model", version))
