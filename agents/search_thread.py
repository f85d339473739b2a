"""searching → **the search thread** → answers. What is done in it, one thing after the other: it alone has the engine.

Nothing but an answer leaves it. A search that fails is that search's error, and the log's; a click that fails is the
log's, and what is behind it goes on. Whoever could not be forgotten is told to the caller, who has to ask again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from agents.metrics import Metrics
from rec.config import Settings
from rec.errors import ModelError, RecError, Unavailable
from rec.logs import discreet
from rec.model.weights import whole_words
from rec.recommend import World
from rec.requests import SearchRequest, SuggestRequest
from rec.search.engine import Engine
from rec.search.fusion import FUSED, Fusion
from rec.search.nearness import Nearness, ReadQuery
from rec.search.reading import load_synonyms
from rec.search.words import Words
from rec.slates import Slate, encode_slate
from rec.state import UserState

log = logging.getLogger(__name__)

SHELF_S = 3.0  # what is popular in a search may be so old


class Click(NamedTuple):
    """Somebody wanted these products on a list."""

    slate_id: str
    subject: str
    item_ids: list[str]


class Answer(NamedTuple):
    """The body of a reply; and the list in it, if there is one."""

    body: bytes
    slate: Slate | None = None


class SearchThread:
    """The work of the one thread that touches `engine`. `now`: seconds since 1970."""

    def __init__(self, engine: Engine, world: World, metrics: Metrics, rng: random.Random) -> None:
        self.engine, self.world, self._metrics, self._rng = engine, world, metrics, rng
        self._nearness = Nearness()

    def forget(self, user_ids: Iterable[str]) -> list[str]:
        """Drop what is remembered of erased users; of whom that failed."""
        left = []
        for user_id in user_ids:
            try:
                self.engine.forget(user_id)
            except Exception as error:  # noqa: BLE001
                log.error("search could not forget an erased user, and tries again: %s", discreet(error))
                left.append(user_id)
        return left

    def learn(self, clicks: Iterable[Click], now: float) -> None:
        """What was wanted on lists that were made here."""
        for click in clicks:
            try:
                self.engine.clicked(*click, now)
            except Exception as error:  # noqa: BLE001
                log.error("search could not learn from a click: %s", discreet(error))

    def search(
        self, request: SearchRequest, read: ReadQuery | None, state: UserState | None, now: float, complete: bool
    ) -> Answer:
        """`read`: the query's vector, if it is known; `complete`: whether the index was ever as the catalog."""
        try:
            if not complete:
                raise Unavailable("The products are still being read. Try again in some seconds.", retry_after=2)
            dense = self._nearness.of(self.world.catalog.view(), read, self.world.meaning.texts_of(read))
            slate = self.engine.search(
                request.user_id, request.search, state, self.world, dense=dense, now=now, rng=self._rng
            )
        except RecError as error:
            return Answer(error_body(error))
        except Exception as error:  # noqa: BLE001
            log.error("a search failed: %s", discreet(error))
            return Answer(error_body(RecError("Something broke in search. The worker's log says what.")))
        self._count(slate)
        return Answer(b'{"slate":' + encode_slate(slate) + b"}", slate)

    def _count(self, slate: Slate) -> None:
        facts = slate.search
        outcome = "found"
        if facts is not msgspec.UNSET and facts.fallback is not None:
            outcome = facts.fallback
        elif facts is not msgspec.UNSET and facts.corrected:
            outcome = "corrected"
        self._metrics.searches.labels(outcome=outcome).inc()
        self._metrics.search_retrieval.labels(retrieval=slate.strategy.removeprefix("search-")).inc()

    def suggest(self, request: SuggestRequest, now: float) -> bytes:
        """The body of a reply."""
        try:
            found = self.engine.suggest(request.q, request.n, self.world, now)
        except RecError as error:
            return error_body(error)
        except Exception as error:  # noqa: BLE001
            log.error("suggestions failed: %s", discreet(error))
            return error_body(RecError("Something broke in search. The worker's log says what."))
        listed = [
            {"text": each.text, "kind": each.kind} | ({"item_id": each.item_id} if each.item_id else {})
            for each in found
        ]
        return msgspec.json.encode({"suggestions": listed})


def error_body(error: RecError) -> bytes:
    """The body of a reply to who cannot be answered."""
    return msgspec.json.encode({"error": error.as_dict()})


def search_engine(settings: Settings) -> Engine:
    """The engine that the settings ask for, as it was taught. Raises ConfigError."""
    words = Words(settings.search_language)
    synonyms = load_synonyms(settings.search_synonyms, words)
    known = whole_words(settings.encoder)
    return Engine(words, synonyms, load_fusion(settings.fusion_path), SHELF_S, known)


def load_fusion(path: Path) -> Fusion | None:
    """What clicks had taught when it was saved; None if nothing, or nothing that this version can read."""
    try:
        fusion = msgspec.json.decode(path.read_bytes(), type=Fusion)
        if len(fusion.weights) != len(FUSED):
            raise ModelError(f"{len(fusion.weights)} weights instead of {len(FUSED)}")
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, ModelError) as error:
        log.warning("%s cannot be used (%s); search begins with reciprocal ranks again", path, error)
        return None
    return fusion
