"""The items: what can be listed. A row of SQL on one side, an in-memory view with vectors for scoring on the other.

`Item` is the wire and storage form. (`Catalog`, the view that workers score with, follows below.)
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from rec.events import Id, Text

Price = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Url = Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^(https?://[^\s<>\"']+|/[^\s<>\"']*)?$")]


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product, article or video. Texts are data, never markup; URLs are http(s) or paths of the own server."""

    item_id: Id
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    category: Text = ""
    brand: Text = ""
    description: Annotated[str, msgspec.Meta(max_length=8192)] = ""
    price: Price | None = None
    currency: Annotated[str, msgspec.Meta(max_length=8)] = ""
    in_stock: bool = True
    url: Url = ""
    image_url: Url = ""
    kind: Annotated[str, msgspec.Meta(max_length=32)] = "product"
    attributes: dict[str, Any] = {}

    def text(self) -> str:
        """What the text encoder reads."""
        return ". ".join(part for part in (self.title, self.brand, self.category, self.description[:400]) if part)

    def digest(self) -> str:
        """Of the text alone: the key under which its vector is cached.

        >>> a = Item(item_id="1", title="Tent"); b = Item(item_id="2", title="Tent", price=3)
        >>> a.digest() == b.digest()
        True
        """
        return blake2b(self.text().encode(), digest_size=16).hexdigest()
