"""catalog → **ad** → auction. An ad is an item of kind `ad`; what its advertiser wants is in its attributes.

    {"item_id": "ad-1", "kind": "ad", "title": "Tents that stand up", "image_url": "…", "attributes": {"bid": 0.40,
        "daily_budget": 50, "item": "sku_77", "frequency_cap": 3, "frequency_hours": 24, "campaign": "spring"}}

So ads come in, change, are flagged and leave as products do (docs/decisions.md). All money is of one currency. Pure.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from rec.ads.frequency import MOST_TIMES
from rec.catalog import Item
from rec.errors import BadInput
from rec.events import Id
from rec.kinds import AD_KIND

CAP, HOURS = 3, 24.0  # of who says none

Money = Annotated[float, msgspec.Meta(gt=0, le=1e9)]


class Ad(msgspec.Struct, frozen=True, kw_only=True):
    """What is bid for a click, and within which bounds. Attributes of an ad of other names are left alone.

    `daily_budget` is a campaign's, from midnight to midnight UTC; of several ads of a campaign the largest counts. An
    ad without a `campaign` is one of its own. `item`: the product that it leads to; else its `url` says where.
    """

    bid: Money
    daily_budget: Money
    campaign: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = ""
    item: Id | None = None
    frequency_cap: Annotated[int, msgspec.Meta(ge=1, le=MOST_TIMES)] = CAP
    frequency_hours: Annotated[float, msgspec.Meta(gt=0, le=24 * 31)] = HOURS


def ad_of(item: Item) -> Ad:
    """What an item of kind `ad` says. Raises BadInput naming the attribute and the remedy.

    >>> ad_of(Item(item_id="a", title="A", kind="ad", url="/x", attributes={"bid": "0.4", "daily_budget": 5})).bid
    0.4
    """
    try:
        ad = msgspec.convert(item.attributes, Ad, strict=False)  # of a CSV everything is a text
    except msgspec.ValidationError as error:
        told = str(error).replace("`$.", "`attributes.")
        raise BadInput(
            f"{told}. An ad has the attributes bid and daily_budget (both above 0), and may have campaign, item, "
            f"frequency_cap (1 to {MOST_TIMES}) and frequency_hours.",
            code="bad_ad",
            field="attributes",
        ) from None
    if ad.item is None and not item.url:
        raise BadInput(
            "attributes.item: an ad leads somewhere. Name the product, or give the ad a url.",
            code="bad_ad",
            field="attributes",
        )
    return ad if ad.campaign else msgspec.structs.replace(ad, campaign=item.item_id)


def check_ad(item: Item) -> None:
    """Raises BadInput for an ad that makes no sense; other items pass."""
    if item.kind == AD_KIND:
        ad_of(item)
