"""settings → **scenes** → lists, searches, rewards. What a placement shows, as one value.

    home   products for the shopper           item   what goes with the product on the page
    cart   what goes with what lies in it     feed   articles and videos; what is read to its end is the reward

`REC_PLACEMENTS` changes these, and has others beside them. A placement that nobody has named is a `Scene()`, as home
is: clients make up names. Pure but for a mask remembered for each catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from rec import dwell
from rec.catalog import Mask, View
from rec.dwell import Reward
from rec.errors import BadInput, ConfigError
from rec.kinds import AD_KIND, ARTICLE, PRODUCT, VIDEO
from rec.policy.filters import ListRules
from rec.protocol import Placement
from rec.slates import Slate
from rec.value import Worth

if TYPE_CHECKING:
    from rec.config import Settings

J = TypeVar("J")  # a judged list: rec.recommend.Judged

MOST_SPONSORED = 8
SEARCH = "search"

Kind = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Weight = Annotated[float, msgspec.Meta(ge=-1_000, le=1_000)]
Seat = Annotated[int, msgspec.Meta(ge=0, le=199)]


class Scene(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one placement shows.

    `kinds`: of items; `product` stands for all that is neither article, video nor ad; None: every kind but ads.
    `follows`: what a list is made from, and so which mix ranks: the item on the page, where one is named; before that
    what lies in the cart; or the shopper alone, whatever page it is.
    `reward`: what differs from REC_VALUE_CLICK and its like, with `dwell` and `completion` beside them (rec.dwell).
    `seen`: whether what was acted on may be listed again; None: as REC_SEEN says.
    `sponsored`: 0-based places for ads, the first one for the ad that is worth most.
    """

    kinds: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=32)] | None = (PRODUCT,)
    follows: Literal["page", "cart", "shopper"] = "page"
    reward: dict[str, Weight] = {}
    seen: Literal["keep", "exclude"] | None = None
    sponsored: Annotated[tuple[Seat, ...], msgspec.Meta(max_length=MOST_SPONSORED)] = ()

    def __post_init__(self) -> None:
        """Raises ValueError, which msgspec turns into a ValidationError: what no field alone can tell."""
        dwell.checked(self.reward)
        if self.kinds is not None and AD_KIND in self.kinds:
            raise ValueError("kinds: an ad stands at a sponsored place alone. Leave it out, and name places: sponsored")
        if list(self.sponsored) != sorted(set(self.sponsored)):
            raise ValueError("sponsored: name each place once, the first one first")

    def lists(self, rules: ListRules) -> ListRules:
        """The rules of what may be on its lists."""
        return rules if self.seen is None else rules._replace(seen_excluded=self.seen == "exclude")


READ = {"click": 0.2, "cart": 0.0, "purchase": 0.0, "dwell": 1.0, "completion": 2.0}
BUILT_IN: Mapping[str, Scene] = {
    "home": Scene(),
    "item": Scene(),
    "cart": Scene(follows="cart"),
    "feed": Scene(kinds=(ARTICLE, VIDEO), follows="shopper", reward=READ, seen="exclude"),
}


