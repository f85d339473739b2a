"""choices → **consent for ads** → state, auction, bill. What somebody said of the two uses that ads make of them. Pure.

    ad_storage           whether it is kept of them which ads they saw (rec.ads.frequency), and what they did with them
    ad_personalization   whether their ads may follow what is known of them, or the page alone

The names are those of Google's consent mode. Each use has a standing of its own, by the rule of `rec.consent`; what is
known of somebody at all is for `personalization_storage` to say. Choices outlive everything else that is withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from rec.ads import frequency
from rec.consent import Standing, heard, joined
from rec.events import Event
from rec.marks import Shown


class AdConsent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where somebody stands; None: they never chose, and the installation's default holds."""

    storage: Standing | None = None
    personalization: Standing | None = None

    def standings(self) -> Mapping[str, Standing | None]:
        """By the name of the use in an event's consent."""
        return {"ad_storage": self.storage, "ad_personalization": self.personalization}

    def heard(self, event: Event) -> AdConsent:
        """After what an event says; the very same object if that is nothing new.

        >>> from rec.events import Consent
        >>> said = AdConsent().heard(Event(event="search", event_id="e", consent=Consent(ad_storage="denied")))
        >>> said.storage.denied, said.personalization
        (True, None)
        """
        if event.consent is None:
            return self
        storage = heard(self.storage, event, "ad_storage")
        personalization = heard(self.personalization, event, "ad_personalization")
        if storage == self.storage and personalization == self.personalization:
            return self
        return AdConsent(storage, personalization)

    def stores(self, at: float, default: bool) -> bool:
        """Whether what happened at `at` with an ad may be kept of them."""
        if self.storage is None:
            return default
        return not self.storage.denied and at >= self.storage.since

    def personal(self, default: bool) -> bool:
        """Whether ads may follow what is known of them."""
        return default if self.personalization is None else not self.personalization.denied

    def withdrawn_since(self, before: AdConsent, default: bool) -> bool:
        """Whether ads might be personal before and may not be now."""
        return before.personal(default) and not self.personal(default)

    def kept(
        self, ads: frequency.Seen, shown: dict[str, Shown], is_ad: Callable[[str], object]
    ) -> tuple[frequency.Seen, dict[str, Shown]]:
        """What may stay of (when ads were seen, what was shown)."""
        if self.storage is None or not (self.storage.denied or self.storage.since):
            return ads, shown
        since = float("inf") if self.storage.denied else self.storage.since
        left = {item_id: mark for item_id, mark in shown.items() if mark.at >= since or not is_ad(item_id)}
        return frequency.since(ads, since), left


def together(a: AdConsent, b: AdConsent) -> AdConsent:
    """Of a user and the visitor who is this user: the newest choice of either, and nothing that either withdrew."""
    if b == AdConsent():
        return a
    return AdConsent(_both(a.storage, b.storage), _both(a.personalization, b.personalization))


def _both(a: Standing | None, b: Standing | None) -> Standing | None:
    return a if b is None else joined(a, b)
