"""archive → states and counters, when the log itself is gone: the embedded broker keeps its topics in memory.

The archive is folded in its own order, the same way the worker folds the log; the states are written to the
changelog topic, from which the worker recovers as after any restart, and the counters to their snapshot file.
What the end of the log kept from being passed on of a choice is written into the new one.
Epochs are new: versions may be lower than what a client holds, and another epoch is always news. Erasures that the
end of the log interrupted are finished first, so nothing of an erased user is folded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rec.ads.book import AdBook
from rec.archived import fold_archive
from rec.config import Settings
from rec.counters import Counters
from rec.erased import finish_erasures
from rec.errors import ModelError
from rec.events import encode_event
from rec.examples import Example, encode_lesson
from rec.files import write_atomically
from rec.policy.bandit import BanditRules
from rec.policy.rewards import Rewards
from rec.ports import Database, Log
from rec.privacy import erasure_secret
from rec.rates import Rates
from rec.rebuild import Rebuild
from rec.state import Facets, FoldRules, encode_state
from rec.topics import BEHAVIOR

Progress = Callable[[str, int, int], None]  # what, done, total


class Restored(NamedTuple):
    """What came back, and how long it took in seconds."""

    events: int
    users: int
    seconds: float
    examples: list[bytes]  # the newest lessons of the archive, for a model that has learned nothing yet


async def catalog_facets(database: Database) -> dict[str, Facets]:
    """item_id → category and brand, of the whole catalog."""
    facets: dict[str, Facets] = {}
    revision = 0
    while (page := await database.changes(revision)).revision > revision:
        revision = page.revision
        facets.update((item.item_id, Facets(item.category, item.brand, item.kind)) for item in page.items)
        for item_id in page.deleted:
            facets.pop(item_id, None)
    return facets


def rewind_rates(settings: Settings) -> bool:
    """Keep CTR and CVR, which name nobody, and read the new log from its beginning; False if there are none to keep.

    Windows that were open are over: what was on screens then is not remembered, and lists are made anew at the start.
    """
    half_life_s = settings.feedback_half_life_s
    return _rewound(settings.rates_path, lambda raw: Rates.from_bytes(raw, half_life_s, rewound=True))


def rewind_rewards(settings: Settings) -> bool:
    """The same of what the strategies earned, which the bandit goes by; False if there is nothing to keep."""
    rules = BanditRules.from_settings(settings)
    return _rewound(settings.rewards_path, lambda raw: Rewards.from_bytes(raw, rules, rewound=True))


def rewind_ads(settings: Settings) -> bool:
    """The same of what campaigns have spent, which pacing goes by; False if there is nothing to keep."""
    half_life_s = settings.feedback_half_life_s
    return _rewound(settings.ads_path, lambda raw: AdBook.from_bytes(raw, half_life_s, rewound=True))


def _rewound(path: Path, read: Callable[[bytes], Rates | Rewards | AdBook]) -> bool:
    """The snapshot at `path` as `read` makes it, in its own place; False if there is none, or none that can be read."""
    try:
        kept = read(path.read_bytes())
    except (FileNotFoundError, ModelError):
        return False
    write_atomically(path, kept.to_bytes())
    return True


async def restore(
    database: Database, log: Log, settings: Settings, rules: FoldRules, progress: Progress
) -> tuple[Restored, Counters]:
    """Fold the whole archive and seed the changelog. Counters and examples are returned for the caller to hand on."""
    began = time.monotonic()
    await finish_erasures(database, erasure_secret(settings), rules)
    facets = await catalog_facets(database)
    total = await database.count_events()
    counters = Counters(settings.popularity_half_life_s, consent_default=rules.consent_default)
    examples: deque[bytes] = deque(maxlen=settings.train_from_archive)

    def teach(example: Example) -> None:
        examples.append(encode_lesson(example))

    rebuild = Rebuild(facets.get, rules, counters, teach, settings.model_steps, now=time.time())
    await fold_archive(database, rebuild.apply, lambda: progress("events folded", rebuild.events, total))
    states = list(rebuild.users.items())
    for start in range(0, len(states), 500):
        chunk = states[start : start + 500]
        await log.publish_many(settings.users_changelog, [(user_id, encode_state(state)) for user_id, state in chunk])
        progress("states restored", start + len(chunk), len(states))
    # Choices that were not passed on, or not archived, before the log died: the archive has to hear of them, too.
    choices = [(choice.subject, encode_event(choice)) for choice in rebuild.told.values()]
    await log.publish_many(settings.topic(BEHAVIOR), choices)
    return Restored(rebuild.events, len(states), time.monotonic() - began, list(examples)), counters
