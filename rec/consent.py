"""choices → **consent** → table, counters, archive. The one rule of which events may be used. Pure.

Table, counters and archive read the same log and each follow it by these functions alone, so that they agree about
every event. What makes them agree is that a choice in the log moves the standing of the record's subject and of nobody
else: a subject's records lie in one partition, so everybody meets them in the same order. Whoever else a choice holds
for hears of it by a record `$consent` of their own (see `rec.choices`).

Invariants: the newest choice counts, in whatever order they arrive, of two equally old ones the denial; nothing that
happened between a denial and the next grant is used, however late it comes.
"""

from __future__ import annotations

from typing import NamedTuple

from rec.events import CONSENT, Event

SINCE = "since"  # in the context of a `$consent` record: `Standing.since` of whom it comes from


class Standing(NamedTuple):
    """What all choices of a subject about one use come to. Times in seconds since 1970.

    `at`: when the newest was made. `since`: only what happened from then on may be used, 0 if nobody ever denied.
    `follows`: a user's visitor, whose records are handed on: only what the user's owner tells them moves it.
    """

    denied: bool
    at: float
    since: float = 0.0
    follows: bool = False


def heard(before: Standing | None, event: Event, use: str = "personalization_storage") -> Standing | None:
    """The standing of the event's subject after what the event says of a use; the very same object if that is nothing
    new."""
    says = event.says(use)
    if says is None:
        return before
    if event.event == CONSENT:
        since = event.context.get(SINCE, 0.0)
        since = min(max(0.0, since), event.at) if isinstance(since, float) else 0.0  # anybody may have written it
        now = joined(before, Standing(says == "denied", event.at, since))
        return now if event.user_id is not None or now.follows else now._replace(follows=True)
    if before is not None and before.follows:
        return before
    return chosen(before, says == "denied", event.at)


def chosen(before: Standing | None, denied: bool, at: float) -> Standing:
    """The standing after a choice made at `at`; the very same object if that says nothing new.

    >>> granted = chosen(chosen(None, True, 5.0), False, 9.0)
    >>> granted.since, chosen(granted, True, 7.0) is granted
    (9.0, True)
    >>> chosen(chosen(None, False, 9.0), True, 7.0).since
    9.0
    """
    if before is None:
        return Standing(denied, at)
    if denied:
        if at > before.at or (at == before.at and not before.denied):
            return before._replace(denied=True, at=at, since=0.0)
        # A denial older than the newest grant ends there. One from before `since` has been told by another.
        return before._replace(since=before.at) if not before.denied and at >= before.since else before
    if at <= before.at:
        return before
    return before._replace(denied=False, at=at, since=at if before.denied else before.since)


def joined(before: Standing | None, other: Standing) -> Standing:
    """The standing of two who are one: the newest choice of either, and nothing that either of them withdrew."""
    if before is None:
        return other._replace(follows=False)
    now = chosen(before, other.denied, other.at)
    return now if now.denied or other.since <= now.since else now._replace(since=other.since)


def usable(standing: Standing | None, event: Event, default: bool) -> bool:
    """Whether an event of this subject may be used for personalization; `standing` has heard what the event says.

    `default` holds for who never chose. What the edge withheld was denied by somebody the event names, as the edge
    knew. The log knows better of a user who granted: it may have been somebody else on the same device. Of a visitor,
    and of who never chose, it does not.
    """
    says = event.personalization
    if event.event == CONSENT or says == "denied":
        return False
    if standing is None:
        return default and not event.withheld
    if standing.denied or (event.withheld and event.user_id is None):
        return False
    return event.at >= standing.since
