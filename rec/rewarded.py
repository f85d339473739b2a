"""feedback → **rewarded** → topic `examples`. What a list earned, as the trainer learns from it. Pure."""

from __future__ import annotations

from rec.examples import Rewarded
from rec.feedback import FeedbackExample
from rec.scenes import SEARCH
from rec.state import UserState


def rewarded_of(example: FeedbackExample) -> Rewarded | None:
    """The lesson of a list, None of one that teaches nothing: it earned nothing, or nobody knows how likely that was;
    and None of a search: it follows from a query, which no network reads.

    A later revision is one in any case: it takes the place of what the earlier one said.
    """
    if example.placement == SEARCH:
        return None
    earned = tuple(
        (place.item_id, place.reward, place.propensity)
        for place in example.places
        if place.reward and place.propensity is not None and 0 < place.propensity <= 1
    )
    if not earned and not example.revision:
        return None
    history = () if example.state is None else example.state.history
    return Rewarded(
        slate_id=example.slate_id,
        user_id=example.user_id,
        revision=example.revision,
        at=example.served_at,
        length=len(example.places),
        earned=earned,
        state=UserState(epoch="", history=history),  # all that a network reads
    )
