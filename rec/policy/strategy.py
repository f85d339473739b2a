"""settings, SQL → **strategy** → chain. How scores become a list, as one named value.

A strategy holds nothing of one shopper or one moment: the same strategy, candidates, `now` and rng give the same list.
Its name is on every slate, so that what came of a list can be told apart by the strategy that made it. All steps are
off in `Strategy()` but the cap on categories: it is greedy. `rec.policy.chain` says what happens in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from rec.errors import BadInput, ConfigError
from rec.features import FEATURES
from rec.policy.explore import COLDEST
from rec.policy.exposure import shares_of

if TYPE_CHECKING:
    from rec.config import Settings

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+\Z")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Weight = Annotated[float, msgspec.Meta(ge=-1_000, le=1_000)]
MOST_COLD = 50  # candidates that the cold-start slot is drawn from


TRYING: Mapping[str, Any] = {"cold_place": 11}  # the last one of a page of twelve
EXPLORING: Mapping[str, Any] = {**TRYING, "temperature": 0.1, "steady_s": 1800}


class Strategy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One way to make lists. Places are 0-based."""

    name: Name = "default"
    # what is likely and what it is worth are the ranker's; a strategy may lean on some of what it says:
    mix: dict[
        str, Weight
    ] = {}  # added to the gate's weights, by name of the feature (rec.features); a gate alone reads it
    # what the list is to be as a whole, one step after the other:
    calibration: Share = 0.0  # 0 off … 1 the shopper's interests alone decide: λ of Steck 2018
    diversity: Literal["off", "mmr", "dpp"] = "off"
    diversity_depth: Annotated[int, msgspec.Meta(ge=1, le=500)] = 60  # so many candidates are laid out anew
    theta: Share = 0.7  # 1: relevance alone, 0: variety alone
    fairness: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0  # pull towards exposure in proportion to merit
    fairness_by: Literal["brand", "seller"] = "brand"  # seller: the item's attribute of that name
    fairness_target: Literal["merit", "equal"] = "merit"  # what each is to have
    fairness_shares: dict[str, Share] = {}  # or what some are to have; the rest is the others', by the target
    fairness_carry: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0  # of what is owed from earlier lists, in places
    category_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7  # of any beginning of a home list
    cold_place: Annotated[int, msgspec.Meta(ge=0, le=199)] | None = None  # of the one item that hardly anybody came to
    cold_support: Annotated[int, msgspec.Meta(ge=1)] = 5  # an item that so many shoppers came to is not cold
    # how much is left to chance:
    temperature: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0  # of Plackett-Luce; 0 greedy, else `COLDEST` or more
    explore_depth: Annotated[float, msgspec.Meta(ge=1, le=10)] = 1.5  # it draws from so many times the list's length
    steady_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = (
        0.0  # a shopper's draw stays for so long; 0: each list anew
    )
    # how eagerly a list on a screen is replaced:
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=3)] = 0.0  # at least so long between two lists that events cause
    refresh: Literal["replace", "tail", "wait", "learned"] = "replace"  # how an event changes it: rec.policy.refresh
    keep_places: Annotated[int, msgspec.Meta(ge=1, le=199)] = 6  # that stay where the tail alone is swapped
    wait_s: Annotated[float, msgspec.Meta(gt=0, le=3)] = 2.0  # for so long a list stays where one waits

    def __post_init__(self) -> None:
        """Raises ValueError, which msgspec turns into a ValidationError: what no field alone can tell."""
        if unknown := sorted(self.mix.keys() - set(FEATURES)):
            raise ValueError(f"mix: there is no feature {unknown[0]!r}. Known are: {', '.join(FEATURES)}")
        if 0 < self.temperature < COLDEST:
            raise ValueError(f"temperature: {self.temperature:g} draws nothing. Give 0, or {COLDEST:g} and more")

        try:
            shares_of(self.fairness_shares)
        except BadInput as error:
            raise ValueError(f"fairness_shares: {error.message}") from None
        if not self.fairness and (self.fairness_carry or self.fairness_shares or self.fairness_target != "merit"):
            raise ValueError("fairness: at 0 nothing is shared out, whatever the target is. Give a pull above 0")

    @property
    def fair_by_merit_alone(self) -> bool:
        """Whether fairness looks at one list, and at merit."""
        return self.fairness_target == "merit" and not self.fairness_shares and not self.fairness_carry

    @property
    def needs_feedback(self) -> str:
        """The field that means nothing without REC_FEEDBACK, "" if there is none."""
        return "refresh" if self.refresh == "learned" else "fairness_carry" if self.fairness_carry else ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Strategy:
        """The one that serves where nothing else is chosen. Raises ConfigError naming the variable.

        Chance costs sales and CPU, and pays in what is learned of it: by itself it is there with the feedback alone.
        """
        if "strategy" not in settings.model_fields_set:  # an empty one was chosen too
            return own_strategy(feedback=settings.feedback)
        try:
            strategy = strategy_of(settings.strategy)
        except BadInput as error:
            raise ConfigError(f"REC_STRATEGY: {error.message}", field="REC_STRATEGY") from None
        if strategy.needs_feedback and not settings.feedback:
            raise ConfigError(
                f"REC_STRATEGY: {strategy.needs_feedback} is learned from what comes of lists. Set REC_FEEDBACK=true.",
                field="REC_STRATEGY",
            )
        return strategy


def own_strategy(*, feedback: bool) -> Strategy:
    """What serves where nobody has chosen anything, with or without feedback to learn from."""
    return strategy_of(EXPLORING if feedback else TRYING)


def strategy_of(values: Mapping[str, Any]) -> Strategy:
    """A strategy from JSON's values. Raises BadInput naming the field and what is wrong with it.

    >>> strategy_of({"name": "bold", "temperature": 0.5}).temperature
    0.5
    """
    try:
        return msgspec.convert(dict(values), Strategy)
    except msgspec.ValidationError as error:
        known = ", ".join(Strategy.__struct_fields__)
        raise BadInput(f"{error}. Fields of a strategy: {known}.", field="strategy") from None
