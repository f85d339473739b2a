"""dwell events → **how much of it was read** → reward, interest. What a shopper's seconds on an item are worth. Pure.

`value` of a `dwell` event is how many seconds they have spent on the item so far; a client may say so again and again
while they stay, and the longest counts. Time spent is the reward of content where there is nothing to buy (Yi et al.
2014, "Beyond clicks: dwell time for personalization"; Covington, Adams & Sargin 2016, watch time): a click on a title
that promises too much earns little, and what was read to its end earns the most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rec.events import POSITIVE
from rec.value import Worth

if TYPE_CHECKING:
    from rec.catalog import Item

COMPLETE = 0.9  # of the item's length: credits, and the last lines, are not waited for
FULL_S = 60.0  # of an item that does not say how long it is, so much is all of it for the share that was read
MOST_S = 4 * 3_600.0  # a forgotten tab is nobody's interest
MOST_TOLD = 32  # values kept of an item

Dwells = tuple[tuple[float, float], ...]  # (when it was said, seconds so far), both growing


def told(dwells: Dwells, at: float, seconds: float | None) -> Dwells:
    """With one more value; the very same if it says nothing new. In whatever order they come, the result is the same:
    what is earlier and longer makes another one superfluous.

    >>> told(told((), 20.0, 9.0), 10.0, 4.0)
    ((10.0, 4.0), (20.0, 9.0))
    >>> told(((20.0, 9.0),), 30.0, 8.0), told(((20.0, 9.0),), 10.0, 9.0)
    (((20.0, 9.0),), ((10.0, 9.0),))
    """
    if seconds is None or not seconds > 0:  # NaN says nothing either
        return dwells
    seconds = min(seconds, MOST_S)
    if any(when <= at and spent >= seconds for when, spent in dwells):
        return dwells
    rest = [one for one in dwells if not (one[0] >= at and one[1] <= seconds)]
    return tuple(sorted([*rest, (at, seconds)])[-MOST_TOLD:])


def together(a: Mapping[str, Dwells], b: Mapping[str, Dwells]) -> dict[str, Dwells]:
    """What was told of the items in two places."""
    both = dict(a)
    for item_id, dwells in b.items():
        for at, seconds in dwells:
            both[item_id] = told(both.get(item_id, ()), at, seconds)
    return both


def spent_by(dwells: Dwells, until: float) -> float:
    """Seconds on the item, as far as was said until then.

    >>> spent_by(((10.0, 4.0), (20.0, 9.0)), 15.0), spent_by((), 15.0)
    (4.0, 0.0)
    """
    return max((seconds for at, seconds in dwells if at <= until), default=0.0)


def length_of(item: Item) -> float:
    """Seconds that it takes to read or to watch it to the end, by its attribute `length_s`; 0: it does not say."""
    length = item.attributes.get("length_s")
    return float(length) if isinstance(length, int | float) and not isinstance(length, bool) and length > 0 else 0.0


_AFTER = {"add_to_cart": "cart", "purchase": "purchase", "not_interested": "dislike"}


class Reward(NamedTuple):
    """What becomes of a place, and what it is worth: as `Worth`, and how much of it was read. Each once.

    `dwell`: of all of it, a part in proportion; `completion`: on top, of an item that says how long it is.
    """

    click: float = 1.0
    cart: float = 2.0
    purchase: float = 4.0
    dislike: float = -4.0
    dwell: float = 0.0
    completion: float = 0.0

    @classmethod
    def over(cls, worth: Worth, other: Mapping[str, float]) -> Reward:
        """As the settings say, but for what a placement says otherwise."""
        return cls(*worth)._replace(**other)

    @property
    def worth(self) -> Worth:
        """What the heads of a network can foresee of it."""
        return Worth(self.click, self.cart, self.purchase, self.dislike)

    def of(self, actions: Collection[str]) -> float:
        """Σ worth of what happened, each thing once.

        >>> Reward().of({"select_item": 1.0, "view_item": 2.0, "purchase": 9.0}), Reward().of(["not_interested"])
        (5.0, -4.0)
        """
        happened = {_AFTER[name] for name in actions if name in _AFTER}
        if any(name in POSITIVE for name in actions):
            happened.add("click")
        return float(sum(getattr(self, head) for head in sorted(happened)))

    def of_time(self, seconds: float, length_s: float) -> float:
        """The reward of so many seconds on an item that takes `length_s` (0: nobody knows).

        >>> Reward(dwell=1, completion=2).of_time(45, 90), Reward(dwell=1, completion=2).of_time(85, 90)
        (0.5, 2.9444444444444446)
        >>> Reward(dwell=1, completion=2).of_time(90, 0), Reward().of_time(90, 90)
        (1.0, 0.0)
        """
        share = min(1.0, seconds / (length_s or FULL_S))
        return self.dwell * share + self.completion * completed(seconds, length_s)


def completed(seconds: float, length_s: float) -> bool:
    """
    >>> completed(85, 90), completed(80, 90), completed(1e9, 0)
    (True, False, False)
    """
    return length_s > 0 and seconds >= COMPLETE * length_s


def checked(reward: Mapping[str, Any]) -> None:
    """Raises ValueError for an action that nothing is worth."""
    if unknown := sorted(reward.keys() - set(Reward._fields)):
        raise ValueError(f"reward: there is no {unknown[0]!r}. Known are: {', '.join(Reward._fields)}")
