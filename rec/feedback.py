"""served ⋈ impressions ⋈ outcomes → **feedback** → examples. The join of a list with what became of it. Pure.

    fold(window, Packed | Event | Handed | Close) → (window, examples)        one window a user and list

A window keeps what it was told, each thing once and by its own time: when an item was first seen, and when each action
on it first happened. The example is computed from that (`joined`), so order and repetition of what comes change
nothing. It counts from the first sign that the list was looked at, for `window_s` of event time; what is told of those
minutes after the example is out gives it anew with a higher `revision`, and the newest revision counts. A list that
nobody looked at gives no example, one without a click does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from rec import dwell
from rec.ads.receipt import apart, sealed
from rec.ads.terms import Terms, clicked
from rec.dwell import Dwells, Reward
from rec.events import ACTIONS, Event
from rec.policy.note import Draw
from rec.policy.refresh import Decision
from rec.privacy import erasure_secret
from rec.served import Lists, Packed, unpack
from rec.state import UserState

if TYPE_CHECKING:
    from rec.config import Settings

IMPRESSION = "view_item_list"
OUTCOMES = frozenset(name for name, action in ACTIONS.items() if action.needs_items) - {IMPRESSION}
SETTLE_S = 2.0  # after the window late signs gather this long: each revision is a record
UNREAD_S = 600.0  # signs of an unknown list wait at least so long for its record, which may lie behind an outage
GRID_S = 60.0  # windows end on whole minutes, so that those of a user end together
MAX_ITEMS = 200  # signs are kept of so many items of a list; it has no more


class JoinRules(NamedTuple):
    """How long a list waits for its outcomes, how long it is remembered afterwards (seconds), and what they are worth
    at a placement.

    `late_s`: a window ends this long after it was due, and it is so long that a list may stay unseen. `nameless`:
    nothing of ads may be kept of who saw it, so what became of them is told under the name that `seal` makes.
    """

    window_s: float = 1_800.0
    late_s: float = 7_200.0
    reward: Callable[[str], Reward] = lambda placement: Reward()
    seal: Callable[[str], str] = sealed("")
    nameless: bool = False

    @classmethod
    def from_settings(cls, settings: Settings, reward: Callable[[str], Reward]) -> JoinRules:
        seal = sealed(erasure_secret(settings))
        return cls(settings.feedback_window_s, settings.feedback_late_s, reward, seal)


class Window(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one list of one user: the value of the table, backed by its changelog.

    `touched`: when it last changed by the worker's clock, seconds since 1970; `due`: when it is to be looked at.
    `served` is the packed `Served`, empty as long as nobody has told of the list. `revision` and `digest`
    are of the newest example that is out (-1: none); `news`: something has come since. `used`: signs in it.
    """

    touched: float
    due: float
    served: bytes = b""
    seen: dict[str, float] = {}  # item_id → first impression
    acts: dict[str, dict[str, float]] = {}  # item_id → action → first time
    news: bool = False
    revision: int = -1
    digest: bytes = b""
    used: int = 0
    dwelt: dict[str, Dwells] = {}  # item_id → seconds on it, as told
    ads: dict[str, Terms] = {}  # the list's sponsored items
    billed: int = 0  # clicks on them in the example that is out
    apart: bool = False  # what became of them is told without the user from now on

    @property
    def signs(self) -> int:
        """How much was told of it: items seen, and actions on items."""
        return len(self.seen) + sum(map(len, self.acts.values()))

    def times(self) -> Iterator[float]:
        yield from self.seen.values()
        for actions in self.acts.values():
            yield from actions.values()


class Place(msgspec.Struct, frozen=True, array_like=True):
    """One place of a list, what became of it, and the reward. `actions`: action → first time, seconds since 1970.

    `seen`: an impression or an action says so. The reward is Σ worth over what happened: a click (any action that
    wants the item), a cart, a purchase, a dislike, each once, and how much of it was read, as its placement says; 0 of
    an ad (`ad`: its terms). `dwell`: seconds on it.
    """

    item_id: str
    score: float
    source: str
    propensity: float | None
    category: str
    seen: bool
    reward: float
    actions: dict[str, float]
    dwell: float = 0.0
    ad: Terms | None = None
    brand: str = ""
    seller: str = ""


