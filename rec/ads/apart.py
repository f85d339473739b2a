"""event → **without its ads** → counters, examples. What is paid for is no taste, and on nobody's trail. Pure."""

from __future__ import annotations

import msgspec

from rec.events import Event
from rec.state import FacetsOf


def without_ads(event: Event, facets: FacetsOf) -> Event:
    """The event without the items that are ads; the very same object if there are none."""
    organic = tuple(item for item in event.items if (known := facets(item.item_id)) is None or not known.is_ad)
    return event if len(organic) == len(event.items) else msgspec.structs.replace(event, items=organic)
