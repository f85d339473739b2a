"""topic `feedback` → **rates** → GET /v1/feedback. A list that was counted before is known by a hash: see rec.rates."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from agents.outcomes import Outcomes, last_or_new
from rec.config import Settings
from rec.policy.exposure import Ledger
from rec.ports import Log
from rec.priors import STRONGEST
from rec.rates import LEVEL, Rates
from rec.requests import AskRates
from rec.topics import FEEDBACK

TELL_S = 1.0


class Rating(Outcomes[Rates]):
    """CTR and CVR, for whoever asks. `joining`: whether lists are joined here at all (REC_FEEDBACK)."""

    joining = True
    tell: Callable[[Ledger], None] = staticmethod(lambda _: None)  # who was seen how much, after what was learned
    _told = 0.0

    def learned(self) -> None:
        """At most once in `TELL_S`: it is made of all groups."""
        now = time.time()
        if not 0 <= now - self._told < TELL_S:
            self._told = now
            self.tell(self.pupil.exposures.ledger(now))

    def answer(self, request: AskRates, now: float) -> bytes:
        """The body of a reply: what is known of a kind, the most seen first."""
        rates = self.pupil
        ctr, cvr = (others.prior("") for others in rates.others(request.by, now))  # of one that is not among them
        feedback = {
            "by": request.by,
            "joining": self.joining,
            "through": rates.through or None,
            "lists": rates.lists,
            "half_life_s": rates.half_life_s,
            "level": LEVEL,
            "prior": {"strength": STRONGEST, "ctr": ctr._asdict(), "cvr": cvr._asdict()},
            "rows": rates.rows(request.by, now, limit=request.n, key=request.key),
        }
        return msgspec.json.encode({"feedback": feedback})


def rating_of(settings: Settings, to: Log, tell: Callable[[Ledger], None]) -> Rating:
    """The rates of the last snapshot, or new ones. Reads it: not on the event loop."""
    path, half_life_s = settings.rates_path, settings.feedback_half_life_s
    rates = last_or_new(path, lambda raw: Rates.from_bytes(raw, half_life_s), lambda: Rates(half_life_s), "rates")
    topic, snapshot_s = settings.topic(FEEDBACK), settings.counters_snapshot_s
    rating = Rating(rates, path=path, source=to, topic=topic, snapshot_s=snapshot_s)
    rating.joining, rating.tell = settings.feedback, tell
    return rating