class FeedbackExample(msgspec.Struct, frozen=True):
    """One list that was looked at, with its outcomes; the record of topic `feedback`. Places are in the list's order.

    It is also the record of an exposure: of whoever looked, at that moment, to the `arm` of the `experiment` that
    decided the list's strategy (empty: none did). `at`: the first sign of looking; `served_at`: when it was made; both
    seconds since 1970. Of several records of a `slate_id` the highest revision counts. `chance`, `draw`, `decision` and
    `merit` are those of rec.served.
    """

    slate_id: str
    user_id: str
    revision: int
    placement: str
    strategy: str
    model_version: str
    served_at: float
    at: float
    places: tuple[Place, ...]
    state: UserState | None = None
    experiment: str = ""
    arm: str = ""
    chance: float | None = None
    draw: Draw | None = None
    decision: Decision | None = None
    merit: dict[str, dict[str, float]] = {}

    @property
    def reward(self) -> float:
        """Of the whole list."""
        return sum(place.reward for place in self.places)

    @property
    def signs(self) -> int:
        """How many impressions of items, and actions, are in it."""
        return sum(place.seen + len(place.actions) for place in self.places)


class Handed(msgspec.Struct, frozen=True, tag="handed", tag_field="kind"):
    """The window of a visitor's list, for the user they became."""

    user_id: str
    slate_id: str
    window: Window


class Close(msgspec.Struct, frozen=True, tag="close", tag_field="kind"):
    """At `at` (seconds since 1970) windows of these users were due. All of them are of the record's partition."""

    user_ids: tuple[str, ...]
    at: float


Told = Lists | Handed | Close


def fold(
    window: Window | None,
    what: Packed | Handed | Close | Event,
    *,
    user_id: str,
    now: float,
    rules: JoinRules = JoinRules(),
) -> tuple[Window | None, list[FeedbackExample]]:
    """The window after `what`, the very same object if nothing changed, None if it is over; and what is to be told."""
    if isinstance(what, Close):
        return (window, []) if window is None or window.due > now else _closed(window, user_id, now, rules)
    before = window or Window(touched=now, due=now)
    match what:
        case Packed():
            after = before if before.served else msgspec.structs.replace(before, served=what.served, ads=what.ads)
        case Handed():
            after = _both(before, what.window)
        case Event():
            after = _signed(before, what)
    if after is window:
        return window, []
    after = msgspec.structs.replace(after, touched=now, news=after.signs > 0)
    return msgspec.structs.replace(after, due=_due(after, now, rules)), []


def _signed(window: Window, event: Event) -> Window:
    """With what an event says of the list that it names."""
    at, seen, acts, dwelt = event.at, window.seen, window.acts, window.dwelt
    for item_id in dict.fromkeys(item.item_id for item in event.items):
        if len(seen.keys() | acts.keys() | {item_id}) > MAX_ITEMS:
            break
        if event.event == IMPRESSION:
            if at < seen.get(item_id, float("inf")):
                seen = {**seen, item_id: at}
            continue
        if at < acts.get(item_id, {}).get(event.event, float("inf")):
            acts = {**acts, item_id: {**acts.get(item_id, {}), event.event: at}}
        if event.event == "dwell" and (more := dwell.told(dwelt.get(item_id, ()), at, event.value)):
            dwelt = dwelt if more is dwelt.get(item_id) else {**dwelt, item_id: more}
    if seen is window.seen and acts is window.acts and dwelt is window.dwelt:
        return window
    return msgspec.structs.replace(window, seen=seen, acts=acts, dwelt=dwelt)


def _both(a: Window, b: Window) -> Window:
    """What either knows; of the examples that are out the newer one."""
    newer = a if a.revision >= b.revision else b
    acts = {item_id: _first(a.acts.get(item_id, {}), b.acts.get(item_id, {})) for item_id in {**a.acts, **b.acts}}
    served, seen, dwelt = a.served or b.served, _first(a.seen, b.seen), dwell.together(a.dwelt, b.dwelt)
    if (served, seen, acts, dwelt, newer.revision) == (a.served, a.seen, a.acts, a.dwelt, a.revision):
        return a
    out = {"revision": newer.revision, "digest": newer.digest, "used": newer.used, "billed": newer.billed}
    ads = {"ads": a.ads or b.ads, "apart": a.apart or b.apart}
    return msgspec.structs.replace(a, served=served, seen=seen, acts=acts, dwelt=dwelt, **ads, **out)


def _first(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: min(a.get(name, float("inf")), b.get(name, float("inf"))) for name in {**a, **b}}


