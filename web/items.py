"""PUT, GET and DELETE /v1/items: the catalog. A hint tells the workers, which read the change from SQL."""

from __future__ import annotations

import logging

import msgspec
from aiohttp import web

from rec.ads.ad import check_ad
from rec.catalog import Item
from rec.errors import BadInput, NotFound, TooLarge, Unavailable
from rec.images import fitting
from rec.ingest import rejection
from rec.kinds import AD_KIND
from rec.ports import Hint
from rec.protocol import MAX_EVENTS
from rec.visible import check_item
from web.edge import BACKEND_ACTOR, EDGE, Edge
from web.front import answer
from web.parsing import ItemPath, body_of, decode_known, path_of

log = logging.getLogger(__name__)

MAX_ITEMS = MAX_EVENTS
AUDITED_IDS = 5  # of the items of one request


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


async def put_items(request: web.Request) -> web.Response:
    """Insert or replace up to 500 items; each is taken or refused by itself. Of an id that comes twice, the last."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    raws = (await body_of(request, _Items)).items
    if not raws:
        raise BadInput("There are no items. Send at least one.", code="no_items", field="items")
    if len(raws) > MAX_ITEMS:
        message = f"{len(raws)} items at once. Send at most {MAX_ITEMS}, or use `rec catalog import`."
        raise TooLarge(message, code="too_many_items", field="items")
    items: dict[str, Item] = {}
    rejected = []
    for index, raw in enumerate(raws):
        try:
            item = decode_known(raw, Item, " Fields of your own go into attributes.")
            check_item(item)
            check_ad(item)
            fitting(item, edge.settings.image_dim)
            items[item.item_id] = item
        except BadInput as error:
            rejected.append(rejection(index, error))
    revision = None
    if items:
        revision = await edge.database.put_items(list(items.values()))
        detail = {"count": len(items), "first": list(items)[:AUDITED_IDS], "revision": revision}
        await edge.database.record(BACKEND_ACTOR, "put items", "catalog", detail)
        await _tell(edge)
    body = {"accepted": len(raws) - len(rejected), "rejected": rejected, "revision": revision}
    return answer(body)


async def get_item(request: web.Request) -> web.Response:
    """One item, for backends and browsers; to these a flagged one is not there."""
    edge = request.app[EDGE]
    asker = edge.identify(request)
    item_id = path_of(request, ItemPath).item_id
    item = await edge.database.get_item(item_id)
    if item is None or (item.flagged and not asker.backend):
        raise NotFound("There is no such item.", code="unknown_item", field="item_id")
    if item.kind == AD_KIND and not asker.backend:
        item = msgspec.structs.replace(item, attributes={})  # what is bid is between the shop and its advertisers
    return answer(item)


async def delete_item(request: web.Request) -> web.Response:
    """Take an item out of the catalog; it leaves the lists within seconds."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    item_id = path_of(request, ItemPath).item_id
    if await edge.database.get_item(item_id) is None:
        raise NotFound("There is no such item.", code="unknown_item", field="item_id")
    # Before the deed: a second try would find nothing to delete, and nothing to write down.
    await edge.database.record(BACKEND_ACTOR, "delete item", "catalog", {"count": 1, "first": [item_id]})
    if not await edge.database.delete_item(item_id):
        raise NotFound("There is no such item.", code="unknown_item", field="item_id")
    await _tell(edge)
    return answer({"deleted": True})


async def _tell(edge: Edge) -> None:
    try:
        await edge.exchange.hint(Hint("catalog", ""))
    except Unavailable:
        log.warning("the catalog changed, but no worker could be told; they look by themselves")
