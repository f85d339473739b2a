"""events → **state** → candidates. All that is known of one user: a value, and the fold that moves it.

Pure: time comes with the event, the epoch is handed in. Invariants: the same event applied twice changes nothing;
late and shuffled events give the state that order would have given (floats to rounding); every part is bounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from rec import readings
from rec.about import NOBODY, About, said_since, told
from rec.ads import frequency
from rec.ads.consent import AdConsent
from rec.consent import Standing, heard, usable
from rec.events import ACTIONS, CONSENT, Event
from rec.interest import Interest, moved
from rec.kinds import AD_KIND, PRODUCT
from rec.marks import Shown, latest, newest_shown
from rec.readings import Readings
from rec.ring import contains, mark_of, newest_marks
from rec.slates import Position
from rec.visitors import asked

if TYPE_CHECKING:
    from rec.config import Settings

MAX_HISTORY = 200
MAX_SEARCHES = 10


class Facets(NamedTuple):
    """What the catalog says of an item, as far as interest goes."""

    category: str
    brand: str
    kind: str = PRODUCT

    @property
    def is_ad(self) -> bool:
        return self.kind == AD_KIND


FacetsOf = Callable[[str], Facets | None]


class FoldRules(NamedTuple):
    """The settings of the fold; see `Settings` for what they mean."""

    short_half_life_s: float = 1_800
    long_half_life_s: float = 30 * 86_400
    max_late_s: float = 86_400
    consent_default: bool = True
    history: int = MAX_HISTORY  # actions kept of a user
    sensitive: frozenset[str] = frozenset()  # categories that enter no interest and no reason
    ads: bool = False  # whether impressions of ads are counted: somewhere there are places for them

    @classmethod
    def from_settings(cls, settings: Settings) -> FoldRules:
        return cls(
            short_half_life_s=settings.short_half_life_s,
            long_half_life_s=settings.long_half_life_s,
            max_late_s=settings.max_late_s,
            consent_default=settings.consent_default == "granted",
            history=settings.history,
            sensitive=frozenset(settings.sensitive_categories),
            ads=settings.sells_ads,
        )


class Touch(NamedTuple):
    """One action on one item, at `at` seconds since 1970."""

    at: float
    item_id: str
    action: str


class UserState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The value of the per-user table, backed by the changelog. `consent` is None until the user chose."""

    epoch: str
    version: int = 0
    consent: bool | None = None
    consent_at: float = 0.0
    consent_since: float = 0.0  # what happened before that was withdrawn, or happened while consent was
    began: float = 0.0  # the first event ever applied; kept through a denial: the model may have learned since then
    applied: int = 0
    late: int = 0
    events_through: float = 0.0
    received_through: float = 0.0
    history: tuple[Touch, ...] = ()  # oldest first, at most FoldRules.history
    categories: dict[str, Interest] = {}
    brands: dict[str, Interest] = {}
    bought: dict[str, float] = {}  # item_id → when last
    hidden: dict[str, float] = {}  # item_id → when last told "not interested"
    shown: dict[str, Shown] = {}
    ads: frequency.Seen = {}  # when ads were seen
    ad_consent: AdConsent = AdConsent()  # what was said of storage and personalization for ads
    readings: Readings = ()  # what was told of the time on items, so that each second counts once
    searches: tuple[tuple[float, str], ...] = ()
    about: About = NOBODY  # age and region, as last said
    visitors: dict[str, str] = {}  # visitor_id → "asked" | "merged" | "refused"; see rec.visitors
    is_user: bool = False  # had an event whose user_id is its key: never merged away, whoever names it as a visitor
    merged_into: str | None = None  # set on a visitor's own state: their events go there now
    ring: bytes = b""  # the last event_ids, newest last; see rec.ring

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.version)

    @property
    def allowed(self) -> bool:
        return self.consent is not False

    @property
    def standing(self) -> Standing | None:
        """What the choices so far come to, None if there was none."""
        if self.consent is None:
            return None
        return Standing(not self.consent, self.consent_at, self.consent_since, self.merged_into is not None)

    def cart(self) -> dict[str, float]:
        """What lies in the cart, item_id → since when, as far as the history reaches."""
        inside: dict[str, float] = {}
        for at, item_id, action in self.history:
            if action == "add_to_cart":
                inside[item_id] = at
            elif action in ("remove_from_cart", "purchase"):
                inside.pop(item_id, None)
        return inside