def _due(window: Window, now: float, rules: JoinRules) -> float:
    if not window.served:  # wait for the list by the worker's clock: its record may lie unread after a restart
        return window.touched + max(rules.window_s, UNREAD_S)
    if not window.news:
        end = window.touched + rules.window_s + rules.late_s
        return end + -end % GRID_S
    if clicked(window.ads, window.acts) > window.billed:  # who pays for it has to know when the budget is spent
        return now + SETTLE_S
    return max(min(window.times()) + rules.window_s, now + SETTLE_S)


def _closed(window: Window, user_id: str, now: float, rules: JoinRules) -> tuple[Window | None, list[FeedbackExample]]:
    if not (window.served and window.news):
        return None, []
    example = joined(window, user_id, rules)
    after = msgspec.structs.replace(window, news=False)
    examples = []
    if example is not None and (digest := _digest(example)) != window.digest:
        alone = window.apart or (rules.nameless and bool(window.ads))
        examples = apart(example, rules.seal(example.slate_id)) if alone else [example]
        out = {"revision": example.revision, "digest": digest, "used": example.signs, "apart": alone}
        after = msgspec.structs.replace(after, **out)
    after = msgspec.structs.replace(after, billed=clicked(window.ads, window.acts))
    return msgspec.structs.replace(after, due=_due(after, now, rules)), examples


def joined(window: Window, user_id: str, rules: JoinRules = JoinRules()) -> FeedbackExample | None:
    """The next example of a list: what was told of its own items; None if that is nothing, or the list is not known."""
    if not window.served:
        return None
    served = unpack(window.served)
    listed = {item.item_id for item in served.items}
    seen = {item_id: at for item_id, at in window.seen.items() if item_id in listed}
    acts = {item_id: actions for item_id, actions in window.acts.items() if item_id in listed}
    times = [*seen.values(), *(at for actions in acts.values() for at in actions.values())]
    if not times:
        return None
    first, until, reward = min(times), min(times) + rules.window_s, rules.reward(served.placement)
    places = []
    for item in served.items:
        actions = {name: at for name, at in sorted(acts.get(item.item_id, {}).items()) if at <= until}
        spent, ad = dwell.spent_by(window.dwelt.get(item.item_id, ()), until), window.ads.get(item.item_id)
        earned = reward.of(actions) + reward.of_time(spent, item.length_s)
        places.append(
            Place(
                item.item_id,
                item.score,
                item.source,
                item.propensity,
                item.category,
                seen=bool(actions) or seen.get(item.item_id, float("inf")) <= until,
                reward=earned if ad is None else 0.0,  # it is paid for, and says nothing of the list's strategy
                actions=actions,
                dwell=spent,
                ad=ad,
                brand=item.brand,
                seller=item.seller,
            )
        )
    return FeedbackExample(
        slate_id=served.slate_id,
        user_id=user_id,
        revision=window.revision + 1,
        placement=served.placement,
        strategy=served.strategy,
        model_version=served.model_version,
        served_at=served.at,
        at=first,
        places=tuple(places),
        state=served.state,
        experiment=served.experiment,
        arm=served.arm,
        chance=served.chance,
        draw=served.draw,
        decision=served.decision,
        merit=served.merit,
    )


def _digest(example: FeedbackExample) -> bytes:
    """What the example says, whatever its revision."""
    return blake2b(encode_example(msgspec.structs.replace(example, revision=0)), digest_size=8).digest()


_encoder = msgspec.msgpack.Encoder()
_told: msgspec.msgpack.Decoder[Told] = msgspec.msgpack.Decoder(Told)
_example = msgspec.msgpack.Decoder(FeedbackExample)
_window = msgspec.msgpack.Decoder(Window)


def encode_told(told: Told) -> bytes:
    """The record's form in topic `served`: msgpack."""
    return _encoder.encode(told)


def decode_told(raw: bytes) -> Told:
    """Raises msgspec.MsgspecError for what is none."""
    return _told.decode(raw)


def encode_example(example: FeedbackExample) -> bytes:
    """The record's form in topic `feedback`: msgpack."""
    return _encoder.encode(example)


def decode_example(raw: bytes) -> FeedbackExample:
    """Raises msgspec.MsgspecError for what is none."""
    return _example.decode(raw)


def encode_window(window: Window) -> bytes:
    """The changelog's form: msgpack."""
    return _encoder.encode(window)


def decode_window(raw: bytes) -> Window:
    """Raises msgspec.MsgspecError for what is none."""
    return _window.decode(raw)
