"""visitor + user → **merging** → one state. What a visitor did before the login becomes the user's. Pure.

Invariants: a visitor has one user; a user is nobody's visitor; merging twice changes nothing; of two choices about
consent the newer one holds.
"""

from __future__ import annotations

import msgspec

from rec.state import (
    MAX_HISTORY,
    MAX_SEARCHES,
    FoldRules,
    Interest,
    Shown,
    UserState,
    capped,
    deny,
    latest,
    newest_marks,
    newest_shown,
    sum_of,
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

    Of two choices the newer one holds, of equally old ones the denial.
    """
    if user.visitors.get(visitor_id) == "merged":
        return user
    visitors = within_bounds({**user.visitors, visitor_id: "merged"})
    choices = [(state.consent_at, not state.consent) for state in (user, visitor) if state.consent is not None]
    consent_at, denied = max(choices, default=(0.0, None))
    user = msgspec.structs.replace(user, visitors=visitors)
    if denied:
        return deny(user, consent_at)
    history = tuple(sorted({*user.history, *visitor.history})[-MAX_HISTORY:])
    return msgspec.structs.replace(
        user,
        version=user.version + 1,
        consent=None if denied is None else True,
        consent_at=consent_at,
        denied_at=max(user.denied_at, visitor.denied_at),
        granted_at=max(user.granted_at, visitor.granted_at),
        began=min((at for at in (user.began, visitor.began) if at), default=0.0),
        applied=user.applied + visitor.applied,
        late=user.late + visitor.late,
        events_through=max(user.events_through, visitor.events_through),
        received_through=max(user.received_through, visitor.received_through),
        history=history,
        categories=_joined(user.categories, visitor.categories, rules),
        brands=_joined(user.brands, visitor.brands, rules),
        bought=latest(user.bought, visitor.bought),
        hidden=latest(user.hidden, visitor.hidden),
        shown=newest_shown(_added(user.shown, visitor.shown)),
        searches=tuple(sorted({*user.searches, *visitor.searches})[-MAX_SEARCHES:]),
        visitors=visitors,
        ring=newest_marks(visitor.ring + user.ring),
    )


def handed_over(visitor: UserState, user_id: str) -> UserState:
    """What stays of a visitor whose state went to a user: where their events go, and their choice."""
    return UserState(
        epoch=visitor.epoch,
        version=visitor.version + 1,
        consent=visitor.consent,
        consent_at=visitor.consent_at,
        denied_at=visitor.denied_at,
        granted_at=visitor.granted_at,
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