class Scenes:
    """The scenes of an installation. `sell`, where it is set, makes the lists that have sponsored places."""

    def __init__(self, named: Mapping[str, Scene], other: Scene | None = None, worth: Worth | None = None) -> None:
        self._named, self._other = dict(named), other or Scene()
        self._rewards = {name: Reward.over(worth or Worth(), scene.reward) for name, scene in named.items()}
        self._reward = Reward.over(worth or Worth(), self._other.reward)
        self._masks: tuple[View | None, dict[tuple[str, ...], Mask | None]] = (None, {})
        self.sell: Callable[..., Any] | None = None  # rec.ads.market: Market.sell

    @classmethod
    def from_settings(cls, settings: Settings) -> Scenes:
        """Built in, and as set. Raises ConfigError naming the placement, the field and the remedy."""
        try:
            named = scenes_of(settings.placements)
        except BadInput as error:
            raise ConfigError(f"REC_PLACEMENTS: {error.message}", field="REC_PLACEMENTS") from None
        scenes = cls(named, worth=Worth.from_settings(settings))
        if scenes.sells and not settings.feedback:
            raise ConfigError(
                "REC_PLACEMENTS: sponsored places need REC_FEEDBACK=true: without it nobody knows who clicked, and no "
                "click is billed.",
                field="REC_PLACEMENTS",
            )
        if left := [name for name, scene in named.items() if scene.sponsored and not settings.joins(name)]:
            raise ConfigError(
                f"REC_FEEDBACK_PLACEMENTS: {left[0]} has sponsored places and is not among them, so no click on an ad "
                "there is billed. Add it, or leave the setting out.",
                field="REC_FEEDBACK_PLACEMENTS",
            )
        return scenes

    @property
    def sells(self) -> bool:
        """Whether any placement has sponsored places."""
        return any(scene.sponsored for scene in self._named.values())

    def made(self, judged: J, world: Any, now: float, make: Callable[[J], Slate]) -> Slate:
        """The list that `make` makes of the judged, with what was sold; it is asked for as many items as are left."""
        if self.sell is None:
            return make(judged)
        slate: Slate = self.sell(judged, world, now, make)
        return slate

    def of(self, placement: str) -> Scene:
        return self._named.get(placement, self._other)

    def label(self, placement: str) -> str:
        """The name that a metric has for it: clients make up names, so one that nobody configured is `other`.

        >>> Scenes(BUILT_IN).label("feed"), Scenes(BUILT_IN).label("made up")
        ('feed', 'other')
        """
        return placement if placement in self._named else "other"

    def reward(self, placement: str) -> Reward:
        """What becomes of a place of its lists, in numbers."""
        return self._rewards.get(placement, self._reward)

    def worth(self, placement: str, otherwise: Worth | None) -> Worth | None:
        """What its lists are ordered by, beside what is likely; `otherwise` where it says nothing of its own."""
        scene = self.of(placement)
        return self.reward(placement).worth if scene.reward and otherwise is not None else otherwise

    def keep(self, mask: Mask, view: View, placement: str) -> Mask:
        """The mask [size] without the kinds that the placement does not show. Changed in place, and given back."""
        kinds = self.of(placement).kinds
        if len(view.kinds) == 1 and (kinds is None or PRODUCT in kinds):
            return mask  # a catalog of products
        if (only := self._mask(kinds, view)) is not None:
            mask &= only
        return mask

    def _mask(self, kinds: tuple[str, ...] | None, view: View) -> Mask | None:
        """Any thread may ask: what is remembered is replaced as a whole."""
        known, masks = self._masks
        if known is not view:
            masks = {}
            self._masks = (view, masks)
        key = ("*",) if kinds is None else kinds
        if key not in masks:
            wanted = np.array([_shown(kind, kinds) for kind in view.kinds], np.bool_)
            masks[key] = None if wanted.all() else wanted[view.kind]
        return masks[key]


def _shown(kind: str, kinds: tuple[str, ...] | None) -> bool:
    """
    >>> _shown("recipe", ("product",)), _shown("ad", None), _shown("video", ("article",)), _shown("recipe", ("recipe",))
    (True, False, False, True)
    """
    if kinds is None:
        return kind != AD_KIND
    return kind in kinds or (PRODUCT in kinds and kind not in (ARTICLE, VIDEO, AD_KIND))


EVERYTHING = Scenes({"cart": Scene(kinds=None, follows="cart")}, Scene(kinds=None))  # of what learns, and of tests


def scenes_of(values: Mapping[str, Any]) -> dict[str, Scene]:
    """All placements, from JSON's values for some. Raises BadInput naming the placement, the field and the remedy.

    >>> scenes_of({"feed": {"kinds": ["video"]}})["feed"].reward["completion"]
    2.0
    """
    named = dict(BUILT_IN)
    for name, fields in values.items():
        try:
            msgspec.convert(name, Placement)
        except msgspec.ValidationError:
            raise BadInput(
                f"{name!r} is no name of a placement. Use 1 to 64 letters, digits, dots, dashes and underscores.",
                field="placements",
            ) from None
        if not isinstance(fields, Mapping):
            raise BadInput(f'{name}: is no object. Give fields, as {{"kinds": ["article"]}}.', field=name)
        before = msgspec.to_builtins(named.get(name, Scene()))
        try:
            scene = msgspec.convert({**before, **fields}, Scene)
        except msgspec.ValidationError as error:
            known = ", ".join(Scene.__struct_fields__)
            raise BadInput(f"{name}: {error}. Fields of a placement: {known}.", field=name) from None
        if name == SEARCH and (wrong := sorted(fields.keys() - {"kinds"})):
            raise BadInput(
                f"{name}: {wrong[0]} means nothing for what was asked for; a search has kinds alone. Leave it out.",
                field=name,
            )
        named[name] = scene
    return named
