"""event's context → **about** → eligibility. What a shopper's events say of them that decides what they may be shown.

Pure. Two things are kept, each as it was last said: `age` in years and `region`, from an event's `context`. Nothing
is guessed: what nobody said is unknown, and what is for certain people alone is then not shown.
"""

from __future__ import annotations

from typing import NamedTuple

from rec.events import Event

MAX_AGE = 150
MAX_REGION = 64


class About(NamedTuple):
    """What is known, and since when (seconds since 1970; 0: never said)."""

    age: float | None = None
    age_at: float = 0.0
    region: str = ""
    region_at: float = 0.0

    @property
    def times(self) -> list[float]:
        """When something was said."""
        return [at for at in (self.age_at, self.region_at) if at]


NOBODY = About()


def told(about: About, event: Event) -> About:
    """After an event; the very same object if it says nothing new. What happened later holds, in whatever order it
    comes.

    >>> told(NOBODY, Event(event="view_item", event_id="e", context={"age": 17, "region": "DE"}))
    About(age=17.0, age_at=0.0, region='DE', region_at=0.0)
    """
    context = event.context
    if not context:
        return about
    age, region, at = _age(context.get("age")), context.get("region"), event.at
    if age is not None and (at, age) > (about.age_at, -1.0 if about.age is None else about.age):
        about = about._replace(age=age, age_at=at)
    if isinstance(region, str) and 0 < len(region) <= MAX_REGION and (at, region) > (about.region_at, about.region):
        about = about._replace(region=region, region_at=at)
    return about


def newest(a: About, b: About) -> About:
    """Of two shoppers who are one: what was said last."""
    age = max((a.age_at, a.age), (b.age_at, b.age), key=lambda said: (said[0], -1.0 if said[1] is None else said[1]))
    region = max((a.region_at, a.region), (b.region_at, b.region))
    return About(age[1], age[0], region[1], region[0])


def said_since(about: About, at: float) -> About:
    """Without what was said before a moment; the very same object if nothing was."""
    if about.age is not None and about.age_at < at:
        about = about._replace(age=None, age_at=0.0)
    if about.region and about.region_at < at:
        about = about._replace(region="", region_at=0.0)
    return about


def _age(value: object) -> float | None:
    years = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else -1.0
    return years if 0 <= years <= MAX_AGE else None
