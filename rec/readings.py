"""dwell events → **what is new of a reading** → interest. Each second on an item counts once. Pure, and bounded.

`value` of a `dwell` is how many seconds it has been so far, told again and again while it lasts (rec.dwell). So
interest grows by what has come since the last report of the same item and session. A session may come back to an item,
and no event says so, but time does: a new reading has lasted no longer than since the last report, and it has got less
far than that one, or comes after a pause.

Interest is a sum of decayed gains, so a report that comes late corrects what was added for the one after it: whatever
the order, and however often, the sum is that of the reports in order. For this the newest `MOST_TOLD` reports of a
reading are kept; what is older than those adds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rec.events import ACTIONS, Event
from rec.ring import mark_of

DWELL_S = 30.0  # on an item; a dwell that says no time counts as so much (a satisfied visit: Fox et al. 2005)
MOST_DWELLS = 4.0  # times as much: longer is no more interest
PAUSE_S = 1_800.0  # without more of it; what comes then is another visit (GA4's sessions end so, too)
SLACK_S = 2.0  # by which the times of two reports may be wrong against each other: each request has its own delay
MOST_TOLD = 12  # a client that doubles its gaps needs 6 until more is no more interest
MOST_READ = 16  # items and sessions, those told of last


class Reading(NamedTuple):
    """What one session told of its time on one item, and which interest that moved.

    `told`: (when, seconds so far), by time. `at`, `spent`: when, and how far, it was before them; 0: there was nothing.
    """

    item_id: str
    session: bytes  # its mark, empty without one
    category: str
    brand: str
    told: tuple[tuple[float, float], ...] = ()
    at: float = 0.0
    spent: float = 0.0


class Gain(NamedTuple):
    """So much more interest in a category and a brand, as of `at`; negative: what was added before, taken back."""

    category: str
    brand: str
    at: float
    gain: float


Readings = tuple[Reading, ...]  # the one told of last at the end


def gain_of(seconds: float) -> float:
    """By how much a reading of so many seconds moves interest: who leaves after two has not shown much.

    >>> [gain_of(seconds) for seconds in (0.0, 3.0, 30.0, 9e9)]
    [0.0, 0.05, 0.5, 2.0]
    """
    return ACTIONS["dwell"].gain * min(MOST_DWELLS, seconds / DWELL_S)


def told(readings: Readings, item_id: str, category: str, brand: str, event: Event) -> tuple[Readings, list[Gain]]:
    """The readings with what an event says of an item, and what that adds to interest.

    Of a dwell without `value`, and of everything else: the very same readings, and what the action is worth.
    """
    at, seconds = event.at, event.value
    if event.event != "dwell" or seconds is None or not seconds >= 0:  # NaN says nothing
        return readings, [Gain(category, brand, at, ACTIONS[event.event].gain)]
    session = mark_of(event.session_id) if event.session_id else b""
    known = [one for one in readings if (one.item_id, one.session) == (item_id, session)]
    rest = [one for one in readings if one not in known]
    before = known[0] if known else Reading(item_id, session, category, brand)
    if at <= before.at or (at, seconds) in before.told:
        return readings, []
    after = before._replace(category=category, brand=brand, told=tuple(sorted([*before.told, (at, seconds)])))
    return _newest([*rest, after]), _difference(_gains(before)[0], _gains(after)[0])


def together(a: Readings, b: Readings) -> tuple[Readings, list[Gain]]:
    """The readings of two as those of one, and what that changes where both told of the same one."""
    both = {(one.item_id, one.session): one for one in a}
    changed: list[Gain] = []
    for one in b:
        key = one.item_id, one.session
        if (known := both.get(key)) is None:
            both[key] = one
            continue
        newer = max(one, known, key=lambda each: each.at)
        told = {each for each in (*one.told, *known.told) if each[0] > newer.at}
        before = [gain for each in (one, known) for gain in _gains(each)[0] if gain.at > newer.at]
        both[key] = newer._replace(told=tuple(sorted(told)))
        changed += _difference(before, _gains(both[key])[0])
    return _newest(both.values()), changed


def _gains(reading: Reading) -> tuple[list[Gain], float, float]:
    """What each report adds that says more than the one before it; and when, and how far, it is in the end."""
    at, spent, added = reading.at, reading.spent, list[Gain]()
    for when, seconds in reading.told:
        since = when - at
        anew = seconds <= since + SLACK_S and (seconds < spent or since > PAUSE_S)
        if seconds > spent or anew:
            if gain := gain_of(seconds) - gain_of(0.0 if anew else spent):
                added.append(Gain(reading.category, reading.brand, when, gain))
            at, spent = when, seconds
    return added, at, spent


def _difference(before: Sequence[Gain], after: Sequence[Gain]) -> list[Gain]:
    was, now = Counter(before), Counter(after)
    return sorted([*(now - was).elements(), *(one._replace(gain=-one.gain) for one in (was - now).elements())])


def _newest(readings: Iterable[Reading]) -> Readings:
    """Of too many those told of last, and of each the newest reports; how far the others got is remembered."""
    newest = sorted(readings, key=lambda one: (one.told[-1:], one.item_id, one.session))[-MOST_READ:]
    return tuple(_short(one) for one in newest)


def _short(reading: Reading) -> Reading:
    if len(reading.told) <= MOST_TOLD:
        return reading
    _, at, spent = _gains(reading._replace(told=reading.told[:-MOST_TOLD]))
    return reading._replace(told=reading.told[-MOST_TOLD:], at=at, spent=spent)
