"""slates → **shown** → catalog changes. Which products are on whose list, so that a change reaches those who see it.

Noted as lists are made; what another worker or an earlier life of this one has made is read from the stored slates,
so much at a time. Invariant: of nobody more is remembered than what is on their screens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from agents.presence import Presence
from rec.ads.market import AD_SOURCE
from rec.noted import is_waiting
from rec.policy.refresh import OnScreen
from rec.ports import Exchange
from rec.slates import Position, SlateItem
from rec.state import UserState

LEARN = 1_000  # stored lists read in one turn: about 10 MB from Redis, and 20 ms of this process
_AT_ONCE = 16


class OnList(NamedTuple):
    """The products of the list at a position."""

    position: Position
    item_ids: frozenset[str]
    there: OnScreen | None = None  # where its strategy may let some of it stay
    leads: frozenset[str] = frozenset()  # the products that its ads lead to


class Shown:
    """user → screen (see rec.screens) → what is on it. `presence` says who looks at what."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._lists: dict[str, dict[str, OnList]] = {}

    def __len__(self) -> int:
        """How many lists are known."""
        return sum(map(len, self._lists.values()))

    def note(
        self,
        user_id: str,
        screen: str,
        position: Position,
        item_ids: frozenset[str],
        there: OnScreen | None = None,
        leads: frozenset[str] = frozenset(),
    ) -> None:
        """This list is the one that is shown now."""
        self._lists[user_id] = self._looked_at(user_id) | {screen: OnList(position, item_ids, there, leads)}

    def there(self, user_id: str, screen: str, state: UserState | None) -> OnScreen | None:
        """What is on a screen, if its strategy may let some of it stay: nothing from before an erasure, nor from before
        the shopper's last word on what may be used."""
        known = self._lists.get(user_id, {}).get(screen)
        if known is None or known.there is None or state is None or known.position.epoch != state.epoch:
            return None
        return known.there if known.there.at >= state.consent_since else None

    def answered(self, user_id: str, screen: str, position: Position, there: OnScreen) -> None:
        """A list that somebody asked for is on this screen, too, if it is newer than what was there."""
        known = self._lists.get(user_id, {}).get(screen)
        if known is None or position.newer_than(known.position):
            self.note(
                user_id, screen, position, frozenset(place.item_id for place in there.items), there, leads(there.items)
            )

    def knows(self, user_id: str, screen: str, position: Position) -> bool:
        """Whether what is on the list at this position is known."""
        known = self._lists.get(user_id, {}).get(screen)
        return known is not None and known.position == position

    def forget_unseen(self) -> None:
        """What was shown to somebody who looks no longer is of no use, and would grow for ever."""
        self._lists = {user_id: lists for user_id in self._lists if (lists := self._looked_at(user_id))}

    def touched_by(self, item_ids: set[str]) -> list[tuple[str, str]]:
        """(user, screen) of the lists that a change of these items may change, one for each user.

        Those that show one of them, and those that are shorter than was asked for: there a new product has its place.
        """
        self.forget_unseen()
        touched: dict[str, str] = {}
        for user_id, lists in self._lists.items():
            wanted = self._presence.screens(user_id)
            for screen, shown in lists.items():
                if len(shown.item_ids) < wanted[screen] or not (shown.item_ids | shown.leads).isdisjoint(item_ids):
                    touched[user_id] = screen
        return list(touched.items())

    def _looked_at(self, user_id: str) -> dict[str, OnList]:
        screens = self._presence.screens(user_id)
        return {screen: shown for screen, shown in self._lists.get(user_id, {}).items() if screen in screens}


class _Reason(msgspec.Struct, frozen=True):
    item_id: str | None = None
    policy: tuple[str, ...] = ()


class _Place(msgspec.Struct):
    item_id: str
    source: str = ""
    item: dict[str, Any] = {}
    reason: _Reason = _Reason()


class _Body(msgspec.Struct):
    items: list[_Place]


_decode = msgspec.json.Decoder(_Body).decode


class Learning:
    """Reads stored lists into `shown`. `card`: what a list says of a product now, None if none may show it.

    A list that says something else was made before a change that this worker did not see, and is made anew.
    """

    def __init__(self, exchange: Exchange, shown: Shown, card: Callable[[str], dict[str, Any] | None]) -> None:
        self._exchange, self._shown, self._card = exchange, shown, card
        self._waiting: dict[tuple[str, str], None] = {}  # found, and no other list ordered yet
        self._outdated = set[str]()  # found, and nobody told yet

    async def learn(
        self, wanted: Sequence[tuple[str, str]], changed: Callable[[set[str]], Awaitable[None]]
    ) -> list[tuple[str, str]]:
        """The first `LEARN` of these (user, screen) pairs; `changed` gets the products that are not as shown.

        Where a list was to stay for a moment alone, and its worker did not live to make the next one, is what is
        returned. Raises Unavailable.
        """
        wanted = wanted[:LEARN]
        for start in range(0, len(wanted), _AT_ONCE):
            few = wanted[start : start + _AT_ONCE]
            found = await asyncio.gather(*(self._exchange.latest(user_id, screen) for user_id, screen in few))
            for (user_id, screen), slate in zip(few, found, strict=True):
                if slate is None or self._shown.knows(user_id, screen, slate.position):
                    continue
                places = _decode(slate.body).items
                item_ids = frozenset(place.item_id for place in places)
                self._shown.note(user_id, screen, slate.position, item_ids, leads=leads(places))
                self._outdated.update(place.item_id for place in places if self._is_outdated(place))
                if any(is_waiting(place.reason.policy) for place in places):
                    self._waiting[user_id, screen] = None
        if self._outdated:
            await changed(set(self._outdated))
            self._outdated.clear()
        return list(self._waiting)

    def followed(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Other lists were ordered for these: they need not be returned again."""
        for pair in pairs:
            self._waiting.pop(pair, None)

    def _is_outdated(self, place: _Place) -> bool:
        if place.source != AD_SOURCE:
            return place.item != self._card(place.item_id)
        lead = place.reason.item_id  # an ad's card is filled up with its product's
        return self._card(place.item_id) is None or (lead is not None and self._card(lead) is None)


def leads(places: Iterable[SlateItem | _Place]) -> frozenset[str]:
    """The products that the ads of a list lead to: it shows them, too."""
    return frozenset(place.reason.item_id for place in places if place.source == AD_SOURCE and place.reason.item_id)
