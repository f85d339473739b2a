"""The async Python SDK: `pip install shunxi`, which brings aiohttp and msgspec and nothing else.

    from rec.client import RecClient

    async with RecClient("http://127.0.0.1:8080", api_key="…") as client:
        await client.track("view_item", user_id="u1", items=["sku_77"])
        async for slate in client.subscribe("u1", placement="home"):
            ...

Every error is a `rec.errors.RecError`; its `temporary` says whether trying again may help.
"""

from rec.client.client import RecClient
from rec.client.events import PutResult, Rejection, TrackResult
from rec.client.outputs import State
from rec.client.states import StateChange
from rec.client.timing import Timing
from rec.errors import RecError
from rec.events import Event, EventItem
from rec.slates import Slate, SlateItem

__all__ = [
    "Event",
    "EventItem",
    "PutResult",
    "RecClient",
    "RecError",
    "Rejection",
    "Slate",
    "SlateItem",
    "State",
    "StateChange",
    "Timing",
    "TrackResult",
]
