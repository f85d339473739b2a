"""fold → **examples** → trainer. The records of topic `examples`: one partition, one order, all that a model learns.

    Example   somebody acted on an item: the event, and what was known of them just before it
    Tick      take what has gathered as a batch, however small it is
    Epoch     from here on items are read with the vectors of this encoder
    Gone      from here on these items are nobody: they have left the catalog
    Rewarded  what a list earned, and how likely each item was to be on it
    Erased    forget this user: no example of theirs may have touched the weights

Everything that could make two runs differ is written down: batches end by count or at a tick; what is left out while
the trainer is behind (Pace) is in a journal, by offset, and chosen by a hash of the event_id. So a replay gives the
same weights to the bit. Pure: no clock, no I/O.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple, Union

import msgspec

from rec.contest import Round
from rec.events import POSITIVE, Event
from rec.impressions import left_alone
from rec.interest import Interest
from rec.marks import Shown
from rec.state import Outcome, UserState

LEAST_TOUCHES = 50  # the gate looks back that far (rec.candidates), however few the network reads
MAX_INTERESTS = 16
MAX_KEPT = 32  # bought, hidden
LONGEST_QUERY = 80  # characters of a query that is learned from: what is longer says more than what is looked for


class Example(msgspec.Struct, frozen=True, tag="example", tag_field="kind", omit_defaults=True):
    """What a user did, and the part of their state before it that a list would have been made from."""

    event: Event
    state: UserState | None = None


class Tick(msgspec.Struct, frozen=True, tag="tick", tag_field="kind"):
    """The end of a batch."""


class Pace(msgspec.Struct, frozen=True, tag="pace", tag_field="kind"):
    """From here on learn from this share of the examples, in (0, 1]; the rest is counted.

    Not in the topic: a trainer that is behind could not read it in time. See agents.paces.
    """

    share: float


class Epoch(msgspec.Struct, frozen=True, tag="epoch", tag_field="kind"):
    """From here on texts are read by this encoder; examples that wait are learned before, with the last one's."""

    encoder: str


class Gone(msgspec.Struct, frozen=True, tag="gone", tag_field="kind"):
    """Items that the catalog does not have any more; examples that wait are learned before."""

    item_ids: tuple[str, ...]


class Rewarded(msgspec.Struct, frozen=True, tag="rewarded", tag_field="kind", omit_defaults=True):
    """A list that was looked at, made `at` (seconds since 1970) from `state`: of its `length` places those that earned
    something, as (item_id, reward, propensity). Of several of a `slate_id` the highest revision counts.
    """

    slate_id: str
    user_id: str
    revision: int
    at: float
    length: int
    earned: tuple[tuple[str, float, float], ...] = ()
    state: UserState | None = None


class Erased(msgspec.Struct, frozen=True, tag="erased", tag_field="kind"):
    """A user is to be forgotten.

    `since` is when their first event was applied (seconds since 1970): 0 is not known, -1 never. `line` is the
    receipt's.
    """

    user_id: str
    at: float
    since: float = 0.0
    erasure_id: str = ""
    line: str = "model weights"  # of the receipt


Lesson = Union[Example, Tick, Pace, Epoch, Gone, Rewarded, Erased]  # noqa: UP007  msgspec decodes it

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Lesson)


def encode_lesson(lesson: Lesson) -> bytes:
    """The record's form: msgpack."""
    return _encoder.encode(lesson)


def decode_lesson(raw: bytes) -> Lesson:
    """Raises msgspec.MsgspecError for what is none."""
    lesson: Lesson = _decoder.decode(raw)
    return lesson


class Taken(NamedTuple):
    """What became of some records."""

    offset: int  # the next one
    learned_through: float  # of the events learned from, seconds since 1970; 0: none yet
    learned: int  # examples ever learned from
    steps: int
    loss: float  # of the last step, nats
    waiting: int  # examples that wait for their batch to fill
    share: float  # of the examples that is learned from
    rounds: list[Round]
    encoder: str = ""  # whose vectors are learned with
    epochs: tuple[str, ...] = ()  # tuned encoders whose vectors are read: the lineage's own, and those of contenders
    heard_through: float = 0.0  # of all that was taken in, learned from or not: nobody who came later is in it
    skipped: int = 0  # steps since the child began that were not made: their loss or gradient was no number

    @classmethod
    def nothing(cls) -> Taken:
        return cls(0, 0.0, 0, 0, float("nan"), 0, 1.0, [])


def teaches(event: Event, outcome: Outcome) -> bool:
    """Whether an applied event is an example: somebody wanted, or did not want, items that it names."""
    wanted = event.event in POSITIVE or event.event == "not_interested"
    return wanted and bool(event.items) and outcome in (Outcome.MOVED, Outcome.NOTED)


def example_of(event: Event, before: UserState | None, steps: int = LEAST_TOUCHES) -> Example:
    """The example an event makes, without what nothing is learned from: searches, devices, remembered ids. What was
    searched for stays on a choice made for it (rec.pairs), if it is short and whoever chose has a history that may be
    learned from.

    `steps` is how many actions the network reads (REC_MODEL_STEPS): so many are in it, and LEAST_TOUCHES at least.
    """
    bare = msgspec.structs.replace(event, client_ts=None, sent_ts=None, session_id=None, context={})
    if before is None or not before.history or len(event.search_term or "") > LONGEST_QUERY:
        bare = msgspec.structs.replace(bare, search_term=None)
    return Example(bare, None if before is None else compact(before, left_alone(before, event), steps))


def compact(before: UserState, shown: dict[str, Shown], steps: int = LEAST_TOUCHES) -> UserState:
    """The part of a state that lists are made from; of what was shown, what is handed in; `steps` as above."""
    return UserState(
        epoch="",
        consent=before.consent,
        history=before.history[-max(steps, LEAST_TOUCHES) :],
        categories=_strongest(before.categories),
        brands=_strongest(before.brands),
        bought=_newest(before.bought),
        hidden=_newest(before.hidden),
        shown=shown,
    )


WEIGHTS = "model weights"  # the receipt's line


def erased_of(event: Event, state: UserState | None) -> Erased:
    """What an `$erase` record means for the model, given the state that it removes."""
    since = -1.0 if state is None or not state.began else state.began
    return Erased(event.subject, event.at, since, event.event_id, line_of(event, WEIGHTS))


def line_of(event: Event, store: str) -> str:
    """The receipt's line of an `$erase` for a store; the visitors who became the user have lines of their own."""
    visitor = event.context.get("visitor")
    return f"{store}, visitor {visitor}" if visitor else store


def _strongest(kept: dict[str, Interest]) -> dict[str, Interest]:
    if len(kept) <= MAX_INTERESTS:
        return kept
    return dict(sorted(kept.items(), key=lambda pair: (-pair[1].at, pair[0]))[:MAX_INTERESTS])


def _newest(kept: dict[str, float]) -> dict[str, float]:
    if len(kept) <= MAX_KEPT:
        return kept
    return dict(sorted(kept.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_KEPT])


def is_learned(event_id: str, share: float) -> bool:
    """Whether an example is among the share that is learned from; the same answer for the same id, always.

    >>> is_learned("a", 1.0), sum(is_learned(str(n), 0.25) for n in range(1000)) in range(200, 300)
    (True, True)
    """
    if share >= 1.0:
        return True
    return int.from_bytes(blake2b(event_id.encode(), digest_size=4).digest(), "big") < share * 2**32
