"""item → **card** → client. What a client needs to draw an item: the slate's `item`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rec.catalog import Item


def card(item: Item) -> dict[str, Any]:
    """Of what is read or watched also its `kind`, and `length_s` (seconds) where it says how long it takes."""
    made = {
        "title": item.title,
        "price": item.price,
        "currency": item.currency,
        "image_url": item.image_url,
        "url": item.url,
        "brand": item.brand,
        "category": item.category,
    }
    if item.kind in ("article", "video"):
        made["kind"] = item.kind
        if (length := item.attributes.get("length_s")) is not None:
            made["length_s"] = length
    return made