class Outcome(Enum):
    """What the fold did. MOVED and DENIED are worth a new list; the rest is not."""

    MOVED = "moved"
    NOTED = "noted"  # applied, but of no consequence to the list: an impression
    DUPLICATE = "duplicate"
    TOO_LATE = "too_late"
    DENIED = "denied"  # consent was withdrawn: the state is gone, or what of it is older than a newer grant
    IGNORED = "ignored"  # no consent: nothing of the event is kept, but that a visitor is this user


def fold(
    state: UserState | None, event: Event, facets: FacetsOf, *, epoch: str, rules: FoldRules = FoldRules()
) -> tuple[UserState | None, Outcome]:
    """The state after `event`, the very same object if nothing changed.

    `epoch` is used if the user is new; `facets` looks an item up in the catalog.
    """
    before = state or UserState(epoch=epoch)
    told = _told_of_ads(before, event, facets)
    if told is before:
        return _folded(state, event, facets, epoch=epoch, rules=rules)
    after, outcome = _folded(told, event, facets, epoch=epoch, rules=rules)
    withdrawn = told.ad_consent.withdrawn_since(before.ad_consent, rules.consent_default)
    if after is not None and rules.ads and withdrawn and (outcome is Outcome.NOTED or event.event == CONSENT):
        return touched(after), Outcome.MOVED  # the ads on the screen are of what may not be used any more
    return after, outcome


def _folded(
    state: UserState | None, event: Event, facets: FacetsOf, *, epoch: str, rules: FoldRules
) -> tuple[UserState | None, Outcome]:
    at, before = event.at, state or UserState(epoch=epoch)
    standing = before.standing
    if (now := heard(standing, event)) is not None and now != standing:
        if event.user_id is not None:
            before = msgspec.structs.replace(before, is_user=True)
        state, lost = _standing(before, now, rules.history)
        if lost:
            return _linked(state, event, epoch), Outcome.DENIED
        before, standing = state, now
        if event.event == CONSENT and not now.denied:
            return before, Outcome.NOTED
    if not usable(standing, event, rules.consent_default):
        return _linked(state, event, epoch), Outcome.IGNORED
    if event.user_id is not None and not before.is_user:
        before = msgspec.structs.replace(before, is_user=True)

    mark = mark_of(event.event_id)
    if contains(before.ring, mark):
        return state, Outcome.DUPLICATE
    ring = newest_marks(before.ring + mark)
    if event.received_at - at > rules.max_late_s:
        return msgspec.structs.replace(before, ring=ring, late=before.late + 1), Outcome.TOO_LATE
    return _applied(before, event, at, facets, ring, rules)


def _applied(
    state: UserState, event: Event, at: float, facets: FacetsOf, ring: bytes, rules: FoldRules
) -> tuple[UserState, Outcome]:
    name, action = event.event, ACTIONS[event.event]
    history, categories, brands = state.history, state.categories, state.brands
    bought, hidden, shown, ads, reads = state.bought, state.hidden, state.shown, state.ads, state.readings
    stored = state.ad_consent.stores(at, rules.consent_default)
    for item in event.items:
        item_id = item.item_id
        if name == "view_item_list":
            advert = rules.ads and (found := facets(item_id)) is not None and found.is_ad
            if advert and not stored:
                continue
            times, last = shown.get(item_id, (0, 0.0))
            shown = {**shown, item_id: Shown(times + 1, max(at, last))}
            if advert:
                ads = frequency.noted(ads, item_id, at)
            continue
        found = facets(item_id)
        if found is None or not found.is_ad:  # what is paid for is no taste
            history = _inserted(history, Touch(at, item_id, name), rules.history)
            if found is not None and found.category not in rules.sensitive:
                reads, gains = readings.told(reads, item_id, found.category, found.brand, event)
                categories, brands = moved(categories, brands, gains, rules)
        if name == "purchase":
            bought = latest(bought, {item_id: at})
        elif name == "not_interested":
            hidden = latest(hidden, {item_id: at})
    searches, visitors = state.searches, _asked(event, state.visitors)
    if event.search_term:
        searches = tuple(sorted({*searches, (at, event.search_term)})[-MAX_SEARCHES:])
    after = msgspec.structs.replace(
        state,
        version=state.version + action.moves_list,
        began=min(state.began or at, at),
        applied=state.applied + 1,
        events_through=max(state.events_through, at),
        received_through=max(state.received_through, event.received_at),
        history=history,
        categories=categories,
        brands=brands,
        bought=bought,
        hidden=hidden,
        shown=newest_shown(shown),
        ads=ads,
        readings=reads,
        searches=searches,
        visitors=visitors,
        about=told(state.about, event),
        ring=ring,
    )
    return after, Outcome.MOVED if action.moves_list else Outcome.NOTED


