"""visitor + user → **merging** → one state. What a visitor did before the login becomes the user's. Pure.

Invariants: a visitor has one user; a user is nobody's visitor; merging twice changes nothing; of two choices about
consent the newer one holds.
"""

from __future__ import annotations

import msgspec

from rec import readings
from rec.about import newest
from rec.ads import frequency
from rec.ads.consent import together
from rec.consent import joined
from rec.interest import Interest, capped, moved, sum_of
from rec.marks import Shown, latest, newest_shown
from rec.ring import newest_marks
from rec.state import (
    MAX_SEARCHES,
    FoldRules,
    UserState,
    deny,
    kept_since,
)
from rec.visitors import within_bounds


def may_merge(visitor: UserState, into: str) -> bool:
    """Whether this state may be handed over to `into`: it is no user's own, and nobody else's visitor.

    User ids and visitor ids look alike, and a token or an event can name any: the state itself must say what it is.
    """
    return not visitor.is_user and visitor.merged_into in (None, into)


def refused(user: UserState, visitor_id: str) -> UserState:
    """The user, to whom this visitor does not belong: not asked for again. What was merged stays merged."""
    if user.visitors.get(visitor_id) != "asked":
        return user
    return msgspec.structs.replace(user, visitors={**user.visitors, visitor_id: "refused"})


def merged(user: UserState, visitor_id: str, visitor: UserState, rules: FoldRules = FoldRules()) -> UserState:
    """The user, with all that was known of the visitor. Idempotent: a visitor already merged changes nothing.

    The choices of the two are one (see `rec.consent`), and what either of them withdrew is gone.
    """
    if user.visitors.get(visitor_id) == "merged":
        return user
    ad_consent = together(user.ad_consent, visitor.ad_consent)
    visitors = within_bounds({**user.visitors, visitor_id: "merged"})
    user = msgspec.structs.replace(user, visitors=visitors, ad_consent=ad_consent)
    standing = user.standing if visitor.standing is None else joined(user.standing, visitor.standing)
    if standing is not None and standing.denied:
        return deny(user, standing.at)
    if standing is not None:
        user, visitor = (kept_since(state, standing.since, rules.history) for state in (user, visitor))
    ads, shown = frequency.together(user.ads, visitor.ads), _added(user.shown, visitor.shown)
    ads, shown = ad_consent.kept(ads, shown, ads.__contains__)
    history = tuple(sorted({*user.history, *visitor.history})[-rules.history :])
    reads, gains = readings.together(user.readings, visitor.readings)
    categories, brands = (
        _joined(mine, others, rules)
        for mine, others in ((user.categories, visitor.categories), (user.brands, visitor.brands))
    )
    categories, brands = moved(categories, brands, gains, rules)
    return msgspec.structs.replace(
        user,
        version=user.version + 1,
        consent=None if standing is None else True,
        consent_at=0.0 if standing is None else standing.at,
        consent_since=0.0 if standing is None else standing.since,
        began=min((at for at in (user.began, visitor.began) if at), default=0.0),
        applied=user.applied + visitor.applied,
        late=user.late + visitor.late,
        events_through=max(user.events_through, visitor.events_through),
        received_through=max(user.received_through, visitor.received_through),
        history=history,
        categories=categories,
        brands=brands,
        readings=reads,
        bought=latest(user.bought, visitor.bought),
        hidden=latest(user.hidden, visitor.hidden),
        shown=newest_shown(shown),
        ads=ads,
        searches=tuple(sorted({*user.searches, *visitor.searches})[-MAX_SEARCHES:]),
        about=newest(user.about, visitor.about),
        ring=newest_marks(visitor.ring + user.ring),
    )


def handed_over(visitor: UserState, user_id: str) -> UserState:
    """What stays of a visitor whose state went to a user: where their events go, and their choice."""
    return UserState(
        epoch=visitor.epoch,
        version=visitor.version + 1,
        consent=visitor.consent,
        consent_at=visitor.consent_at,
        consent_since=visitor.consent_since,
        ad_consent=visitor.ad_consent,
        began=visitor.began,
        merged_into=user_id,
    )


def _joined(a: dict[str, Interest], b: dict[str, Interest], rules: FoldRules) -> dict[str, Interest]:
    return capped({**a, **{name: sum_of(a.get(name), interest, rules) for name, interest in b.items()}})


def _added(a: dict[str, Shown], b: dict[str, Shown]) -> dict[str, Shown]:
    both = dict(a)
    for item_id, mark in b.items():
        times, at = both.get(item_id, (0, 0.0))
        both[item_id] = Shown(times + mark.times, max(at, mark.at))
    return both
