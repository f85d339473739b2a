"""What is on whose list: as much as is on screens, known also of lists that somebody else has made."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.presence import Presence
from agents.shown import LEARN, Learning, Shown
from rec.errors import Unavailable
from rec.ports import Pushed, StoredSlate, Wanted
from rec.protocol import MAX_USER_SCREENS
from rec.slates import Position
from rec.store.memory import MemoryExchange

FIRST = Position("a", 1)


def looking(*wanted: Wanted) -> Presence:
    presence = Presence(MemoryExchange())
    for one in wanted:
        presence.note(one)
    return presence


def stored(screen: str, *items: tuple[str, float]) -> StoredSlate:
    body = {"items": [{"item_id": item_id, "score": 0.5, "item": {"price": price}} for item_id, price in items]}
    return StoredSlate(screen, FIRST, len(items), msgspec.json.encode(body))


def test_who_hops_from_product_to_product_leaves_nothing_behind() -> None:
    presence = looking()
    shown = Shown(presence)
    for number in range(500):
        presence.note_one("u", f"pdp/i{number}", 10)  # subscriptions that come before their announcements
        shown.note("u", f"pdp/i{number}", FIRST, frozenset({"x"}))
    assert len(presence.screens("u")) == MAX_USER_SCREENS
    assert list(presence.screens("u"))[-1] == "pdp/i499"
    presence.note(Wanted("u", {"pdp/i499": 10}))
    shown.forget_unseen()
    assert len(shown) == 1
    presence.note(Wanted("u", {}))
    shown.forget_unseen()
    assert len(shown) == 0


def test_a_change_touches_who_shows_the_product_or_has_room_for_it() -> None:
    shown = Shown(looking(Wanted("a", {"home": 2}), Wanted("b", {"home": 2}), Wanted("c", {"home": 3})))
    for user_id, items in (("a", {"x", "y"}), ("b", {"y", "z"}), ("c", {"y", "z"}), ("gone", {"x"})):
        shown.note(user_id, "home", FIRST, frozenset(items))
    assert shown.touched_by({"x"}) == [("a", "home"), ("c", "home")]


async def test_an_ad_is_touched_by_what_it_leads_to_and_outdated_when_one_of_both_is_gone() -> None:
    shown, exchange = Shown(looking(Wanted("u", {"home": 1}))), MemoryExchange()
    place = {"item_id": "ad", "source": "ad", "score": 0.1, "item": {"sponsored": True},
             "reason": {"kind": "sponsored", "item_id": "tent"}}  # fmt: skip
    body = msgspec.json.encode({"items": [place]})
    await exchange.store_slates([Pushed("u", StoredSlate("home", FIRST, 1, body))])
    sold: dict[str, dict[str, Any]] = {"ad": {}, "tent": {}}
    outdated = list[set[str]]()

    async def changed(item_ids: set[str]) -> None:
        outdated.append(item_ids)

    learning = Learning(exchange, shown, sold.get)
    await learning.learn([("u", "home")], changed)
    assert (outdated, shown.touched_by({"tent"}), shown.touched_by({"boots"})) == ([], [("u", "home")], [])
    del sold["tent"]
    shown.note("u", "home", Position("a", 0), frozenset())
    await learning.learn([("u", "home")], changed)
    assert outdated == [{"ad"}]


async def test_a_product_that_is_not_as_shown_is_told_until_somebody_could_be_told() -> None:
    world, told = World(1, x=2.0), list[set[str]]()
    await world.exchange.store_slates([Pushed("u0", stored("home", ("x", 1.0)))])
    learning = Learning(world.exchange, world.shown, world.card)

    async def away(item_ids: set[str]) -> None:
        raise Unavailable("the log is away")

    async def changed(item_ids: set[str]) -> None:
        told.append(item_ids)

    with pytest.raises(Unavailable):
        await learning.learn([("u0", "home")], away)
    await learning.learn([], changed)
    await learning.learn([], changed)
    assert told == [{"x"}]


class World:
    """Stored lists, and a catalog of prices; None is out of stock."""

    def __init__(self, count: int, **prices: float | None) -> None:
        self.users = [f"u{number}" for number in range(count)]
        self.exchange = MemoryExchange()
        self.shown = Shown(looking(*(Wanted(user_id, {"home": 1}) for user_id in self.users)))
        self.prices, self.changed = prices, list[set[str]]()

    def card(self, item_id: str) -> dict[str, Any] | None:
        price = self.prices.get(item_id)
        return None if price is None else {"price": price}

    async def learn(self, *slates: Pushed) -> None:
        await self.exchange.store_slates(slates)

        async def changed(item_ids: set[str]) -> None:
            self.changed.append(item_ids)

        learning = Learning(self.exchange, self.shown, self.card)
        await learning.learn([(user_id, "home") for user_id in self.users], changed)


async def test_lists_that_another_worker_has_made_are_learned_from_what_is_stored() -> None:
    world = World(3, x=1.0, y=2.0)
    await world.learn(Pushed("u0", stored("home", ("x", 1.0))), Pushed("u1", stored("home", ("y", 2.0))))
    assert world.shown.touched_by({"x"}) == [("u0", "home")]
    assert world.shown.knows("u1", "home", FIRST)
    assert not world.shown.knows("u1", "home", Position("a", 2))  # a newer one is another list
    assert not world.shown.knows("u2", "home", FIRST)
    assert world.changed == []


async def test_what_changed_before_a_list_was_learned_is_told() -> None:
    world = World(3, dearer=2.0, same=1.0, sold=None)
    await world.learn(
        Pushed("u0", stored("home", ("same", 1.0))),
        Pushed("u1", stored("home", ("dearer", 1.0))),
        Pushed("u2", stored("home", ("sold", 1.0))),
    )
    assert world.changed == [{"dearer", "sold"}]
    await world.learn()
    assert len(world.changed) == 1


async def test_so_many_lists_are_learned_at_a_time() -> None:
    world = World(LEARN + 10, x=1.0)
    await world.learn(*(Pushed(user_id, stored("home", ("x", 1.0))) for user_id in world.users))
    assert len(world.shown) == LEARN


def test_a_short_screen_that_is_opened_does_not_cut_the_long_one_beside_it() -> None:
    presence = looking(Wanted("u", {"home": 50}))
    presence.note_one("u", "home", 5)
    assert presence.screens("u") == {"home": 50}
    presence.note_one("u", "home", 80)
    assert presence.screens("u") == {"home": 80}
    presence.note(Wanted("u", {"home": 5}))  # the long one was closed
    assert presence.screens("u") == {"home": 5}