def _told_of_ads(state: UserState, event: Event, facets: FacetsOf) -> UserState:
    """After what an event says of the uses for ads; the very same state if that is nothing new."""
    if (now := state.ad_consent.heard(event)) is state.ad_consent:
        return state
    ads, shown = now.kept(state.ads, state.shown, lambda item_id: (known := facets(item_id)) and known.is_ad)
    is_user = state.is_user or event.user_id is not None
    return msgspec.structs.replace(state, ad_consent=now, ads=ads, shown=shown, is_user=is_user)


def _linked(state: UserState | None, event: Event, epoch: str) -> UserState | None:
    """All that is kept of an event without consent: whose visitor this is, so that a choice holds for both."""
    before = state or UserState(epoch=epoch)
    visitors = _asked(event, before.visitors)
    return state if visitors is before.visitors else msgspec.structs.replace(before, visitors=visitors)


def _asked(event: Event, visitors: dict[str, str]) -> dict[str, str]:
    """With one more to ask for, if the event says that a visitor is this user; the same dict if that is no news."""
    if not event.user_id or not event.visitor_id or event.visitor_id == event.user_id:
        return visitors
    return asked(visitors, event.visitor_id)


def _standing(state: UserState, now: Standing, most: int) -> tuple[UserState, bool]:
    """The state with another standing, and whether something was withdrawn with it."""
    if now.denied:
        return deny(state, now.at), state.consent is not False
    kept = state if state.consent is False else kept_since(state, now.since, most)
    lost = kept is not state
    choice = {"consent": True, "consent_at": now.at, "consent_since": now.since}
    return msgspec.structs.replace(kept, version=kept.version + lost, **choice), lost


def kept_since(state: UserState, since: float, most: int) -> UserState:
    """What is left when everything before `since` is withdrawn; the very same state if there is nothing of it.

    Interests are sums that cannot be taken apart: they go as a whole if one of their parts does, or may do: a history
    of `most` actions was cut.
    """
    times = [touch.at for touch in state.history[:1]] + [at for at, _ in state.searches[:1]] + state.about.times
    times += [at for seen in state.ads.values() for at in seen[:1]]
    times += [*state.bought.values(), *state.hidden.values(), *(mark.at for mark in state.shown.values())]
    full = len(state.history) >= most
    if since <= 0 or not (full or any(at < since for at in times)):
        return state
    return msgspec.structs.replace(
        state,
        history=tuple(touch for touch in state.history if touch.at >= since),
        categories={},
        brands={},
        readings=(),
        bought={item_id: at for item_id, at in state.bought.items() if at >= since},
        hidden={item_id: at for item_id, at in state.hidden.items() if at >= since},
        shown={item_id: mark for item_id, mark in state.shown.items() if mark.at >= since},
        ads=frequency.since(state.ads, since),
        searches=tuple(search for search in state.searches if search[0] >= since),
        about=said_since(state.about, since),
    )


def deny(state: UserState, at: float) -> UserState:
    """Nothing is kept but the choice, the visitors it holds for, and the version that replaces the personal list."""
    return UserState(
        epoch=state.epoch,
        version=state.version + (state.consent is not False),
        consent=False,
        consent_at=at,
        ad_consent=state.ad_consent,
        began=state.began,
        visitors=state.visitors,
        is_user=state.is_user,
        merged_into=state.merged_into,
    )


def touched(state: UserState) -> UserState:
    """The same state, one version on: for a list made anew without an event (request, model, catalog, sweep)."""
    return msgspec.structs.replace(state, version=state.version + 1)


def _inserted(history: tuple[Touch, ...], touch: Touch, most: int) -> tuple[Touch, ...]:
    if not history or touch >= history[-1]:
        return (*history[-(most - 1) :], touch)
    at = bisect_right(history, touch)
    return (*history[:at], touch, *history[at:])[-most:]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(UserState)


def encode_state(state: UserState) -> bytes:
    """The changelog's form: msgpack."""
    return _encoder.encode(state)


def decode_state(raw: bytes) -> UserState:
    return _decoder.decode(raw)
