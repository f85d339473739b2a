"""seed → **ads** → the storefront's sponsored place. What the demo's makers pay for, and where that is shown.

Pure, as `rec.demo.world`. Invariants: every ad leads to a product of the demo that is in stock; every department has
as many. Ads stand on the demo shop's own placement alone: `home`, which simulated shoppers and tools look at, stays
organic.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from rec.catalog import Item
from rec.kinds import AD_KIND

if TYPE_CHECKING:
    from rec.config import Settings

STOREFRONT = "storefront"  # the placement of the demo shop's first page
PLACE = 5  # 0-based: in the second row of the page, below what was picked
EACH = 2  # of a department
_LINES = (
    "{brand}: made to be kept",
    "New from {brand}: the {kind}",
    "The {kind} by {brand}",
    "{brand} presents its {kind}",
)
_DRAWN = ("family", "kind", "color", "material")  # what a picture goes by
# What has to be set together for ads to be sold; whoever sets one of these has the whole say.
_DECIDING = ("placements", "feedback", "feedback_placements", "strategy")


AN_AD = "ad-camp-1"  # one of them, by which the demo's catalog is known


def demo_ads(products: Sequence[Item], seed: int = 7) -> list[Item]:
    """Ads for some of these products, in the order of their departments."""
    departments: dict[str, list[Item]] = {}
    for item in products:
        if item.in_stock:
            departments.setdefault(item.category, []).append(item)
    return [
        _ad(item, number, Random(f"{seed}/{item.item_id}/ad"))
        for category, items in departments.items()
        for number, item in enumerate(Random(f"{seed}/{category}/ads").sample(items, min(EACH, len(items))), 1)
    ]


def _ad(item: Item, number: int, rng: Random) -> Item:
    kind = str(item.attributes.get("kind", item.category.lower()))
    line = rng.choice(_LINES).format(brand=item.brand, kind=kind)
    item_id = f"ad-{item.item_id.partition('-')[0]}-{number}"
    wants: dict[str, Any] = {
        "bid": rng.randrange(10, 61) / 100,
        "daily_budget": float(rng.randrange(5, 31)),
        "item": item.item_id,
        "campaign": item_id,
        "frequency_cap": 8,
    }
    drawn: dict[str, Any] = {name: value for name, value in item.attributes.items() if name in _DRAWN}
    picture = f"/pictures/{item_id}.svg"
    return Item(
        item_id=item_id, title=line, category=item.category, brand=item.brand, description=item.description,
        kind=AD_KIND, image_url=picture, attributes={**wants, **drawn},
    )  # fmt: skip


def demo_sales(settings: Settings) -> dict[str, Any]:
    """Settings with which the demo sells its place: feedback for its own lists, without a draw; no other list
    costs more. None where somebody has set one of them.

    >>> from rec.config import Settings
    >>> demo_sales(Settings(_env_file=None, feedback=False))
    {}
    """
    if settings.model_fields_set & set(_DECIDING):
        return {}
    return {
        "feedback": True,
        "feedback_placements": (STOREFRONT, "feed"),
        "placements": {STOREFRONT: {"sponsored": [PLACE]}},
        "strategy": {},
    }
