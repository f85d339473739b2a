"""GET, PUT and DELETE /v1/rules, GET and POST /v1/reviews: what the shop decides about lists. Backends alone.

Every change needs a reason (`why`), and goes into the audit trail with it and with `by`, whoever the backend says.
A hint tells the workers, which read the change from SQL.
"""

from __future__ import annotations

import logging
from typing import Any, Literal

import msgspec
from aiohttp import web

from rec.catalog import Item
from rec.errors import Unavailable
from rec.events import Id, Text
from rec.policy.desk import Desk, StoredRule, unknown
from rec.policy.rules import RuleId, rule_of
from rec.ports import Hint
from web.edge import BACKEND_ACTOR, EDGE, Edge
from web.front import answer
from web.parsing import as_in_path, decode_known, path_of, query_of, read

log = logging.getLogger(__name__)


class RulePath(msgspec.Struct, frozen=True):
    rule_id: RuleId


class Why(msgspec.Struct, frozen=True):
    """DELETE /v1/rules/{rule_id}."""

    why: Text
    by: Text = ""


class RulePut(msgspec.Struct, frozen=True):
    """PUT /v1/rules/{rule_id}."""

    rule: dict[str, Any]
    why: Text
    by: Text = ""


class ReviewPath(msgspec.Struct, frozen=True):
    kind: Literal["rule", "item"]
    id: Id


class Decision(msgspec.Struct, frozen=True):
    """POST /v1/reviews/{kind}/{id}."""

    decision: Literal["approve", "reject"]
    why: Text
    by: Text = ""


async def get_rules(request: web.Request) -> web.Response:
    """All rules, each with the change that waits for a review."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    return answer({"rules": [as_json(each) for each in await edge.database.rules()]})


async def get_rule(request: web.Request) -> web.Response:
    """One rule."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    rule_id = path_of(request, RulePath).rule_id
    found = await edge.database.get_rule(rule_id)
    if found is None:
        raise unknown(rule_id)
    return answer(as_json(found))


async def put_rule(request: web.Request) -> web.Response:
    """A rule, new or in place of the one before. In force within 2 s, or once it is approved."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    rule_id = path_of(request, RulePath).rule_id
    wanted = decode_known(await read(request), RulePut)
    rule = rule_of(as_in_path(wanted.rule, "rule_id", rule_id))
    after = await _desk(edge, wanted.by).put(rule, wanted.why)
    await _tell(edge, "rules")
    return answer(as_json(after))


async def delete_rule(request: web.Request) -> web.Response:
    """Take a rule away; it no longer holds within 2 s, or once that is approved."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    rule_id, asked = path_of(request, RulePath).rule_id, query_of(request, Why)
    after = await _desk(edge, asked.by).remove(rule_id, asked.why)
    await _tell(edge, "rules")
    return answer({"deleted": after is None})


async def get_reviews(request: web.Request) -> web.Response:
    """What waits for a person: changes of rules, and flagged items."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    rules = [as_json(each) for each in await edge.database.rules() if each.proposal is not None]
    return answer({"rules": rules, "items": await edge.database.flagged_items()})


async def post_review(request: web.Request) -> web.Response:
    """Approve or reject: a change of a rule holds or is dropped, a flagged item is shown or leaves the catalog."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    path, wanted = path_of(request, ReviewPath), decode_known(await read(request), Decision)
    desk, approved = _desk(edge, wanted.by), wanted.decision == "approve"
    left: StoredRule | Item | None
    if path.kind == "rule":
        left = await desk.decide_rule(path.id, approved, wanted.why)
    else:
        left = await desk.decide_item(path.id, approved, wanted.why)
    await _tell(edge, "rules" if path.kind == "rule" else "catalog")
    return answer({"kind": path.kind, "id": path.id, "decision": wanted.decision, "remains": left is not None})


def as_json(stored: StoredRule) -> dict[str, Any]:
    return {"rule_id": stored.rule_id, "rule": stored.rule, "proposal": stored.proposal}


def _desk(edge: Edge, by: str) -> Desk:
    actor = f"{BACKEND_ACTOR}: {by}"[:200] if by else BACKEND_ACTOR
    return Desk(edge.database, actor, review=edge.settings.rules_need_review)


async def _tell(edge: Edge, kind: str) -> None:
    try:
        await edge.exchange.hint(Hint(kind, ""))
    except Unavailable:
        log.warning("the %s changed, but no worker could be told; they look by themselves", kind)
